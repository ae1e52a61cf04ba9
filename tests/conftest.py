"""Fixtures that the whole suite shares."""

from pathlib import Path

import pytest

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
