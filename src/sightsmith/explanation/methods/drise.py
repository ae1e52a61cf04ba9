"""D-RISE: which parts of a picture must be seen for an object to be found, by random masks; any backend.

Paper: Petsiuk et al., "Black-box Explanation of Object Detectors via Saliency Maps", CVPR 2021, arXiv:2006.03204; the
masks are those of Petsiuk et al., "RISE", BMVC 2018, arXiv:1806.07421.
A mask is a grid of random zeros and ones, enlarged smoothly and shifted at random. The masked picture is answered, and
the mask's weight is the similarity of its most similar box to the object: the product of their overlap (IoU) and the
box's score, if it has the object's label. The value of a place is the mean weight of the masks that show it.
Deviations: the paper's similarity also has the cosine between the scores of all labels, of which an answer has the best
alone; hidden places have the picture's mean colour instead of black; the mean weight of all masks is subtracted, so
that places which do not matter have about 0.
Shapes: M masks, H W C the input's height, width and channels.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightsmith.core.errors import SettingsError
from sightsmith.core.progress import track
from sightsmith.explanation.subject import Subject
from sightsmith.kinds.parts.answer import Aspect

NEEDS = "any"
UNIT = "{kind.STRENGTH} while a place is shown, above its mean"

_MASKS, _AT_ONCE = 500, 50
_GRID, _SHOWN = 16, 0.5  # Cells across and down, and the share of them that a mask shows


def cells(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return the height and width of a mask's cells, in pixels."""
    return max(1, round(shape[0] / _GRID)), max(1, round(shape[1] / _GRID))


def explain(model: Subject, pixels_HWC: NDArray[np.uint8], aspect: Aspect) -> NDArray[np.float32]:
    """Return how much more similar the best box is while each pixel is shown, (H, W); the same for each call.

    Raises SettingsError: the answer has no objects.
    """
    if aspect.box is None:
        raise SettingsError(
            f"drise explains an object in a box, and this model's answers ({model.runner.definition.kind}) have none. "
            "Use class_map or occlusion."
        )
    rng = np.random.default_rng(0)
    mean_C = pixels_HWC.reshape(-1, pixels_HWC.shape[2]).mean(axis=0)
    weighted_HW, shown_HW = np.zeros((2, *pixels_HWC.shape[:2]))
    weights = []
    for _ in track(range(0, _MASKS, _AT_ONCE), "Explaining by masks"):
        masks_MHW = np.stack([_mask(rng, *pixels_HWC.shape[:2]) for _ in range(_AT_ONCE)])
        masked_MHWC = mean_C + masks_MHW[..., None] * (pixels_HWC - mean_C)
        weights_M = model.scores(masked_MHWC.round().astype(np.uint8), aspect)
        weighted_HW += np.tensordot(weights_M, masks_MHW, axes=1)
        shown_HW += masks_MHW.sum(axis=0)
        weights.append(weights_M.mean())
    return (weighted_HW / np.maximum(shown_HW, 1e-6) - np.mean(weights)).astype(np.float32)


def _mask(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Return a random mask, (H, W) in 0…1: one cell more than the grid has, so that it can be shifted by up to one."""
    cells = Image.fromarray((rng.random((_GRID + 1, _GRID + 1)) < _SHOWN).astype(np.float32))
    left, top = rng.random(2)
    shifted = (left, top, left + _GRID, top + _GRID)
    return np.asarray(cells.resize((width, height), Image.Resampling.BILINEAR, shifted), np.float32)
