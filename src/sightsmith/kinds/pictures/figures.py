"""Figures of generated pictures: how far their distribution is from that of real ones.

Shapes: N pictures, real or generated; H W C height, width and channels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import erfc, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.errors import DataError
from sightsmith.kinds.parts import summary
from sightsmith.kinds.parts.intervals import NORMAL, Interval
from sightsmith.kinds.parts.sections import Evaluated, Measured, Paired
from sightsmith.kinds.pictures.features import NAME, features_of
from sightsmith.kinds.pictures.frechet import fd, fd_infinite, kid
from sightsmith.kinds.pictures.manifold import measure_copies, measure_manifold, nearest
from sightsmith.kinds.pictures.value import METRIC, Made

TITLES = {
    "fd": "FD",
    "fd_infinite": "FD∞",
    "kid": "KID",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "copies": "copies",
    "copies_of_real": "copies, real",
}
SHOWN = 64  # Pictures of the report's grids, at most
BESIDE, NEAREST = 12, 4  # Generated pictures that are shown beside so many training pictures

_MANY = 8  # Pictures for each feature from which FD is extrapolated
_LEAST = 8  # Pictures, so that neighbourhoods have a meaning
_EXPLAINS = "The p-value is that of equal KID, from the standard errors of both, whose blocks are of the same pictures."


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Each generated picture."""

    nearest_N: NDArray[np.float64]  # distance of its features from those of the nearest real picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Figures besides the distances."""

    net: str  # that the features are of
    made: list[NDArray[np.uint8]] = field(default_factory=list)  # some pictures, not kept with the figures
    real: list[NDArray[np.uint8]] = field(default_factory=list)
    nearest: list[list[NDArray[np.uint8]]] = field(default_factory=list)  # training pictures nearest to the first made


def measure(
    answers: Sequence[Made],
    truths: Sequence[NDArray[np.uint8]],
    names: Sequence[str],
    groups_N: NDArray[np.integer] | None,
    trained: Sequence[NDArray[np.uint8]] = (),
) -> Measured:
    """Compute every figure of N answers beside N real pictures.

    Args:
        trained: the pictures of the training, to look for copies of; none if they are not at hand.

    Raises DataError: there are fewer than 8 real pictures.
    """
    if len(answers) < _LEAST:
        raise DataError(
            f"generated pictures are compared with {_LEAST} real ones or more, got {len(answers)}. Add pictures, or "
            "name others with --data."
        )
    real_ND, made_ND = features_of(truths), features_of(answer.pixels_HWC for answer in answers)
    around, found = measure_manifold(real_ND, made_ND), kid(real_ND, made_ND)
    copies, nearby = _copies(real_ND, made_ND, trained)
    reach = NORMAL * found.standard_error
    return Measured(
        overall={
            "fd": fd(real_ND, made_ND),
            "fd_infinite": fd_infinite(real_ND, made_ND) if len(answers) >= _MANY * real_ND.shape[1] else None,
            "kid": found.value,
            "precision": around.precision,
            "recall": around.recall,
            "density": around.density,
            "coverage": around.coverage,
            **copies,
        },
        intervals={"kid": Interval(found.value, found.value - reach, found.value + reach)},
        figures=Figures(
            net=NAME,
            made=[answer.pixels_HWC for answer in answers[:SHOWN]],
            real=list(truths[:SHOWN]),
            nearest=nearby,
        ),
        rows=Rows(nearest_N=nearest(real_ND, made_ND, count=1)[1][:, 0]),
    )


def _copies(
    real_ND: NDArray[np.float32], made_ND: NDArray[np.float32], trained: Sequence[NDArray[np.uint8]]
) -> tuple[dict[str, float], list[list[NDArray[np.uint8]]]]:
    """Return the rates of copies, and the training pictures nearest to each of the first generated ones."""
    if len(trained) < _LEAST:
        return {}, []
    train_TD = features_of(trained)
    found = measure_copies(train_TD, made_ND, real_ND)
    positions_qk, _ = nearest(train_TD, made_ND[:BESIDE], count=NEAREST)
    return {"copies": found.made, "copies_of_real": found.held_out}, [
        [trained[at] for at in row] for row in positions_qk.tolist()
    ]


def save(evaluated: Evaluated) -> dict[str, Any]:
    """Return the kind's part of evaluation.json."""
    return {"classes": list(evaluated.names), "features": evaluated.figures.net}


def load(raw: Mapping[str, Any]) -> tuple[tuple[str, ...], Figures]:
    """Return the classes, and the figures that `save` wrote. Raises KeyError, TypeError: they are damaged."""
    return tuple(raw["classes"]), Figures(net=raw["features"])


def to_table(rows: Rows, names: Sequence[str]) -> tuple[list[str], int, list[list[str]]]:
    """Return the columns, how many of them lead, and a row of cells a sample."""
    return ["index", "nearest_real"], 2, [[str(at), repr(value)] for at, value in enumerate(rows.nearest_N.tolist())]


def from_table(header: Sequence[str], cells: Sequence[Sequence[str]], names: Sequence[str]) -> Rows:
    """Read back a table of `to_table`."""
    return Rows(nearest_N=np.array([row[1] for row in cells], dtype=np.float64))


def compare(
    first: Evaluated, second: Evaluated, order_N: NDArray[np.integer], groups_N: NDArray[np.integer] | None
) -> Paired:
    """Compare two evaluations beside the same real pictures; the arguments are as in `sightsmith.kinds`."""
    one, other = first.intervals["kid"], second.intervals["kid"]
    gap = other.value - one.value
    error = sqrt(((one.high - one.low) ** 2 + (other.high - other.low) ** 2) / 4) / NORMAL
    p_value = erfc(abs(gap) / (error * sqrt(2))) if error else float(gap == 0)
    return Paired(
        metrics={"kid": Interval(gap, gap - NORMAL * error, gap + NORMAL * error)},
        p_value=p_value,
        test="normal distribution of KID",
        explains=_EXPLAINS,
        verdict=summary.verdict(gap, p_value, METRIC),
    )


def brief(evaluated: Evaluated) -> dict[str, float]:
    """Return no further figures."""
    return {}


def text(evaluated: Evaluated) -> list[str]:
    """Return a line a figure for a terminal."""
    return summary.lines(evaluated, TITLES)


def further_text(evaluated: Evaluated) -> list[str]:
    """Return the line that comes last."""
    return [f"  features of {evaluated.figures.net}; figures of other features do not compare"]
