"""Fixtures that the whole suite shares."""

import os
import shutil
from pathlib import Path

import hypothesis
import pytest

import shapes_by_name

shapes_by_name.install()

# Nets in tests are tiny: more threads only wait for each other, most of all beside the other test process. Set before
# torch is imported; the processes that tests start inherit it.
hypothesis.settings.register_profile("any load", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("any load")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # before a test imports it

SHARED = Path(__file__).parents[1] / ".." / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data():
    """Return a function from a folder's name to its path in the shared data, skipping where it is absent."""

    def find(name: str) -> Path:
        path = (SHARED / name).resolve()
        if not path.exists():
            pytest.skip(f"needs the shared data folder {name!r}, which is not beside this checkout")
        return path

    return find


@pytest.fixture(scope="session")
def made_once(tmp_path_factory, worker_id):
    """Return a function that gives a folder of its own, filled by `make`, which runs once for all test processes."""
    from sightsmith.core.locks import alone_in

    top = tmp_path_factory.getbasetemp()
    shared = (top if worker_id == "master" else top.parent) / "made_once"

    def give(name: str, make) -> Path:
        whole, place = shared / name, shared / f"{name}.lock"
        place.mkdir(parents=True, exist_ok=True)
        with alone_in(place):
            if not whole.exists():
                partial = shared / f"{name}.part"
                partial.mkdir()  # there already if it failed in another process: once is enough
                make(partial)
                partial.rename(whole)
        return Path(shutil.copytree(whole, tmp_path_factory.mktemp(name) / name, symlinks=True))

    return give


@pytest.fixture(scope="session")
def digits_bundle(made_once):
    """Return the folder of a small real bundle without exports; copy it before changing it."""
    from small_bundle import write_digits_bundle

    return made_once("digits_bundle", lambda folder: write_digits_bundle(folder / "digits")) / "digits"


@pytest.fixture(scope="session")
def exported_bundle(digits_bundle, made_once):
    """Return the folder of the same bundle exported to every backend that is installed here."""
    from sightsmith.bundle.store import Bundle
    from sightsmith.runtime.backends import BACKENDS
    from sightsmith.runtime.export import export

    def make(folder: Path) -> None:
        shutil.copytree(digits_bundle, folder / "digits")
        files = {name: BACKENDS.module(name) for name in BACKENDS.names()}
        to = [name for name, file in files.items() if file.EXPORTED and not file.missing()]
        export(Bundle.open(folder / "digits"), to, quiet=True)

    return made_once("exported_bundle", make) / "digits"


@pytest.fixture(scope="session")
def coloured_bundle(made_once):
    """Return the folder of a detector of coloured rectangles, exported to OpenVINO."""
    from coloured_boxes import write_detector

    return made_once("coloured_bundle", lambda folder: write_detector(folder / "colours")) / "colours"


@pytest.fixture(scope="session")
def moving_bars_bundles(made_once):
    """Return a folder with two small bundles for clips: `carries` streams by its state, `window` by a window.

    `window` is exported to OpenVINO, `carries` to every backend.
    """
    from moving_clips import write_bars_bundle
    from sightsmith.runtime.export import export

    def make(folder: Path) -> None:
        export(write_bars_bundle(folder / "carries", carries=True), ("openvino", "onnx"), quiet=True)
        export(write_bars_bundle(folder / "window", carries=False), ("openvino",), quiet=True)

    return made_once("moving_bars_bundles", make)


@pytest.fixture(scope="session")
def making_bundles(made_once):
    """Return a folder with a small bundle of each task that makes pictures, by its name, trained and exported."""
    from sightsmith.model import train
    from sightsmith.tasks import TASKS

    def make(folder: Path) -> None:
        for task in (name for name in TASKS.names() if TASKS.module(name).KIND == "pictures"):
            how = {"task": task, "net": {"width": 8}, "epochs": 1, "threads": 1}
            with train("digits", out=folder / task, quiet=True, **how) as model:
                model.export(("openvino", "onnx"), quiet=True)

    return made_once("making_bundles", make)


@pytest.fixture(scope="module")
def browser():
    """Return a headless Chromium driven by Playwright."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield launched
        launched.close()
