"""Formats that hold all pictures in a few arrays: idx, npz, CIFAR binary; ImageNet's layouts; the known names."""

import gzip
import hashlib
import io
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
from PIL import Image

from sightsmith.core.errors import DataError
from sightsmith.core.images import decode
from sightsmith.data.gate import check, require_usable
from sightsmith.data.source import SourceOptions, open_source
from sightsmith.data.sources.parts.cifar_files import PIXELS
from sightsmith.data.sources.parts.download import downloaded, fetch_archive

RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (12, 7, 5), dtype=np.uint8)
LABELS = np.arange(12, dtype=np.uint8) % 3
FILL = 20 * 2**20
"""Bytes that a small compressed file can be made to fill; more than what is allowed without looking at its size."""


def idx_bytes(array, kind=8):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape) + array.tobytes()


def write_mnist(folder, *, zipped=True, sets=("train", "t10k")):
    folder.mkdir(parents=True, exist_ok=True)
    end = ".gz" if zipped else ""
    pack = gzip.compress if zipped else bytes
    for name in sets:
        (folder / f"{name}-images-idx3-ubyte{end}").write_bytes(pack(idx_bytes(PICTURES)))
        (folder / f"{name}-labels-idx1-ubyte{end}").write_bytes(pack(idx_bytes(LABELS)))
    return folder


@pytest.mark.parametrize("zipped", [True, False])
def test_idx_folder(tmp_path, zipped):
    source = open_source(write_mnist(tmp_path, zipped=zipped))
    assert source.format == "idx"
    assert source.names == ("0", "1", "2")
    assert len(source.samples) == 24
    first, other = source.samples[0], source.samples[12]
    assert (first.key, first.split, other.key, other.split) == ("train/00000", "train", "test/00000", "test")
    assert np.array_equal(source.samples[5].item, PICTURES[5])
    assert source.samples[5].target == 5 % 3


def test_one_idx_file_with_its_labels(tmp_path):
    folder = write_mnist(tmp_path, sets=("set",))
    source = open_source(folder / "set-images-idx3-ubyte.gz")
    assert {s.split for s in source.samples} == {None}
    assert source.samples[3].key == "all/00003"


def test_idx_classes_by_file(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "classes.txt").write_text("cat\ndog\nowl\n")
    assert open_source(tmp_path).names == ("cat", "dog", "owl")
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    with pytest.raises(DataError, match=r"label 2 has no name; there are names for 0…1"):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (idx_bytes(PICTURES)[:-9], r"its header says 12 × 7 × 5, which takes 436 bytes, but it has 427"),
        (idx_bytes(PICTURES) + b"x", "but it has more"),
        (b"\x89PNG....", "not an idx file: it starts with 89 50 4e 47"),
        (b"", "starts with nothing"),
        (b"\0\0\x08\x03\0\0", "cut short inside its header"),
        (idx_bytes(PICTURES, kind=13), "this one has type 0d"),
        (struct.pack(">BBBB3I", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1), "Download it again"),
        (idx_bytes(PICTURES[:5]), "5 pictures but 12 labels"),
        (idx_bytes(PICTURES[0]), "pictures must be"),
    ],
)
def test_wrong_idx_files_say_what_is_wrong(tmp_path, images, message):
    write_mnist(tmp_path, zipped=False, sets=("train",))
    (tmp_path / "train-images-idx3-ubyte").write_bytes(images)
    with pytest.raises(DataError, match=message):
        open_source(tmp_path)


@pytest.mark.parametrize("cut", [10, 100])
def test_damaged_gzip(tmp_path, cut):
    write_mnist(tmp_path)
    file = tmp_path / "train-images-idx3-ubyte.gz"
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(DataError, match="not a whole gzip file"):
        open_source(tmp_path)
    file.write_bytes(b"no gzip at all")
    with pytest.raises(DataError, match="not a whole gzip file"):
        open_source(tmp_path)


def peak_of(location, message):
    """Return the bytes that Python held at the most while a source was refused."""
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=message):
            open_source(location)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_gzip_file_is_read_no_further_than_its_header_says(tmp_path):
    write_mnist(tmp_path)
    file = tmp_path / "train-images-idx3-ubyte.gz"
    file.write_bytes(gzip.compress(idx_bytes(PICTURES) + bytes(FILL)))
    assert peak_of(tmp_path, "takes 436 bytes, but it has more") < FILL / 4
    header = struct.pack(">BBBB3I", 0, 0, 8, 3, FILL >> 10, 32, 32)
    file.write_bytes(gzip.compress(header + bytes(FILL)))
    assert peak_of(tmp_path, "100 times.*Unpack it") < FILL / 4
    file.write_bytes(gzip.compress(struct.pack(">BBBB3I", 0, 0, 8, 3, 4000, 64, 64)))  # within the bound, and cut short
    assert peak_of(tmp_path, "but it has 16") < FILL / 4


def test_idx_without_labels(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(DataError, match=r"its labels t10k-labels-idx1-ubyte\.gz are not beside it"):
        open_source(tmp_path)


def test_npz_with_medmnist_keys(tmp_path):
    file = tmp_path / "set.npz"
    colour = RNG.integers(0, 256, (12, 4, 6, 3), dtype=np.uint8)
    arrays = {f"{split}_images": colour for split in ("train", "val", "test")}
    np.savez(file, **arrays, **{f"{split}_labels": LABELS[:, None] for split in ("train", "val", "test")})
    source = open_source(file)
    assert source.format == "npz"
    assert [s.key for s in source.samples[::12]] == ["train/00000", "val/00000", "test/00000"]
    assert decode(source.samples[1].item).size == (6, 4)
    assert open_source(tmp_path).format == "npz"


def test_npz_plain_with_names_and_gaps(tmp_path):
    file = tmp_path / "set.npz"
    np.savez(file, images=PICTURES, labels=LABELS * 10)
    assert open_source(file).names == ("0", "10", "20")
    np.savez(file, images=PICTURES, labels=LABELS, classes=np.array(["cat", "dog", "owl"]))
    assert open_source(file).names == ("cat", "dog", "owl")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": PICTURES}, r"needs the arrays train_images and train_labels.*it has x"),
        ({"train_images": PICTURES}, "no train_labels"),
        ({"images": PICTURES / 255.0, "labels": LABELS}, r"must be uint8.*got float64.*astype\('uint8'\)"),
        ({"images": PICTURES, "labels": np.stack([LABELS, LABELS], 1)}, "one label a picture"),
        ({"images": PICTURES, "labels": LABELS.astype(float)}, "labels must be integers"),
        ({"images": PICTURES[:, None], "labels": LABELS}, "channels-first arrays must be transposed"),
        ({"images": PICTURES, "labels": LABELS[:-1]}, "12 pictures but 11 labels"),
        ({"images": PICTURES, "labels": LABELS.astype(object)}, "Python objects"),
    ],
)
def test_wrong_npz(tmp_path, arrays, message):
    np.savez(tmp_path / "set.npz", **arrays)
    with pytest.raises(DataError, match=message):
        open_source(tmp_path / "set.npz")


def test_a_pickle_named_npz_is_never_read(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    (tmp_path / "set.npz").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DataError, match="Python objects"):
        open_source(tmp_path / "set.npz")
    np.savez(tmp_path / "set.npz", images=PICTURES, labels=np.array([Trap()], dtype=object))
    with pytest.raises(DataError, match="Python objects"):
        open_source(tmp_path / "set.npz")
    assert not (tmp_path / "sprung").exists()


def test_npz_cut_short(tmp_path):
    np.savez(tmp_path / "set.npz", images=PICTURES, labels=LABELS)
    data = (tmp_path / "set.npz").read_bytes()
    for cut in (0, 30, len(data) // 2):
        (tmp_path / "set.npz").write_bytes(data[:cut])
        with pytest.raises(DataError, match="not a whole"):
            open_source(tmp_path / "set.npz")


def npy(shape, content=b""):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return file.getvalue() + content


@pytest.mark.parametrize(
    ("content", "compression", "message"),
    [
        (npy((10**8, 28, 28)), zipfile.ZIP_STORED, "images.npy: its header says .* 78,400,000,000 bytes, .* has 0"),
        (npy((10**30, 28, 28)), zipfile.ZIP_STORED, "its header says"),
        (npy((12, 7, 5), PICTURES.tobytes() + b"x"), zipfile.ZIP_STORED, "takes 420 bytes, but it has 421"),
        (npy((FILL >> 10, 32, 32), bytes(FILL)), zipfile.ZIP_DEFLATED, "100 times.*np.savez"),
        (npy((12, 7, 5), PICTURES.tobytes()), zipfile.ZIP_LZMA, "images.npy.*method 14; .*np.savez"),
    ],
)
def test_an_npz_that_claims_more_than_it_holds_is_refused_before_it_is_read(tmp_path, content, compression, message):
    np.savez(tmp_path / "set.npz", labels=LABELS)
    with zipfile.ZipFile(tmp_path / "set.npz", "a", compression) as archive:
        archive.writestr("images.npy", content)
    assert peak_of(tmp_path / "set.npz", message) < FILL / 4


def write_cifar10(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, count in (("data_batch_1", 4), ("data_batch_2", 4), ("test_batch", 2)):
        records = RNG.integers(0, 256, (count, 1 + PIXELS), dtype=np.uint8)
        records[:, 0] = np.arange(count) % 2
        (folder / f"{name}.bin").write_bytes(records.tobytes())
    (folder / "batches.meta.txt").write_text("airplane\nautomobile\n\n")
    return folder


def test_cifar10_binary(tmp_path):
    folder = write_cifar10(tmp_path / "cifar-10-batches-bin")
    for location in (folder, tmp_path):
        source = open_source(location)
        assert source.format == "cifar"
        assert source.names == ("airplane", "automobile")
        assert [s.split for s in source.samples] == ["train"] * 8 + ["test"] * 2
    record = np.fromfile(folder / "data_batch_2.bin", dtype=np.uint8).reshape(4, -1)[1]
    picture = source.samples[5].item
    assert picture.shape == (32, 32, 3)
    assert source.samples[5].target == record[0]
    assert picture[0, 1, 2] == record[1 + 2 * 1024 + 1]
    assert picture[3, 4, 0] == record[1 + 3 * 32 + 4]


def test_cifar100_binary_has_the_fine_labels(tmp_path):
    for name, count in (("train", 6), ("test", 2)):
        records = np.zeros((count, 2 + PIXELS), dtype=np.uint8)
        records[:, 0], records[:, 1] = 1, np.arange(count) % 3
        (tmp_path / f"{name}.bin").write_bytes(records.tobytes())
    (tmp_path / "fine_label_names.txt").write_text("apple\nbear\nbee\n")
    source = open_source(tmp_path)
    assert source.names == ("apple", "bear", "bee")
    assert source.strata().tolist() == [0, 1, 2, 0, 1, 2, 0, 1]


def test_cifar_cut_short(tmp_path):
    folder = write_cifar10(tmp_path)
    (folder / "data_batch_1.bin").write_bytes(b"x" * 5000)
    with pytest.raises(DataError, match="5,000 bytes are no whole number of records of 3,073 bytes"):
        open_source(folder)


def test_pickled_cifar_is_refused_by_name(tmp_path):
    (tmp_path / "cifar-10-batches-py").mkdir()
    for name in ("batches.meta", "data_batch_1"):
        (tmp_path / "cifar-10-batches-py" / name).write_bytes(pickle.dumps({}))
    with pytest.raises(DataError, match=r"pickles that can run any code.*cifar-10-binary\.tar\.gz"):
        open_source(tmp_path)


def put(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RNG.integers(0, 256, (9, 9), dtype=np.uint8)).save(root / name, format="JPEG")


def test_imagenet_with_folders(tmp_path):
    put(tmp_path, "train/n02084071/a.JPEG", "train/n01440764/b.JPEG", "val/n01440764/c.JPEG")
    source = open_source(tmp_path)
    assert source.format == "imagenet"
    assert source.names == ("n01440764", "n02084071")
    assert {s.key: s.split for s in source.samples} == {
        "train/n01440764/b.JPEG": "train",
        "train/n02084071/a.JPEG": "train",
        "val/n01440764/c.JPEG": "val",
    }


def test_imagenet_as_kaggle_packs_it(tmp_path):
    base = "ILSVRC/Data/CLS-LOC"
    put(tmp_path, f"{base}/train/n01440764/a.JPEG", f"{base}/train/n02012849/b.JPEG")
    put(tmp_path, f"{base}/val/ILSVRC2012_val_00000001.JPEG", f"{base}/val/ILSVRC2012_val_00000002.JPEG")
    put(tmp_path, f"{base}/test/ILSVRC2012_test_00000001.JPEG")
    (tmp_path / "LOC_val_solution.csv").write_text(
        "ImageId,PredictionString\nILSVRC2012_val_00000002,n02012849 85 1 499 272\n"
        "ILSVRC2012_val_00000001,n01440764 1 2 3 4 n01440764 5 6 7 8\n"
    )
    (tmp_path / "LOC_synset_mapping.txt").write_text("n01440764 tench\nn02012849 crane\nn03126707 crane\n")
    source = open_source(tmp_path)
    assert source.names == ("tench", "crane (n02012849)", "crane (n03126707)")
    assert [(s.key, s.target) for s in source.samples if s.split == "val"] == [
        ("val/ILSVRC2012_val_00000001.JPEG", 0),
        ("val/ILSVRC2012_val_00000002.JPEG", 1),
    ]
    unlabelled = next(problem for problem in source.problems if problem.code == "no-label")
    assert (unlabelled.severity, unlabelled.lost) == ("warning", 1)
    assert unlabelled.keys == ("test/ILSVRC2012_test_00000001.JPEG",)
    report = check(source, quiet=True)
    assert (report.lost, report.bad) == (1, 0)


@pytest.mark.parametrize(
    ("table", "text", "message"),
    [
        ("val_labels.txt", "a.JPEG n01440764\n\nn02012849\n", "labels.txt, line 3: 'n02012849' is not a file's name,"),
        ("val_labels.csv", "file,id\na.JPEG,n01440764\nb.JPEG,tench\n", "csv, line 3: 'b.JPEG,tench'"),
        ("val_labels.csv", "n01440764.JPEG,tench\nb.JPEG,n01440764\n", "csv, line 1: 'n01440764.JPEG,tench'"),
        (
            "val_labels.txt",
            "a.JPEG n01440764\na.JPEG n02012849\n",
            "'a' is 'n01440764' in line 1 and 'n02012849' in line 2",
        ),
        ("LOC_synset_mapping.txt", "n01440764 tench\nn02012849\n", "mapping.txt, line 2: 'n02012849'"),
        ("LOC_synset_mapping.txt", "n01440764 tench\nn01440764 dace\n", "'n01440764' is 'tench' in line 1 and 'dace'"),
        ("words.txt", "n01440764\ttench\n02012849\tcrane\n", "words.txt, line 2: "),
        ("classes.csv", "index,wnid,name\n0,n01440764,tench, Tinca tinca\n", "classes.csv, line 2: 4 cells"),
        ("classes.csv", "index,wnid,name\n0,n01440764,tench\n1,n02012849\n", "line 3: its wnid or its name is empty"),
        ("classes.csv", "index,wnid,name\n0,n01440764,\n", "line 2: its wnid or its name is empty"),
        (
            "classes.csv",
            "index,wnid,name\n0,n01440764,tench\n1,n01440764,dace\n",
            "'n01440764' is 'tench' in line 2 and",
        ),
        ("classes.csv", 'index,wnid,name\n0,n01440764,"tench\n', "classes.csv: not a whole table"),
    ],
)
def test_a_line_of_a_table_of_imagenet_that_cannot_be_read_is_named(tmp_path, table, text, message):
    put(tmp_path, "train/n01440764/a.JPEG", "train/n02012849/b.JPEG", "val/c.JPEG")
    (tmp_path / table).write_text(text)
    with pytest.raises(DataError, match=message):
        open_source(tmp_path)


def test_tables_of_imagenet_may_repeat_themselves_and_have_headers(tmp_path):
    put(tmp_path, "train/n01440764/a.JPEG", "train/n02012849/b.JPEG", "val/c.JPEG")
    (tmp_path / "val_annotations.txt").write_text(
        "c.JPEG\tn02012849\t0\t0\t9\t9\nc.JPEG\tn02012849\t5\t5\t9\t9\na cat.JPEG\tn01440764\n"
    )
    put(tmp_path, "val/a cat.JPEG")
    (tmp_path / "classes.csv").write_text('index,wnid,name,\n0,n02012849,"crane, bird",\n\n1,n01440764,tench\n')
    source = open_source(tmp_path)
    assert source.names == ("crane, bird", "tench")
    assert [(s.key, s.target) for s in source.samples if s.split == "val"] == [("val/a cat.JPEG", 1), ("val/c.JPEG", 0)]


def test_unlabelled_pictures_of_imagenet_are_bad_unless_they_are_of_the_test(tmp_path):
    put(tmp_path, *(f"train/{wnid}/{place}.JPEG" for wnid in ("n01440764", "n02012849") for place in range(2)))
    put(tmp_path, "train/c.JPEG", "val/ILSVRC2012_val_00000001.JPEG", "test/d.JPEG")
    source = open_source(tmp_path)
    found = {problem.severity: problem for problem in source.problems if problem.code == "no-label"}
    assert found["error"].keys == ("train/c.JPEG", "val/ILSVRC2012_val_00000001.JPEG")
    assert (found["error"].lost, found["warning"].lost) == (2, 1)
    assert found["warning"].keys == ("test/d.JPEG",)
    report = check(source, quiet=True)
    assert (report.lost, report.bad) == (3, 2)
    with pytest.raises(DataError, match="2 of 7 pictures are bad") as caught:
        require_usable(report)
    assert "test/d.JPEG" not in str(caught.value)


def test_flat_imagenet_keeps_the_order_of_its_list(shared_data):
    source = open_source(shared_data("imagenet500"))
    assert (len(source.samples), len(source.names)) == (500, 1000)
    by_key = {s.key: source.names[s.target] for s in source.samples}
    assert by_key["n01440764_tench.jpg"] == "tench"
    assert by_key["n13133613_ear.jpg"] == "ear"
    assert source.names.index("ear") == 998
    assert len(set(source.names)) == 1000


def test_real_arrays(shared_data):
    fashion = open_source(shared_data("fashion_mnist"))
    assert np.bincount(fashion.strata()[:60_000]).tolist() == [6000] * 10
    assert fashion.samples[60_000].split == "test"
    lungs = open_source(shared_data("pneumoniamnist"))
    assert [sum(s.split == split for s in lungs.samples) for split in ("train", "val", "test")] == [2428, 270, 468]


def test_known_data_opens_from_the_cache_with_no_network(tmp_path, monkeypatch):
    monkeypatch.setenv("SIGHTSMITH_CACHE", str(tmp_path))
    write_mnist(tmp_path / "data" / "fashion-mnist")
    source = open_source("fashion_mnist")
    assert source.location == "fashion-mnist"
    assert source.names[9] == "Ankle boot"
    assert source.licence == "MIT"
    write_mnist(tmp_path / "data" / "mnist" / "MNIST" / "raw", zipped=False)
    assert open_source("mnist").samples[0].key == "train/00000"
    write_cifar10(tmp_path / "data" / "cifar10" / "cifar-10-batches-bin")
    assert open_source("cifar10").names == ("airplane", "automobile")
    put(tmp_path / "data" / "imagenet", "train/n01440764/a.JPEG", "train/n02012849/b.JPEG")
    assert open_source("imagenet").names == ("n01440764", "n02012849")


def test_imagenet_by_name_says_where_to_put_it(tmp_path, monkeypatch):
    monkeypatch.setenv("SIGHTSMITH_CACHE", str(tmp_path))
    with pytest.raises(DataError, match=rf"https://image-net\.org.*{tmp_path}/data/imagenet/train/n01440764/"):
        open_source("imagenet")


_OPEN = """
import sys
from sightsmith.core.errors import DataError
from sightsmith.data.source import open_source
for name in sys.argv[1:]:
    try:
        open_source(name)
    except DataError as error:
        print(error)
"""


def test_a_refused_network_is_explained(tmp_path):
    refused = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9", "no_proxy": ""}
    names = ("mnist", "fashion-mnist", "cifar10", "cifar100")
    environment = {**os.environ, **refused, "SIGHTSMITH_CACHE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", _OPEN, *names], env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    lines = [line for line in done.stdout.splitlines() if "cannot be downloaded" in line]
    assert len(lines) == 4, done.stdout + done.stderr
    for name, line in zip(names, lines, strict=True):
        assert line.startswith(f"{name}: cannot be downloaded (")
        assert f"Put them into {tmp_path}/data/{name} and run again" in line
        assert "'digits' is built in" in line


@pytest.fixture
def served(tmp_path, monkeypatch):
    """Return a folder and the address at which a local server hands it out."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def pack(archive, name, content=b"x"):
    with tarfile.open(archive, "w:gz") as packed:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        packed.addfile(member, io.BytesIO(content))
    return hashlib.md5(archive.read_bytes()).hexdigest()


def test_an_archive_is_fetched_checked_and_unpacked(tmp_path, served, monkeypatch):
    monkeypatch.setenv("SIGHTSMITH_CACHE", str(tmp_path))
    folder, address = served
    md5 = pack(folder / "good.tar.gz", "inside/file.txt", b"hello")
    place = downloaded("cifar10", lambda into: fetch_archive(into, f"{address}/good.tar.gz", md5), "get it.")
    assert (place / "inside" / "file.txt").read_bytes() == b"hello"
    with pytest.raises(DataError, match="cannot be downloaded .*File not found or corrupted"):
        downloaded("cifar100", lambda into: fetch_archive(into, f"{address}/good.tar.gz", "0" * 32), "get it.")
    assert not (tmp_path / "data" / "cifar100" / "inside").exists()


def test_an_archive_cannot_write_outside_its_folder(tmp_path, served, monkeypatch):
    monkeypatch.setenv("SIGHTSMITH_CACHE", str(tmp_path))
    folder, address = served
    md5 = pack(folder / "bad.tar.gz", "../escaped")
    with pytest.raises(DataError, match="outside"):
        downloaded("cifar10", lambda into: fetch_archive(into, f"{address}/bad.tar.gz", md5), "get it.")
    assert not (tmp_path / "data" / "escaped").exists()


def test_format_override_opens_a_name_as_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_mnist(tmp_path / "mnist")
    assert open_source("mnist", SourceOptions(format="idx")).format == "idx"
