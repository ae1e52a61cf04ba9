"""Classification: which of K classes a picture shows.

Shapes: C channels, H W height and width, K classes, h w height and width of the class map.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from sightsmith.core.errors import SettingsError
from sightsmith.nets.parts.fitted import FittedNet
from sightsmith.tasks.parts import classes
from sightsmith.tasks.parts.example import Example, picture_example
from sightsmith.tasks.parts.learner import Facts
from sightsmith.tasks.parts.pictures import FittedPictureLearner, PictureLearner, picture_sizes

INPUT, KIND, PROGRAMS = "picture", "labels", ("once",)
NETS = {"net": "classifier"}
OUTPUTS = ("logits", "class_map")
ALSO_TRY = "hog_ridge"
_MANY = 5000  # Training pictures from which the SVM of the baselines gets fewer features

Settings, check, validation, score = classes.Settings, classes.check, classes.validation, classes.score
graph, sizes = classes.ClassifyGraph, picture_sizes


def baselines(count: int) -> dict[str, dict[str, Any]]:
    """Return the nets to compare with, each with its settings, for a number of training pictures."""
    # The time to fit an SVM grows with the square of the pictures, and with the features
    fewer: dict[str, Any] = {"pca": 100} if count >= _MANY else {}
    return {"majority": {}, "pixel_knn": {}, "hog_ridge": {}, "hog_svm": fewer, "hog_forest": {}}


def example(rng: np.random.Generator) -> Example:
    """Return a small classifier of three kinds of stripes, and six pictures of them."""
    y, x = np.mgrid[:12, :12] // 2 % 2
    patterns = np.stack([y, x, y ^ x, y, x, y ^ x]).astype(np.uint8) * 180
    pixels = patterns[..., None] + rng.integers(0, 70, (6, 12, 12, 3), dtype=np.uint8)
    targets_B = torch.tensor([0, 1, 2, 0, 1, 2])
    return picture_example(("rows", "columns", "checks"), pixels, targets_B, classes.Settings(label_smoothing=0.0))


def learner(nets: Mapping[str, nn.Module], facts: Facts, settings: classes.Settings) -> PictureLearner:
    """Return the learner of a net that is trained by gradient descent, or of one that is fitted in one step."""
    if not isinstance(nets["net"], FittedNet):
        return classes.ClassifyLearner(nets, facts, settings)
    if settings != classes.Settings(top_k=settings.top_k):
        raise SettingsError(
            "train: label_smoothing, mixup, cutmix and class_weights of the task change a loss, and this net is fitted "
            "in one step without one. Leave them out."
        )
    return FittedPictureLearner(nets, facts, settings)
