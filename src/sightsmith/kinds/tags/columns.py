"""Tags in a table: the column `labels` with tags between semicolons, or a column of 0 and 1 for each tag."""

from collections.abc import Mapping, Sequence

from sightsmith.core.errors import DataError
from sightsmith.core.names import natural
from sightsmith.kinds.parts.columns import Details, Row, Truths
from sightsmith.kinds.tags.truth import Tagged

COLUMN, BETWEEN, UNKNOWN = "labels", ";", "?"
REASONS: Mapping[str, str] = {
    "no-tag-known": "no tag filled in. Write 1 or 0 for at least one tag, or delete the rows.",
    "no-flag": "a cell that is neither 0, 1 nor empty (unknown). Correct it.",
}
_FLAGS = {"1": 1, "1.0": 1, "0": 0, "0.0": 0}  # as pandas writes them, too
_MOSTLY = 0.9  # Share of a column's cells that must be flags for it to be a tag that nobody named


def claims(columns: Sequence[str], rows: Sequence[Row], target: tuple[str, ...] | None) -> bool:
    if target:
        return target == (COLUMN,) or len(target) > 1
    if {"label", "number"} & set(columns):
        return False
    return COLUMN in columns or bool(_flagged(columns, rows))


def read(columns: Sequence[str], rows: Sequence[Row], target: tuple[str, ...] | None, details: Details) -> Truths:
    """Read the truths of the rows.

    Raises DataError: no tag in the whole table, or the name of a tag has a character that separates tags.
    """
    if details:
        raise DataError(f"tags have no {next(iter(details))}. Leave it out, or name the column of a number.")
    if target == (COLUMN,) or (target is None and COLUMN in columns):
        return _listed(rows)
    return _flags(rows, target or tuple(_flagged(columns, rows)))


def _flagged(columns: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """Return the columns whose cells are 0, 1 or blank, but for a few wrong ones that are named later."""
    found = []
    for name in columns:
        cells = [cell for row in rows if (cell := row.get(name, ""))]
        if cells and sum(cell in _FLAGS for cell in cells) >= _MOSTLY * len(cells):
            found.append(name)
    return found


def _listed(rows: Sequence[Row]) -> Truths:
    cells = [[part.strip() for part in row.get(COLUMN, "").split(BETWEEN)] for row in rows]
    tags = [tuple(dict.fromkeys(filter(None, parts))) for parts in cells]
    names = tuple(sorted({tag for each in tags for tag in each}, key=natural))
    if not names:
        raise DataError(
            f"the column {COLUMN!r} is empty in all {len(rows):,} rows that can be used. Write the tags of each "
            f"picture into it, separated by {BETWEEN!r}."
        )
    _check_names(names)
    index_of = {name: index for index, name in enumerate(names)}
    values = [Tagged(present=tuple(sorted(index_of[tag] for tag in each))) for each in tags]
    return Truths(names=names, values=values, columns=(COLUMN,), left_out={})


def _flags(rows: Sequence[Row], columns: tuple[str, ...]) -> Truths:
    _check_names(columns)
    values: list[Tagged | None] = []
    left_out: dict[int, tuple[str, str]] = {}
    for at, row in enumerate(rows):
        cells = [row.get(name, "") for name in columns]
        wrong = [f"{name} {cell}" for name, cell in zip(columns, cells, strict=True) if cell and cell not in _FLAGS]
        if wrong:
            left_out[at] = ("no-flag", wrong[0])
        elif not any(cells):
            left_out[at] = ("no-tag-known", "")
        values.append(
            Tagged(
                present=tuple(index for index, cell in enumerate(cells) if _FLAGS.get(cell) == 1),
                unknown=tuple(index for index, cell in enumerate(cells) if cell == ""),
                closed=False,
            )
        )
    return Truths(names=columns, values=values, columns=columns, left_out=left_out)


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if BETWEEN in name or name.startswith(UNKNOWN):
            raise DataError(
                f"the tag {name!r} has a {BETWEEN!r} in its name or a {UNKNOWN!r} before it, which separate and mark "
                "tags in tables. Rename it."
            )
