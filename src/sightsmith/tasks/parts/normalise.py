"""Normalising uint8 pictures to floats for a net, shared by training and the exported graph.

Shapes: B batch, C channels, H W height and width.
"""

from torch import Tensor, nn, tensor

from sightsmith.core.preprocessing import Preprocessing


class Normalise(nn.Module):
    """(x / 255 − mean) / std of each channel, as one multiplication and one addition; holds no state to save."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        std_C11 = tensor(preprocessing.std).reshape(-1, 1, 1)
        mean_C11 = tensor(preprocessing.mean).reshape(-1, 1, 1)
        self.register_buffer("scale", 1 / (255 * std_C11), persistent=False)
        self.register_buffer("shift", -mean_C11 / std_C11, persistent=False)
        self.scale: Tensor
        self.shift: Tensor

    def forward(self, pixels_BHWC: Tensor) -> Tensor:
        """Return (B, C, H, W) float32, laid out channels last, for pixels 0…255."""
        return pixels_BHWC.permute(0, 3, 1, 2).float() * self.scale + self.shift
