"""Classification of clips: which of K classes a part of a video shows.

Shapes: T frames, H W height and width, K classes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sightsmith.core.ports import Signature
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.inputs import clip
from sightsmith.nets.build import build_net
from sightsmith.tasks.parts import classes, steps
from sightsmith.tasks.parts.example import Example
from sightsmith.tasks.parts.learner import Facts
from sightsmith.tasks.parts.pictures import picture_sizes

INPUT, KIND, PROGRAMS = "clip", "labels", ("once", "stream")
NETS = {"net": "clip_classifier"}
OUTPUTS = ("logits",)
ALSO_TRY = "frames"  # Where the order of the frames tells nothing, it is the better one
COMPARED = True

Settings, check, validation, score = classes.Settings, classes.check, classes.validation, classes.score
sizes = picture_sizes


class ClipLearner(classes.ClassifyLearner):
    """A classifier of clips being trained, whose loss is of the answers along a clip if the net can give them."""

    def learned(self, seen: Tensor, *, kept: bool) -> classes.Answers:
        net: Any = self.nets["net"]
        answers: classes.Answers = net.learned(seen if kept else net.features(seen))
        return answers


learner = ClipLearner


def graph(
    nets: Mapping[str, Any], input_settings: clip.Settings, name: str, outputs: Sequence[str], settings: Any
) -> nn.Module:
    """Return the graph of whole clips, or that of one frame."""
    if name == steps.GRAPH:
        return steps.StepGraph(nets["net"], input_settings, len(outputs))
    return classes.ClassifyGraph(nets, input_settings, name, outputs, settings)


def further(nets: Mapping[str, Any], input_settings: clip.Settings) -> dict[str, Signature]:
    """Return the graph of one frame, for nets that carry a state and were trained at a fixed spacing of frames."""
    if not nets["net"].streams or input_settings.sampling != "dense":
        return {}
    return {steps.GRAPH: steps.signature(nets["net"], input_settings, OUTPUTS[0])}


def defaults(survey: Any) -> dict[str, Any]:
    return {"model": "lstm"}


def baselines(count: int) -> dict[str, dict[str, Any]]:
    """Return the net that ignores the order of the frames."""
    return {ALSO_TRY: {}}


def example(rng: np.random.Generator) -> Example:
    """Return a small net, and clips of a bar that moves to the left or to the right."""
    times_T, columns_W = np.arange(5), np.arange(12)
    right_TW = np.abs(columns_W - 2 * times_T[:, None] - 2) < 2
    bars_NTW = np.stack([right_TW, right_TW[::-1]] * 3)
    pixels_NTHWC = np.broadcast_to(bars_NTW[:, :, None, :, None] * np.uint8(180), (6, 5, 12, 12, 3))
    frames_NTHWC = pixels_NTHWC + rng.integers(0, 70, pixels_NTHWC.shape, dtype=np.uint8)
    targets_B = torch.tensor([0, 1] * 3)
    settings = clip.Settings(frames=5, picture=Preprocessing(height=12, width=12))
    facts = Facts(names=("right", "left"), input_settings=settings, targets=targets_B.numpy())
    built = build_net("lstm", {"backbone": "smallresnet"}, **picture_sizes(facts.names, settings))
    batch = ({clip.FRAMES: torch.from_numpy(frames_NTHWC)}, targets_B)
    return Example({"net": built.module}, facts, Settings(label_smoothing=0.0), batch)
