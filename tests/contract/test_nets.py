"""What every net must do: each file of `nets/`, and one of each family of the libraries.

`python tests/contract/test_nets.py [NET]…` writes the golden outputs anew; do that only when a net is meant to change.
"""

import json
import sys
from pathlib import Path

import pytest
import torch

from sightsmith.nets.build import OWN_NETS, build_net, describe_net

GOLDEN = Path(__file__).parent / "golden"
FAMILIES = {own: describe_net(own).family for own in OWN_NETS.names()}
CLASSIFIERS = [own for own, family in FAMILIES.items() if family == "classifier"]
DETECTORS = [own for own, family in FAMILIES.items() if family == "detector"]
CLIP_NETS = [own for own, family in FAMILIES.items() if family == "clip_classifier"]
PARTS = [
    (own, role)
    for own in FAMILIES
    if own not in CLASSIFIERS + DETECTORS + CLIP_NETS
    for role in describe_net(own).roles
]
OWN_SIZES = [(8, 8), (28, 28), (33, 40)]
LIBRARY = {
    "resnet10t": (64, 64),
    "vgg11": (32, 32),
    "inception_v3": (96, 96),
    "mobilenetv3_small_050": (64, 64),
    "densenet121": (32, 32),
    "legacy_seresnet18": (40, 56),
    "efficientnet_b0": (64, 64),
    "convnext_atto": (64, 64),
    "regnetx_002": (64, 64),
    "test_vit": (32, 64),
    "deit_tiny_distilled_patch16_224": (64, 64),
    "swin_s3_tiny_224": (64, 64),
    "crossvit_tiny_240": (240, 240),
}
LIBRARY_DETECTORS = ["ssdlite320_mobilenet_v3_large", "fasterrcnn_mobilenet_v3_large_320_fpn", "dfine_n"]
LARGE = {"vgg11"}
CASES = [
    pytest.param(
        name,
        channels,
        *size,
        id=f"{name}-{channels}-{size[0]}x{size[1]}",
        marks=[pytest.mark.slow] if name in LARGE else [],
    )
    for name, sizes in [
        *((own, OWN_SIZES) for own in CLASSIFIERS),
        *((name, [size]) for name, size in LIBRARY.items()),
    ]
    for channels in (1, 3)
    for size in sizes
]
every_net = pytest.mark.parametrize(("name", "channels", "height", "width"), CASES)


def build(name, channels, height, width, settings=None):
    torch.manual_seed(0)
    return build_net(name, settings or {}, channels=channels, classes=5, height=height, width=width)


@every_net
def test_shapes_values_and_the_map(name, channels, height, width):
    module = build(name, channels, height, width).module.eval()
    images = torch.randn(2, channels, height, width)
    with torch.inference_mode():
        logits = module(images)
        with_logits, class_map = module.with_map(images)
        attention = module.attention(images)
        again = module(images)
        channels_last = module.to(memory_format=torch.channels_last)(
            images.contiguous(memory_format=torch.channels_last)
        )
    assert logits.shape == (2, 5)
    assert class_map.shape[:2] == (2, 5)
    assert class_map.ndim == 4
    assert logits.isfinite().all()
    assert class_map.isfinite().all()
    assert torch.equal(logits, with_logits), "with_map gives other logits than forward"
    assert torch.equal(logits, again), "two runs in evaluation mode differ"
    torch.testing.assert_close(channels_last, logits, rtol=1e-3, atol=1e-4 * float(logits.abs().max()))
    if attention is not None:
        assert attention.shape == (2, *class_map.shape[2:])
        torch.testing.assert_close(attention.sum((1, 2)), torch.ones(2))


@every_net
def test_gradient_reaches_every_parameter(name, channels, height, width):
    module = build(name, channels, height, width).module.train()
    module(torch.randn(4, channels, height, width)).square().sum().backward()
    unreached = [key for key, parameter in module.named_parameters() if parameter.grad is None]
    assert unreached == []
    assert all(parameter.grad.isfinite().all() for parameter in module.parameters())


@every_net
def test_recorded_settings_rebuild_it(name, channels, height, width):
    built = build(name, channels, height, width)
    again = build(built.name, channels, height, width, json.loads(json.dumps(dict(built.settings))))
    first, second = built.module.state_dict(), again.module.state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert set(built.settings) == {setting.name for setting in describe_net(name).settings}
    assert built.weights.origin == "none"


@every_net
def test_head_and_backbone_share_out_the_parameters(name, channels, height, width):
    module = build(name, channels, height, width).module
    head = {id(parameter) for parameter in module.head_parameters()}
    backbone = {id(parameter) for parameter in module.backbone_parameters()}
    assert head
    assert backbone
    assert not head & backbone
    assert head | backbone == {id(parameter) for parameter in module.parameters()}
    rests_without_its_head(module)
    features = module.features(torch.randn(2, channels, height, width))
    has_nothing_of_the_head(module, [features] if isinstance(features, torch.Tensor) else features)


def rests_without_its_head(module):
    """Check that a frozen backbone, and nothing of the head, is in evaluation mode."""
    module.train()
    resting = list(module.resting_modules())
    assert resting
    for one in resting:
        one.eval()
    assert all(one.training for name in module.head_parts() for one in module.get_submodule(name).modules())
    norms = [one for one in module.modules() if isinstance(one, torch.nn.modules.batchnorm._BatchNorm)]
    assert not any(one.training for one in norms)


def has_nothing_of_the_head(module, features):
    sum(one.square().sum() for one in features).backward()
    assert all(parameter.grad is None for parameter in module.head_parameters())


@every_net
def test_half_precision_by_autocast(name, channels, height, width):
    module = build(name, channels, height, width).module.eval()
    images = torch.randn(2, channels, height, width)
    with torch.inference_mode():
        expected = module(images)
        with torch.autocast("cpu", torch.bfloat16):
            logits, class_map = module.with_map(images)
    assert logits.isfinite().all()
    assert class_map.isfinite().all()
    assert (logits.float() - expected).abs().max() <= 0.1 * expected.abs().max() + 0.05


def part(name, role, channels, classes, side=16, settings=None):
    """Return a part of a net that makes pictures, and inputs for it: noise or pictures, and labels."""
    torch.manual_seed(20)
    size = {"channels": channels, "classes": classes, "height": side, "width": side}
    built = build_net(name, settings or {}, role=role, **size)
    noise_size = getattr(built.module, "noise_size", None)
    inputs = torch.randn(4, noise_size) if noise_size else torch.rand(4, channels, side, side)
    return built, inputs, torch.arange(4) % classes if classes else None


every_part = pytest.mark.parametrize(
    ("name", "role", "channels", "classes"),
    [(*one, channels, classes) for one in PARTS for channels, classes in ((1, 0), (3, 4))],
)


@every_part
def test_a_part_gives_the_same_for_each_item_of_any_batch(name, role, channels, classes):
    built, inputs, labels = part(name, role, channels, classes)
    module = built.module.eval()
    with torch.inference_mode():
        whole = answers_of(module, inputs, labels)
        first = answers_of(module, inputs[:1], None if labels is None else labels[:1])
        with torch.autocast("cpu", torch.bfloat16):
            half = answers_of(module, inputs, labels)
    for one, alone, coarse in zip(whole, first, half, strict=True):
        assert len(one) == 4
        assert one.isfinite().all()
        torch.testing.assert_close(one[:1], alone, rtol=1e-4, atol=1e-6)
        assert (coarse.float() - one).abs().max() <= 0.1 * one.abs().max() + 0.05


@every_part
def test_recorded_settings_rebuild_a_part(name, role, channels, classes):
    built, _, _ = part(name, role, channels, classes)
    again, _, _ = part(built.name, role, channels, classes, settings=json.loads(json.dumps(dict(built.settings))))
    first, second = built.module.state_dict(), again.module.state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert set(built.settings) == {setting.name for setting in describe_net(name).settings}
    assert built.weights.origin == "none"


every_detector = pytest.mark.parametrize("name", DETECTORS + LIBRARY_DETECTORS)


def detector(name, settings=None):
    """Return a detector of five classes, pictures, and two objects of the first one."""
    torch.manual_seed(20)
    built = build_net(name, settings or {}, channels=3, classes=5, height=64, width=96)
    targets = torch.tensor([[[8.0, 8, 40, 40, 4, 0], [60, 20, 90, 50, 0, 0]], [[0, 0, 0, 0, -1, 0]] * 2])
    return built, torch.randn(2, 3, 64, 96), targets


@every_detector
def test_a_detector_gives_the_same_for_each_item_of_any_batch(name):
    built, images, _ = detector(name)
    module = built.module.eval()
    with torch.inference_mode():
        whole, alone, again = module(images), module(images[:1]), module(images)
        with torch.autocast("cpu", torch.bfloat16):
            half = module(images)
    assert whole.shape[2] == 6
    assert whole.isfinite().all()
    assert ((whole[:, :, 4] >= 0) & (whole[:, :, 4] <= 1)).all()
    assert set(whole[:, :, 5].unique().tolist()) <= set(range(5))
    assert torch.equal(whole, again)
    torch.testing.assert_close(whole[:1, 0], alone[:, 0], rtol=1e-3, atol=1e-3)
    assert (half[:, 0, 4].float() - whole[:, 0, 4]).abs().max() < 0.1


# The nets of the libraries learn by one rule in all steps
@pytest.mark.parametrize(
    ("name", "step"),
    [*((one, step) for one in DETECTORS for step in (0, 10_000)), *((one, 0) for one in LIBRARY_DETECTORS)],
)
def test_a_gradient_of_the_losses_reaches_every_parameter(name, step):
    built, images, targets = detector(name)
    parts = built.module.train().losses(images, targets, step)
    assert all(part.ndim == 0 for part in parts.values())
    torch.stack(list(parts.values())).sum().backward()
    unreached = [
        key for key, one in built.module.named_parameters() if one.grad is None or not one.grad.isfinite().all()
    ]
    assert unreached == []


@every_detector
def test_recorded_settings_rebuild_a_detector(name):
    built, _, _ = detector(name)
    again, _, _ = detector(built.name, json.loads(json.dumps(dict(built.settings))))
    first, second = built.module.state_dict(), again.module.state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    head = {id(parameter) for parameter in built.module.head_parameters()}
    assert 0 < len(head) < len(list(built.module.parameters()))
    assert built.weights.origin == "none"


CLIP_CASES = [
    *(
        (name, net)
        for name in ("gru", "lstm")
        for net in ({}, {"bidirectional": True, "layers": 2}, {"pooling": "attention"})
    ),
    ("frames", {}),
    *((name, {}) for name in ("mc3_18", "r2plus1d_18", "r3d_18", "s3d", "swin3d_t")),
]
every_clip_net = pytest.mark.parametrize(("name", "settings"), CLIP_CASES)


def clip_net(name, settings, channels=3):
    torch.manual_seed(20)
    return build_net(name, settings, channels=channels, classes=5, height=32, width=40)


def test_there_is_a_case_for_each_net_for_clips():
    assert set(CLIP_NETS) == {name for name, _ in CLIP_CASES} & set(OWN_NETS.names())


@every_clip_net
@pytest.mark.parametrize("channels", [1, 3])
def test_a_clip_has_the_same_answer_in_any_batch_and_any_length_is_taken(name, settings, channels):
    module = clip_net(name, settings, channels).module.eval()
    for frames in (1, 2, 5):
        clips = torch.randn(2, frames, channels, 32, 40)
        with torch.inference_mode():
            logits, alone, again = module(clips), module(clips[:1]), module(clips)
            with torch.autocast("cpu", torch.bfloat16):
                half = module(clips)
        assert logits.shape == (2, 5)
        assert logits.isfinite().all()
        assert torch.equal(logits, again)
        torch.testing.assert_close(alone, logits[:1], rtol=1e-3, atol=1e-4)
        assert (half.float() - logits).abs().max() <= 0.1 * logits.abs().max() + 0.05


@every_clip_net
def test_the_loss_of_a_net_for_clips_is_of_answers_whose_shares_make_a_whole(name, settings):
    module = clip_net(name, settings).module.eval()
    with torch.inference_mode():
        answers_BSK, shares_S = module.learned(module.features(torch.randn(2, 3, 3, 32, 40)))
    assert answers_BSK.shape == (2, len(shares_S), 5)
    assert len(shares_S) in (1, 3)
    assert (shares_S > 0).all()
    torch.testing.assert_close(shares_S.sum(), torch.tensor(1.0))


@every_clip_net
def test_a_gradient_reaches_every_parameter_of_a_net_for_clips(name, settings):
    module = clip_net(name, settings).module.train()
    module(torch.randn(2, 5, 3, 32, 40)).square().sum().backward()
    unreached = [key for key, one in module.named_parameters() if one.grad is None or not one.grad.isfinite().all()]
    assert unreached == []


@every_clip_net
def test_a_net_for_clips_is_rebuilt_and_has_a_head_and_a_backbone(name, settings):
    built = clip_net(name, settings)
    again = clip_net(built.name, json.loads(json.dumps(dict(built.settings))))
    first, second = built.module.state_dict(), again.module.state_dict()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert set(built.settings) == {setting.name for setting in describe_net(name).settings}
    assert built.weights.origin == "none"
    head = {id(parameter) for parameter in built.module.head_parameters()}
    backbone = {id(parameter) for parameter in built.module.backbone_parameters()}
    assert head
    assert backbone
    assert not head & backbone
    assert head | backbone == {id(parameter) for parameter in built.module.parameters()}
    assert {id(parameter) for parameter in built.module.class_parameters()} <= head


@every_clip_net
def test_a_net_for_clips_answers_from_features_without_its_head(name, settings):
    module, clips = clip_net(name, settings).module, torch.randn(2, 5, 3, 32, 40)
    rests_without_its_head(module)
    features = module.features(clips)
    has_nothing_of_the_head(module, [features])
    module.eval()
    with torch.inference_mode():
        assert torch.equal(module.classify(module.features(clips)), module(clips))


@every_clip_net
def test_a_net_for_clips_that_streams_answers_frame_by_frame(name, settings):
    module = clip_net(name, settings).module.eval()
    if not module.streams:
        with pytest.raises(NotImplementedError):
            module.begin(2)
        return
    clips = torch.randn(2, 3, 3, 32, 40)
    with torch.inference_mode():
        state = module.begin(2)
        for frame in range(3):
            logits, state = module.step(clips[:, frame], state)
        torch.testing.assert_close(logits, module(clips), rtol=0, atol=1e-5)


def answers_of(module, inputs, labels):
    found = module(inputs, labels)
    return found if isinstance(found, tuple) else (found,)


def golden(name):
    if name in DETECTORS:
        return golden_detector(name)
    if name in CLIP_NETS:
        return golden_clip_net(name)
    if name not in CLASSIFIERS:
        return {role: golden_part(name, role) for role in describe_net(name).roles}
    torch.manual_seed(20)
    module = build_net(name, channels=3, classes=4, height=16, width=20).module.eval()
    with torch.inference_mode():
        logits, class_map = module.with_map(torch.randn(2, 3, 16, 20))
    return {"logits": logits.tolist(), "class_map": class_map.tolist()}


def golden_part(name, role):
    built, inputs, labels = part(name, role, 1, 4)
    with torch.inference_mode():
        return [one.flatten().tolist() for one in answers_of(built.module.eval(), inputs[:2], labels[:2])]


def golden_clip_net(name):
    torch.manual_seed(20)
    module = build_net(name, channels=3, classes=4, height=16, width=20).module.eval()
    with torch.inference_mode():
        return {"logits": module(torch.randn(2, 3, 3, 16, 20)).tolist()}


def golden_detector(name):
    """The losses, and the ten best candidates."""
    built, images, targets = detector(name)
    losses = {step: built.module.train().losses(images, targets, step) for step in (0, 10_000)}
    with torch.inference_mode():
        found = built.module(images)[:, :10]  # by the statistics of the batch: the first ones make all scores alike
    return {
        "candidates": found.tolist(),
        **{f"{key}_{step}": part.item() for step, parts in losses.items() for key, part in parts.items()},
    }


@pytest.mark.parametrize("name", sorted(path.stem for path in GOLDEN.glob("*.json")))
def test_golden_outputs(name):
    recorded, found = json.loads((GOLDEN / f"{name}.json").read_text()), golden(name)
    assert found.keys() == recorded.keys()
    for key, value in recorded.items():
        for ours, theirs in zip(listed(found[key]), listed(value), strict=True):
            torch.testing.assert_close(torch.tensor(ours), torch.tensor(theirs), rtol=1e-3, atol=1e-5)


def listed(value):
    return value if isinstance(value, list) else [value]


def test_every_net_of_ours_has_golden_outputs():
    ours = Path(__file__).parents[2] / "src" / "sightsmith" / "nets"
    files = {path.stem for path in ours.glob("*.py")} - {"__init__", "build"}
    assert files == {path.stem for path in GOLDEN.glob("*.json")}


if __name__ == "__main__":
    for own in sys.argv[1:] or OWN_NETS.names():
        rounded = json.loads(json.dumps(golden(own)), parse_float=lambda text: round(float(text), 6))
        (GOLDEN / f"{own}.json").write_text(json.dumps(rounded) + "\n")
