"""A model beside its baselines (`train --baselines`): is it better, and at what cost?

What is kept is plain JSON: that of a comparison whose first model is the one asked about, with the question, the answer
and the baselines that were left out.
"""

from collections.abc import Mapping
from typing import Any

from sightsmith.kinds import KINDS
from sightsmith.kinds.parts.metric import Metric
from sightsmith.kinds.parts.sections import Cell, Note, Section, Table, seconds


def answered(
    comparison: Mapping[str, Any], kind: str, items: str, left_out: Mapping[str, str], *, deep: bool
) -> dict[str, Any]:
    """Return a comparison with the answer to whether its first model is better than the others.

    Args:
        comparison: as `Comparison.to_json` gives it.
        kind: of the answers.
        items: name of the samples, in the plural.
        left_out: why baselines are missing, by name.
        deep: whether the first model was trained by gradient descent, and no other.
    """
    question = "Does deep learning help here?" if deep else "Is it better than the baselines?"
    return {
        "question": question,
        "answer": _answer(comparison, KINDS.module(kind).METRIC, items),
        **comparison,
        "left_out": dict(left_out),
    }


def section(raw: Mapping[str, Any], kind: str, items: str) -> Section:
    """Return the part of the report that shows what `answered` returned, for a kind of answer and of samples."""
    metric = KINDS.module(kind).METRIC
    names = ("", metric.title, "difference", "", "trained in", "weights", f"{items}/s", "answered by")
    first, *others = raw["models"]
    against = {one["model"]: one for one in raw["differences"]}
    rows = [_row(first, None, metric), *(_row(model, against.get(model["name"]), metric) for model in others)]
    header = [Cell(name, "name" if at == 0 else "n") for at, name in enumerate(names)]
    notes = [Note(f"{name} is left out: {why}") for name, why in raw["left_out"].items()]
    notes += [Note(warning) for warning in raw["warnings"]]
    return Section(
        title=raw["question"],
        note=f"The baselines were fitted to the same training {items} and answered the same test {items}, so the "
        f"interval is of the paired difference to {first['net']}. Values with 95% intervals.",
        blocks=[Note(raw["answer"], quiet=False), Table(header=header, rows=rows), *notes],
    )


def _answer(raw: Mapping[str, Any], metric: Metric, items: str) -> str:
    first, *others = raw["models"]
    against = {one["model"]: one for one in raw["differences"]}
    measured = [one for one in others if one["name"] in against]
    if not measured:
        return f"It cannot be told: no baseline answered the same {items}."
    measured.sort(key=lambda one: one["metrics"][metric.name], reverse=metric.higher)
    by_verdict = {
        verdict: [one for one in measured if against[one["name"]]["verdict"] == verdict]
        for verdict in ("better", "no difference shown", "worse")
    }
    if by_verdict["better"]:
        best = by_verdict["better"][0]
        told = f"No: {best['net']} is better than {first['net']}."
    elif by_verdict["no difference shown"]:
        best = by_verdict["no difference shown"][0]
        gap = against[best["name"]]  # with few groups p can be large though the interval leaves out 0
        tested = f"p = {gap['p_value']:.2g} by {gap['test']}"
        told = (
            f"It is not shown: between {first['net']} and {best['net']} no difference in {metric.title} is shown "
            f"({tested})."
        )
    else:
        best = measured[0]
        told = f"Yes: {first['net']} is better than each baseline; the best of them is {best['net']}."
    span = against[best["name"]]["metrics"][metric.name]
    means = [f" ({_backend(one)})" if _backend(best) != _backend(first) else "" for one in (best, first)]
    return (
        f"{told} The {metric.title} of {best['net']} is {_number(best, metric)}, that of {first['net']} "
        f"{_number(first, metric)}; the difference is {_signed(span)}. {best['net']} was trained in "
        f"{seconds(best['training_seconds'])} instead of {seconds(first['training_seconds'])}, has weights of "
        f"{_size(best)} instead of {_size(first)}, and answered {best['pictures_per_second']:,.0f} {items}/s"
        f"{means[0]} instead of {first['pictures_per_second']:,.0f}{means[1]}."
    )


def _row(model: Mapping[str, Any], against: Mapping[str, Any] | None, metric: Metric) -> list[Cell]:
    interval = model["intervals"].get(metric.name)
    span = f" ({interval['low']:.4f}…{interval['high']:.4f})" if interval else ""
    return [
        Cell(model["net"], "name"),
        Cell(f"{_number(model, metric)}{span}"),
        Cell(_signed(against["metrics"][metric.name]) if against else "–"),
        Cell(against["verdict"] if against else "", "name"),
        Cell(seconds(model["training_seconds"])),
        Cell(_size(model)),
        Cell(f"{model['pictures_per_second']:,.0f}"),
        Cell(_backend(model), "name"),
    ]


def _number(model: Mapping[str, Any], metric: Metric) -> str:
    return f"{model['metrics'][metric.name]:.4f}"


def _size(model: Mapping[str, Any]) -> str:
    size: int = model["weights_bytes"]
    return f"{size / 1e3:,.1f} kB" if size < 1e5 else f"{size / 1e6:,.2f} MB"


def _backend(model: Mapping[str, Any]) -> str:
    return f"{model['model']['backend']} {model['model']['precision']}"


def _signed(interval: Mapping[str, Any]) -> str:
    return f"{interval['value']:+.4f} ({interval['low']:+.4f}…{interval['high']:+.4f})"
