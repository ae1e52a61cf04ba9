"""The columns of predictions.csv: objects and candidates of a picture as lists in JSON, which load back equal."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightsmith.kinds.boxes.rows import Rows, rows_of
from sightsmith.kinds.boxes.truth import boxed


def to_table(rows: Rows, names: Sequence[str]) -> tuple[list[str], int, Iterator[list[str]]]:
    """Return the columns, how many of them lead, and a row of cells a picture.

    Objects and candidates are lists in JSON: [name, left, top, right, bottom, area, "" or "ignored" or "crowd"] and
    [name, left, top, right, bottom, score].
    """
    return ["width", "height", "target", "answer"], 3, _cells(rows, names)


def _cells(rows: Rows, names: Sequence[str]) -> Iterator[list[str]]:
    objects: list[list[list[Any]]] = [[] for _ in range(len(rows))]
    states = np.where(rows.crowd_G, "crowd", np.where(rows.ignored_G, "ignored", "")).tolist()
    columns = (rows.pictures_G, rows.classes_G, rows.truth_G4, rows.areas_G)
    for picture, label, box, area, state in zip(*(one.tolist() for one in columns), states, strict=True):
        objects[picture].append([names[label], *box, area, state])
    found: list[list[list[Any]]] = [[] for _ in range(len(rows))]
    columns = (rows.pictures_D, rows.labels_D, rows.boxes_D4, rows.scores_D)
    for picture, label, box, score in zip(*(one.tolist() for one in columns), strict=True):
        found[picture].append([names[label], *box, score])
    for (width, height), target, answer in zip(rows.sizes_N2.tolist(), objects, found, strict=True):
        yield [f"{width}", f"{height}", *(json.dumps(one, ensure_ascii=False) for one in (target, answer))]


def from_table(header: Sequence[str], cells: Sequence[Sequence[str]], names: Sequence[str]) -> Rows:
    """Read back a table of `to_table`."""
    index_of = {name: at for at, name in enumerate(names)}
    truths, candidates = [], []
    for width, height, target, answer in cells:
        objects, found = json.loads(target), json.loads(answer)
        states = np.array([one[6] for one in objects], dtype=object)
        truths.append(
            boxed(
                _boxes(objects),
                np.array([index_of[one[0]] for one in objects], dtype=np.int64),
                (int(width), int(height)),
                ignored_N=states == "ignored",
                crowd_N=states == "crowd",
                areas_N=np.array([one[5] for one in objects], dtype=np.float64),
            )
        )
        labels_K = np.array([index_of[one[0]] for one in found], dtype=np.int64)
        candidates.append((_boxes(found), np.array([one[5] for one in found], dtype=np.float64), labels_K))
    return rows_of(candidates, truths)


def _boxes(records: Sequence[Sequence[Any]]) -> NDArray[np.float64]:
    return np.array([one[1:5] for one in records], dtype=np.float64).reshape(-1, 4)
