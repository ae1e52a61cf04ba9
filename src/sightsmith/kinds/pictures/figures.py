"""Figures of generated pictures: how far their distribution is from that of real ones.

Shapes: N pictures, real or generated; H W C height, width and channels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import erfc, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.errors import DataError
from sightsmith.kinds.parts import summary
from sightsmith.kinds.parts.instruments import NO_INSTRUMENTS, FeatureNet, Instruments, Recogniser
from sightsmith.kinds.parts.intervals import NORMAL, Interval, wilson
from sightsmith.kinds.parts.sections import Evaluated, Measured, Paired
from sightsmith.kinds.pictures.features import SHIPPED
from sightsmith.kinds.pictures.frechet import fd, fd_infinite, kid
from sightsmith.kinds.pictures.manifold import measure_copies, measure_manifold, nearest
from sightsmith.kinds.pictures.value import METRIC, Made
from sightsmith.kinds.pictures.walks import Coded, between_seeds, coded

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
    "consistency": "as asked",
    "consistency_of_real": "as asked, real",
    "psnr": "PSNR",
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
class OneClass:
    """How many pictures of a class another model recognises."""

    name: str
    count: int  # of generated pictures, and of real ones
    made: float  # share of the generated ones, 0…1
    real: float  # share of the real ones, 0…1


@dataclass(frozen=True, slots=True, kw_only=True)
class Recognised:
    """Whether another model recognises the classes that were asked for."""

    by: str  # name of the other model
    definition: str  # its digest
    per_class: list[OneClass]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Figures besides the distances."""

    net: str  # that the features are of
    weights: str  # SHA-256 of its weights
    about: str  # its licence and training
    recognised: Recognised | None = None
    made: list[NDArray[np.uint8]] = field(default_factory=list)  # some pictures, not kept with the figures
    real: list[NDArray[np.uint8]] = field(default_factory=list)
    nearest: list[list[NDArray[np.uint8]]] = field(default_factory=list)  # training pictures nearest to the first made
    between: list[NDArray[np.uint8]] = field(default_factory=list)  # generated, from one seed to another in each line
    coded: Coded | None = None  # real pictures through the encoder
    no_coder: str = ""  # why there are none, if there could be


def measure(
    answers: Sequence[Made],
    truths: Sequence[NDArray[np.uint8]],
    names: Sequence[str],
    groups_N: NDArray[np.integer] | None,
    instruments: Instruments = NO_INSTRUMENTS,
) -> Measured:
    """Compute every figure of N answers beside N real pictures.

    Without the pictures of the training there are no copies to look for, without a recogniser no classes, and without
    a coder no reconstructions.

    Raises DataError: there are fewer than 8 real pictures.
    """
    if len(answers) < _LEAST:
        raise DataError(
            f"generated pictures are compared with {_LEAST} real ones or more, got {len(answers)}. Add pictures, or "
            "name others with --data."
        )
    net, made = instruments.features or SHIPPED, [answer.pixels_HWC for answer in answers]
    real_ND, made_ND = net.features_of(truths), net.features_of(made)
    around, found = measure_manifold(real_ND, made_ND), kid(real_ND, made_ND)
    copies, nearby = _copies(real_ND, made_ND, instruments.trained, net)
    reach = NORMAL * found.standard_error
    recognised = _recognised(instruments.recogniser, instruments.asked, made, truths, names)
    shares = _shares(recognised)
    labels = instruments.asked if names else ()
    seen = None if instruments.coder is None else coded(instruments.coder, truths, labels)
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
            **shares,
            **({} if seen is None else {"psnr": seen.psnr}),
        },
        intervals={
            "kid": Interval(found.value, found.value - reach, found.value + reach),
            **{name: wilson(share, len(answers)) for name, share in shares.items()},
        },
        figures=Figures(
            net=net.name,
            weights=net.sha256,
            about=net.about,
            recognised=recognised,
            made=made[:SHOWN],
            real=list(truths[:SHOWN]),
            nearest=nearby,
            between=[] if instruments.make is None else between_seeds(instruments.make, len(names)),
            coded=seen,
            no_coder=instruments.no_coder,
        ),
        rows=Rows(nearest_N=nearest(real_ND, made_ND, count=1)[1][:, 0]),
    )


def _copies(
    real_ND: NDArray[np.float32], made_ND: NDArray[np.float32], trained: Sequence[NDArray[np.uint8]], net: FeatureNet
) -> tuple[dict[str, float], list[list[NDArray[np.uint8]]]]:
    """Return the rates of copies, and the training pictures nearest to each of the first generated ones."""
    if len(trained) < _LEAST:
        return {}, []
    train_TD = net.features_of(trained)
    found = measure_copies(train_TD, made_ND, real_ND)
    positions_qk, _ = nearest(train_TD, made_ND[:BESIDE], count=NEAREST)
    return {"copies": found.made, "copies_of_real": found.held_out}, [
        [trained[at] for at in row] for row in positions_qk.tolist()
    ]


def _recognised(
    recogniser: Recogniser | None,
    asked: Sequence[int],
    made: Sequence[NDArray[np.uint8]],
    real: Sequence[NDArray[np.uint8]],
    names: Sequence[str],
) -> Recognised | None:
    """Return how many pictures of each class that was asked for are recognised."""
    if recogniser is None:
        return None
    asked_N = np.array([names[label] for label in asked])
    made_N, real_N = (
        np.array([answer.label for answer in recogniser.answers(pictures)]) == asked_N for pictures in (made, real)
    )
    return Recognised(
        by=recogniser.name,
        definition=recogniser.definition,
        per_class=[
            OneClass(
                name=name,
                count=int((asked_N == name).sum()),
                made=float(made_N[asked_N == name].mean()),
                real=float(real_N[asked_N == name].mean()),
            )
            for name in names
            if (asked_N == name).any()
        ],
    )


def _shares(recognised: Recognised | None) -> dict[str, float]:
    """Return the shares of all generated and of all real pictures that are recognised."""
    if recognised is None:
        return {}
    counts = [one.count for one in recognised.per_class]
    made, real = ([getattr(one, side) for one in recognised.per_class] for side in ("made", "real"))
    return {
        "consistency": float(np.average(made, weights=counts)),
        "consistency_of_real": float(np.average(real, weights=counts)),
    }


def save(evaluated: Evaluated) -> dict[str, Any]:
    """Return the kind's part of evaluation.json."""
    figures: Figures = evaluated.figures
    recognised = {} if figures.recognised is None else {"recognised": asdict(figures.recognised)}
    features = {"name": figures.net, "sha256": figures.weights, "about": figures.about}
    no_coder = {"no_coder": figures.no_coder} if figures.no_coder else {}
    return {"classes": list(evaluated.names), "features": features, **recognised, **no_coder}


def load(raw: Mapping[str, Any]) -> tuple[tuple[str, ...], Figures]:
    """Return the classes, and the figures that `save` wrote. Raises KeyError, TypeError: they are damaged."""
    net, recognised = raw["features"], raw.get("recognised")
    if recognised is not None:
        per_class = [OneClass(**one) for one in recognised["per_class"]]
        recognised = Recognised(by=recognised["by"], definition=recognised["definition"], per_class=per_class)
    return tuple(raw["classes"]), Figures(
        net=net["name"],
        weights=net["sha256"],
        about=net["about"],
        recognised=recognised,
        no_coder=raw.get("no_coder", ""),
    )


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


def incomparable(first: Evaluated, second: Evaluated) -> str:
    """Return why the figures must not stand side by side; empty if they may."""
    one, other = (measured_with(evaluated.figures) for evaluated in (first, second))
    differing = next((name for name in one if name in other and one[name] != other[name]), None)
    if differing is None:
        return ""
    return (
        f"they were measured with different {differing}, {one[differing]} and {other[differing]}. Evaluate both with "
        f"the same --{differing}"
    )


def brief(evaluated: Evaluated) -> dict[str, Any]:
    """Return what the figures are measured with."""
    return {"measured_with": measured_with(evaluated.figures)}


def measured_with(figures: Figures) -> dict[str, str]:
    """Return the names of the nets, by the flag that asks for others."""
    nets = {"features": f"{figures.net} ({figures.weights[:12]})"}
    if figures.recognised is not None:
        nets["classifier"] = f"{figures.recognised.by} ({figures.recognised.definition[:12]})"
    return nets


def text(evaluated: Evaluated) -> list[str]:
    """Return a line a figure for a terminal."""
    return summary.lines(evaluated, TITLES)


def further_text(evaluated: Evaluated) -> list[str]:
    """Return the lines that come last."""
    nets = measured_with(evaluated.figures)
    by = f", classes recognised by {nets['classifier']}" if "classifier" in nets else ""
    missing = [f"  left out: {evaluated.figures.no_coder}"] if evaluated.figures.no_coder else []
    return [f"  features of {nets['features']}{by}; figures of others do not compare", *missing]
