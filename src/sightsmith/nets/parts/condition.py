"""Labels as conditions of nets that make pictures.

Shapes: B batch, D features, E size of the embedding of a label.
"""

import torch
from torch import Tensor, nn


class Condition(nn.Module):
    """Joins an embedding of each label to its vector; for 0 classes it returns the vectors as they are.

    The embeddings start from N(0, 1), as noise is drawn, so that neither outweighs the other.

    Attributes:
        size: how much longer the vectors become: E, or 0 without classes.
    """

    def __init__(self, classes: int, embedding: int) -> None:
        super().__init__()
        self.size = embedding if classes else 0
        self.embedding = nn.Embedding(classes, embedding) if classes else None

    def forward(self, vectors_BD: Tensor, labels_B: Tensor | None) -> Tensor:
        """Return the joined vectors, (B, D + size); raises ValueError as `require_labels`."""
        require_labels(self.embedding, labels_B)
        if self.embedding is None:
            return vectors_BD
        return torch.cat([vectors_BD, self.embedding(labels_B)], dim=1)


def require_labels(embedding: nn.Module | None, labels_B: Tensor | None) -> None:
    """Raise ValueError if a net with embeddings of labels gets no labels, or one without gets some."""
    if embedding is not None and labels_B is None:
        raise ValueError("the net was built for classes: give labels (B,) int64")
    if embedding is None and labels_B is not None:
        raise ValueError("the net was built without classes (classes=0): give no labels")
