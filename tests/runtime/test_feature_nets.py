"""Features of other nets than the one that ships: bundles of each sort, Inception and DINOv2 by their file."""

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from sightsmith.bundle.store import Bundle
from sightsmith.core.errors import BundleError, DataError, SettingsError
from sightsmith.nets.build import build_net
from sightsmith.runtime.feature_nets import PUBLISHED, open_features
from sightsmith.runtime.torch_session import rebuild
from sightsmith.tasks.parts.normalise import Normalise


@pytest.fixture(scope="module")
def pictures():
    """Return two colour pictures and a grey one."""
    rng = np.random.default_rng(0)
    shapes = ((40, 28, 3), (16, 16, 3), (28, 28, 1))
    return [rng.integers(0, 256, shape, np.uint8) for shape in shapes]


@pytest.fixture(scope="module")
def inception(tmp_path_factory):
    """Return torchvision's Inception with random weights, and the file of them, second head included."""
    torch.manual_seed(0)
    net = torchvision.models.inception_v3(weights=None, init_weights=False, transform_input=True).eval()
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(net.state_dict(), path)
    net.fc = nn.Identity()
    return net, path


def test_features_of_a_bundle_are_what_its_head_is_given(digits_bundle, pictures):
    net = open_features(str(digits_bundle), quiet=True)
    with Bundle.open(digits_bundle) as bundle:
        settings, module = bundle.manifest.definition.input_settings, rebuild(bundle)["net"]
        assert net.sha256 == bundle.manifest.files["weights.safetensors"]
        assert net.name == "the bundle digits"
    pixels_NHWC = torch.from_numpy(np.stack([settings.apply(picture) for picture in pictures]))
    with torch.inference_mode():
        images_NCHW = Normalise(settings)(pixels_NHWC)
        logits_NK = module(images_NCHW)
    found_ND = net.features_of(pictures)
    np.testing.assert_allclose(module.head(torch.from_numpy(found_ND)).detach(), logits_NK, atol=1e-5)


@pytest.mark.parametrize("name", ["smallresnet", "attention", "vgg11", "vit_tiny_patch16_224", "hog_svm"])
def test_every_sort_of_net_has_features_before_its_head(name):
    side = 224 if "vit" in name else 32
    net = build_net(name, channels=3, classes=5, height=side, width=side).module.eval()
    if name == "hog_svm":
        net.fit(torch.rand(15, 3, side, side), torch.arange(15) % 5, tuple("abcde"), quiet=True)
    with torch.inference_mode():
        found_ND = net.head_input(torch.rand(2, 3, side, side))
    assert found_ND.ndim == 2
    assert len(found_ND) == 2
    assert found_ND.shape[1] > 5


def test_inception_is_torchvisions_with_its_own_preprocessing(inception, pictures):
    net, path = inception
    found_ND = open_features(str(path), quiet=True).features_of(pictures[:2])
    mean, std = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # transform_input undoes them
    with torch.inference_mode():
        for picture, found_D in zip(pictures, found_ND, strict=False):
            resized = Image.fromarray(picture).resize((299, 299), Image.Resampling.BICUBIC, reducing_gap=3.0)
            image_CHW = torchvision.transforms.functional.to_tensor(resized)
            expected_D = net(torchvision.transforms.functional.normalize(image_CHW, mean, std)[None])[0]
            np.testing.assert_allclose(found_D, expected_D, rtol=1e-3, atol=1e-3 * float(expected_D.std()))
    assert found_ND.shape == (2, 2048)


def test_dinov2_is_its_class_token_at_its_own_size(tmp_path, pictures):
    torch.manual_seed(0)
    made = build_net(PUBLISHED["dinov2"].net, channels=3, classes=1, height=518, width=518).module
    state = {name: tensor for name, tensor in made.published().state_dict().items() if not name.startswith("head.")}
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, tmp_path / "dino.safetensors")
    net = open_features(str(tmp_path / "dino.safetensors"), quiet=True)
    found_ND = net.features_of(pictures[:1])
    assert net.name == "vit_small_patch14_dinov2.lvd142m at 224 px"
    assert found_ND.shape == (1, 384)
    assert abs(found_ND.mean()) < 0.1, "it is normalised last"


def test_published_weights_are_found_in_torchs_cache_or_it_is_said_where_to_put_them(inception, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name, file in (("inception", "inception_v3_google-0cc3c7bd.pth"), ("dinov2", "dinov2_vits14_pretrain.pth")):
        with pytest.raises(
            DataError, match=f"features '{name}': .*put the file {file}.*{tmp_path}/checkpoints, or name"
        ):
            open_features(name)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / PUBLISHED["inception"].file).symlink_to(inception[1])
    assert open_features("inception").name == "inception_v3.tv_in1k at 299 px"


def test_what_has_no_features_is_named(making_bundles, tmp_path):
    with pytest.raises(
        BundleError, match=r"gan: features are those of a net that sees pictures, and this one takes a seed"
    ):
        open_features(str(making_bundles / "gan"))
    with pytest.raises(SettingsError, match=r"features 'incepton': no such bundle. Did you mean 'inception'"):
        open_features("incepton")
    with pytest.raises(SettingsError, match="no such file"):
        open_features("nowhere.safetensors")
    save_file({"a": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(DataError, match="neither those of inception nor those of dinov2"):
        open_features(str(tmp_path / "other.safetensors"))
