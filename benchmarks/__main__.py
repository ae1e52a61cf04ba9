"""Run every benchmark, or those named: `python -m benchmarks [NAME …]`."""

import pkgutil
import subprocess
import sys

import benchmarks
from benchmarks.common import ROOT, machine


def main() -> None:
    found = {module.name for module in pkgutil.iter_modules(benchmarks.__path__)}
    names = sys.argv[1:] or sorted(
        found - {"__main__", "common", "boxes_to_table", "detection_peer", "detection_runtime"}
    )
    print(machine(), flush=True)
    failed = []
    for name in names:
        print(f"\n== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], cwd=ROOT, check=False).returncode:
            failed.append(name)
    if failed:
        sys.exit(f"\nTargets missed, or not run to the end: {', '.join(failed)}")


main()
