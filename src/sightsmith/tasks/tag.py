"""Tagging: which of K tags a picture has, each predicted independently.

Paper: Ridnik et al., "Asymmetric Loss For Multi-Label Classification", ICCV 2021, arXiv:2009.14119. Symbols: γ+ and γ-
are `gamma_positive` and `gamma_negative`, m is `margin`. Deviation: the loss is averaged over known targets, not
summed, so that its size does not depend on how many tags there are.

Shapes: B batch, N pictures, K tags, h w height and width of the class map.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 -- the field's own name for it

from sightsmith.core.errors import SettingsError
from sightsmith.kinds.parts.answer import Aspect
from sightsmith.kinds.tags.metrics import mean_average_precision
from sightsmith.nets.parts.checks import between
from sightsmith.tasks.parts.example import Example, picture_example
from sightsmith.tasks.parts.learner import Batch, Calibration
from sightsmith.tasks.parts.pictures import PictureGraph, PictureLearner, picture_sizes

INPUT, KIND, PROGRAMS = "picture", "tags", ("once",)
NETS = {"net": "classifier"}
OUTPUTS = ("logits", "class_map")
_TINY = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    loss: Literal["bce", "asymmetric"] = "asymmetric"
    """bce: binary cross-entropy; asymmetric: easy absent tags weigh less, which helps if most tags are absent."""
    gamma_positive: float = 0.0
    """Focusing of the asymmetric loss on hard present tags, ≥ 0."""
    gamma_negative: float = 2.0
    """Focusing of the asymmetric loss on hard absent tags, ≥ 0; the paper takes 4 for photographs with 80 tags."""
    margin: float = 0.05
    """Score below which an absent tag costs nothing in the asymmetric loss, in [0, 1)."""
    min_precision: float = 0.0
    """Precision that each tag's threshold must reach on the validation pictures, in [0, 1]; 0 takes the best F1."""

    def __post_init__(self) -> None:
        for name in ("gamma_positive", "gamma_negative"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise SettingsError(f"task.{name} must be ≥ 0, got {getattr(self, name)!r}")
        between("task.margin", self.margin)
        if not 0 <= self.min_precision <= 1:
            raise SettingsError(f"task.min_precision must be in [0, 1], got {self.min_precision!r}")


class TagLearner(PictureLearner):
    """A tagger being trained."""

    def loss(self, batch: Batch, optimiser: str) -> Tensor:  # noqa: ARG002 -- there is one
        """Return the training loss of a batch; targets are (B, K): 1, 0, or NaN for unknown."""
        feeds, targets_BK = batch
        logits_BK, known_BK = self.answer(feeds), ~targets_BK.isnan()
        losses_BK = self._losses(logits_BK, targets_BK.nan_to_num())
        return (losses_BK * known_BK).sum() / known_BK.sum().clamp(min=1)

    def _losses(self, logits_BK: Tensor, targets_BK: Tensor) -> Tensor:
        if self.settings.loss == "bce":
            return F.binary_cross_entropy_with_logits(logits_BK, targets_BK, reduction="none")
        chosen, scores_BK = self.settings, logits_BK.sigmoid()
        shifted_BK = (scores_BK - chosen.margin).clamp(min=_TINY)  # its power has no gradient at 0
        # sigmoid rounds to 1 for large logits; logsigmoid keeps the gradient of a wrong, sure answer
        absent_BK = F.logsigmoid(-logits_BK) if chosen.margin == 0 else torch.log1p(-shifted_BK.clamp(max=1 - _TINY))
        positive_BK = -((1 - scores_BK).clamp(min=_TINY) ** chosen.gamma_positive) * F.logsigmoid(logits_BK)
        negative_BK = -(shifted_BK**chosen.gamma_negative) * absent_BK
        return targets_BK * positive_BK + (1 - targets_BK) * negative_BK


def calibration(settings: Settings, learner: TagLearner | None = None) -> Calibration:
    return Calibration(options={"min_precision": settings.min_precision})


def validation(
    answers_NK: NDArray[np.floating], targets_NK: NDArray[np.floating], settings: Settings
) -> dict[str, float]:
    """Return the binary cross-entropy `loss` over known targets, and the mean average precision `map`."""
    known_NK = ~np.isnan(targets_NK)
    answers_NK = answers_NK.astype(np.float64)
    losses_NK = np.logaddexp(0, answers_NK) - answers_NK * np.nan_to_num(targets_NK)
    ranked = mean_average_precision(answers_NK, targets_NK)
    return {"loss": float(losses_NK[known_NK].mean()), "map": 0.0 if np.isnan(ranked) else ranked}


def score(logits_BK: Tensor, aspect: Aspect) -> Tensor:
    """Return a tag's logit, (B,)."""
    return logits_BK[:, aspect.index]


def example(rng: np.random.Generator) -> Example:
    """Return a small tagger of two kinds of stripes, and six pictures of one, both or none of them."""
    y, x = np.mgrid[:12, :12] // 2 % 2
    patterns = np.stack([y, x, y + x, 0 * x, y, y + x]).astype(np.uint8) * 90
    pixels = patterns[..., None] + rng.integers(0, 40, (6, 12, 12, 3), dtype=np.uint8)
    targets_BK = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0], [1.0, float("nan")], [1.0, 1.0]])
    return picture_example(("rows", "columns"), pixels, targets_BK, Settings(loss="bce"))


learner, graph, sizes = TagLearner, PictureGraph, picture_sizes
