"""Annotated pictures: from the numbers as they are written to clean truths, with each fault named.

Corners are edges in pixels of the upright picture, to a millionth of a pixel.

Shapes: N objects of all pictures; 4 = (left, top, right, bottom), or the four numbers as they are written.
"""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.errors import PictureError
from sightsmith.core.images import Header, printable, read_header
from sightsmith.core.machine import usable_cores
from sightsmith.core.names import shortened
from sightsmith.core.records import Sample, Split
from sightsmith.data.sources.parts.faults import Faults
from sightsmith.kinds.boxes.truth import Boxed

Form = Literal["corners", "corner and size", "centre and size"]
"""What the four numbers of a box are."""

_OTHER: dict[Form, Form] = {
    "corners": "corner and size",
    "corner and size": "corners",
    "centre and size": "corners",
}
"""The form that each is mixed up with."""
_ROUNDING = 1.0  # Pixels beyond an edge that come from rounded corners and sizes, and are no fault
_SLIVER = 0.05  # Pixels inside the picture that come from rounding, if the rest of the box is outside
_PLACED = frozenset({"empty-box", "outside-box", "clipped-box"})  # Faults of boxes whose numbers are a place
_SURE = 10  # Boxes from which the form of all of them can be told
_MOST_WRONG, _LEAST_RIGHT = 0.9, 0.99  # Shares of boxes that lie in their pictures by the declared and the other form
_FARTHEST = 1e9  # Beyond any picture, and far from where sums and products overflow
_NOT_A_SHARE = 2.0  # A number above this is no share of a picture, whatever was rounded


@dataclass(slots=True, kw_only=True)
class Annotation:
    """The objects of one picture as they are written."""

    key: str  # of the picture
    path: str  # of the picture
    place: str  # where the annotation is, for messages
    split: Split | None = None
    recorded: tuple[int, int] | None = None  # (width, height) as the annotation says
    numbers: list[tuple[float, ...]] = field(default_factory=list)  # four of each object
    names: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    ignored: list[bool] = field(default_factory=list)
    crowd: list[bool] = field(default_factory=list)
    areas: list[float] = field(default_factory=list)  # NaN for that of the box

    def add(
        self,
        numbers: Sequence[float],
        name: str,
        place: str,
        *,
        ignored: bool = False,
        crowd: bool = False,
        area: float = math.nan,
    ) -> None:
        """Add an object with four numbers."""
        self.numbers.append(tuple(numbers))
        self.names.append(name)
        self.places.append(place)
        self.ignored.append(ignored)
        self.crowd.append(crowd)
        self.areas.append(area)


def read_samples(
    annotations: Sequence[Annotation], names: Sequence[str], faults: Faults, form: Form, *, shares: bool = False
) -> list[Sample]:
    """Make samples with clean truths: boxes inside their pictures, finite and of positive size.

    Args:
        names: of the classes; each object has one of them.
        faults: takes what was wrong.
        form: the four numbers of a box.
        shares: they are shares of the picture's width and height, not pixels.
    """
    annotations, headers = _with_headers(annotations, faults)
    sizes = [(header.width, header.height) for header in headers]
    counts = [len(one.names) for one in annotations]
    starts = [0, *accumulate(counts)]
    owners_N = np.repeat(np.arange(len(annotations)), counts)
    numbers_N4 = np.array([four for one in annotations for four in one.numbers], dtype=np.float64).reshape(-1, 4)
    sizes_N4 = np.array([size * 2 for size in sizes], dtype=np.float64).reshape(-1, 4)[owners_N]
    turns = [_turn(one, header, faults) for one, header in zip(annotations, headers, strict=True)]
    lying_N = np.array(turns, dtype=np.int64)[owners_N] > 1
    stored_N4 = np.where(lying_N[:, None], sizes_N4[:, [1, 0, 1, 0]], sizes_N4)
    written_N4, boxes_N4, codes_N = _clean(numbers_N4, stored_N4, form, shares=shares, faults=faults)
    for at in np.flatnonzero(codes_N != "").tolist():
        owner = int(owners_N[at])
        spot_4 = turned(written_N4[[at]], turns[owner], sizes[owner])[0]
        _tell(annotations[owner], at - starts[owner], str(codes_N[at]), spot_4, faults)
    index_of = {name: at for at, name in enumerate(names)}
    samples = []
    for one, size, turn, (start, stop) in zip(annotations, sizes, turns, pairwise(starts), strict=True):
        kept = [at for at, code in enumerate(codes_N[start:stop].tolist()) if code in ("", "clipped-box")]
        boxes_M4 = boxes_N4[start:stop][kept]
        truth = _truth(one, kept, turned(boxes_M4, turn, size), size, index_of)
        _tell_uncounted(one.key, truth, faults)
        samples.append(Sample(printable(one.key), one.path, truth, None, one.split))
    return samples


def turned(boxes_N4: NDArray[np.float64], orientation: int, size: tuple[int, int]) -> NDArray[np.float64]:
    """Turn boxes from the picture as it is stored to the upright one, as EXIF's orientation says.

    Args:
        orientation: 1 for none; 5…8, which swap width and height, move boxes.
        size: of the upright picture.
    """
    width, height = size
    left, top, right, bottom = boxes_N4.T
    if orientation == 5:
        moved = (top, left, bottom, right)
    elif orientation == 6:
        moved = (width - bottom, left, width - top, right)
    elif orientation == 7:
        moved = (width - bottom, height - right, width - top, height - left)
    elif orientation == 8:
        moved = (top, height - right, bottom, height - left)
    else:
        return boxes_N4
    return np.stack(moved, axis=1)


def _with_headers(annotations: Sequence[Annotation], faults: Faults) -> tuple[list[Annotation], list[Header]]:
    """Return the annotations whose pictures can be opened, with the headers of those."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        headers = list(pool.map(_header, (one.path for one in annotations)))
    kept, found = [], []
    for one, header in zip(annotations, headers, strict=True):
        if isinstance(header, Header):
            kept.append(one)
            found.append(header)
        else:
            faults.add("unreadable", one.key, header)
    return kept, found


def _header(path: str) -> Header | str:
    try:
        return read_header(path)
    except PictureError as error:
        return f"{error}".partition(": ")[2] or f"{error}"
    except OSError as error:
        return f"cannot be read ({error.strerror or error})."


def _turn(one: Annotation, header: Header, faults: Faults) -> int:
    """Return the orientation by which the boxes of a picture must be turned, 1 for none."""
    real = (header.width, header.height)
    lying = header.orientation >= 5 and header.width != header.height
    if one.recorded is None or (one.recorded == real and not lying):
        if header.orientation > 1:
            faults.add("exif-unclear", one.key, f"EXIF orientation {header.orientation}")
    elif lying and one.recorded == real[::-1]:
        faults.add("exif-rotation", one.key, f"{one.place}: EXIF orientation {header.orientation}")
        return header.orientation
    elif one.recorded != real:
        recorded, is_ = (f"{width}×{height}" for width, height in (one.recorded, real))
        faults.add("wrong-size", one.key, f"{one.place}: says {recorded}, is {is_}")
    return 1


def _clean(
    numbers_N4: NDArray[np.float64], sizes_N4: NDArray[np.float64], form: Form, *, shares: bool, faults: Faults
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.str_]]:
    """Return the boxes, the same clipped, and the code of what is wrong with each (N,), "" if nothing is."""
    finite_N = np.atleast_1d(np.isfinite(numbers_N4).all(axis=1))
    numbers_N4 = np.where(finite_N[:, None], numbers_N4, 0).clip(-_FARTHEST, _FARTHEST)
    largest_N = np.abs(numbers_N4).max(axis=1, initial=0)
    broken_N = (numbers_N4 % 1 != 0).any(axis=1)  # a box of 0 and 1 may be the first pixel
    units_N = largest_N > _NOT_A_SHARE if shares else (largest_N <= 1) & broken_N
    pixels_N4 = numbers_N4 * sizes_N4 if shares else numbers_N4
    judged_N = finite_N & ~units_N
    form = _likely_form(pixels_N4[judged_N], sizes_N4[judged_N], form, faults)
    boxes_N4 = _corners(pixels_N4, form).round(6)
    clipped_N4 = boxes_N4.clip(0, sizes_N4)
    beyond_N = np.abs(boxes_N4 - clipped_N4).max(axis=1, initial=0)
    codes_N = np.select(
        [
            ~finite_N,
            units_N,
            _least_side(boxes_N4) <= 0,
            (_least_side(clipped_N4) <= 0) | ((beyond_N > 0) & (_least_side(clipped_N4) < _SLIVER)),
            beyond_N > _ROUNDING,
        ],
        [
            "not-finite",
            "pixels-not-shares" if shares else "shares-not-pixels",
            "empty-box",
            "outside-box",
            "clipped-box",
        ],
        "",
    )
    return boxes_N4, clipped_N4, codes_N


def _least_side(boxes_N4: NDArray[np.float64]) -> NDArray[np.float64]:
    return (boxes_N4[:, 2:] - boxes_N4[:, :2]).min(axis=1, initial=np.inf)


def _corners(numbers_N4: NDArray[np.float64], form: Form) -> NDArray[np.float64]:
    first_N2, second_N2 = numbers_N4[:, :2], numbers_N4[:, 2:]
    if form == "corners":
        return numbers_N4
    if form == "corner and size":
        return np.concatenate([first_N2, first_N2 + second_N2], axis=1)
    return np.concatenate([first_N2 - second_N2 / 2, first_N2 + second_N2 / 2], axis=1)


def _likely_form(pixels_N4: NDArray[np.float64], sizes_N4: NDArray[np.float64], form: Form, faults: Faults) -> Form:
    """Return the form of the numbers: the other one, if boxes of the declared form would leave their pictures.

    By chance numbers of one form hardly ever fit the other: the second corner would have to be beyond the first in each
    box. So one that all boxes fit is the form, if many do not fit the declared one.
    """
    if len(pixels_N4) < _SURE:
        return form
    other = _OTHER[form]
    right, wrong = (_fitting(_corners(pixels_N4, one), sizes_N4).mean() for one in (other, form))
    if wrong >= _MOST_WRONG or right < _LEAST_RIGHT:
        return form
    faults.say(
        "mixed-corners",
        f"the numbers of the boxes are {other}, not {form}: {1 - wrong:.0%} of {len(pixels_N4):,} boxes would leave "
        f"their pictures, and as {other} they lie inside. They are read as {other}; write them as {form}.",
    )
    return other


def _fitting(boxes_N4: NDArray[np.float64], sizes_N4: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which boxes are of positive size and in their pictures, to a pixel, (N,)."""
    inside_N = ((boxes_N4 >= -1) & (boxes_N4 <= sizes_N4 + 1)).all(axis=1)
    return inside_N & (_least_side(boxes_N4) > 0)


def _tell(one: Annotation, at: int, code: str, spot_4: NDArray[np.float64], faults: Faults) -> None:
    """Name an object of an annotation, with the place in the picture if it has one."""
    written = " ".join(f"{number:g}" for number in one.numbers[at])
    spots = [tuple(spot_4.tolist())] if code in _PLACED else []
    faults.add(code, one.key, f"{one.places[at]}: {shortened(one.names[at])} {written}", *spots)


def _tell_uncounted(key: str, truth: Boxed, faults: Faults) -> None:
    """Name a picture without objects, and the objects that are not learnt from."""
    if not len(truth):
        faults.add("negative", key)
    for at in np.flatnonzero(truth.ignored_N).tolist():
        faults.add("crowd" if truth.crowd_N[at] else "ignored", key, truth.places[at])


def _truth(
    one: Annotation, kept: list[int], boxes_M4: NDArray[np.float64], size: tuple[int, int], index_of: dict[str, int]
) -> Boxed:
    """Return the truth of a picture from the objects that are kept."""
    areas_M = np.array([one.areas[at] for at in kept], dtype=np.float64)
    own_M = (boxes_M4[:, 2:] - boxes_M4[:, :2]).prod(axis=1)
    crowd_M = np.array([one.crowd[at] for at in kept], dtype=np.bool_)
    ignored_M = np.array([one.ignored[at] for at in kept], dtype=np.bool_)
    return Boxed(
        boxes_N4=boxes_M4,
        labels_N=np.array([index_of[one.names[at]] for at in kept], dtype=np.int64),
        ignored_N=ignored_M | crowd_M,
        crowd_N=crowd_M,
        areas_N=np.where(np.isfinite(areas_M) & (areas_M > 0), areas_M, own_M),
        size=size,
        places=tuple(one.places[at] for at in kept),
    )
