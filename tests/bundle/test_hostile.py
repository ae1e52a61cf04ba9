"""Bundles made to do harm: archives that fill a disk, files that never end, entries that nobody listed."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

import pytest

from sightsmith.bundle.store import Bundle, verify
from sightsmith.core.errors import BundleError
from small_bundle import pack


@pytest.fixture
def copy(digits_bundle, tmp_path):
    return Path(shutil.copytree(digits_bundle, tmp_path / "digits"))


@pytest.fixture
def archive(digits_bundle, tmp_path):
    return pack(Bundle.open(digits_bundle), tmp_path / "digits.zip")


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Unpack into a folder of the test's own."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def test_nothing_is_unpacked_of_an_archive_with_an_unlisted_member(archive, temporary):
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as zipped, zipped.open("bomb.bin", "w") as member:
        for _ in range(64):
            member.write(bytes(1 << 20))
    with pytest.raises(BundleError, match=r"bomb\.bin: not listed in the manifest"):
        Bundle.open(archive)
    assert not list(temporary.rglob("*.*"))


def test_a_listed_member_that_compresses_absurdly_is_refused(archive, digits_bundle, temporary, tmp_path):
    """The manifest may list the bomb: what it unpacks to is compared with the size of the archive."""
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            content = bytes(64 << 20) if member.filename == "splits.json" else old.read(member)
            new.writestr(member.filename, content)
    with pytest.raises(BundleError, match=r"would unpack to .* do not trust it"):
        Bundle.open(bomb)
    assert not list(temporary.rglob("*.*"))


def test_an_archive_without_a_manifest_is_not_unpacked(tmp_path, temporary):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as zipped:
        zipped.writestr("a.jpg", "x")
    with pytest.raises(BundleError, match=r"not a bundle \(no manifest"):
        Bundle.open(tmp_path / "photos.zip")
    assert not list(temporary.rglob("*.*"))


def test_what_a_killed_process_unpacked_is_removed_by_the_next_and_a_live_one_is_not(archive, temporary):
    code = (
        "import os, signal, sys, tempfile\n"
        "tempfile.tempdir = sys.argv[2]\n"
        "from sightsmith.bundle.store import Bundle\n"
        "bundle = Bundle.open(sys.argv[1])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, archive, temporary], check=False)
    (orphan,) = temporary.iterdir()
    with Bundle.open(archive) as live:
        assert orphan.exists(), "young: its process may not have locked it yet"
        long_ago = time.time() - 3600
        for folder in temporary.iterdir():
            os.utime(folder, (long_ago, long_ago))
        Bundle.open(archive).close()
        assert not orphan.exists()
        assert verify(live) == []
    assert not list(temporary.iterdir())


ENTRIES = {
    "report/loose": (lambda path: path.symlink_to("/etc/passwd"), "report/loose: a link that is not listed"),
    "report/away": (lambda path: path.symlink_to("/etc", True), "report/away: a link that is not listed"),
    "report/empty": (Path.mkdir, "report/empty: an empty folder"),
    "report/.hidden": (Path.touch, r"report/\.hidden: a hidden file"),
    "report/pipe": (os.mkfifo, "report/pipe: a pipe or device"),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_what_nobody_listed_is_named(copy, name):
    make, told = ENTRIES[name]
    make(copy / name)
    with pytest.raises(BundleError, match=told):
        Bundle.open(copy)


@pytest.mark.parametrize("name", ["weights.safetensors", "manifest.json"])
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "device"])
def test_a_file_that_never_ends_is_refused_at_once(copy, name, make):
    (copy / name).unlink()
    make(copy / name)
    with pytest.raises(BundleError, match="a pipe or device|not a regular file"):
        Bundle.open(copy)


def test_a_pipe_is_no_bundle(tmp_path):
    os.mkfifo(tmp_path / "pipe.zip")
    with pytest.raises(BundleError, match="not a regular file"):
        Bundle.open(tmp_path / "pipe.zip")


def test_a_listed_file_may_be_a_link_to_the_same_content(copy, tmp_path):
    """As in the cache of a hub, whose snapshots are links."""
    shutil.move(copy / "weights.safetensors", tmp_path / "blob")
    (copy / "weights.safetensors").symlink_to(tmp_path / "blob")
    assert verify(Bundle.open(copy)) == []
