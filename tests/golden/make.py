"""How the golden bundles and their answers were made: `make.py DATA OUT`, by the version that wrote schema 1 (df7bde0).

DATA is the folder of shared data, in which the commands run, so that the bundles name their data without its place.
Never run again over what is here: a golden answer that is made by the code it judges judges nothing.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from golden.answers import answers_of
from processes import sightsmith

MADE = {
    "digits": ("digits", "--epochs", "3"),
    "gtsrb_tracks": ("gtsrb_tracks", "--group-by", r"^(\d+/\d+)_", "--flip", "none", "--epochs", "40", "--size", "24"),
    "cifar10_subset": ("cifar10_subset", "--epochs", "4"),
}
SMALL = ("--net.width", "8", "--threads", "1", "--deterministic")


def main() -> None:
    data, out = Path(sys.argv[1]), Path(sys.argv[2]).resolve()
    for name, arguments in MADE.items():
        with tempfile.TemporaryDirectory() as temporary:
            bundle = Path(temporary) / name
            sightsmith("train", *arguments, *SMALL, "--out", bundle, cwd=data).succeeded()
            sightsmith("export", bundle, "--to", "openvino,onnx", cwd=data).succeeded()
            shutil.make_archive(str(out / name), "zip", temporary, name)
            expected = answers_of(bundle, "torch", data)
        (out / f"{name}.json").write_text(
            json.dumps(expected, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8"
        )


if __name__ == "__main__":
    main()
