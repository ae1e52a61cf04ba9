"""The one-stage detector: what it learns from a batch, and what it answers."""

import pytest
import torch
from safetensors.torch import save_file

from nets.exporting import largest_difference
from sightsmith.core.errors import DataError, SettingsError
from sightsmith.nets import yolo
from sightsmith.nets.build import build_net

NONE = (0.0, 0.0, 0.0, 0.0, -1.0, 0.0)


def net_of(side=64, classes=2, seed=0, weights="none", **settings):
    torch.manual_seed(seed)
    sizes = {"channels": 3, "classes": classes, "height": side, "width": side}
    return build_net("yolo", settings, weights=weights, **sizes)


def targets(*pictures):
    most = max(1, *(len(rows) for rows in pictures))
    return torch.tensor([[*rows, *[NONE] * (most - len(rows))] for rows in pictures])


@pytest.mark.parametrize(
    "settings",
    [{}, {"reg_max": 1}, {"one_to_one": True}, {"backbone": "resnet10t"}],
    ids=["plain", "l1", "single", "timm"],
)
def test_a_gradient_reaches_every_parameter_and_answers_are_sorted(settings):
    net = net_of(**settings).module.train()
    images = torch.randn(2, 3, 64, 64)
    wanted = targets([(4.0, 4, 40, 44, 1, 0), (30, 30, 60, 60, 0, 0)], [])
    for step in (0, 1000):
        net.zero_grad()
        parts = net.losses(images, wanted, step)
        assert all(part.ndim == 0 and part.isfinite() for part in parts.values())
        sum(parts.values()).backward()
        assert [name for name, one in net.named_parameters() if one.grad is None or not one.grad.isfinite().all()] == []
    with torch.inference_mode():
        found = net.eval().detect(images)
    assert found.shape == (2, 84, 6)
    assert (found[:, :-1, 4] >= found[:, 1:, 4]).all()
    assert (found[:, :, 2:4] >= found[:, :, :2]).all()
    assert set(found[:, :, 5].unique().tolist()) <= {0.0, 1.0}
    assert net.suppresses is ("one_to_one" not in settings)


def test_the_first_scores_are_those_of_rare_objects():
    with torch.inference_mode():
        scores = net_of().module.eval().detect(torch.randn(2, 3, 64, 64))[:, :, 4]
    assert 0.003 < scores.median() < 0.03


@pytest.mark.parametrize("step", [0, 1000])
def test_pictures_without_objects_lower_scores_and_move_no_box(step):
    net = net_of().module.train()
    parts = net.losses(torch.randn(2, 3, 64, 64), targets([], []), step)
    assert parts["box"] == parts["distance"] == 0
    sum(parts.values()).backward()
    assert parts["class"] > 0
    assert all(one.grad.abs().sum() == 0 for one in net.head.boxes.parameters())
    assert all(branch[-1].bias.grad.min() > 0 for branch in net.head.scores)


def test_ignored_objects_are_neither_learned_nor_background():
    torch.manual_seed(3)
    images = torch.randn(1, 3, 64, 64)
    net = net_of().module.train()
    whole = net.losses(images, targets([(0.0, 0, 64, 64, 0, 1)]), 1000)
    assert whole["class"] == whole["box"] == 0
    left_half = net.losses(images, targets([(0.0, 0, 32, 64, 0, 1)]), 1000)["class"]
    plain = net.losses(images, targets([]), 1000)["class"]
    assert 0.3 * plain < left_half < 0.7 * plain
    both = net.losses(images, targets([(0.0, 0, 64, 64, 0, 1), (8, 8, 40, 40, 0, 0)]), 1000)
    assert all(part > 0 for part in both.values())


def test_odd_objects_give_finite_losses():
    generator = torch.Generator().manual_seed(0)
    corners = 60 * torch.rand(500, 2, generator=generator)
    many = [(x, y, x + 3.0, y + 3.0, 1.0, 0.0) for x, y in corners.tolist()]
    odd = [(10.0, 10, 11, 11, 0, 0), (0, 0, 64, 64, 1, 0), (0, 5, 64, 6, 1, 0), (0, 5, 64, 6, 1, 0)]
    net = net_of().module.train()
    for step in (0, 1000):
        parts = net.losses(torch.randn(2, 3, 64, 64), targets(many, odd), step)
        assert all(part.isfinite() for part in parts.values())


def test_losses_are_in_fp32_under_autocast():
    net, images = net_of().module.train(), torch.randn(2, 3, 64, 64)
    wanted = targets([(4.0, 4, 40, 44, 1, 0)], [])
    with torch.autocast("cpu", torch.bfloat16):
        parts = net.losses(images, wanted, 1000)
    assert all(part.dtype == torch.float32 for part in parts.values())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_it_is_exported_with_a_free_batch(tmp_path, monkeypatch):
    # As narrow and shallow as it goes: the time of an export grows with the layers, and each kind of them is left
    monkeypatch.setitem(yolo._SIZES, "n", ((8, 8, 16, 16, 16), (1, 1, 1, 1)))
    net, images = net_of(one_to_one=True).module, torch.randn(3, 3, 64, 64)
    for layer in net.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0  # the first statistics make all scores alike, and their order a matter of rounding
    net.train()(images)
    assert largest_difference(Detections(net).eval(), {"images": images}, ["detections"], tmp_path) < 1e-2


class Detections(torch.nn.Module):
    """The candidates without their order, which near-equal scores leave open: sums over the places."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, images):
        found = self.net.detect(images)
        return (found * found[:, :, 4:5]).sum(dim=1)


def test_sides_that_do_not_fit_are_refused_with_one_that_does():
    with pytest.raises(SettingsError, match=r"multiples of 32 pixels, not 100×100.*size=96"):
        net_of(side=100)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"reg_max": 0}, "yolo.reg_max must be ≥ 1"),
        ({"backbone": "resnet19"}, "unknown net 'resnet19'"),
        ({"backbone": "vit_tiny_patch16_224"}, "gives no maps of the strides 8, 16, 32"),
        ({"size": "x"}, "yolo: size"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(SettingsError, match=message):
        net_of(**settings)


def test_a_whole_detector_starts_another_of_other_classes(tmp_path):
    first = net_of(classes=2, seed=1).module
    save_file(first.state_dict(), tmp_path / "first.safetensors")
    same = net_of(classes=2, weights=str(tmp_path / "first.safetensors"))
    assert all(map(torch.equal, same.module.state_dict().values(), first.state_dict().values()))
    assert not same.weights.new_head
    other = net_of(classes=3, weights=str(tmp_path / "first.safetensors"))
    assert "is of another size (2 outputs there, 3 here)" in other.weights.notes[0]
    ours, theirs = other.module.state_dict(), first.state_dict()
    taken = {key for key, one in theirs.items() if torch.equal(one, ours[key])}
    assert {key for key in theirs if key.startswith(("backbone.", "neck.", "head.boxes."))} <= taken


# timm takes the maps of the second from inside a sequence, and joins parts of their names
@pytest.mark.parametrize("name", ["resnet10t", "test_convnext"])
def test_a_classifier_starts_a_backbone(name, tmp_path):
    torch.manual_seed(2)
    classifier = build_net(name, channels=3, classes=7, height=64, width=64).module
    save_file(classifier.state_dict(), tmp_path / "classifier.safetensors")
    built = net_of(backbone=name, weights=str(tmp_path / "classifier.safetensors"))
    ours, theirs = built.module.backbone.net.state_dict(), classifier.net.state_dict()
    parts = {key: key.partition(".") for key in ours}
    assert all(
        torch.equal(ours[key], theirs[f"{one.replace('_', '.')}.{rest}"]) for key, (one, _, rest) in parts.items()
    )
    assert f"{len(ours)} of {len(ours)} tensors of the backbone are taken from classifier" in built.weights.notes[0]
    assert built.weights.random_backbone, "the layers between the backbone's maps and the head"


def test_another_classifier_starts_no_backbone(tmp_path):
    classifier = build_net("resnet10t", channels=3, classes=7, height=64, width=64).module
    save_file(classifier.state_dict(), tmp_path / "classifier.safetensors")
    with pytest.raises(DataError, match="only 1 of the .* tensors that give features"):
        net_of(backbone="mobilenetv3_small_050", weights=str(tmp_path / "classifier.safetensors"))
