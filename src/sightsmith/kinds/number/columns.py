"""A number in a table: the column `number`, or another one that is named."""

import math
from collections.abc import Mapping, Sequence

from sightsmith.kinds.parts.columns import Details, Row, Truths

COLUMN = "number"
_OTHERS = {"label", "labels"}  # Columns that other kinds read
REASONS: Mapping[str, str] = {
    "no-number": "no number. Fill it in or delete the rows.",
    "not-a-number": "a cell that is no number. Write 1234.5, without unit or thousands separator.",
    "not-finite": "a number that is not finite. Correct it or delete the rows.",
}


def claims(columns: Sequence[str], rows: Sequence[Row], target: tuple[str, ...] | None) -> bool:
    if target:
        return len(target) == 1 and target[0] not in _OTHERS
    return COLUMN in columns and not _OTHERS & set(columns)


def read(columns: Sequence[str], rows: Sequence[Row], target: tuple[str, ...] | None, details: Details) -> Truths:
    """Read the truths of the rows; `details` may give the `unit`."""
    column = target[0] if target else COLUMN
    values: list[float | None] = []
    left_out: dict[int, tuple[str, str]] = {}
    for at, row in enumerate(rows):
        cell = row.get(column, "")
        value = _number(cell)
        values.append(value)
        if value is None:
            left_out[at] = ("not-a-number" if cell else "no-number", cell)
        elif not math.isfinite(value):
            left_out[at] = ("not-finite", cell)
    return Truths(values=values, columns=(column,), left_out=left_out, details={"quantity": column, **details})


def _number(cell: str) -> float | None:
    try:
        return float(cell) if "_" not in cell else None  # Python reads 1_000 as 1000
    except ValueError:
        return None
