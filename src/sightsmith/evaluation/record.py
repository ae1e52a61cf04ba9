"""What an evaluation found: one record, its JSON, and its table of answers.

Shapes: N samples, K classes, T answers kept a sample (the most probable first).
"""

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self, TextIO

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.counts import many
from sightsmith.core.errors import DataError
from sightsmith.core.files import write_text
from sightsmith.core.images import printable
from sightsmith.evaluation.uncertainty import Interval

SCHEMA = 1
KEPT = 5
"""Answers kept a sample."""
JSON_NAME = "evaluation.json"
TABLE_NAME = "predictions.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What the model answered to each sample.

    Attributes:
        keys: name of each sample.
        targets_N: index of the right class.
        top_NT: indices of the most probable classes, best first.
        scores_NT: their probabilities, 0…1.
        target_scores_N: probability given to the right class.
        groups: name of each sample's group, empty where it has none; None where no sample has.
    """

    keys: tuple[str, ...]
    targets_N: NDArray[np.int32]
    top_NT: NDArray[np.int32]
    scores_NT: NDArray[np.float32]
    target_scores_N: NDArray[np.float32]
    groups: tuple[str, ...] | None = None

    @property
    def predicted_N(self) -> NDArray[np.int32]:
        return self.top_NT[:, 0]

    @property
    def right_N(self) -> NDArray[np.bool_]:
        return self.predicted_N == self.targets_N


class Skipped(NamedTuple):
    """A sample that could not be evaluated, and why."""

    key: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFigures:
    """The figures of one class; None where it has no sample."""

    name: str
    support: int
    precision: float | None
    recall: float | None
    f1: float | None
    auroc: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Answers of like confidence; None where there is none."""

    count: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Whether the probabilities can be believed; the definitions are in `calibration.py`.

    Attributes:
        ece: expected calibration error, 15 bins of equal width, 0…1.
        nll: mean negative log-likelihood, nats.
        brier: Brier's score over all classes, 0…2.
        bins: the reliability curve.
        best_temperature: what these samples' probabilities would have to be scaled by; above 1 the model is too
            sure of itself. A diagnosis: scale by a temperature fitted on other samples.
        best_ece: the error after it.
    """

    ece: float
    nll: float
    brier: float
    bins: tuple[Bin, ...]
    best_temperature: float
    best_ece: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        model: name, net, parameters, definition digest, backend, precision and such, as plain JSON.
        data: location, format, split and digest of the samples, as plain JSON.
        classes: names in the order of the indices.
        counts: `asked`, `evaluated`, `skipped`, and `groups` where the samples have any.
        skipped: the samples left out.
        overall: metrics by name, 0…1; None where undefined.
        intervals: 95 % intervals of some of them.
        per_class: figures of each class, in the order of `classes`.
        confusion_KK: rows are targets, columns answers.
        calibration: whether the probabilities can be believed.
        seconds: wall time, decoding included.
        created: when, ISO 8601, UTC.
        answers: what the model answered to each sample.
        report: the page that was written, where one was.
        not_kept: why the bundle did not take the figures, where it should have; empty where it did.
    """

    model: Mapping[str, Any]
    data: Mapping[str, Any]
    classes: tuple[str, ...]
    counts: Mapping[str, int]
    skipped: tuple[Skipped, ...]
    overall: Mapping[str, float | None]
    intervals: Mapping[str, Interval]
    per_class: tuple[ClassFigures, ...]
    confusion_KK: NDArray[np.int64]
    calibration: Calibration
    seconds: float
    created: str
    answers: Answers
    report: Path | None = None
    not_kept: str = ""

    @property
    def absent(self) -> tuple[str, ...]:
        """Classes of the model that no sample has; averages leave them out."""
        return tuple(one.name for one in self.per_class if one.support == 0)

    def confusions(self, limit: int) -> list[tuple[str, str, int]]:
        """Return the most frequent mistakes as (target, answer, how often), most frequent first."""
        wrong_KK = self.confusion_KK.copy()
        np.fill_diagonal(wrong_KK, 0)
        order = np.argsort(-wrong_KK, axis=None, kind="stable")[:limit]
        rows, columns = np.unravel_index(order, wrong_KK.shape)
        return [
            (self.classes[row], self.classes[column], int(wrong_KK[row, column]))
            for row, column in zip(rows, columns, strict=True)
            if wrong_KK[row, column]
        ]

    def to_json(self) -> dict[str, Any]:
        """Return everything but the table of answers as plain JSON; undefined values are null."""
        return {
            "schema": SCHEMA,
            "created": self.created,
            "model": dict(self.model),
            "data": dict(self.data),
            "counts": dict(self.counts),
            "skipped": [one._asdict() for one in self.skipped],
            "metrics": dict(self.overall),
            "intervals": {name: asdict(one) for name, one in self.intervals.items()},
            "absent_classes": list(self.absent),
            "per_class": [asdict(one) for one in self.per_class],
            "confusion": self.confusion_KK.tolist(),
            "calibration": {**asdict(self.calibration), "bins": [asdict(one) for one in self.calibration.bins]},
            "seconds": round(self.seconds, 3),
        }

    def to_text(self) -> str:
        """Return a summary of some lines for a terminal."""
        evaluated, skipped = self.counts["evaluated"], self.counts["skipped"]
        groups = f" in {many(self.counts['groups'], 'group')}" if "groups" in self.counts else ""
        lines = [
            (
                f"{self.model['name']} on {many(evaluated, 'picture')}{groups} of {self.data['location']} "
                f"({self.data['split']})"
            )
        ]
        for name, value in self.overall.items():
            if name.startswith("weighted_") or value is None:
                continue
            span = self.intervals.get(name)
            between = f"   95 % between {span.low:.4f} and {span.high:.4f}" if span else ""
            lines.append(f"  {name.replace('_', ' '):<18}{value:.4f}{between}")
        if self.data.get("warning"):
            lines.append(f"  warning: {self.data['warning']}")
        lines.append(f"  {'ECE':<18}{self.calibration.ece:.4f}")
        lines.append(f"  {'NLL':<18}{self.calibration.nll:.4f}")
        if self.absent:
            lines.append(f"  classes without a sample: {', '.join(self.absent)}")
        if skipped:
            lines.append(f"  left out of {self.counts['asked']:,} asked for, because they cannot be used: {skipped:,}")
        return "\n".join(lines)

    def files(self) -> tuple[str, str]:
        """Return the texts of `evaluation.json` and `predictions.csv`."""
        table = io.StringIO()
        write_table(table, self.answers, self.classes)
        return json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n", table.getvalue()

    def save(self, folder: Path) -> None:
        """Write `evaluation.json` and `predictions.csv` into an existing folder."""
        figures, table = self.files()
        write_text(Path(folder) / JSON_NAME, figures)
        write_text(Path(folder) / TABLE_NAME, table)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read back what `save` wrote.

        Raises:
            DataError: there is none, or it is damaged or of another schema.
        """
        path = Path(folder) / JSON_NAME
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            if raw["schema"] != SCHEMA:
                raise DataError(f"{path}: schema {raw['schema']}, this version reads {SCHEMA}. Evaluate again.")
            return cls(
                **{key: raw[key] for key in ("model", "data", "counts", "seconds", "created")},
                classes=tuple(one["name"] for one in raw["per_class"]),
                skipped=tuple(Skipped(**one) for one in raw["skipped"]),
                overall=raw["metrics"],
                intervals={name: Interval(**one) for name, one in raw["intervals"].items()},
                per_class=tuple(ClassFigures(**one) for one in raw["per_class"]),
                confusion_KK=np.array(raw["confusion"], dtype=np.int64),
                calibration=_calibration(raw["calibration"]),
                answers=read_table(Path(folder) / TABLE_NAME, [one["name"] for one in raw["per_class"]]),
            )
        except FileNotFoundError as error:
            raise DataError(f"{error.filename}: no such file. `sightsmith evaluate` writes it.") from None
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise DataError(f"{folder}: a damaged evaluation ({error!r}). Evaluate again.") from error


def write_table(file: TextIO, answers: Answers, classes: Sequence[str]) -> None:
    """Write one row a sample: key, target, answer, right, score, target_score, its group, the further answers.

    The column `group` is there only where samples have one.
    """
    kept = answers.top_NT.shape[1]
    further = [f"{part}_{place}" for place in range(2, kept + 1) for part in ("answer", "score")]
    writer = csv.writer(file, lineterminator="\n")
    group = ["group"] if answers.groups is not None else []
    writer.writerow(["key", "target", "answer", "right", "score", "target_score", *group, *further])
    for at, key in enumerate(answers.keys):
        names = [classes[index] for index in answers.top_NT[at]]
        scores = [f"{score:.6g}" for score in answers.scores_NT[at]]
        others = [part for pair in zip(names[1:], scores[1:], strict=True) for part in pair]
        target, right = classes[answers.targets_N[at]], int(answers.right_N[at])
        own = f"{answers.target_scores_N[at]:.6g}"
        group = [answers.groups[at]] if answers.groups is not None else []
        writer.writerow([printable(key), target, names[0], right, scores[0], own, *group, *others])


def read_table(path: Path, classes: Sequence[str]) -> Answers:
    """Read back what `write_table` wrote."""
    index = {name: at for at, name in enumerate(classes)}
    with Path(path).open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    grouped = "group" in header
    first = header.index("target_score") + 1 + grouped
    return Answers(
        keys=tuple(row[0] for row in rows),
        targets_N=np.array([index[row[1]] for row in rows], dtype=np.int32),
        top_NT=np.array([[index[name] for name in (row[2], *row[first::2])] for row in rows], dtype=np.int32),
        scores_NT=np.array([[row[4], *row[first + 1 :: 2]] for row in rows], dtype=np.float32),
        target_scores_N=np.array([row[5] for row in rows], dtype=np.float32),
        groups=tuple(row[first - 1] for row in rows) if grouped else None,
    )


def known(value: float) -> float | None:
    """Return a number as JSON can hold it: None for NaN."""
    return None if math.isnan(value) else float(value)


def _calibration(raw: dict[str, Any]) -> Calibration:
    return Calibration(**{**raw, "bins": tuple(Bin(**one) for one in raw["bins"])})
