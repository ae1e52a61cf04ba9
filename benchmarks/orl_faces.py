"""Claim: a VAE reconstructs faces of people it has never seen, at 64 × 64 pixels, with a PSNR of at least 20 dB.

`orl_faces` has 40 people with 10 pictures each. They are split by person: 28 to train with, 4 to choose the settings
by, 8 to test. The model knows no names.

    python -m benchmarks.orl_faces [FOLDER]

The bundle and the generated pictures are kept in the folder if one is named; its report draws the reconstructions.
"""

import sys
import tempfile
from pathlib import Path

from benchmarks.common import claim, data, evaluated, machine, sightsmith

_PEOPLE = ("--group-by", "(s[0-9]+)/", "--label-by", "(pgm)$")
"""The ending is the label of every picture, so that there are no classes to ask for."""
_HOW = ("--task", "vae", "--size", "64", "--flip", "horizontal", "--crop-share", "0.7", "--epochs", "250")


def main() -> None:
    print(machine())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(sys.argv[1] if sys.argv[1:] else temporary)
        bundle = folder / "faces"
        sightsmith("train", data("orl_faces"), *_PEOPLE, *_HOW, "--out", bundle, quiet=True)
        sightsmith("generate", bundle, "--count", "32", "--out", folder / "made", quiet=True)
        psnr = {split: evaluated(bundle, split)["psnr"] for split in ("train", "val", "test")}
    print(f"PSNR of reconstructions: training {psnr['train']:.2f} dB, validation {psnr['val']:.2f} dB")
    sys.exit(not claim("PSNR of people never seen", psnr["test"], 20.0, unit="dB"))


if __name__ == "__main__":
    main()
