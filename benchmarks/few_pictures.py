"""Claims: a few thousand small pictures, from nothing, by the defaults.

`gtsrb_tracks` has 43 kinds of signs, 4 tracks of 10 frames each. `folds` holds out whole tracks, one of four at a time,
and compares short trainings of the default net with HOG and ridge regression, and with itself without one of its
choices; it reads no test split. The other two are trained by the defaults alone and measured on their test splits:
signs on unseen tracks, and the photographs of `cifar10_subset`, of which 4,500 are for training.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.common import claim, data, evaluated, machine, sightsmith

_TRACKS = ("--group-by", r"^(\d+/\d+)_")
_FOLDS = 4
_SHORT = ("--size", "32", "--epochs", "30")
_COMPARED = {
    "hog_ridge": ("--model", "hog_ridge"),
    "smallresnet": _SHORT,
    "smallresnet, normalised by the data": (*_SHORT, "--contrast", "data"),
    "smallresnet, colour never taken": (*_SHORT, "--decolour", "0"),
    "smallresnet, mirrored": (*_SHORT, "--flip", "horizontal"),
}


def folds(folder: Path) -> list[bool]:
    """Cross-validate on whole tracks of signs."""
    means = {}
    for at, (name, flags) in enumerate(_COMPARED.items()):
        found = []
        for fold in range(_FOLDS):
            bundle = folder / f"{at}-{fold}"
            cut = ("--folds", str(_FOLDS), "--fold", str(fold))
            sightsmith("train", data("gtsrb_tracks"), *_TRACKS, *cut, *flags, "--out", bundle, quiet=True)
            figures = evaluated(bundle, "val")
            found.append((figures["accuracy"], figures["group_accuracy"]))
        frames, tracks = zip(*found, strict=True)
        each = ", ".join(f"{one:.3f}" for one in frames)
        print(f"signs, {name}: {np.mean(frames):.3f} a frame ({each}), {np.mean(tracks):.3f} a track", flush=True)
        means[name] = float(np.mean(frames))
    gain = means["smallresnet"] - means["smallresnet, normalised by the data"]
    return [
        claim("signs: accuracy of the default net a frame, mean of 4 folds", means["smallresnet"], 0.86, unit=""),
        claim("signs: what normalising each picture adds", gain, 0.1, unit=""),
    ]


def _tested(name: str, target: float, *flags: str) -> Callable[[Path], list[bool]]:
    def run(folder: Path) -> list[bool]:
        bundle, start = folder / name, time.perf_counter()
        sightsmith("train", data(name), *flags, "--out", bundle)
        print(f"{name}: trained in {(time.perf_counter() - start) / 60:.1f} min")
        return [claim(f"{name}: test accuracy", evaluated(bundle)["accuracy"], target, unit="")]

    return run


_PARTS = {
    "folds": folds,
    "gtsrb_tracks": _tested("gtsrb_tracks", 0.73, *_TRACKS),
    "cifar10_subset": _tested("cifar10_subset", 0.75),
}


def main() -> None:
    print(machine())
    with tempfile.TemporaryDirectory() as temporary:
        reached = [one for name in sys.argv[1:] or _PARTS for one in _PARTS[name](Path(temporary))]
    sys.exit(not all(reached))


if __name__ == "__main__":
    main()
