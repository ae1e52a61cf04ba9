"""The heat map of one aspect of an answer as a picture to lay over the original.

Shapes: H and W the picture's height and width, h and w the evidence's.
"""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightsmith.core.overlay import colours
from sightsmith.kinds.parts.answer import Aspect
from sightsmith.runtime.runner import Runner, Value

_LONGEST = (256, 512)
"""Least and most pixels of a heat map's longest side; it is smooth, so it may be stretched over any picture."""
_LEVELS_N = np.arange(256) / 255


def explanation(runner: Runner, prediction: Value, aspect: Aspect, picture: bytes) -> dict[str, Any]:
    """Return the addition of `?explain=true` to an answer.

    Args:
        runner: the model that gave the answer.
        prediction: the answer, its evidence in it.

    Returns:
        `heatmap`: PNG with transparency in base64, of the upright picture's shape, 256…512 pixels long;
        `map`: `label`, `box` = [left, top, right, bottom] of the part of the upright picture that the model saw, in
        its pixels, and `values`, the class's evidence (logit) over that box, rows from the top.

    Raises:
        SettingsError: the answer has no evidence in it.
        PictureError: the picture cannot be decoded.
    """
    settings = runner.definition.input_settings
    values_hw = prediction.raw_evidence(aspect.index)
    shown = runner.placement(picture)
    width, height = shown.size
    scale = float(np.clip(max(width, height), *_LONGEST)) / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return {
        "heatmap": base64.b64encode(_png(prediction.heat(aspect.index, settings, size))).decode(),
        "map": {
            "label": aspect.name,
            "box": [round(side, 2) for side in shown.box],
            "values": [[round(float(value), 4) for value in row_w] for row_w in values_hw],
        },
    }


def _png(heat_HW: NDArray[np.float32]) -> bytes:
    """Return the map as a PNG of 256 colours, each with its own opacity: a quarter of the size of full colour."""
    image = Image.fromarray(np.round(255 * heat_HW).astype(np.uint8)).copy()
    image.putpalette(colours(_LEVELS_N[None]).tobytes())
    opacity_N = np.round(255 * np.sqrt(_LEVELS_N)).astype(np.uint8)
    file = io.BytesIO()
    image.save(file, "PNG", transparency=opacity_N.tobytes())
    return file.getvalue()
