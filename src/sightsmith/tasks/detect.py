"""Detection: the objects in a picture, each with a box, a name and a score.

The net has its own loss, because the assignment of objects to its outputs is a part of the architecture
(`nets/parts/detector.py`). Boxes are in shares of the input (0…1) here, and in its pixels inside the net.

Shapes: B batch, N pictures, K candidates, M objects of a truth, H W height and width of the input, C channels;
6 = (left, top, right, bottom, score, label) of a candidate, (left, top, right, bottom, label, ignored) of an object.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.ops import batched_nms

from sightsmith.core.errors import SettingsError
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.inputs.parts.survey import Survey
from sightsmith.inputs.picture import PIXELS
from sightsmith.kinds.boxes import value as kind
from sightsmith.kinds.boxes.input_side import input_side
from sightsmith.kinds.parts.answer import Aspect
from sightsmith.nets.build import build_net
from sightsmith.nets.parts.detector import DETECTOR, DetectorNet
from sightsmith.tasks.parts.example import Example
from sightsmith.tasks.parts.learner import Batch, Calibration, Facts, Feeds
from sightsmith.tasks.parts.normalise import Normalise
from sightsmith.tasks.parts.pictures import PictureLearner, picture_sizes

INPUT, KIND, PROGRAMS = "picture", "boxes", ("once",)
NETS = {"net": DETECTOR}
OUTPUTS = ("detections",)
VALIDATED = 5_000
WHOLE_GRAPH = "suppression_graph"

_MOST = 300  # Objects of a picture that validation measures
_BATCH = 16
_PICTURES, _FEWEST_EPOCHS, _MOST_EPOCHS = 40_000, 30, 300  # Pictures shown in a training, and its epochs


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    overlap: float = 0.65
    """Two boxes of one name that overlap by more than this (IoU) are one object, of which the better stays, in (0, 1];
    nets that give an object one box alone take no notice."""

    def __post_init__(self) -> None:
        if not 0 < self.overlap <= 1:
            raise SettingsError(f"task.overlap must be in (0, 1], got {self.overlap!r}")


class DetectLearner(PictureLearner):
    """A detector being trained."""

    steps: Tensor

    def __init__(self, nets: Mapping[str, nn.Module], facts: Facts, settings: Settings) -> None:
        super().__init__(nets, facts, settings)
        self.register_buffer("sides_4", _sides(facts.input_settings), persistent=False)
        self.sides_4: Tensor
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))  # saved, so that a resumed training goes on

    @property
    def net(self) -> DetectorNet:
        net = self.nets["net"]
        if not isinstance(net, DetectorNet):
            raise TypeError(f"{type(net).__name__} finds no objects")
        return net

    def answer(self, feeds: Feeds) -> Tensor:
        """Return the candidates, (B, K, 6)."""
        return _in_shares(self.net.detect(self.normalise(feeds[PIXELS])), self.sides_4)

    def measured(self, batch: Batch) -> Tensor:
        """Return what is left of the candidates after non-maximum suppression, best first, (B, 300, 6)."""
        overlap = overlap_of(self.settings, self)
        return torch.stack([_survivors(rows_K6, overlap) for rows_K6 in self.answer(batch[0]).float()])

    def loss(self, batch: Batch, optimiser: str) -> Tensor:  # noqa: ARG002 -- there is one
        """Return the training loss of a batch; targets are objects (B, M, 6)."""
        feeds, targets_BM6 = batch
        step = int(self.steps)
        self.steps += 1
        pixels_BM6 = torch.cat([targets_BM6[:, :, :4] * self.sides_4, targets_BM6[:, :, 4:]], dim=2)
        parts = self.net.losses(self.normalise(feeds[PIXELS]), pixels_BM6, step)
        return torch.stack(list(parts.values())).sum()


def overlap_of(settings: Settings, learner: DetectLearner | None) -> float:
    """Return the overlap from which boxes are one object; 1 keeps all, of a net that gives each object one box."""
    return settings.overlap if learner is None or learner.net.suppresses else 1.0


def _survivors(rows_K6: Tensor, overlap: float) -> Tensor:
    """Return the candidates that non-maximum suppression leaves, padded by rows of zeros, (300, 6)."""
    places_S = torch.arange(len(rows_K6), device=rows_K6.device)
    if overlap < 1:
        places_S = batched_nms(rows_K6[:, :4], rows_K6[:, 4], rows_K6[:, 5], overlap)
    left_S6 = rows_K6[places_S[:_MOST]]
    return torch.cat([left_S6, left_S6.new_zeros(_MOST - len(left_S6), 6)])


def _sides(input_settings: Preprocessing) -> Tensor:
    """Return (W, H, W, H), by which shares of the input become pixels."""
    height, width, _ = input_settings.shape
    return torch.tensor([width, height, width, height], dtype=torch.float32)


def _in_shares(candidates_BK6: Tensor, sides_4: Tensor) -> Tensor:
    return torch.cat([candidates_BK6[:, :, :4] / sides_4, candidates_BK6[:, :, 4:]], dim=2)


class DetectGraph(nn.Module):
    """Maps uint8 pictures from `Preprocessing.apply` to candidates; in evaluation mode, sharing the net's weights."""

    def __init__(
        self,
        nets: Mapping[str, nn.Module],
        input_settings: Preprocessing,
        name: str,  # noqa: ARG002 -- there is one graph
        outputs: Sequence[str],  # noqa: ARG002 -- there is one output
        settings: Mapping[str, Any],  # noqa: ARG002 -- it has none
    ) -> None:
        super().__init__()
        self.net, self.normalise = nets["net"], Normalise(input_settings)
        self.register_buffer("sides_4", _sides(input_settings), persistent=False)
        self.sides_4: Tensor
        self.eval()

    def forward(self, pixels_NHWC: Tensor) -> tuple[Tensor, ...]:
        """Return the candidates (N, K, 6), float32."""
        return (_in_shares(self.net(self.normalise(pixels_NHWC)).float(), self.sides_4),)


def defaults(survey: Survey) -> dict[str, Any]:
    """Return what is chosen for open settings, as for a training from random numbers."""
    return {
        "model": "yolo",
        "size": input_side(survey.side),
        "resize": "letterbox",
        "contrast": "data",
        "batch_size": _BATCH,
        "epochs": min(_MOST_EPOCHS, max(_FEWEST_EPOCHS, _PICTURES // survey.count)),
        "lr": 1e-3,
        "head_scale": 1.0,
        "schedule": "flat",
        "clip": 10.0,
        "ema": 0.998,
    }


def validation(
    detections_NK6: NDArray[np.floating], targets_NM6: NDArray[np.floating], settings: Settings
) -> dict[str, float]:
    """Return `map`, the mean over the overlaps .5, .55 … .95, and `map_50`, in shares of the input."""
    return kind.validation(detections_NK6, targets_NM6, 1.0)  # what was measured is without overlapping boxes already


def calibration(settings: Settings, learner: DetectLearner | None = None) -> Calibration:
    """Return how the thresholds of scores are chosen: on the validation pictures."""
    return Calibration(options={"overlap": overlap_of(settings, learner)})


def score(detections_BK6: Tensor, aspect: Aspect) -> Tensor:
    """Return the best score of the aspect's class, (B,)."""
    own_BK = detections_BK6[:, :, 5] == aspect.index
    return (detections_BK6[:, :, 4] * own_BK).amax(dim=1)


def example(rng: np.random.Generator) -> Example:
    """Return a small detector, and pictures with a bright and a dark rectangle each."""
    side, count, names = 64, 4, ("bright", "dark")
    pixels_NHWC = rng.integers(110, 140, (count, side, side, 3)).astype(np.uint8)
    targets_NM6 = np.zeros((count, 2, 6), dtype=np.float32)
    for picture, rows_M6 in zip(pixels_NHWC, targets_NM6, strict=True):
        for label, level in enumerate((250, 5)):
            left, top = 4 + 32 * label + int(rng.integers(0, 4)), 8 * int(rng.integers(0, 4))
            picture[top : top + 24, left : left + 24] = level
            rows_M6[label] = [left / side, top / side, (left + 24) / side, (top + 24) / side, label, 0]
    facts = Facts(names=names, input_settings=Preprocessing(height=side, width=side), targets=targets_NM6)
    net = build_net("yolo", {"cold_steps": 5}, **picture_sizes(names, facts.input_settings)).module
    batch = {PIXELS: torch.from_numpy(pixels_NHWC)}, torch.from_numpy(targets_NM6)
    return Example({"net": net}, facts, Settings(), batch)


learner, graph, sizes = DetectLearner, DetectGraph, picture_sizes
