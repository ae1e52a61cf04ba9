"""The nets of torchvision for clips: their answers, their published weights, and the sizes that they take."""

import pytest
import torch
import torchvision

from sightsmith.core.errors import DataError, SettingsError
from sightsmith.nets.build import build_net, describe_net, net_names
from sightsmith.nets.parts.layout import channels_last

NAMES = ["mc3_18", "r2plus1d_18", "r3d_18", "s3d", "swin3d_t"]
SIZES = {"channels": 3, "height": 32, "width": 40}


def pair(name, **sizes):
    """Return our net and the library's with the same weights, which are large enough to tell answers apart."""
    torch.manual_seed(5)
    theirs = torchvision.models.get_model(name, weights=None, num_classes=5).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            if parameter.ndim > 1:
                parameter.mul_(2)
    ours = build_net(name, classes=5, **SIZES | sizes).module.eval()
    ours.model.load_state_dict(theirs.state_dict())
    return ours, theirs


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("r3d_18", (2, 3, 5, 32, 40)),
        *(("swin3d_t", (1, 3, frames, *side)) for frames, side in ((1, (32, 40)), (5, (36, 64)), (16, (32, 32)))),
        *(("swin3d_t", (frames, 3, frames, *side)) for frames, side in ((2, (20, 32)), (19, (32, 32)))),
        pytest.param("swin3d_t", (1, 3, 33, 64, 64), marks=pytest.mark.slow),
        pytest.param("s3d", (1, 3, 16, 224, 224), marks=pytest.mark.slow),
    ],
)
def test_answers_are_those_of_the_library(name, shape):
    ours, theirs = pair(name, height=shape[3], width=shape[4])
    clips_B3THW = torch.randn(shape)
    with torch.inference_mode():
        expected, found = theirs(clips_B3THW), ours(clips_B3THW.transpose(1, 2))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert expected.std() > 1e-3


def test_one_map_too_many_changes_no_even_number_of_frames():
    ours, theirs = pair("s3d", height=64, width=64)
    clips_B3THW = torch.randn(1, 3, 16, 64, 64)
    with torch.inference_mode():
        assert torch.equal(ours.model.features(clips_B3THW), theirs.features(clips_B3THW))


def test_grey_clips_are_shown_in_colour():
    ours, _ = pair("r3d_18", channels=1)
    grey_BT1HW = torch.randn(1, 3, 1, 32, 40)
    with torch.inference_mode():
        torch.testing.assert_close(ours(grey_BT1HW), ours(grey_BT1HW.repeat(1, 1, 3, 1, 1)))


@pytest.mark.parametrize(
    ("name", "side", "millions"), [("r3d_18", 112, 33.37), ("s3d", 224, 8.32), ("swin3d_t", 224, 28.16)]
)
def test_names_and_facts(name, side, millions):
    info = describe_net(name)
    assert (info.family, info.own_task, info.library) == ("clip_classifier", "classify_clips", "torchvision")
    assert (info.licence, info.pretrained) == ("BSD-3-Clause", ((f"torchvision/{name}.kinetics400_v1", "not stated"),))
    assert info.parameters / 1e6 == pytest.approx(millions, abs=0.01)
    assert (info.native.height, info.native.width, info.native.crop_fraction) == (side, side, 0.875)
    expected = (0.485, 0.456, 0.406) if name == "swin3d_t" else (0.43216, 0.394666, 0.37645)
    assert info.native.mean == expected
    assert set(NAMES) <= {one.name for one in net_names() if one.family == "clip_classifier"}


def test_published_weights_are_read_with_a_new_head(tmp_path):
    before = torch.hub.get_dir()
    torch.hub.set_dir(tmp_path)
    try:
        published = torchvision.models.get_model("mc3_18", weights=None)
        file = tmp_path / "checkpoints" / torchvision.models.get_model_weights("mc3_18").DEFAULT.url.rpartition("/")[2]
        file.parent.mkdir()
        torch.save(published.state_dict(), file)
        built = build_net("mc3_18", classes=5, weights="pretrained", **SIZES)
        assert built.weights.origin == "torchvision/mc3_18.kinetics400_v1"
        assert built.weights.new_head
        ours, theirs = built.module.model.state_dict(), published.state_dict()
        assert all(torch.equal(ours[key], theirs[key]) for key in theirs if not key.startswith("fc."))
        assert not build_net("mc3_18", classes=400, weights="pretrained", **SIZES).weights.new_head
        with pytest.raises(DataError, match="the weights are not those of r3d_18"):
            build_net("r3d_18", classes=5, weights=str(file), **SIZES)
    finally:
        torch.hub.set_dir(before)


def test_what_the_nets_cannot_take_is_refused():
    with pytest.raises(SettingsError, match="s3d needs inputs of at least 17×17 pixels, got 40×16"):
        build_net("s3d", classes=5, channels=3, height=16, width=40)
    with torch.inference_mode():
        assert (
            build_net("s3d", classes=5, channels=3, height=17, width=17)
            .module.eval()(torch.zeros(1, 1, 3, 17, 17))
            .isfinite()
            .all()
        )
    with pytest.raises(SettingsError, match="depth"):
        build_net("r3d_18", {"depth": 3}, classes=5, **SIZES)


def test_a_net_with_convolutions_of_clips_is_laid_out_for_pictures_too():
    net = torch.nn.ModuleDict({"clips": torch.nn.Conv3d(3, 4, 3), "pictures": torch.nn.Conv2d(3, 4, 3)})
    before = [one.clone() for one in net.parameters()]
    channels_last(net)
    assert net["pictures"].weight.is_contiguous(memory_format=torch.channels_last)
    assert net["clips"].weight.is_contiguous()
    assert all(torch.equal(one, other) for one, other in zip(net.parameters(), before, strict=True))
