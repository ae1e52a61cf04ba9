"""Classification: which of K classes a picture shows.

Shapes: B batch, N pictures, C channels, H W height and width, K classes, h w height and width of the class map.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- the field's own name for it
from torchmetrics.classification import MulticlassAccuracy

from sightsmith.core.errors import SettingsError, TrainingError
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.nets.build import build_net
from sightsmith.nets.parts.classifier import ClassifierNet
from sightsmith.tasks.parts.example import Example
from sightsmith.tasks.parts.mixing import mix
from sightsmith.tasks.parts.normalise import Normalise

Batch = tuple[Tensor, Tensor]
"""Pictures (B, C, H, W) uint8, and the classes' indices (B,) int64 or shares (B, K) float."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    label_smoothing: float = 0.1
    """Share of each training target that is spread over all classes, in [0, 1)."""
    mixup: float = 0.0
    """α of mixup: pairs of pictures are blended by a share from Beta(α, α). ≥ 0; 0 is off, 0.2 is usual."""
    cutmix: float = 0.0
    """α of CutMix: a box of another picture is pasted in, its area from Beta(α, α). ≥ 0; 0 is off, 1 is usual."""
    class_weights: Literal["none", "balanced"] = "none"
    """balanced: a picture of a rare class weighs more in the loss, by pictures ÷ (classes × pictures of the class)."""
    top_k: int = 5
    """Validation also counts answers as right that are among this many best, where there are more classes; ≥ 1."""

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise SettingsError(f"task.label_smoothing must be in [0, 1), got {self.label_smoothing!r}")
        for name in ("mixup", "cutmix"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise SettingsError(f"task.{name} must be ≥ 0 (0 is off), got {getattr(self, name)!r}")
        if self.top_k < 1:
            raise SettingsError(f"task.top_k must be ≥ 1, got {self.top_k!r}")


class Task(LightningModule):
    """A classifier being trained.

    Training logs `train_loss`, which has smoothing, mixing and class weights; validation logs `val_loss`, which is the
    plain cross-entropy, `val_accuracy`, and `val_top{k}_accuracy` where there are more than k classes.

    Attributes:
        net: the net.
        classes: names of the classes, in the order of the logits.
        preprocessing: how pictures become the net's input; its mean and std are applied here.
        settings: as given.
        optimiser_factory: what `configure_optimizers` returns, made from the task; training sets it.
    """

    INPUT = "picture"
    KIND = "labels"
    OUTPUTS = ("logits", "class_map")
    METRIC = "accuracy"

    def __init__(
        self,
        net: ClassifierNet,
        classes: tuple[str, ...],
        preprocessing: Preprocessing,
        settings: Settings,
        *,
        class_counts: Sequence[int] | None = None,
    ) -> None:
        """Set the task up.

        Args:
            net: from normalised pictures to one logit a class.
            classes: their names.
            preprocessing: of the pictures.
            settings: of the loss.
            class_counts: training pictures of each class, which class_weights = "balanced" needs to train.
        """
        super().__init__()
        self.net = net
        self.classes = classes
        self.preprocessing = preprocessing
        self.settings = settings
        self.optimiser_factory: Callable[[Task], Any] | None = None
        self.normalise = Normalise(preprocessing)
        self.register_buffer("class_weights_K", _class_weights(settings, classes, class_counts), persistent=False)
        self.class_weights_K: Tensor | None
        self.accuracy = MulticlassAccuracy(len(classes), average="micro", validate_args=False)
        self.top_accuracy = (
            MulticlassAccuracy(len(classes), top_k=settings.top_k, average="micro", validate_args=False)
            if 1 < settings.top_k < len(classes)
            else None
        )

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return the logits (B, K) of uint8 pictures (B, C, H, W)."""
        return self.net(self.normalise(images_BCHW))

    def loss(self, batch: Batch) -> Tensor:
        """Return the training loss of a batch, a scalar; mixing draws from torch's global generator.

        Raises:
            TrainingError: the class weights need counts that the task was not given.
        """
        if self.settings.class_weights == "balanced" and self.class_weights_K is None:
            raise TrainingError('task.class_weights = "balanced" needs the number of training pictures of each class')
        images_BCHW, targets = batch
        mixed = mix(self.normalise(images_BCHW), self.settings.mixup, self.settings.cutmix)
        logits_BK = self.net(mixed.images_BCHW).float()
        loss = self._smoothed(logits_BK, targets)
        if mixed.partner_B is None:
            return loss
        return mixed.share * loss + (1 - mixed.share) * self._smoothed(logits_BK, targets[mixed.partner_B])

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:  # noqa: ARG002 -- Lightning's signature
        """Return the loss of a batch, and log its mean over the epoch."""
        loss = self.loss(batch)
        self.log("train_loss", loss.detach(), on_step=False, on_epoch=True, batch_size=len(batch[0]))
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002 -- Lightning's signature
        images_BCHW, targets = batch
        logits_BK = self(images_BCHW).float()
        count = len(images_BCHW)
        self.log("val_loss", F.cross_entropy(logits_BK, targets), on_epoch=True, batch_size=count)
        indices_B = targets if targets.ndim == 1 else targets.argmax(dim=1)
        self.accuracy.update(logits_BK, indices_B)
        self.log("val_accuracy", self.accuracy, on_epoch=True, batch_size=count)
        if self.top_accuracy is not None:
            self.top_accuracy.update(logits_BK, indices_B)
            self.log(f"val_top{self.settings.top_k}_accuracy", self.top_accuracy, on_epoch=True, batch_size=count)

    def configure_optimizers(self) -> Any:
        """Return what `optimiser_factory` makes.

        Raises:
            TrainingError: training did not set it.
        """
        if self.optimiser_factory is None:
            raise TrainingError("the task has no optimiser_factory; set it before fitting")
        return self.optimiser_factory(self)

    @staticmethod
    def example(rng: np.random.Generator) -> Example:
        """Return a small classifier of three kinds of stripes, and six pictures of them."""
        classes, side = ("rows", "columns", "checks"), 12
        built = build_net("smallresnet", {"width": 8}, channels=3, classes=3, height=side, width=side)
        y, x = np.mgrid[:side, :side] // 2 % 2
        patterns = np.stack([y, x, y ^ x, y, x, y ^ x]).astype(np.uint8) * 180
        noise = rng.integers(0, 70, (6, 3, side, side), dtype=np.uint8)
        return Example(
            net=built.module,
            classes=classes,
            preprocessing=Preprocessing(height=side, width=side),
            settings=Settings(label_smoothing=0.0),
            batch=(torch.from_numpy(patterns[:, None] + noise), torch.tensor([0, 1, 2, 0, 1, 2])),
        )

    def _smoothed(self, logits_BK: Tensor, targets: Tensor) -> Tensor:
        smoothing = self.settings.label_smoothing
        return F.cross_entropy(logits_BK, targets, weight=self.class_weights_K, label_smoothing=smoothing)


def graph(
    nets: Mapping[str, ClassifierNet],
    input_settings: Preprocessing,
    name: str,  # noqa: ARG001 -- there is one
    outputs: Sequence[str],
    settings: Mapping[str, Any],
) -> "ExportedClassifier":
    """Return the graph that is served, in evaluation mode, sharing the weights.

    Args:
        nets: the net of the role `net`.
        input_settings: of the pictures; normalisation is the first step of the graph.
        name: of the graph.
        outputs: which to compute: `logits` (in bundles of schema 1 `probabilities`), and `class_map`.
        settings: of the graph; `temperature` of schema 1.
    """
    return ExportedClassifier(nets["net"], input_settings, outputs, settings.get("temperature", 1.0)).eval()


class ExportedClassifier(nn.Module):
    """From uint8 pictures as `Preprocessing.apply` gives them to the logits and, if asked for, the class map."""

    def __init__(
        self, net: ClassifierNet, preprocessing: Preprocessing, outputs: Sequence[str], temperature: float = 1.0
    ) -> None:
        super().__init__()
        self.net, self.with_map = net, "class_map" in outputs
        self.normalise = Normalise(preprocessing)
        self.temperature = temperature if "probabilities" in outputs else None

    def forward(self, pixels_NHWC: Tensor) -> tuple[Tensor, ...]:
        """Return the logits (N, K) and the class map (N, K, h, w) in logits, float32."""
        images_NCHW = self.normalise(pixels_NHWC.permute(0, 3, 1, 2))
        if not self.with_map:
            return (self._scores(self.net(images_NCHW)),)
        logits_NK, map_NKhw = self.net.with_map(images_NCHW)
        return self._scores(logits_NK), map_NKhw.float()

    def _scores(self, logits_NK: Tensor) -> Tensor:
        logits_NK = logits_NK.float()
        return logits_NK if self.temperature is None else torch.softmax(logits_NK / self.temperature, dim=1)


def _class_weights(settings: Settings, classes: tuple[str, ...], counts: Sequence[int] | None) -> Tensor | None:
    if settings.class_weights == "none" or counts is None:
        return None
    if len(counts) != len(classes):
        raise ValueError(f"{len(classes)} classes need as many counts, got {len(counts)}")
    counts_K = torch.tensor(counts, dtype=torch.float32)
    return counts_K.sum() / (len(classes) * counts_K.clamp(min=1))
