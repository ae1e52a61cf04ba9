"""The heat map of one class as a picture to lay over the original.

Shapes: H and W the picture's height and width, h and w the class map's.
"""

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightsmith.core.errors import SettingsError
from sightsmith.core.images import picture_size
from sightsmith.core.overlay import colours
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.kinds.labels.value import Labels

_LONGEST = (256, 512)
"""Least and most pixels of a heat map's longest side; it is smooth, so it may be stretched over any picture."""
_LEVELS_N = np.arange(256) / 255


def explanation(prediction: Labels, label: str, picture: bytes, preprocessing: Preprocessing) -> dict[str, Any]:
    """Return what `?explain=true` adds to an answer.

    Returns:
        `heatmap`: PNG with transparency in base64, of the upright picture's shape, 256…512 pixels long;
        `map`: `label`, `box` = [left, top, right, bottom] of the part of the upright picture that the model saw, in
        its pixels, and `values`, the class's evidence (logit) over that box, rows from the top.

    Raises:
        SettingsError: the prediction has no class map.
        PictureError: the picture cannot be decoded.
    """
    if prediction.class_map_Khw is None:
        raise SettingsError("this prediction has no class map, so there is nothing to explain it with.")
    index = prediction.classes.index(label)
    width, height = picture_size(picture)
    scale = float(np.clip(max(width, height), *_LONGEST)) / max(width, height)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return {
        "heatmap": base64.b64encode(_png(prediction.heat(index, preprocessing, size))).decode(),
        "map": {
            "label": label,
            "box": [round(side, 2) for side in preprocessing.box(width, height)],
            "values": [[round(float(value), 4) for value in row_w] for row_w in prediction.class_map_Khw[index]],
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
