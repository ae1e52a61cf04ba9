"""Fixtures that the whole suite shares."""

import os
from pathlib import Path

import pytest

# Nets in tests are tiny: more threads only wait for each other, most of all beside the other test process. Set before
# torch is imported; the processes that tests start inherit it.
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
def digits_bundle(tmp_path_factory):
    """Return the folder of a small real bundle without exports; copy it before changing it."""
    from small_bundle import write_digits_bundle

    path = tmp_path_factory.mktemp("bundle") / "digits"
    write_digits_bundle(path)
    return path


@pytest.fixture(scope="session")
def exported_bundle(digits_bundle, tmp_path_factory):
    """Return the folder of the same bundle exported to every backend that is installed here."""
    import shutil

    from sightsmith.runtime.choice import ranked
    from sightsmith.runtime.export import export

    path = tmp_path_factory.mktemp("exported") / "digits"
    shutil.copytree(digits_bundle, path)
    export(path, [name for name, file in ranked() if file.EXPORTED and not file.missing()], quiet=True)
    return path


@pytest.fixture(scope="module")
def browser():
    """Return a headless Chromium driven by Playwright."""
    import shutil

    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield launched
        launched.close()
