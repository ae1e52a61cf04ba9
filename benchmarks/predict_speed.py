"""Claim: `predict` on a folder of JPEGs ≥ 0.9 × the raw backend on ready batches (ResNet-50, OpenVINO)."""

import sys
import tempfile
from pathlib import Path

from benchmarks.common import alternate, claim, data, machine, photo_bundle
from sightsmith.core.ports import stack
from sightsmith.runtime.predictor import Predictor

_COUNT, _BATCH, _ROUNDS = 160, 8, 5


def main() -> None:
    print(machine())
    paths = sorted(data("imagenet500").glob("*.jpg"))[:_COUNT]
    with tempfile.TemporaryDirectory() as folder:
        predictor = Predictor.open(photo_bundle(Path(folder), "resnet50"), "openvino")
        read = [predictor.feeds(path) for path in paths]
        batches = [stack(read[at : at + _BATCH]) for at in range(0, _COUNT, _BATCH)]
        found = alternate(
            {
                "raw": lambda: list(predictor.stream(batches, predictor.outputs[:1])),
                "predict": lambda: list(predictor.predict(paths, batch=_BATCH)),
            },
            _ROUNDS,
            work=_COUNT,
        )
    for name, rate in found.items():
        print(f"{name}: {rate:.1f} pictures/s")
    sys.exit(not claim("predict / raw backend", found["predict"] / found["raw"], 0.9))


main()
