"""Claim: the base install (no `[train]`) serves, predicts and verifies a bundle, in ≤ 700 MB on disk."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.common import ROOT, claim, machine, photo_bundle


def main() -> None:
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = photo_bundle(folder, "resnet18")
        subprocess.run([sys.executable, "-m", "venv", folder / "base"], check=True)
        python = folder / "base" / "bin" / "python"
        install = [python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", ROOT]
        subprocess.run(install, check=True)
        size = sum(path.lstat().st_size for path in (folder / "base").rglob("*") if not path.is_dir())
        command = folder / "base" / "bin" / "sightsmith"
        subprocess.run([command, "verify", bundle], check=True)
        picture = next((folder / "photos").rglob("*.jpg"))
        said = subprocess.run([command, "predict", bundle, picture], check=True, capture_output=True, text=True).stdout
        print(json.loads(said)["labels"])
        torch = subprocess.run([python, "-c", "import torch"], check=False, capture_output=True).returncode
    if torch == 0:
        sys.exit("torch is in the base install")
    sys.exit(not claim("on disk", size / 1e6, 700, unit="MB", at_most=True))


main()
