"""Claim: with the number of threads left open, speed is within 1.25 × of the best fixed number, quiet and busy.

Busy is two processes that only spin, started here. Each round runs every number of threads in turn, quiet and then
busy; medians count.
- training: `train` as a user runs it (ResNet-18 at 96², random pictures in memory): pictures over seconds of all its
  epochs, trials included;
- predict and serve: the session that both use, on ready batches of 8 (`stream`, predict) and 1 (`run`, serve), for
  each backend that is installed.
"""

import csv
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.common import claim, machine, photo_bundle, sightsmith
from sightsmith.core.machine import usable_cores
from sightsmith.runtime.predictor import Predictor

_SIDE, _COUNT, _EPOCHS, _ROUNDS, _SECONDS = 96, 512, 2, 2, 1.5
_LIMIT = 1.25
Rates = dict[tuple[str, bool, str], list[float]]
"""By (work, busy, threads), pictures a second of each round."""


@contextmanager
def spinning(busy: bool) -> Iterator[None]:
    beside = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2 * busy)]
    try:
        yield
    finally:
        for process in beside:
            process.kill()
            process.wait()


def pictures(path: Path) -> Path:
    rng = np.random.default_rng(0)
    made = {}
    for split, count in (("train", _COUNT), ("val", 20)):
        made[f"{split}_images"] = rng.integers(0, 256, (count, _SIDE, _SIDE, 3), dtype=np.uint8)
        made[f"{split}_labels"] = np.arange(count) % 10
    np.savez(path, **made)
    return path


def trained(data: Path, folder: Path, threads: str) -> float:
    given = [] if threads == "open" else ["--threads", threads]
    out = folder / "out"
    sightsmith(
        "train", data, "--out", out, "--model", "resnet18", "--weights", "none", "--size", str(_SIDE),
        "--batch-size", "16", "--epochs", str(_EPOCHS), "--crop-share", "1", "--workers", "0", "--overwrite", *given,
        quiet=True,
    )  # fmt: skip
    with (out / "report" / "metrics.csv").open(encoding="utf-8") as file:
        rates = [float(row["images_per_second"]) for row in csv.DictReader(file)]
    return statistics.harmonic_mean(rates)


def rate(call: Callable[[], int]) -> float:
    call()
    start, items = time.perf_counter(), 0
    while time.perf_counter() - start < _SECONDS:
        items += call()
    return items / (time.perf_counter() - start)


def answered(predictor: Predictor, *, batch: int) -> int:
    names = predictor.outputs[:1]
    ports = predictor.definition.graph.inputs
    feeds = {name: np.zeros((batch, *port.shape), port.dtype) for name, port in ports.items()}
    if batch == 1:
        predictor.run(feeds, names)
        return 1
    return sum(len(answer[names[0]]) for answer in predictor.stream([feeds] * 6, names))


def main() -> None:
    print(machine())
    numbers = [*(str(number) for number in sorted({1, max(1, usable_cores() // 2), usable_cores()})), "open"]
    rates: Rates = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data, bundle = pictures(folder / "random.npz"), photo_bundle(folder, "resnet18")
        predictors = {
            (backend, threads): Predictor.open(bundle, backend, threads=0 if threads == "open" else int(threads))
            for backend in ("openvino",)
            for threads in numbers
        }
        works: dict[str, Callable[[str], float]] = {"train": lambda threads: trained(data, folder, threads)}
        works["predict, openvino"] = lambda threads: rate(lambda: answered(predictors["openvino", threads], batch=8))
        works["serve, openvino"] = lambda threads: rate(lambda: answered(predictors["openvino", threads], batch=1))
        for _ in range(_ROUNDS):
            for busy in (False, True):
                with spinning(busy):
                    for work, run in works.items():
                        for threads in numbers:
                            rates.setdefault((work, busy, threads), []).append(run(threads))
    reached = []
    for work, busy in sorted({key[:2] for key in rates}):
        found = {threads: statistics.median(rates[work, busy, threads]) for threads in numbers}
        told = ", ".join(f"{threads}: {value:.1f}" for threads, value in found.items())
        name = f"{work}, {'busy' if busy else 'quiet'}"
        print(f"{name}: pictures/s by threads: {told}")
        best = max(value for threads, value in found.items() if threads != "open")
        reached.append(claim(f"{name}: best fixed / open", best / found["open"], _LIMIT, at_most=True))
    sys.exit(not all(reached))


main()
