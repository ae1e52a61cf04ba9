"""Class names that cannot be used, and files that cannot be read: refused when the data is opened, never later."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightsmith.core.errors import DataError
from sightsmith.core.records import Sample
from sightsmith.data.source import SourceOptions, build_source, open_source

PICTURES = np.random.default_rng(0).integers(0, 256, (6, 7, 5), dtype=np.uint8)
LABELS = np.arange(6, dtype=np.uint8) % 3
UNREADABLE = Path("/proc/self/mem")
"""A regular file that opens and then fails to be read, for root too."""
needs_proc = pytest.mark.skipif(not UNREADABLE.is_file(), reason="needs Linux's /proc")


def idx_bytes(array):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_idx(folder):
    folder.mkdir()
    (folder / "train-images-idx3-ubyte").write_bytes(idx_bytes(PICTURES))
    (folder / "train-labels-idx1-ubyte").write_bytes(idx_bytes(LABELS))
    return folder


def write_cifar(folder):
    folder.mkdir()
    records = np.zeros((4, 1 + 3 * 32 * 32), dtype=np.uint8)
    records[:, 0] = np.arange(4) % 2
    (folder / "data_batch_1.bin").write_bytes(records.tobytes())
    return folder


def write_imagenet(folder):
    (folder / "train" / "n01440764").mkdir(parents=True)
    Image.fromarray(PICTURES[0]).save(folder / "train" / "n01440764" / "a.JPEG")
    return folder


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["cat", "dog", "cat"], r"x: the classes 0 and 2 are both called 'cat'.*Rename one"),
        (["cat", ""], "x: class 1 has no name"),
        (["cat", " "], "x: class 1 has no name"),
    ],
)
def test_every_class_needs_a_name_of_its_own(names, message):
    with pytest.raises(DataError, match=message):
        build_source(
            format="x", location="x", names=names, samples=[Sample("a", b"", 0)], options=SourceOptions(format="x")
        )


def test_doubled_names_are_refused_whatever_lists_them(tmp_path):
    doubled = "the classes 0 and 1 are both called 'cat'"
    (write_idx(tmp_path / "idx") / "classes.txt").write_text("cat\ncat\nowl\n")
    (write_cifar(tmp_path / "cifar") / "batches.meta.txt").write_text("cat\ncat\n")
    np.savez(tmp_path / "set.npz", images=PICTURES, labels=LABELS, classes=np.array(["cat", "cat", "owl"]))
    for name in ("idx", "cifar", "set.npz"):
        with pytest.raises(DataError, match=doubled):
            open_source(tmp_path / name)


def test_an_empty_line_among_the_names_shifts_no_class(tmp_path):
    for folder, file in (
        (write_idx(tmp_path / "idx"), "classes.txt"),
        (write_cifar(tmp_path / "cifar"), "batches.meta.txt"),
    ):
        (folder / file).write_text("cat\n\nowl\n")
        with pytest.raises(DataError, match="class 1 has no name"):
            open_source(folder)
        (folder / file).write_text("\n\n")
        with pytest.raises(DataError, match="label 0 has no name; there are no names"):
            open_source(folder)


def test_npz_names_may_be_bytes(tmp_path):
    file = tmp_path / "set.npz"
    np.savez(file, images=PICTURES, labels=LABELS, classes=np.array([b"cat", b"dog", "blessé".encode()]))
    assert open_source(file).names == ("cat", "dog", "blessé")
    np.savez(file, images=PICTURES, labels=LABELS, classes=np.array([b"cat", b"dog", b"bless\xe9"]))
    with pytest.raises(DataError, match=r"set\.npz: classes: .*not UTF-8"):
        open_source(file)


def test_npz_names_may_be_numbers(tmp_path):
    np.savez(tmp_path / "set.npz", images=PICTURES, labels=LABELS, classes=np.array([5, 6, 9]))
    assert open_source(tmp_path / "set.npz").names == ("5", "6", "9")


@pytest.mark.parametrize("classes", [np.array("cat"), np.array([["cat", "dog"]]), np.array([0.5, 1.5, 2.5])])
def test_npz_names_of_a_wrong_shape_or_type(tmp_path, classes):
    np.savez(tmp_path / "set.npz", images=PICTURES, labels=LABELS, classes=classes)
    with pytest.raises(DataError, match=r"classes must be a list of names.*got .*np\.array\(\['cat', 'dog'\]\)"):
        open_source(tmp_path / "set.npz")


def test_lists_that_are_not_utf8_say_so(tmp_path):
    (write_idx(tmp_path / "idx") / "classes.txt").write_bytes(b"cat\nbless\xe9\nowl\n")
    (write_cifar(tmp_path / "cifar") / "batches.meta.txt").write_bytes(b"cat\nbless\xe9\n")
    for name in ("words.txt", "LOC_synset_mapping.txt", "classes.csv", "val_labels.csv"):
        (write_imagenet(tmp_path / name) / name).write_bytes(b"index,wnid,name\n0,n01440764,bless\xe9\n")
    for folder in tmp_path.iterdir():
        with pytest.raises(DataError, match=r"not UTF-8 text .*Save it as UTF-8"):
            open_source(folder)


def test_a_folder_in_place_of_a_file_is_named(tmp_path):
    (write_idx(tmp_path / "names") / "classes.txt").mkdir()
    labels = write_idx(tmp_path / "labels") / "train-labels-idx1-ubyte"
    labels.unlink()
    labels.mkdir()
    for folder in tmp_path.iterdir():
        with pytest.raises(DataError, match=rf"{folder}/\S+: cannot be read \(Is a directory\)"):
            open_source(folder)


@needs_proc
def test_a_file_that_fails_to_be_read_is_named(tmp_path):
    (tmp_path / "set.csv").symlink_to(UNREADABLE)
    (tmp_path / "set-images-idx3-ubyte").symlink_to(UNREADABLE)
    (tmp_path / "set-labels-idx1-ubyte").write_bytes(idx_bytes(LABELS))
    for name in ("set.csv", "set-images-idx3-ubyte"):
        with pytest.raises(DataError, match=rf"{name}: cannot be read \(Input/output error\).*may read"):
            open_source(tmp_path / name)


def test_a_name_that_no_file_can_have_is_an_error():
    with pytest.raises(DataError, match=r"cannot be read \(File name too long\)"):
        open_source("./" + "x" * 5_000)
