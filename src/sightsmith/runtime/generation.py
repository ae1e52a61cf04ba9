"""The verb `generate`: pictures from seeds, written as files that say that they were generated."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sightsmith.bundle.location import MANIFEST
from sightsmith.core.errors import OutputExistsError, SettingsError
from sightsmith.core.files import new_file, told
from sightsmith.core.names import did_you_mean
from sightsmith.core.progress import track
from sightsmith.inputs.seed import Seed
from sightsmith.kinds import optional_part, part_of
from sightsmith.runtime.predictor import Predictor
from sightsmith.runtime.settings import GenerateSettings

GRID = "grid.png"
_IN_GRID = 256  # Pictures in the grid, at most


def seeds(predictor: Predictor, settings: GenerateSettings) -> list[Seed]:
    """Return what the pictures start from; without a label the classes take turns.

    Raises SettingsError: the model makes no pictures, or knows no such class.
    """
    definition = predictor.definition
    if optional_part(definition.kind, "marks") is None:
        raise SettingsError(
            f"{predictor.manifest.name} makes no pictures: it takes {definition.input}s; ask it with `predict`. "
            "`sightsmith train DATA --task vae` or `--task gan` trains one that makes pictures."
        )
    names = definition.names
    if settings.label is None:
        positions = range(max(1, len(names)))
    elif settings.label in names:
        positions = range(names.index(settings.label), names.index(settings.label) + 1)
    elif names:
        raise SettingsError(f"unknown label {settings.label!r}. {did_you_mean(settings.label, names)}")
    else:
        raise SettingsError(f"{predictor.manifest.name} was trained without labels. Leave --label out.")
    in_turn = (positions[index % len(positions)] for index in range(settings.count))
    return [Seed(seed=settings.seed, index=index, label=position) for index, position in enumerate(in_turn)]


def generate(predictor: Predictor, settings: GenerateSettings, *, quiet: bool = False) -> Iterator[tuple[Seed, Any]]:
    """Yield the seeds and the pictures, in order."""
    asked = seeds(predictor, settings)
    outcomes = track(predictor.predict(asked, batch=settings.batch), "Generating", len(asked), quiet=quiet)
    for seed, outcome in zip(asked, outcomes, strict=True):
        if outcome.error is not None:
            raise outcome.error
        yield seed, outcome.prediction


def write(predictor: Predictor, settings: GenerateSettings, out: Path, *, quiet: bool = False) -> list[Path]:
    """Write each picture as a PNG file into the folder `out`, and up to 256 of them as one grid.

    Returns the paths, the grid's last.

    Raises OutputExistsError: a file is in the way, or the folder is a bundle.
    """
    asked, names = seeds(predictor, settings), predictor.definition.names
    marks = part_of(predictor.definition.kind, "marks")
    paths = [out / _name(seed, names) for seed in asked] + [out / GRID]
    if taken := [path for path in paths if path.exists() and not settings.overwrite]:
        raise OutputExistsError(f"{taken[0]} exists already. Give another folder, or --overwrite to replace it.")
    if (out / MANIFEST).exists():
        raise OutputExistsError(f"{out} is a bundle, and must keep to its own files. Give another folder.")
    facts = {"model": predictor.manifest.name, "definition": predictor.manifest.definition_digest[:12]}
    made: list[NDArray[np.uint8]] = []
    with told(out):
        out.mkdir(parents=True, exist_ok=True)
        for path, (seed, answer) in zip(paths, generate(predictor, settings, quiet=quiet), strict=False):
            label = {"label": names[seed.label]} if names else {}
            _write(path, marks.to_png(answer.pixels_HWC, {**facts, "seed": seed.seed, "index": seed.index, **label}))
            if len(made) < _IN_GRID:
                made.append(answer.pixels_HWC)
        _write(paths[-1], marks.to_png(marks.grid(made), {**facts, "seed": settings.seed, "count": len(made)}))
    return paths


def _write(path: Path, data: bytes) -> None:
    with new_file(path) as partial:
        partial.write_bytes(data)


def _name(seed: Seed, names: Sequence[str]) -> str:
    label = "".join(one if one.isalnum() else "_" for one in names[seed.label]) if names else ""
    return "-".join(filter(None, [f"{seed.seed}", f"{seed.index:05}", label])) + ".png"
