"""The generator and the discriminator of dcgan."""

import pytest
import torch
from torch import nn

from nets.exporting import largest_difference
from sightsmith.core.errors import SettingsError
from sightsmith.nets import dcgan

LABELS = torch.tensor([0, 2, 1, 2, 0])


def make(role, side=28, channels=1, classes=0, width=4, **values):
    torch.manual_seed(0)
    settings = dcgan.Settings(width=width, **values)
    return dcgan.build(settings, role=role, channels=channels, classes=classes, height=side, width=side)


def noise(count=5, size=100):
    return torch.randn(count, size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("side", "first"), [(16, 4), (28, 7), (32, 4), (64, 4), (128, 4)])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_side_is_made_from_a_small_map_and_judged(side, first, channels):
    generator, discriminator = make("generator", side, channels), make("discriminator", side, channels)
    pictures = generator(noise(3))
    assert pictures.shape == (3, channels, side, side)
    assert pictures.abs().max() <= 1
    assert discriminator(pictures).shape == (3,)
    assert generator.picture.layers[0].unflattened_size[1:] == (first, first)
    doublings = [layer for layer in generator.modules() if isinstance(layer, nn.ConvTranspose2d)]
    halvings = [layer for layer in discriminator.modules() if isinstance(layer, nn.Conv2d)]
    assert [layer.in_channels for layer in doublings] == [layer.out_channels for layer in halvings[::-1]]
    assert side == first * 2 ** len(doublings)


def test_feature_maps_double_up_to_eight_times():
    assert [layer.out_channels for layer in make("discriminator", 128).modules() if isinstance(layer, nn.Conv2d)] == [
        4,
        8,
        16,
        32,
        32,
    ]


def test_defaults_are_the_papers_noise_and_the_measured_size():
    generator = dcgan.build(dcgan.Settings(), role="generator", channels=1, classes=0, height=28, width=28)
    assert generator.noise_size == 100
    assert [one.in_channels for one in generator.modules() if isinstance(one, nn.ConvTranspose2d)] == [128, 64]


def test_the_generator_starts_as_in_the_paper():
    for name, parameter in make("generator", 64, width=16).named_parameters():
        if name.endswith("bias"):
            assert not parameter.any()
        elif parameter.numel() > 500:
            assert parameter.mean().item() == pytest.approx(0, abs=0.004), name
            assert parameter.std().item() == pytest.approx(0.02, abs=0.002), name


def test_batch_norm_is_in_the_generator_alone_and_a_logit_does_not_depend_on_its_batch():
    assert any(isinstance(one, nn.BatchNorm2d) for one in make("generator").modules())
    discriminator, pictures = make("discriminator"), noise(4, 784).tanh().reshape(4, 1, 28, 28)
    assert not any(isinstance(one, nn.BatchNorm2d) for one in discriminator.modules())
    torch.testing.assert_close(discriminator(pictures)[:1], discriminator(pictures[:1]))


def test_labels_change_the_picture_and_the_logit_by_the_projection():
    generator, discriminator = make("generator", classes=3).eval(), make("discriminator", classes=3)
    same = noise(1).expand(3, -1)
    pictures = generator(same, torch.tensor([0, 1, 1]))
    assert torch.equal(pictures[1], pictures[2])
    assert not torch.isclose(pictures[0], pictures[1]).all()
    plain = make("discriminator")
    plain.load_state_dict({key: value for key, value in discriminator.state_dict().items() if "projection" not in key})
    features = discriminator.features(pictures)
    for label in range(3):
        expected = plain(pictures) + features @ discriminator.projection.weight[label]
        torch.testing.assert_close(discriminator(pictures, torch.full((3,), label)), expected)


@pytest.mark.parametrize("role", dcgan.ROLES)
def test_labels_are_given_exactly_if_there_are_classes(role):
    given = noise(2) if role == "generator" else torch.zeros(2, 1, 28, 28)
    with pytest.raises(ValueError, match="built for classes: give labels"):
        make(role, classes=3)(given)
    with pytest.raises(ValueError, match="without classes"):
        make(role)(given, LABELS[:2])


@pytest.mark.parametrize("classes", [0, 3])
def test_gradients_reach_every_parameter_of_both(classes):
    generator, discriminator = make("generator", classes=classes), make("discriminator", classes=classes)
    labels = LABELS if classes else None
    discriminator(generator(noise(), labels), labels).sum().backward()
    for net in (generator, discriminator):
        assert [name for name, one in net.named_parameters() if one.grad is None or not one.grad.any()] == []


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("classes", [0, 3])
def test_traced_and_exported_generator_equals_torch(tmp_path, classes):
    generator = make("generator", channels=3, classes=classes).eval().requires_grad_(False)
    inputs = {"noise": noise()} | ({"label": LABELS} if classes else {})
    traced = torch.jit.trace(generator, tuple(tensor[:2] for tensor in inputs.values()))
    torch.testing.assert_close(traced(*inputs.values()), generator(*inputs.values()))
    assert largest_difference(generator, inputs, ("pictures",), tmp_path) < 1e-4


@pytest.mark.parametrize(
    ("size", "better"), [((64, 32), 64), ((30, 30), 28), ((8, 8), 16), ((100, 100), 128), ((224, 224), 256)]
)
def test_other_sides_are_refused_with_the_nearest(size, better):
    with pytest.raises(SettingsError, match=f"16, 28, 32, 64, 128 .* not {size[1]}×{size[0]} .*size={better}"):
        dcgan.build(dcgan.Settings(), role="generator", channels=1, classes=0, height=size[0], width=size[1])


@pytest.mark.parametrize("name", ["noise_size", "width", "embedding"])
def test_settings_out_of_range(name):
    with pytest.raises(SettingsError, match=f"dcgan.{name} must be ≥ 1, got 0"):
        dcgan.Settings(**{name: 0})
