"""Claim: OpenVINO bf16 ≥ 5 × torch eager fp32 on ResNet-50, batch 8, where the processor has AMX.

Elsewhere the ratio is printed for what it is. Batches of random pixels, uint8 in, probabilities out, alternating.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.common import alternate, claim, machine, photo_bundle
from sightsmith.core.machine import this_machine
from sightsmith.runtime.predictor import Predictor

_BATCH, _BATCHES, _ROUNDS = 8, 6, 5


def main() -> None:
    print(machine())
    pixels_NHWC = np.random.default_rng(0).integers(0, 256, (_BATCH, 224, 224, 3), dtype=np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        bundle = photo_bundle(Path(folder), "resnet50")
        wanted = (("torch", "fp32"), ("torch", "bf16"), ("openvino", "fp32"), ("openvino", "bf16"))
        opened = {f"{name} {precision}": Predictor.open(bundle, name, precision) for name, precision in wanted}
        found = alternate(
            {
                name: lambda predictor=predictor: list(
                    predictor.stream([{"pixels": pixels_NHWC}] * _BATCHES, predictor.outputs[:1])
                )
                for name, predictor in opened.items()
            },
            _ROUNDS,
            work=_BATCH * _BATCHES,
        )
    for name, rate in found.items():
        print(f"{name}: {rate:.1f} pictures/s, {rate / found['torch fp32']:.2f} × torch fp32")
    if not this_machine().amx:
        print("This processor has no AMX: the target of 5 × is not for it.")
        return
    sys.exit(not claim("OpenVINO bf16 / torch fp32", found["openvino bf16"] / found["torch fp32"], 5))


main()
