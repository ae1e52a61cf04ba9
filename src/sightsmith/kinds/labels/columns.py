"""Labels in a table: the column `label`, one label a row."""

from collections.abc import Mapping, Sequence

from sightsmith.core.errors import DataError
from sightsmith.core.names import natural
from sightsmith.kinds.parts.columns import Details, Row, Truths

COLUMN = "label"
REASONS: Mapping[str, str] = {"no-label": "no label. Fill it in or delete the rows."}


def claims(columns: Sequence[str], rows: Sequence[Row], target: tuple[str, ...] | None) -> bool:
    return target == (COLUMN,) if target else COLUMN in columns


def read(columns: Sequence[str], rows: Sequence[Row], target: tuple[str, ...] | None, details: Details) -> Truths:
    if details:
        raise DataError(f"labels have no {next(iter(details))}. Leave it out, or name the column of a number.")
    names = tuple(sorted({row[COLUMN] for row in rows if row.get(COLUMN)}, key=natural))
    index_of = {name: index for index, name in enumerate(names)}
    values = [index_of.get(row.get(COLUMN, "")) for row in rows]
    left_out = {at: ("no-label", "") for at, value in enumerate(values) if value is None}
    return Truths(names=names, values=values, columns=(COLUMN,), left_out=left_out)
