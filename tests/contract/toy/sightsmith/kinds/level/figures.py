from dataclasses import dataclass

import numpy as np
from sightsmith.kinds.level.value import r2

from sightsmith.kinds.parts.intervals import Interval
from sightsmith.kinds.parts.sections import Measured, Paired


@dataclass(frozen=True)
class Rows:
    truths_N: np.ndarray
    answers_N: np.ndarray


def measure(answers, truths, names, groups_N):
    rows = Rows(np.array(truths), np.array([answer.value for answer in answers]))
    off_N = np.abs(rows.answers_N - rows.truths_N)
    reach = 1.96 * float(off_N.std()) / len(off_N) ** 0.5
    mean = float(off_N.mean())
    return Measured(
        overall={"r2": r2(rows.answers_N, rows.truths_N), "mean_error": mean},
        intervals={"mean_error": Interval(mean, max(0.0, mean - reach), mean + reach)},
        figures={"largest_error": float(off_N.max())},
        rows=rows,
    )


def save(evaluated):
    return dict(evaluated.figures)


def load(raw):
    return (), {"largest_error": raw["largest_error"]}


def to_table(rows, names):
    pairs = zip(rows.truths_N, rows.answers_N, strict=True)
    return ["target", "answer"], 2, [[f"{truth:.6g}", f"{answer:.6g}"] for truth, answer in pairs]


def from_table(header, cells, names):
    return Rows(*(np.array([float(row[at]) for row in cells]) for at in (0, 1)))


def compare(first, second, order_N, groups_N):
    gap_N = np.abs(second.rows.answers_N[order_N] - first.rows.truths_N) - np.abs(
        first.rows.answers_N - first.rows.truths_N
    )
    reach = 1.96 * float(gap_N.std()) / len(gap_N) ** 0.5
    middle = float(gap_N.mean())
    return Paired(
        metrics={"mean_error": Interval(middle, middle - reach, middle + reach)},
        p_value=1.0,
        test="none",
        explains="Nothing is tested.",
        verdict="no difference shown",
    )


def brief(evaluated):
    return dict(evaluated.figures)


def text(evaluated):
    return [f"  {name:<18}{value:.4f}" for name, value in evaluated.overall.items()]


def further_text(evaluated):
    return [f"  {'largest error':<18}{evaluated.figures['largest_error']:.4f}"]
