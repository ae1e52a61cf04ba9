"""Folders of pictures and tables of paths: layouts, odd names, and every way to get them wrong."""

import ntpath
import os
import shutil
import zlib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from sightsmith.core.errors import DataError, SettingsError
from sightsmith.core.images import decode
from sightsmith.data.gate import check
from sightsmith.data.source import SourceOptions, open_source
from sightsmith.data.sources.parts.listing import list_pictures


def put(root, *names):
    """Write a small picture under each name; the pictures differ."""
    for name in names:
        path = Path(root) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        values = np.random.default_rng(zlib.crc32(name.encode("utf-8", "surrogateescape"))).integers(
            0, 256, (9, 9), dtype=np.uint8
        )
        Image.fromarray(values).save(path, format="PNG")


def problems(source):
    return {problem.code: problem for problem in source.problems}


def test_a_folder_per_class(tmp_path):
    put(tmp_path, "cats/1.png", "cats/10.png", "cats/2.PNG", "dogs/x.JPeG", "birds/owl/deep/3.tif")
    source = open_source(str(tmp_path))
    assert source.format == "folder"
    assert source.names == ("birds/owl/deep", "cats", "dogs")
    assert [s.key for s in source.samples] == [
        "birds/owl/deep/3.tif",
        "cats/1.png",
        "cats/2.PNG",
        "cats/10.png",
        "dogs/x.JPeG",
    ]
    assert source.strata().tolist() == [0, 1, 1, 1, 2]
    assert source.problems == ()
    assert decode(source.samples[4].item).size == (9, 9)


def test_classes_are_in_natural_order(tmp_path):
    put(tmp_path, *(f"{n}/a.png" for n in (10, 2, 1, 33)))
    assert open_source(tmp_path).names == ("1", "2", "10", "33")


@pytest.mark.parametrize(
    ("val", "test"), [("val", "test"), ("Validation", "TESTING"), ("valid", "test"), ("dev", None)]
)
def test_folders_for_splits(tmp_path, val, test):
    put(tmp_path, "train/a/1.png", "train/b/2.png", f"{val}/a/3.png", *([f"{test}/b/4.png"] if test else []))
    source = open_source(tmp_path)
    assert source.names == ("a", "b")
    expected = {"train/a/1.png": "train", "train/b/2.png": "train", f"{val}/a/3.png": "val"}
    if test:
        expected[f"{test}/b/4.png"] = "test"
    assert {s.key: s.split for s in source.samples} == expected


def test_a_class_may_be_called_like_a_split(tmp_path):
    put(tmp_path, "train/1.png", "bus/2.png", "car/3.png")
    source = open_source(tmp_path)
    assert source.names == ("bus", "car", "train")
    assert {s.split for s in source.samples} == {None}


def test_splits_without_classes_are_refused_not_taken_for_classes(tmp_path):
    put(tmp_path, "train/cat.1.png", "test/2.png")
    with pytest.raises(DataError, match="test, train hold pictures directly, so their classes are unknown"):
        open_source(tmp_path)


def test_what_lies_beside_the_splits_is_named(tmp_path):
    put(tmp_path, "train/a/1.png", "train/b/1.png", "val/a/2.png", "val/b/2.png", "extra/a/3.png", "extra/a/4.png")
    source = open_source(tmp_path)
    assert len(source.samples) == 4
    stray = problems(source)["outside-splits"]
    assert stray.keys == ("extra/a/3.png", "extra/a/4.png")
    assert stray.lost == 2
    assert stray.severity == "error"


def test_pictures_without_a_class_are_named(tmp_path):
    put(tmp_path, "a/1.png", "b/2.png", "loose.png")
    found = problems(open_source(tmp_path))["no-class"]
    assert (found.keys, found.lost) == (("loose.png",), 1)


def test_other_files_are_counted_and_named(tmp_path):
    put(tmp_path, "a/1.png", "b/2.png", ".cache/3.png")
    for name in ("a/notes.txt", "a/photo.heic", "b/.DS_Store", "Thumbs.db"):
        (tmp_path / name).touch()
    found = problems(open_source(tmp_path))
    assert found["not-a-picture"].keys == ("a/notes.txt",)
    assert found["unsupported-format"].keys == ("a/photo.heic",)
    assert found["unsupported-format"].severity == "error"
    assert found["unsupported-format"].lost == 1
    assert found["hidden"].keys == (".cache", "Thumbs.db", "b/.DS_Store")


def test_jpegs_by_all_their_names(tmp_path):
    names = [f"a/1.{end}" for end in ("jpg", "jpeg", "jpe", "jfif", "JIF", "pjpeg", "pjp")]
    put(tmp_path, *names, "b/2.png")
    source = open_source(tmp_path)
    assert {s.key for s in source.samples} == {*names, "b/2.png"}
    assert source.problems == ()


def test_pictures_in_formats_that_are_not_read_are_lost_and_said(tmp_path):
    put(tmp_path, "a/1.png", "b/2.png")
    names = ("a/scan.dcm", "a/logo.TGA", "a/icon.ico", "b/brain.nii.gz", "b/brain.nii", "b/photo.CR3", "b/slide.svs")
    for name in names:
        (tmp_path / name).touch()
    source = open_source(tmp_path)
    lost = problems(source)["unsupported-format"]
    assert (lost.severity, lost.lost, sorted(lost.keys)) == ("error", 7, sorted(names))
    report = check(source, quiet=True)
    assert (report.lost, report.bad) == (7, 7)
    assert "7 pictures are in a format that is not read here (" in report.to_text()
    assert "1 .nii.gz" in report.to_text()
    assert "1 of other kinds)" in report.to_text()
    assert "Convert to JPEG or PNG, or move them out of the data" in report.to_text()


def test_files_that_are_no_pictures_are_counted_in_the_report(tmp_path):
    put(tmp_path, "a/1.png", "b/2.png")
    for name in ("a/one.txt", "a/two.txt", "b/clip.wav"):
        (tmp_path / name).touch()
    report = check(open_source(tmp_path), quiet=True)
    assert "info: 3 files left out: no pictures by their names (2 .txt, 1 .wav). [not-a-picture]" in report.to_text()
    assert (report.lost, report.bad) == (0, 0)


def test_an_empty_folder_is_a_class_without_pictures(tmp_path):
    put(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "c").mkdir()
    assert open_source(tmp_path).names == ("a", "b", "c")


def test_all_classes_below_one_folder_is_a_warning(tmp_path):
    put(tmp_path, "unpacked/a/1.png", "unpacked/b/2.png")
    found = problems(open_source(tmp_path))["nested"]
    assert f"Point at {tmp_path}/unpacked" in found.message


def test_a_path_on_a_drive_that_is_not_there(monkeypatch):
    monkeypatch.setattr(Path, "exists", lambda path: path == Path())
    with pytest.raises(DataError, match=r"/photos/cats: no such file or folder: the current folder has no '/'"):
        open_source("/photos/cats")


def test_links_that_lead_back_end(tmp_path):
    put(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "a" / "again").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "b" / "self").symlink_to(tmp_path / "b", target_is_directory=True)
    source = open_source(tmp_path)
    assert len(source.samples) == 2
    assert problems(source)["link-loop"].keys == ("a/again", "b/self")


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    put(tmp_path, "a/1.png", "b/2.png", "c/in/3.png")
    scan = os.scandir

    def refusing(path):
        if str(path).endswith("/in"):  # root may read everything, so the system cannot be made to refuse
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    source = open_source(tmp_path)
    assert source.names == ("a", "b")
    found = problems(source)["closed-folder"]
    assert (found.severity, found.keys) == ("error", ("c/in",))


def test_paths_in_the_listing_have_slashes_whatever_the_system_writes(monkeypatch):
    walked = [("data", ["a"], []), ("data\\a", ["b"], ["1.png"]), ("data\\a\\b", [], ["2.png", "x.txt"])]
    with monkeypatch.context() as windows:
        windows.setattr(os, "walk", lambda *_, **__: iter(walked))
        windows.setattr(os.path, "join", ntpath.join)
        windows.setattr(os, "stat", lambda path: SimpleNamespace(st_dev=0, st_ino=path))
        listing = list_pictures("data")
    assert listing.pictures == {"a": ["1.png"], "a/b": ["2.png"]}
    assert (listing.leaves, listing.others) == (["a/b"], ["a/b/x.txt"])


def test_links_to_folders_elsewhere_are_followed(tmp_path):
    put(tmp_path / "store", "x/1.png")
    put(tmp_path / "data", "a/2.png")
    (tmp_path / "data" / "b").symlink_to(tmp_path / "store" / "x", target_is_directory=True)
    assert [s.key for s in open_source(tmp_path / "data").samples] == ["a/2.png", "b/1.png"]


def test_names_that_are_not_utf8(tmp_path):
    put(tmp_path, "a/1.png", "b/2.png")
    name = os.fsdecode(b"caf\xe9")
    shutil.copytree(tmp_path / "a", tmp_path / name)
    shutil.copy(tmp_path / "a" / "1.png", tmp_path / "a" / os.fsdecode(b"\xff\xfe.png"))
    source = open_source(tmp_path)
    assert "caf\\udce9" in source.names
    keys = [s.key for s in source.samples]
    assert len(set(keys)) == 4
    for sample in source.samples:
        sample.key.encode("utf-8")
        assert decode(sample.item).size == (9, 9)


def test_a_location_that_is_not_utf8_can_be_printed(tmp_path):
    root = tmp_path / os.fsdecode(b"d\xe9p\xf4t")
    put(root, "a/1.png", "b/2.png")
    source = open_source(root)
    source.location.encode("utf-8")
    assert decode(source.samples[0].item).size == (9, 9)


def test_an_empty_folder_says_what_to_put_there(tmp_path):
    with pytest.raises(DataError, match=r"the folder is empty\. Give each class a folder of its own: .*/cats/1\.jpg"):
        open_source(tmp_path)


def test_a_folder_of_text_files_says_so(tmp_path):
    for n in range(3):
        (tmp_path / f"{n}.txt").write_text("text")
    with pytest.raises(DataError, match=r"(?s)no picture in it \(JPEG.*3 files left out.*3 \.txt"):
        open_source(tmp_path)


def test_pictures_in_no_folder_say_what_to_do_and_name_the_table(tmp_path):
    put(tmp_path, "1.png", "2.png")
    (tmp_path / "labels.csv").write_text("path,label\n")
    with pytest.raises(DataError, match=r"2 pictures are in no folder.*Or point at the table.*labels\.csv"):
        open_source(tmp_path)


def test_pictures_in_no_folder_are_one_class_named_after_it(tmp_path):
    put(tmp_path / "owls", "1.png", "2.png", "10.png")
    source = open_source(tmp_path / "owls")
    assert source.names == ("owls",)
    assert [sample.key for sample in source.samples] == ["1.png", "2.png", "10.png"]
    (told,) = source.problems
    assert told.severity == "info"
    assert "3 pictures are in no folder, so all are of one class, 'owls'. Give each class" in told.message
    (tmp_path / "owls" / "empty").mkdir()
    with pytest.raises(DataError, match="3 pictures are in no folder, so the classes are unknown"):
        open_source(tmp_path / "owls")


def test_one_class_of_loose_pictures_is_refused_where_classes_are_told_apart(tmp_path):
    put(tmp_path / "owls", "1.png", "2.png")
    (error,) = check(open_source(tmp_path / "owls"), quiet=True).errors
    assert error.code == "one-class"
    assert "telling classes apart needs two. 2 pictures are in no folder" in error.message
    assert "--label-by" in error.message
    assert "--task vae" in error.message


def table(tmp_path, text, name="t.csv", encoding="utf-8"):
    put(tmp_path, "p/1.png", "p/2.png", "p/3.png", "p/4.png")
    (tmp_path / name).write_text(text, encoding=encoding)
    return tmp_path / name


def test_a_table(tmp_path):
    source = open_source(
        table(tmp_path, "path,label,split,group\np/1.png,cat,train,anna\np/2.png,dog,VAL,bob\np/3.png,cat,,\n")
    )
    assert source.format == "table"
    assert source.names == ("cat", "dog")
    found = [(s.key, s.target, s.split, s.group) for s in source.samples]
    assert found == [
        ("p/1.png", 0, "train", "anna"),
        ("p/2.png", 1, "val", "bob"),
        ("p/3.png", 0, None, None),
    ]
    assert decode(source.samples[0].item).size == (9, 9)


@pytest.mark.parametrize(
    ("text", "name", "encoding"),
    [
        ("path\tlabel\np/1.png\tcat\np/2.png\tdog\n", "t.tsv", "utf-8"),
        ("path;label\np/1.png;cat\np/2.png;dog\n", "t.csv", "utf-8"),
        ("path,label\r\np/1.png,cat\r\n\r\np/2.png,dog\r\n", "t.csv", "utf-8-sig"),
        ('label , "path"\ncat,"p/1.png"\ndog,p/2.png\n', "t.csv", "utf-8"),
    ],
)
def test_dialects_of_tables(tmp_path, text, name, encoding):
    if "label ," in text:
        text = text.replace(' "path"', "path")
    source = open_source(table(tmp_path, text, name, encoding))
    assert [(s.key, source.names[s.target]) for s in source.samples] == [("p/1.png", "cat"), ("p/2.png", "dog")]


def test_any_column_can_be_the_group(tmp_path):
    file = table(tmp_path, "path,label,patient\np/1.png,a,7\np/2.png,b,7\np/3.png,a,8\n")
    assert [s.group for s in open_source(file, SourceOptions(group_by="patient")).samples] == ["7", "7", "8"]
    assert [s.attributes for s in open_source(file).samples] == [{"patient": "7"}, {"patient": "7"}, {"patient": "8"}]
    by_name = open_source(file, SourceOptions(group_by=r"p/(\d)"))
    assert [s.group for s in by_name.samples] == ["1", "2", "3"]
    with pytest.raises(DataError, match=r"no column 'pateint'\. Did you mean 'patient'"):
        open_source(file, SourceOptions(group_by="pateint"))
    with pytest.raises(SettingsError, match="not a regular expression"):
        open_source(file, SourceOptions(group_by="(pateint"))


@pytest.mark.parametrize(("column", "group_by"), [("patient", "patient"), ("group", None), ("group", "group")])
def test_rows_without_a_group_are_named(tmp_path, column, group_by):
    file = table(tmp_path, f"path,label,{column}\np/1.png,a,7\np/2.png,b,\np/3.png,a,7\np/2.png,b,\n")
    source = open_source(file, SourceOptions(group_by=group_by))
    assert [s.group for s in source.samples] == ["7", None, "7", None]
    strays = problems(source)["no-group"]
    assert (strays.severity, strays.keys, strays.lost) == ("warning", ("p/2.png", "p/2.png#2"), 0)
    assert strays.message.startswith(f"2 of 4 pictures have nothing in the column {column!r}")


def test_a_group_column_may_be_empty_unless_it_was_asked_for(tmp_path):
    file = table(tmp_path, "path,label,group\np/1.png,a,\np/2.png,b,\n")
    assert open_source(file).problems == ()
    assert "no-group" not in problems(open_source(file, SourceOptions(group_by=r"(\d)\.png")))
    with pytest.raises(DataError, match="group_by: the column 'group' is empty in all 2 rows that can be used"):
        open_source(file, SourceOptions(group_by="group"))


def test_rows_that_cannot_be_used_are_named(tmp_path):
    source = open_source(
        table(
            tmp_path,
            "path,label,split\np/1.png,a,train\np/gone.png,a,train\np/2.png,,train\np/3.png,b,tset\n,b,train\np/4.png,b,\n",
        )
    )
    assert [s.key for s in source.samples] == ["p/1.png", "p/4.png"]
    found = problems(source)
    assert found["missing-file"].keys == ("p/gone.png",)
    assert found["no-label"].notes == ("row 4",)
    assert found["bad-split"].notes == ("row 5: 'tset'",)
    assert found["no-path"].keys == ("row 6",)
    assert sum(problem.lost for problem in source.problems) == 4
    assert {problem.severity for problem in source.problems} == {"error"}


def test_a_row_with_more_cells_than_columns_is_named_and_merges_no_classes(tmp_path):
    """`cat, big` without quotes would be the class cat; empty cells at the end, as spreadsheets write, are harmless."""
    text = 'path,label\np/1.png,cat, big\np/2.png,cat, small\np/3.png,dog,, \np/4.png,"cat, tiny"\n'
    source = open_source(table(tmp_path, text))
    assert source.names == ("cat, tiny", "dog")
    found = problems(source)["extra-cells"]
    assert (found.severity, found.lost, found.keys) == ("error", 2, ("p/1.png", "p/2.png"))
    assert found.notes[0] == "row 2: 'p/1.png,cat, big'"
    assert "Quote texts" in found.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("paht,label\np/1.png,a\n", r"no column 'path'; it has paht, label\. Rename 'paht' to 'path'"),
        ("path,category\np/1.png,a\n", r"no column 'label'.*Rename 'category' to 'label'"),
        ("p/1.png,a\np/2.png,b\n", r"no column 'path'; it has p/1\.png, a"),
        ("path,label,label\np/1.png,a,b\n", "more than one column is called label"),
        ("", "an empty table"),
        ("path,label\n", "no picture in it can be used"),
        ("path,label\nnone.png,a\n", r"(?s)no picture in it can be used.*none\.png"),
        ('path,label\n"p/1.png,a\n', "not a whole table"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        open_source(table(tmp_path, text))


def test_a_table_that_is_not_utf8_says_so(tmp_path):
    with pytest.raises(DataError, match=r"not UTF-8 text.*Save it as UTF-8"):
        open_source(table(tmp_path, "path,label\np/1.png,café\n", encoding="latin-1"))


def test_a_file_named_twice_is_two_samples(tmp_path):
    source = open_source(table(tmp_path, "path,label\np/1.png,a\np/1.png,b\n"))
    assert [s.key for s in source.samples] == ["p/1.png", "p/1.png#2"]


def test_real_folders(shared_data):
    cifar = open_source(shared_data("cifar10_subset"))
    assert (len(cifar.samples), len(cifar.names)) == (7000, 10)
    assert sum(s.split == "test" for s in cifar.samples) == 2000
    signs = open_source(shared_data("gtsrb_tracks"), SourceOptions(group_by=r"^(\d+/\d+)_"))
    assert signs.names == tuple(map(str, range(43)))
    assert len({s.group for s in signs.samples}) == 172


def test_labels_are_taken_from_the_names_of_files(tmp_path):
    put(tmp_path, "dog_1.png", "cat_10.png", "cat_2.png", "more/cat_3.png", "IMG7.png")
    source = open_source(tmp_path, SourceOptions(label_by=r"([a-z]+)_\d+\.png$"))
    assert source.names == ("cat", "dog")
    assert [(sample.key, sample.target) for sample in source.samples] == [
        ("cat_2.png", 0),
        ("cat_10.png", 0),
        ("dog_1.png", 1),
        ("more/cat_3.png", 0),
    ]
    found = problems(source)["no-label"]
    assert (found.severity, found.lost, found.keys) == ("error", 1, ("IMG7.png",))


def test_labels_from_names_keep_the_splits_of_folders(tmp_path):
    put(tmp_path, "train/cat_1.png", "train/dog_1.png", "test/cat_2.png")
    source = open_source(tmp_path, SourceOptions(label_by=r"/(?P<label>\w+)_(\d+)", group_by=r"_(\d+)"))
    assert [(sample.key, sample.split, sample.target, sample.group) for sample in source.samples] == [
        ("test/cat_2.png", "test", 0, "2"),
        ("train/cat_1.png", "train", 0, "1"),
        ("train/dog_1.png", "train", 1, "1"),
    ]


@pytest.mark.parametrize(
    ("location", "options", "error", "message"),
    [
        (".", {"label_by": "[a-z]+"}, SettingsError, r"label_by: a pattern needs one part in \(…\).*has 0"),
        (".", {"label_by": "(["}, SettingsError, "label_by: .* is not a regular expression"),
        (".", {"label_by": "(x)_"}, DataError, "no picture in it can be used(.|\n)*not fit the pattern"),
        (".", {"label_by": "(x)_", "format": "npz"}, SettingsError, "label_by: labels are taken .* the format 'npz'"),
        ("cat_1.png", {"label_by": "(x)_"}, SettingsError, "label_by: labels are taken .* is no folder"),
        (None, {"label_by": "(x)_"}, SettingsError, "label_by: digits has labels of its own"),
    ],
)
def test_a_pattern_of_labels_that_cannot_be_followed_is_refused(tmp_path, location, options, error, message):
    put(tmp_path, "cat_1.png")
    with pytest.raises(error, match=message):
        open_source(tmp_path / location if location else "digits", SourceOptions(**options))
