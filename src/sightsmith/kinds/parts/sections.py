"""Building blocks of a report; each kind of answer fills them, one template draws them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from markupsafe import Markup
from numpy.typing import NDArray

from sightsmith.kinds.parts.intervals import Interval

LEVELS = ("error", "warning", "note")


class Evaluated(Protocol):
    """The interface of an evaluation of any kind of answer.

    Attributes:
        nouns: a sample, singular and plural, such as `("picture", "pictures")`.
        names: of the classes or tags, in the order of the indices.
        counts: `evaluated` samples, and their `groups` if they have any.
        groups: name of each sample's group, or None.
        overall: metrics by name; None if undefined.
        intervals: 95 % intervals of some of them.
        figures: further figures of the kind.
        rows: the kind's record of each answer beside its truth.
    """

    @property
    def nouns(self) -> tuple[str, str]: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def counts(self) -> Mapping[str, int]: ...
    @property
    def groups(self) -> tuple[str, ...] | None: ...
    @property
    def overall(self) -> Mapping[str, float | None]: ...
    @property
    def intervals(self) -> Mapping[str, Interval]: ...
    @property
    def figures(self) -> Any: ...
    @property
    def rows(self) -> Any: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The measurements of a kind on N answers: as in `Evaluated`."""

    overall: Mapping[str, float | None]
    intervals: Mapping[str, Interval]
    figures: Any
    rows: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """A model against another, on the same samples."""

    metrics: Mapping[str, Interval]  # the model's value minus the other's, with 95 % intervals
    p_value: float  # exact two-sided p-value of an equal headline metric
    test: str  # name of the test that gave it
    explains: str  # a sentence that explains the test
    verdict: Literal["no difference shown", "better", "worse"]  # of the headline metric


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence with its severity."""

    level: Literal["note", "warning", "error"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A headline figure."""

    name: str
    value: str
    explains: str
    interval: Interval | None = None  # of a share of 0…1: drawn on a scale of 0…100 %
    span: str = ""  # the interval in words, for a figure with a unit


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table."""

    text: str
    css: str = "n"  # its class: `name` for words, `n` for numbers
    value: float | str | None = None  # key for sorting; None for the text
    share: float | None = None  # draws a bar of this length, in 0…1


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under a header; a sortable one has buttons in it."""

    header: Sequence[Cell]
    rows: Sequence[Sequence[Cell]]
    title: str = ""
    sortable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A drawing; one that scrolls keeps its size."""

    svg: Markup
    scrolls: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """A paragraph."""

    text: str | Markup
    quiet: bool = True


Block = Table | Chart | Note


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a section: a title and blocks below each other."""

    title: str = ""
    blocks: Sequence[Block] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A titled part of the report: blocks below each other, beside each other, or columns."""

    title: str
    note: str | Markup = ""
    blocks: Sequence[Block] = ()
    beside: bool = False
    columns: Sequence[Column] = ()


@dataclass(frozen=True, slots=True)
class Piece:
    """Some words below a picture; `mark` is `yes`, `no` or `bold`."""

    text: str
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Pick:
    """A row of pictures to show: which samples, most informative first."""

    title: str
    explains: str
    samples_N: NDArray[Any] = field(repr=False)
    heats: str = ""  # explains their heat maps, if there are any


def in_turn(samples_N: NDArray[Any], kinds_M: NDArray[Any]) -> NDArray[Any]:
    """Interleave positions of M samples: the first of each kind, then the second of each, and so on."""
    seen: dict[int, int] = {}
    turns = []
    for kind in kinds_M[samples_N].tolist():
        turns.append(seen.get(kind, 0))
        seen[kind] = turns[-1] + 1
    return samples_N[sorted(range(len(turns)), key=turns.__getitem__)]


def share(value: float | None, digits: int = 1) -> str:
    """Return a share of 0…1 in per cent, – for None."""
    return "–" if value is None else f"{value:.{digits}%}"


def seconds(value: float | None) -> str:
    """Return a time, – for None."""
    return "–" if value is None else f"{value:,.{1 if value < 10 else 0}f} s"
