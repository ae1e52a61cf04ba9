"""Normalising uint8 pictures to floats for a net, shared by training and the exported graph.

By the data: z = (x / 255 − mean) / std of each channel. By the picture: (z − m) / √(v + ε²) + λ · m, with m and v the
mean and the variance of z over the channel of that picture, so that brightness, contrast and colour cast of the light
change the input little. Source of the first term: Ulyanov et al., "Instance Normalization", arXiv:1607.08022.
Deviation: the second term keeps the level of the channel, weakly, for classes that differ by nothing else. With λ = 0.1
dark and light pictures took 20 epochs to tell apart instead of 3.

Shapes: … any axes in front, such as the batch's and the time's; C channels, H W height and width.
"""

from torch import Tensor, nn, tensor

from sightsmith.core.preprocessing import Preprocessing

_LEAST = 0.1  # ε: deviations below are taken for noise, not for contrast; in units of the data's own
_LEVEL = 0.3  # λ


class Normalise(nn.Module):
    """Normalises by the data or by each picture, as `Preprocessing.contrast` says; holds no state to save."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        std_C11 = tensor(preprocessing.std).reshape(-1, 1, 1)
        mean_C11 = tensor(preprocessing.mean).reshape(-1, 1, 1)
        self.register_buffer("scale", 1 / (255 * std_C11), persistent=False)
        self.register_buffer("shift", -mean_C11 / std_C11, persistent=False)
        self.scale: Tensor
        self.shift: Tensor
        self.by_picture = preprocessing.contrast == "picture"

    def forward(self, pixels: Tensor) -> Tensor:
        """Return (…, C, H, W) float32, laid out channels last, for pixels (…, H, W, C) of 0…255."""
        images = pixels.movedim(-1, -3).float() * self.scale + self.shift
        if not self.by_picture:
            return images
        level = images.mean(dim=(-2, -1), keepdim=True)
        centred = images - level
        variance = centred.square().mean(dim=(-2, -1), keepdim=True)
        return centred / (variance + _LEAST**2).sqrt() + _LEVEL * level
