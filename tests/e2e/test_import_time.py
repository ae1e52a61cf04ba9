"""Help and the import are quick, because they import nothing heavy."""

import re
import resource
import subprocess
import sys
from collections.abc import Callable

from doc_pages import VERBS

HEAVY = {"torch", "torchvision", "lightning", "timm", "openvino", "onnxruntime", "numpy", "PIL", "fastapi", "sklearn"}


def best(seconds: Callable[[], float], bound: float) -> float:
    """Return the least of up to twelve measurements, ending early below the bound: a busy machine only adds."""
    least = float("inf")
    for _ in range(12):
        least = min(least, seconds())
        if least <= bound:
            break
    return least


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=60, check=True)


def imported(*arguments: str) -> set[str]:
    """Return the names of the packages that a Python process imports."""
    told = run("-X", "importtime", *arguments).stderr
    return {name.split(".")[0] for name in re.findall(r"\|\s*([\w.]+)$", told, flags=re.MULTILINE)}


def test_help_takes_a_third_of_a_second():
    """Processor time of the process: what it takes on a free machine, since it does one thing at a time."""

    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run("-m", "sightsmith.cli", "--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    assert best(seconds, 0.3) <= 0.3


def test_importing_takes_a_fifth_of_a_second():
    code = "import time; begun = time.process_time(); import sightsmith; print(time.process_time() - begun)"
    assert best(lambda: float(run("-c", code).stdout), 0.2) <= 0.2


def test_help_imports_nothing_heavy():
    packages = imported("-m", "sightsmith.cli", "--help")
    assert {"sightsmith", "cyclopts"} <= packages
    assert not packages & HEAVY


def test_the_package_imports_nothing_heavy():
    packages = imported("-c", "import sightsmith; sightsmith.__version__, dir(sightsmith)")
    assert "sightsmith" in packages
    assert not packages & (HEAVY | {"cyclopts", "rich"})


def test_a_training_that_cannot_start_is_refused_without_torch(tmp_path):
    (tmp_path / "x.train").mkdir()
    (tmp_path / "x.train/run.toml").write_text(f'data = "digits"\nout = "{tmp_path}/x"\nepochs = 2\n')
    for flags, told in (("--resume --epochs 3", "other settings: epochs"), ("", "interrupted training")):
        command = [
            "-X",
            "importtime",
            "-m",
            "sightsmith.cli",
            "train",
            "digits",
            "--out",
            tmp_path / "x",
            *flags.split(),
        ]
        done = subprocess.run([sys.executable, *command], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2
        assert told in done.stderr
        packages = {name.split(".")[0] for name in re.findall(r"\|\s*([\w.]+)$", done.stderr, flags=re.MULTILINE)}
        assert "sightsmith" in packages
        assert not packages & {"torch", "lightning"}


def test_every_verb_has_help():
    listed = run("-m", "sightsmith.cli", "--help").stdout
    for verb in VERBS:
        assert re.search(rf"\b{verb}\b", listed)
    told = run("-m", "sightsmith.cli", "train", "--help").stdout
    assert "--epochs" in told
    assert "--resume" in told
