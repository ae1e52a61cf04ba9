"""Run every benchmark, or those named: `python -m benchmarks [NAME …]`."""

import pkgutil
import subprocess
import sys

import benchmarks
from benchmarks.common import ROOT, machine


def main() -> None:
    names = sys.argv[1:] or sorted(
        found.name for found in pkgutil.iter_modules(benchmarks.__path__) if found.name not in {"__main__", "common"}
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
