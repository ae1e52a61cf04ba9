"""What the tasks that learn classes share, whatever they see.

Shapes: B batch, N items, K classes, S answers to an item.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- the field's own name for it

from sightsmith.core.errors import SettingsError, TrainingError
from sightsmith.kinds.labels.temperature import cross_entropy
from sightsmith.kinds.parts.answer import Aspect
from sightsmith.nets.parts.checks import at_least, between
from sightsmith.tasks.parts.learner import FEATURES, Batch, Facts
from sightsmith.tasks.parts.mixing import Mixed, mix
from sightsmith.tasks.parts.pictures import PictureGraph, PictureLearner

Answers = tuple[Tensor, Tensor]  # logits (B, S, K), and the share of each answer in the loss, (S,), whose sum is 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    label_smoothing: float = 0.1
    """Fraction of each training target spread evenly over all classes, in [0, 1)."""
    mixup: float = 0.0
    """α of mixup: pairs of pictures are blended by a share from Beta(α, α). ≥ 0; 0 is off, 0.2 is usual."""
    cutmix: float = 0.0
    """α of CutMix: a box of another picture is pasted in, its area from Beta(α, α). ≥ 0; 0 is off, 1 is usual."""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: a picture of a rare class weighs more in the loss, by pictures ÷ (classes × pictures of the class)."""
    top_k: int = 5
    """Validation also reports top-k accuracy with this k, if there are more classes than k; ≥ 1."""

    def __post_init__(self) -> None:
        between("task.label_smoothing", self.label_smoothing)
        for name in ("mixup", "cutmix"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise SettingsError(f"task.{name} must be ≥ 0 (0 is off), got {getattr(self, name)!r}")
        at_least("task.top_k", self.top_k, 1)


class ClassifyLearner(PictureLearner):
    """A classifier being trained; its loss has smoothing, mixing and class weights."""

    def __init__(self, nets: Mapping[str, nn.Module], facts: Facts, settings: Settings) -> None:
        super().__init__(nets, facts, settings)
        self.register_buffer("class_weights_K", _class_weights(settings, facts), persistent=False)
        self.class_weights_K: Tensor | None

    @property
    def keeps_features(self) -> bool:
        return super().keeps_features and not self._mixes

    @property
    def _mixes(self) -> bool:
        return bool(self.settings.mixup or self.settings.cutmix)

    def loss(self, batch: Batch, optimiser: str) -> Tensor:  # noqa: ARG002 -- there is one
        """Return the training loss of a batch; targets are indices (B,) int64 or shares (B, K) float."""
        feeds, targets = batch
        kept = FEATURES in feeds
        mixed = Mixed(feeds[FEATURES]) if kept else mix(self.images(feeds), self.settings.mixup, self.settings.cutmix)
        answers = self.learned(mixed.images, kept=kept)
        loss = self._error(answers, targets)
        if mixed.partner_B is None:
            return loss
        return mixed.share * loss + (1 - mixed.share) * self._error(answers, targets[mixed.partner_B])

    def learned(self, seen: Tensor, *, kept: bool) -> Answers:
        """Return the answers whose error is the loss: here one to each item.

        Args:
            seen: the net's inputs or, if they are `kept`, its features.
        """
        net: Any = self.nets["net"]
        logits_BK: Tensor = net.classify(seen) if kept else net(seen)
        return logits_BK[:, None], logits_BK.new_ones(1)

    def _error(self, answers: Answers, targets: Tensor) -> Tensor:
        """Return the smoothed cross-entropy of the answers, each by its share."""
        logits_BSK, shares_S = answers[0].float(), answers[1].float()
        smoothing, weight_K = self.settings.label_smoothing, self.class_weights_K
        errors = [
            F.cross_entropy(logits_BK, targets, weight=weight_K, label_smoothing=smoothing)
            for logits_BK in logits_BSK.unbind(dim=1)
        ]
        return torch.stack(errors) @ shares_S


def check(settings: Settings, *, balanced: bool) -> None:
    """Raise SettingsError if two settings correct the same imbalance."""
    if balanced and settings.class_weights != "none":
        raise SettingsError(
            "train: balanced shows every class equally often and task.class_weights weighs the rare ones more. "
            "Together they correct twice; give one of the two."
        )


def validation(
    answers_NK: NDArray[np.floating], targets_N: NDArray[np.integer], settings: Settings
) -> dict[str, float]:
    """Return the plain cross-entropy `loss`, `accuracy`, and `top{k}_accuracy` if there are more than k classes."""
    found = {
        "loss": cross_entropy(answers_NK, targets_N),
        "accuracy": float((answers_NK.argmax(axis=1) == targets_N).mean()),
    }
    if 1 < settings.top_k < answers_NK.shape[1]:
        own_N1 = np.take_along_axis(answers_NK, targets_N[:, None], axis=1)
        above_N = (answers_NK > own_N1).sum(axis=1)
        found[f"top{settings.top_k}_accuracy"] = float((above_N < settings.top_k).mean())
    return found


def score(logits_BK: Tensor, aspect: Aspect) -> Tensor:
    """Return a class's logit above the mean of all, (B,): softmax ignores a common offset."""
    return logits_BK[:, aspect.index] - logits_BK.mean(dim=1)


class ClassifyGraph(PictureGraph):
    """The graph that is served; in bundles of schema 1 it gives probabilities at a temperature, else logits."""

    def finish(self, answers_NK: Tensor) -> Tensor:
        if "probabilities" not in self.outputs:
            return answers_NK
        return torch.softmax(answers_NK / self.settings.get("temperature", 1.0), dim=1)


def _class_weights(settings: Settings, facts: Facts) -> Tensor | None:
    if settings.class_weights == "none":
        return None
    if facts.targets is None:
        raise TrainingError('task.class_weights = "balanced" needs the targets of the training pictures')
    counts_K = torch.from_numpy(np.bincount(facts.targets, minlength=len(facts.names))).float()
    return counts_K.sum() / (len(facts.names) * counts_K.clamp(min=1))
