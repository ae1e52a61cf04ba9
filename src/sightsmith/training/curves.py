"""The curve of a training: `metrics.csv`, a row an epoch, and `steps.csv`, a row a step."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sightsmith.core.errors import TrainingError
from sightsmith.core.files import write_text

METRICS, STEPS = "metrics.csv", "steps.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    number: int  # Counted from 1
    step: int  # Optimiser steps made so far
    lr: float = 0.0  # Learning rate of the last step; 0 for a learner that is fitted at once
    train_loss: float = math.nan  # Mean over the epoch's batches, as trained (varied, mixed, smoothed)
    train_losses: Mapping[str, float] = field(default_factory=dict)  # The same by optimiser, if there are several
    figures: Mapping[str, float]  # Of all validation pictures, by name
    metric: str  # Name of the watched one
    best: bool  # Whether no epoch before had a better score
    seconds: float  # Time of the epoch, validation included
    rate: float  # Training pictures a second, validation included

    @property
    def score(self) -> float:
        return self.figures[self.metric]

    @property
    def val_loss(self) -> float:
        """Its loss, NaN if the task's validation has none."""
        return self.figures.get("loss", math.nan)

    @property
    def further(self) -> dict[str, float]:
        """The validation figures beside the score and the loss, sorted by name."""
        return {name: self.figures[name] for name in sorted(self.figures.keys() - {self.metric, "loss"})}


class Curves:
    """Appends to the files, and cuts them back to the start of a resumed training."""

    def __init__(self, folder: Path) -> None:
        self._metrics, self._steps = folder / METRICS, folder / STEPS

    def keep_until(self, epoch: int) -> None:
        """Drop the rows after an epoch, which is trained again."""
        for path in (self._metrics, self._steps):
            lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
            kept = [line for line in lines[1:] if _epoch_of(line) <= epoch]
            write_text(path, "".join(f"{line}\n" for line in [*lines[:1], *kept]))

    def seconds(self) -> float:
        """Return the time of all epochs written so far."""
        if not self._metrics.exists():
            return 0.0
        with self._metrics.open(encoding="utf-8", newline="") as file:
            return sum(float(row["seconds"]) for row in csv.DictReader(file) if row.get("seconds"))

    def add(self, epoch: Epoch, losses: Sequence[float]) -> None:
        """Append an epoch and the loss of each of its batches.

        Raises TrainingError: the disk is full or cannot be written.
        """
        validated = {"loss": epoch.val_loss, epoch.metric: epoch.score, **epoch.further}
        row = (
            {"epoch": epoch.number, "step": epoch.step, "lr": epoch.lr, "train_loss": epoch.train_loss}
            | {f"train_loss_{name}": value for name, value in epoch.train_losses.items()}
            | {f"val_{name}": value for name, value in validated.items()}
            | {"seconds": round(epoch.seconds, 3), "images_per_second": round(epoch.rate, 1)}
        )
        _append(self._metrics, list(row), [list(row.values())])
        rows = [[epoch.number, number, loss] for number, loss in enumerate(losses, 1)]
        _append(self._steps, ["epoch", "batch", "train_loss"], rows)


def _append(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    try:
        with path.open("a", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            if file.tell() == 0:
                writer.writerow(header)
            writer.writerows(rows)
    except OSError as error:
        raise TrainingError(
            f"{path}: cannot be written ({error}). Make room on the disk, then go on with --resume."
        ) from error


def _epoch_of(line: str) -> float:
    """Return a row's epoch, infinity for a row that was cut off while it was written."""
    first = line.partition(",")[0]
    return int(first) if first.isdigit() else float("inf")
