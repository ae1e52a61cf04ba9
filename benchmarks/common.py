"""What the benchmarks share: alternating runs, claims with their targets, the machine."""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from queue import SimpleQueue

from sightsmith.core.machine import this_machine

ROOT = Path(__file__).resolve().parents[1]
DATA = (ROOT / ".." / "shared" / "data").resolve()


def data(name: str) -> Path:
    """Return a folder of the real data that lies beside the checkout; end with a message where it is absent."""
    path = DATA / name
    if not path.exists():
        sys.exit(f"{name}: this benchmark needs the data folder {name!r} beside the checkout (shared/data).")
    return path


def machine() -> str:
    """Return the machine and the versions in a line."""
    parts = ("torch", "openvino", "pillow")
    versions = ", ".join(f"{part} {version(part)}" for part in parts)
    return f"{this_machine()}; Python {platform.python_version()}, {versions}"


def alternate(contestants: Mapping[str, Callable[[], object]], rounds: int, *, work: float = 1.0) -> dict[str, float]:
    """Run each contestant in turn, `rounds` times after one round to warm up.

    Returns:
        By contestant, its median rate: `work` units a second.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(rounds + 1):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return {name: work / statistics.median(times) for name, times in seconds.items()}


def claim(name: str, value: float, target: float, *, unit: str = "×", at_most: bool = False) -> bool:
    """Print a figure beside its target and tell whether it is reached."""
    reached = value <= target if at_most else value >= target
    sign = "≤" if at_most else "≥"
    print(f"{name}: {value:.4g} {unit} (target {sign} {target:g} {unit}): {'reached' if reached else 'MISSED'}")
    return reached


def sightsmith(*arguments: str | Path, quiet: bool = False) -> str:
    """Run the command line in a process of its own and return what it printed on standard output."""
    done = subprocess.run(
        [sys.executable, "-m", "sightsmith.cli", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if quiet else None,
        text=True,
        check=True,
    )
    return done.stdout


def evaluated(bundle: Path, split: str = "test") -> dict[str, float]:
    """Evaluate a bundle on a split of its own and return the metrics."""
    told = sightsmith("evaluate", bundle, "--data", split, "--json", quiet=True)
    metrics: dict[str, float] = json.loads(told)["metrics"]
    return metrics


def on_core(core: int, folder: Path, *command: str | Path, **environment: str) -> float:
    """Run a command to its end, with one thread on one core.

    Args:
        folder: for `coreN.log`, to which its output is appended.

    Returns:
        Its processor seconds: less than those of the clock, as far as other work ran on the core.

    Raises:
        RuntimeError: it failed.
    """
    bound = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src"), **environment}
    path = folder / f"core{core}.log"
    with path.open("ab") as log:
        placed = ["taskset", "-c", str(core), *map(str, command)]
        process = subprocess.Popen(placed, stdout=log, stderr=log, env={**os.environ, **bound})
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(map(str, command[:4]))} … failed; see {path}")
    return usage.ru_utime + usage.ru_stime


def each_on_a_core(jobs: Sequence[Callable[[int], None]]) -> None:
    """Run jobs side by side, each on a core of its own, of which it gets the number; in their order."""
    usable = sorted(os.sched_getaffinity(0))
    cores: SimpleQueue[int] = SimpleQueue()
    for core in usable:
        cores.put(core)

    def run(job: Callable[[int], None]) -> None:
        core = cores.get()
        try:
            job(core)
        finally:
            cores.put(core)

    with ThreadPoolExecutor(len(usable)) as pool:
        list(pool.map(run, jobs))


def peak_memory(arguments: list[str], environment: Mapping[str, str] | None = None) -> int:
    """Run a command to its end and return the largest resident size of it and its children, in bytes."""
    watcher = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", watcher, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, **(environment or {})},
    )
    return int(done.stdout) * 1024


def photo_bundle(folder: Path, model: str) -> Path:
    """Train `model` for one epoch on a few photographs and export it to OpenVINO: a net whose speed can be measured."""
    photos = folder / "photos"
    for number, path in enumerate(sorted(data("imagenet500").glob("*.jpg"))[:48]):
        link = photos / "ab"[number % 2] / path.name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    bundle = folder / model
    sightsmith(
        "train", photos, "--model", model, "--weights", "none", "--epochs", "1", "--batch-size", "8",
        "--out", bundle, quiet=True,
    )  # fmt: skip
    sightsmith("export", bundle, "--to", "openvino", quiet=True)
    return bundle
