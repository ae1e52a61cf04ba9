"""Claims: tags are ranked better than by chance; cells are counted with ≤ 0.6 × the error of the mean; intervals hold.

`coad_driving_coco` and `bccd_voc` are detection data; `boxes_to_table` makes tables of their boxes' classes and counts.
The settings were chosen on validation pictures. Coverage is the mean over 20 seeds of small nets, each with its own
split, because split conformal prediction promises it over draws of the calibration samples.
"""

import csv
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.boxes_to_table import EVERYWHERE, READERS, tested, write_tables
from benchmarks.common import claim, data, machine, sightsmith

_SETS = {"coad": "coad_driving_coco", "bccd_voc": "bccd_voc"}
_NET = ("--model", "smallresnet", "--size", "128")
_CELLS = ("--flip", "both", "--epochs", "40", "--cache", "ram")
_QUICK = ("--model", "smallresnet", "--net.width", "8", "--size", "48", "--epochs", "6")
_SEEDS = 20


def evaluation(bundle: Path) -> dict:
    return json.loads(sightsmith("evaluate", bundle, "--json"))


def tags(folder: Path) -> list[bool]:
    """Train and test a tagger on each data set."""
    reached = []
    for name in _SETS:
        sightsmith("train", folder / name / "tags.csv", *_NET, "--epochs", "30", "--out", folder / f"{name}-tags")
        done = evaluation(folder / f"{name}-tags")
        span = done["intervals"]["map_gain"]
        between = f"{span['value']:.3f} ({span['low']:.3f}…{span['high']:.3f})"
        print(f"{name}: mAP {done['metrics']['map']:.3f}, above its prior by {between}")
        reached.append(claim(f"{name}: mAP above its prior, lower end of 95 %", span["low"], 0.0, unit=""))
    return reached


def cells(folder: Path) -> list[bool]:
    """Count cells, and compare with always answering the mean."""
    sightsmith("train", folder / "bccd_voc/cells.csv", "--unit", "cells", *_NET, *_CELLS, "--out", folder / "cells")
    metrics = evaluation(folder / "cells")["metrics"]
    print(f"cells: MAE {metrics['mae']:.2f}, of the mean {metrics['mae_of_mean']:.2f}, R² {metrics['r2']:.2f}")
    return [claim("cells: MAE against the mean's", metrics["mae"] / metrics["mae_of_mean"], 0.6, at_most=True)]


def coverage(folder: Path) -> list[bool]:
    """Measure how many truths lie in intervals that were made to hold 90 %."""
    table = folder / "bccd_voc/open.csv"
    with (folder / "bccd_voc/cells.csv").open(newline="") as closed, table.open("w", newline="") as opened:
        csv.writer(opened).writerows(row[:2] for row in csv.reader(closed))
    held = []
    for seed in range(_SEEDS):
        bundle = folder / f"seed-{seed}"
        sightsmith("train", table, *_QUICK, "--seed", str(seed), "--out", bundle)
        held.append(evaluation(bundle)["metrics"]["coverage"])
    mean = sum(held) / len(held)
    print(f"coverage of 90 % intervals over {_SEEDS} seeds: {min(held):.3f}…{max(held):.3f}")
    return [claim("coverage, mean", mean, 0.88, unit=""), claim("coverage, mean", mean, 0.92, unit="", at_most=True)]


def main() -> None:
    print(machine())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, source in _SETS.items():
            boxes, test = READERS[name](data(source)), tested(data(source))
            write_tables(boxes, test, folder / name, EVERYWHERE.get(name))
        parts = {"tags": tags, "cells": cells, "coverage": coverage}
        reached = [one for name, part in parts.items() if name in (sys.argv[1:] or parts) for one in part(folder)]
    sys.exit(not all(reached))


if __name__ == "__main__":
    main()
