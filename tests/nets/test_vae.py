"""The encoder and the decoder of vae."""

import pytest
import torch
from torch import nn

from nets.exporting import largest_difference
from sightsmith.core.errors import SettingsError
from sightsmith.nets import vae

LABELS = torch.tensor([0, 2, 1, 2, 0])


def make(role, height=28, width=28, channels=1, classes=0, **values):
    torch.manual_seed(0)
    settings = vae.Settings(width=4, **values)
    return vae.build(settings, role=role, channels=channels, classes=classes, height=height, width=width)


class Reconstruction(nn.Module):
    """A picture through both nets, so that one export has them all."""

    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, images, labels=None):
        mean, log_variance = self.encoder(images, labels)
        return self.decoder.decode(mean, labels), mean, log_variance


@pytest.mark.parametrize("side", range(16, 129, 4))
def test_every_side_goes_to_latents_and_back(side):
    mean, log_variance = make("encoder", side, 16, channels=3)(torch.rand(2, 3, side, 16))
    assert mean.shape == log_variance.shape == (2, 64)
    assert make("decoder", side, 16, channels=3).decode(mean).shape == (2, 3, side, 16)


@pytest.mark.parametrize(("side", "smallest"), [(16, 4), (28, 7), (36, 9), (64, 4), (120, 15), (128, 4)])
def test_the_smallest_map_has_at_least_four_positions(side, smallest):
    decoder, encoder = make("decoder", side, side), make("encoder", side, side)
    assert decoder.picture.layers[0].unflattened_size[1:] == (smallest, smallest)
    assert encoder.mean.in_features == decoder.picture.project.out_features


def test_the_decoder_tells_its_latents_and_has_a_scale_for_each_channel():
    decoder = make("decoder", channels=3, latent_size=7)
    assert decoder.latent_size == 7
    assert decoder.noise_size == 8  # one picks the component of the mixture
    assert make("decoder", latent_size=7, components=0).noise_size == 7
    assert make("decoder", latent_size=7, components=9, classes=9).noise_size == 7
    assert decoder.log_scales_C.shape == (3,)


def test_labels_are_seen_by_both():
    encoder, decoder = make("encoder", classes=3).eval(), make("decoder", classes=3).eval()
    images, latents = torch.rand(1, 1, 28, 28).expand(2, -1, -1, -1), torch.zeros(2, decoder.noise_size)
    for found in (*encoder(images, LABELS[:2]), decoder(latents, LABELS[:2])):
        assert not torch.isclose(found[0], found[1]).all()
    for net, given in ((encoder, images), (decoder, latents)):
        with pytest.raises(ValueError, match="built for classes: give labels"):
            net(given)


@pytest.mark.parametrize("classes", [0, 3])
def test_gradients_reach_every_parameter_but_the_scales(classes):
    both = Reconstruction(make("encoder", classes=classes), make("decoder", classes=classes))
    pictures, _, log_variance = both(torch.rand(5, 1, 28, 28), LABELS if classes else None)
    (pictures.square().sum() + log_variance.sum()).backward()
    unreached = [name for name, one in both.named_parameters() if one.grad is None or not one.grad.any()]
    assert unreached == ["decoder.log_scales_C"]  # the likelihood takes them


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("classes", [0, 3])
def test_traced_and_exported_nets_equal_torch(tmp_path, classes):
    both = Reconstruction(make("encoder", classes=classes), make("decoder", classes=classes))
    both.eval().requires_grad_(False)
    inputs = {"images": torch.rand(5, 1, 28, 28)} | ({"label": LABELS} if classes else {})
    traced = torch.jit.trace(both, tuple(tensor[:2] for tensor in inputs.values()))
    torch.testing.assert_close(traced(*inputs.values()), both(*inputs.values()))
    assert largest_difference(both, inputs, ("decoded", "mean", "log_variance"), tmp_path) < 1e-4


@pytest.mark.parametrize(
    ("size", "better"), [((30, 28), 28), ((12, 12), 16), ((132, 16), 128), ((224, 224), 128), ((28, 33), 32)]
)
def test_other_sides_are_refused_with_one_that_works(size, better):
    with pytest.raises(SettingsError, match=f"multiples of 4 from 16 to 128 .*{size[1]}×{size[0]}.*size={better}"):
        make("encoder", *size)


@pytest.mark.parametrize("name", ["latent_size", "width", "embedding"])
def test_settings_out_of_range(name):
    with pytest.raises(SettingsError, match=f"vae.{name} must be ≥ 1, got 0"):
        vae.Settings(**{name: 0})
    with pytest.raises(SettingsError, match="vae.components must be ≥ 0, got -1"):
        vae.Settings(components=-1)
