"""Only a bundle or an empty folder is ever replaced; links and the working folder stay what they are."""

import errno
import shutil
import threading
from pathlib import Path

import pytest

from sightsmith.bundle.location import refuse_taken
from sightsmith.bundle.store import Bundle, add_files, verify
from sightsmith.core.errors import BundleError, OutputExistsError
from sightsmith.core.locks import alone_in
from small_bundle import pack, write_digits_bundle


@pytest.fixture
def copy(digits_bundle, tmp_path) -> Path:
    """Return a copy of the small bundle that may be changed."""
    return Path(shutil.copytree(digits_bundle, tmp_path / "digits"))


@pytest.fixture
def pictures(tmp_path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "cat").mkdir(parents=True)
    (folder / "cat" / "1.jpg").write_bytes(b"dear")
    (folder / "manifest.json").write_text("{}")
    return folder


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_is_no_bundle_is_never_replaced(pictures, overwrite):
    with pytest.raises(OutputExistsError, match="pictures exists already and is not a bundle.*Give another name"):
        write_digits_bundle(pictures, steps=1, overwrite=overwrite)
    assert (pictures / "cat" / "1.jpg").read_bytes() == b"dear"


@pytest.mark.parametrize("name", ["digits", "notes", "pictures.zip", "pictures"])
def test_a_file_that_is_no_bundle_is_never_replaced(tmp_path, pictures, name):
    (tmp_path / "notes").write_text("dear")
    shutil.make_archive(str(tmp_path / "pictures"), "zip", pictures)
    (tmp_path / "digits").write_bytes(b"")
    with pytest.raises(OutputExistsError, match="is not a bundle"):
        refuse_taken(tmp_path / name, overwrite=True)


def test_a_folder_is_not_replaced_by_an_archive(copy):
    place = copy.rename(copy.with_name("digits.zip"))
    with pytest.raises(OutputExistsError, match=r"digits\.zip exists already"):
        refuse_taken(place, overwrite=True)


def test_bundles_and_empty_folders_are_replaced_when_asked(digits_bundle, copy, tmp_path):
    (tmp_path / "empty").mkdir()
    (copy / ".git").mkdir()
    (copy / ".git" / "HEAD").write_text("ref")
    for place in (tmp_path / "empty", copy):
        with pytest.raises(OutputExistsError, match="overwrite=True to replace it"):
            write_digits_bundle(place, steps=1)
        assert verify(write_digits_bundle(place, steps=1, overwrite=True)) == []
    assert (copy / ".git" / "HEAD").read_text() == "ref"
    archive = pack(Bundle.open(digits_bundle), tmp_path / "digits.zip")
    with pytest.raises(OutputExistsError, match="overwrite=True to replace it"):
        write_digits_bundle(archive, steps=1)
    with write_digits_bundle(archive, steps=1, overwrite=True) as bundle:
        assert bundle.manifest == Bundle.open(copy).manifest


@pytest.mark.parametrize("zipped", [False, True])
def test_a_link_stays_a_link_and_its_target_takes_the_files(copy, tmp_path, zipped):
    target = pack(Bundle.open(copy), tmp_path / "digits.zip") if zipped else copy
    link = tmp_path / f"latest{target.suffix}"
    link.symlink_to(target.name)
    with Bundle.open(link) as bundle:
        after = add_files(bundle, {"report/a.txt": "a"})
    assert after.path == link
    assert link.is_symlink()
    with Bundle.open(target) as bundle:
        assert bundle.file("report/a.txt").read_text() == "a"
    if not zipped:
        write_digits_bundle(link, steps=1, overwrite=True)
        assert link.is_symlink()
        assert "report/a.txt" not in Bundle.open(copy).manifest.files


def test_the_working_folder_takes_files_and_stays_the_same_folder(copy, monkeypatch):
    (copy / ".gitignore").write_text("*")
    monkeypatch.chdir(copy)
    before = copy.stat().st_ino
    after = add_files(Bundle.open("."), {"report/a.txt": "a"})
    again = add_files(after, {"report/b.txt": "b"})
    assert (str(again.path), again.file("report/a.txt").read_text()) == (".", "a")
    assert copy.stat().st_ino == before
    assert (copy / ".gitignore").read_text() == "*"
    assert verify(Bundle.open(copy)) == []
    assert list(copy.parent.iterdir()) == [copy]


def test_a_folder_of_the_bundle_may_be_the_working_folder(copy, monkeypatch):
    monkeypatch.chdir(copy / "report")
    after = add_files(Bundle.open(".."), {"report/a.txt": "a"})
    assert after.file("report/a.txt").read_text() == "a"
    assert verify(Bundle.open(copy)) == []


def test_a_working_folder_that_cannot_be_filled_is_as_it_was(copy, monkeypatch):
    monkeypatch.chdir(copy)
    rename = Path.rename

    def full(self: Path, target: Path) -> Path:
        if self.name == "report" and self.parent.name == "bundle":
            raise OSError(errno.ENOSPC, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(BundleError, match="No space left.*unchanged"):
        add_files(Bundle.open("."), {"report/a.txt": "a"})
    assert verify(Bundle.open(".")) == []
    assert "report/a.txt" not in Bundle.open(".").manifest.files
    assert list(copy.parent.iterdir()) == [copy]


def test_a_bundle_that_cannot_be_moved_into_place_leaves_the_old_one(copy, monkeypatch):
    rename = Path.rename

    def stuck(self: Path, target: Path) -> Path:
        if self.name == "bundle":
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", stuck)
    with pytest.raises(BundleError, match="unchanged"):
        add_files(Bundle.open(copy), {"report/a.txt": "a"})
    assert verify(Bundle.open(copy)) == []
    assert list(copy.parent.iterdir()) == [copy]


@pytest.mark.parametrize("zipped", [False, True])
def test_what_was_changed_since_it_was_opened_is_not_undone(copy, tmp_path, zipped):
    place = pack(Bundle.open(copy), tmp_path / "digits.zip") if zipped else copy
    with Bundle.open(place) as stale:
        add_files(Bundle.open(place), {"report/theirs.txt": "theirs", "report/note.txt": "new"}, metrics={"theirs": 1})
        with pytest.raises(BundleError, match="was changed since it was opened.*nothing was written.*Open it again"):
            add_files(stale, {"report/mine.txt": "mine"}, metrics={"mine": 1})
        with stale.again() as fresh:
            add_files(fresh, {"report/mine.txt": "mine"})
    with Bundle.open(place) as bundle:
        assert bundle.manifest.metrics == {"theirs": 1}
        assert {"report/theirs.txt", "report/mine.txt"} <= bundle.manifest.files.keys()


def test_a_bundle_that_went_away_is_said_to_be_gone(copy):
    bundle = Bundle.open(copy)
    shutil.rmtree(copy)
    with pytest.raises(BundleError, match="does not exist any more"):
        add_files(bundle, {"report/a.txt": "a"})


def test_of_two_that_write_at_once_one_is_told(copy):
    said: list[str] = []

    def write(bundle: Bundle, name: str) -> None:
        try:
            add_files(bundle, {name: "x"})
        except BundleError as error:
            said.append(str(error))

    writers = [threading.Thread(target=write, args=(Bundle.open(copy), f"report/{n}.txt")) for n in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [("was changed since" in text) for text in said] == [True] * 3
    assert verify(Bundle.open(copy)) == []


def test_a_folder_that_cannot_be_locked_is_written_to_all_the_same(tmp_path):
    with alone_in(tmp_path / "absent"):
        (tmp_path / "a").write_text("a")
