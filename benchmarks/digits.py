"""Claim: the 1,797 digits, trained by the defaults: test accuracy ≥ 0.985 in ≤ 60 s on 2 cores."""

import sys
import tempfile
import time
from pathlib import Path

from benchmarks.common import claim, evaluated, machine, sightsmith


def main() -> None:
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(folder) / "digits"
        start = time.perf_counter()
        sightsmith("train", "digits", "--out", bundle)
        seconds = time.perf_counter() - start
        accuracy = evaluated(bundle)["accuracy"]
    reached = [
        claim("test accuracy", accuracy, 0.985, unit=""),
        claim("training, from command to bundle", seconds, 60, unit="s", at_most=True),
    ]
    sys.exit(not all(reached))


main()
