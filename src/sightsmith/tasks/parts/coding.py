"""From pictures to latents and back, of a task whose nets have an encoder.

Shapes: B batch, D latents, H W C height, width and channels.
"""

from abc import abstractmethod

from torch import Tensor, nn


class Coder(nn.Module):
    """Encodes pictures as distributions of latents, q(z|x) = N(μ, diag σ²), and decodes latents, in evaluation mode."""

    @abstractmethod
    def encode(self, pixels_BHWC: Tensor, labels_B: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the mean μ (B, D) and the log-variance ln σ² (B, D) of the latents, float32.

        Args:
            pixels_BHWC: uint8, of the shape that the model makes.
            labels_B: int64, the classes of the pictures; None for a model that knows none.
        """

    @abstractmethod
    def decode(self, latents_BD: Tensor, labels_B: Tensor | None) -> Tensor:
        """Return the pictures of latents in levels 0…255, (B, H, W, C) float32."""
