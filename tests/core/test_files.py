"""Files are written whole or not at all, and archives cannot escape."""

import os
import stat
import subprocess
import sys
import zipfile

import pytest

from sightsmith.core.errors import BundleError, OutputExistsError
from sightsmith.core.files import new_file, refuse_existing, replace_folder, sha256, unzip, write_text


@pytest.fixture
def fresh(tmp_path):
    (tmp_path / "fresh").mkdir()
    (tmp_path / "fresh" / "new.txt").write_text("new")
    return tmp_path / "fresh"


@pytest.fixture
def out(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old.txt").write_text("old")
    return tmp_path / "out"


def test_a_folder_is_moved_whole(tmp_path, fresh):
    replace_folder(fresh, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["new.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_failed_move_leaves_the_old_folder(tmp_path, out):
    with pytest.raises(FileNotFoundError):
        replace_folder(tmp_path / "none", out)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert [path.name for path in out.iterdir()] == ["old.txt"]


def test_an_existing_folder_is_refused_or_replaced(tmp_path, out, fresh):
    with pytest.raises(OutputExistsError, match="exists already.*overwrite=True"):
        refuse_existing(out, overwrite=False, folder=True)
    refuse_existing(out, overwrite=True, folder=True)
    replace_folder(fresh, out)
    assert [path.name for path in out.iterdir()] == ["new.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_a_killed_process_left_behind_is_in_nobodys_way(tmp_path, out, fresh):
    left = tmp_path / f".out.{os.getpid()}.old"
    left.mkdir()
    replace_folder(fresh, out)
    assert [path.name for path in out.iterdir()] == ["new.txt"]
    assert {path.name for path in tmp_path.iterdir()} == {"out", left.name}


def test_a_link_is_replaced_and_not_what_it_points_to(tmp_path, fresh):
    (tmp_path / "kept").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "kept")
    replace_folder(fresh, tmp_path / "out")
    assert not (tmp_path / "out").is_symlink()
    assert {path.name for path in tmp_path.iterdir()} == {"out", "kept"}


def test_a_folder_is_no_place_for_a_file(tmp_path):
    (tmp_path / "a.txt").mkdir()
    for overwrite in (False, True):
        with pytest.raises(OutputExistsError, match="is a folder. Give the name of a file"):
            refuse_existing(tmp_path / "a.txt", overwrite=overwrite)


def test_a_failed_file_leaves_the_old_one(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), new_file(path) as partial:
        partial.write_text("half")
        raise RuntimeError("stop")
    assert path.read_text() == "old"
    assert [found.name for found in tmp_path.iterdir()] == ["a.txt"]


def test_files_are_readable_by_others_as_the_umask_says(tmp_path):
    write_text(tmp_path / "a.txt", "a")
    plain = tmp_path / "b.txt"
    plain.write_text("b")
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_sha256_is_the_known_one(tmp_path):
    write_text(tmp_path / "a", "abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil", "a\\..\\..\\evil", "C:evil"])
def test_an_archive_cannot_write_outside(tmp_path, name):
    archive = tmp_path / "bad.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr(name, "x")
    (tmp_path / "in").mkdir()
    with pytest.raises(BundleError, match="outside the folder"):
        unzip(archive, tmp_path / "in")
    assert not list((tmp_path / "in").iterdir())


def test_a_link_in_an_archive_is_refused(tmp_path):
    archive = tmp_path / "link.zip"
    member = zipfile.ZipInfo("link")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr(member, "/etc/passwd")
    with pytest.raises(BundleError, match="outside the folder"):
        unzip(archive, tmp_path)


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_archive_is_stored_or_deflated(tmp_path, compression):
    archive = tmp_path / "odd.zip"
    with zipfile.ZipFile(archive, "w", compression) as zipped:
        zipped.writestr("a.txt", "a" * 100)
    with pytest.raises(BundleError, match=rf"a\.txt.* compressed with method {compression}; .*zip -r"):
        unzip(archive, tmp_path)
    assert not (tmp_path / "a.txt").exists()


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path):
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        for number in range(10_001):
            zipped.writestr(str(number), "")
    with pytest.raises(BundleError, match="10,000 files"):
        unzip(archive, tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_an_archive_without_room_to_unpack_is_not_called_damaged(tmp_path):
    """A limit on the size of files makes writing fail part-way, as a full disk does."""
    with zipfile.ZipFile(tmp_path / "large.zip", "w") as zipped:
        zipped.writestr("weights", bytes(100_000))
    code = (
        "import resource, signal, sys; from pathlib import Path; from sightsmith.core.files import unzip;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000));"
        "unzip(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "large.zip", tmp_path], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "OutputError" in done.stderr
    assert f"{tmp_path}: no room to unpack" in done.stderr


def test_a_damaged_archive_is_named(tmp_path):
    (tmp_path / "bad.zip").write_bytes(b"PK\x03\x04nothing")
    with pytest.raises(BundleError, match=r"bad\.zip: not a whole zip"):
        unzip(tmp_path / "bad.zip", tmp_path)
