"""Colouring a map of 0…1 and laying it over a picture.

The colours grow evenly lighter from dark violet over red and orange to pale yellow, so that equal steps of the map
look like equal steps, in grey print and to colour-blind readers too. They are interpolated in CIE L*a*b* between a
few anchors whose lightness is evenly spaced.

Shapes: H height, W width.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sightsmith.core.images import Picture, decode

_ANCHORS_53 = ((12, 22, -30), (32, 48, -22), (52, 58, 28), (72, 26, 64), (92, -6, 40))
"""CIE L*, a*, b* (D65); L* in even steps."""
_D65_3 = np.array([0.95047, 1.0, 1.08883])
_XYZ_TO_RGB_33 = np.array(
    [[3.2404542, -1.5371385, -0.4985314], [-0.9692660, 1.8760108, 0.0415560], [0.0556434, -0.2040259, 1.0572252]]
)


def colours(map_HW: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Colour a map of values, clipped to 0…1, in sRGB: (H, W, 3) uint8."""
    levels_HW = np.clip(np.nan_to_num(map_HW) * 255, 0, 255).astype(np.uint8)
    return _table()[levels_HW]


def overlay(picture: Picture, heat_HW: NDArray[np.floating], alpha: float = 0.6) -> Image.Image:
    """Lay a map over a picture, as an RGB image of its upright size; pixels at which the map is 0 do not change.

    Args:
        heat_HW: values in 0…1; a map of another size is stretched.
        alpha: opacity of the value 1, in 0…1.
    """
    image = decode(picture).convert("RGB")
    heat = Image.fromarray(np.asarray(heat_HW, dtype=np.float32))
    if heat.size != image.size:
        heat = heat.resize(image.size, Image.Resampling.BILINEAR)
    values_HW = np.clip(np.asarray(heat), 0, 1)
    mask = Image.fromarray(np.round(255 * np.clip(alpha, 0, 1) * np.sqrt(values_HW)).astype(np.uint8))
    return Image.composite(Image.fromarray(colours(values_HW)), image, mask)


@cache
def _table() -> NDArray[np.uint8]:
    """Return the 256 colours in sRGB, by the formulas of IEC 61966-2-1; out-of-gamut values are clipped."""
    places, steps = np.linspace(0, 1, len(_ANCHORS_53)), np.linspace(0, 1, 256)
    light, a, b = (np.interp(steps, places, channel) for channel in zip(*_ANCHORS_53, strict=True))
    y = (light + 16) / 116
    f = np.stack([y + a / 500, y, y - b / 200], axis=1)
    xyz = _D65_3 * np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    linear = np.clip(xyz @ _XYZ_TO_RGB_33.T, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(255 * encoded).astype(np.uint8)
