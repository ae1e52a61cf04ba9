"""Boxes that are all shifted to one side, as after a crop or a padding of the pictures alone.

The edges in a picture are strongest at the outlines of its objects, which their boxes touch. A box that is too wide or
too narrow moves the left and the right outline apart or together, so over both the edges stay symmetric about the
sides of the boxes. A shift moves the centre of symmetry. It is measured over random pictures; the interval comes from
drawing the pictures again (bootstrap).

Shapes: P pictures, M boxes of one, H and W height and width at which it is measured, R = 49 distances from a side of a
box; 4 = (left, top, right, bottom) in pixels.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.counts import many
from sightsmith.core.images import decode
from sightsmith.data.rules.parts.objects import Objects, objects
from sightsmith.data.verdict import Checked, Verdict

ORDER = 68
KINDS = ("boxes",)
_SIDE = 320  # Pixels of the longer side at which pictures are measured
_REACH = 24  # Pixels before and behind a side of a box that are measured
_FARTHEST = 12  # Pixels of the largest shift that is found; half of the reach, so that half of it has a mirror image
_STEP = 0.5
_LEAST = 3.0
"""Pixels, 1 % of the longer side, beyond which the whole interval must lie. Real data without a shift has up to 1.5."""
_WIDEST = 3.0  # Pixels of the interval: of few or of loose boxes it is wider, and nothing is told
_PICTURES, _FEWEST, _DRAWS = 100, 20, 40
_SMALLEST = 8  # Pixels of a box's side: the outlines of smaller ones are too near to each other
_DISTANCES_R = np.arange(-_REACH, _REACH + 1)
_WAYS = (("left", "right"), ("up", "down"))

Floats = NDArray[np.floating]


def find(data: Checked, verdict: Verdict) -> None:
    found = objects(data, verdict)
    pictures = np.random.default_rng(0).permutation(np.unique(found.pictures_N))[:_PICTURES]
    profiles = [_profiles(found, place) for place in pictures.tolist()]
    across, down = (_shift([pair[axis] for pair in profiles]) for axis in (0, 1))
    if across or down:
        ways = [_words(across, ("left", "right")), _words(down, ("up", "down"))]
        message = (
            f"the boxes seem to be shifted {' and '.join(filter(None, ways))} of the picture's longer side: in "
            f"{many(len(pictures), 'random picture')} the edges fit best if all boxes are moved back. Look at the "
            "samples of --html. If so, find the step that cropped, padded or resized the pictures without the boxes."
        )
        verdict.say("shifted-boxes", "warning", message)


def _words(shift: float, ways: tuple[str, str]) -> str:
    return f"{ways[shift > 0]} by {abs(shift) / _SIDE:.1%}" if shift else ""


def _profiles(found: Objects, place: int) -> list[Floats | None]:
    """Return the strength of the edges about the sides of a picture's boxes, (R,): left and right, top and bottom.

    None if no side is far enough from the border. The mean over the picture is 1.
    """
    chosen, bound = found.pictures_N == place, found.data.settings.max_pixels
    image = decode(found.data.source.samples[place].item, near=_SIDE, max_pixels=bound).convert("L")
    scale = _SIDE / int(found.sizes_N2[chosen][0].max())
    width, height = (max(2, round(side * scale)) for side in found.sizes_N2[chosen][0].tolist())
    grey_HW = np.asarray(image.resize((width, height)), dtype=np.float32)
    boxes_M4 = found.boxes_N4[chosen] * scale
    across_HW, down_HW = np.abs(np.diff(grey_HW, axis=1)), np.abs(np.diff(grey_HW, axis=0))
    return [_about_sides(across_HW, boxes_M4), _about_sides(down_HW.T, boxes_M4[:, [1, 0, 3, 2]])]


def _about_sides(edges_HW: Floats, boxes_M4: Floats) -> Floats | None:
    """Return the mean strength about the left and the right sides of boxes, (R,), None if none can be measured."""
    found = []
    for left, top, right, bottom in boxes_M4.round().astype(int).tolist():
        rows_MW = edges_HW[max(0, top) : bottom]
        if min(right - left, bottom - top) < _SMALLEST or not len(rows_MW):
            continue
        along_W = rows_MW.mean(axis=0)
        # entry i of the differences is the edge between the pixels i and i + 1
        inner = [side - 1 for side in (left, right) if _REACH < side <= len(along_W) - _REACH]
        found += [along_W[at + _DISTANCES_R] for at in inner]
    if not found:
        return None
    return np.mean(found, axis=0) / max(float(edges_HW.mean()), 1e-6)


def _shift(profiles: Sequence[Floats | None]) -> float:
    """Return by how many pixels the boxes are shifted, 0 if they are not, or if that cannot be told."""
    measured = [profile_R for profile_R in profiles if profile_R is not None]
    if len(measured) < _FEWEST:
        return 0.0
    profiles_PR = np.stack(measured)
    rng = np.random.default_rng(0)
    draws = [_centre(profiles_PR[rng.integers(0, len(measured), len(measured))].mean(axis=0)) for _ in range(_DRAWS)]
    low, high = np.quantile(draws, [0.025, 0.975])
    centre = _centre(profiles_PR.mean(axis=0))
    # at the end of the range the profile has no peak, or one that is farther away
    clear = (low > _LEAST or high < -_LEAST) and high - low <= _WIDEST and abs(centre) < _FARTHEST
    return -centre if clear else 0.0


def _centre(profile_R: Floats) -> float:
    """Return the distance about which a profile with a peak is most symmetric, by the correlation with its mirror."""
    centres = np.arange(-_FARTHEST, _FARTHEST + _STEP, _STEP)
    return float(centres[int(np.argmax([_symmetry(profile_R, centre) for centre in centres]))])


def _symmetry(profile_R: Floats, centre: float) -> float:
    mirrored_R = 2 * centre - _DISTANCES_R
    inside_R = np.abs(mirrored_R) <= _REACH
    there_R = profile_R[inside_R]
    mirror_R = np.interp(mirrored_R[inside_R], _DISTANCES_R, profile_R)
    near_R = np.abs(_DISTANCES_R - centre) <= _REACH / 4
    peak = max(0.0, float(profile_R[near_R].mean() - profile_R[~near_R].mean()))
    there_R, mirror_R = there_R - there_R.mean(), mirror_R - mirror_R.mean()
    norm = float(np.linalg.norm(there_R) * np.linalg.norm(mirror_R))
    return float(there_R @ mirror_R) / max(norm, 1e-9) * peak
