"""The gate: each kind of bad data planted among real pictures, found, named and left out."""

import io
import json
import shutil
import struct
import time
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightsmith.core.errors import DataError, SettingsError
from sightsmith.core.records import Sample
from sightsmith.data.duplicates import near
from sightsmith.data.gate import GateSettings, check, require_usable
from sightsmith.data.scan import scan_items
from sightsmith.data.source import Source, SourceOptions, open_source


def code(report, name):
    return next((problem for problem in report.problems if problem.code == name), None)


def codes(report, *severities):
    return {problem.code for problem in report.problems if problem.severity in (severities or ("error", "warning"))}


def source_of(pictures, labels, splits=None, groups=None, classes="abc"):
    """Return a source of arrays or files."""
    count = len(pictures)
    rows = zip(pictures, labels, splits or [None] * count, groups or [None] * count, strict=True)
    samples = tuple(
        Sample(f"{place:03d}", picture, label, group, split)
        for place, (picture, label, split, group) in enumerate(rows)
    )
    used = classes[: max(labels) + 1] if isinstance(classes, str) else classes
    return Source(format="test", location="test", names=tuple(used), samples=samples)


def noise(count, seed=0, shape=(16, 16)):
    return list(np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8))


def checked(*arguments, settings=None, **keywords):
    return check(source_of(*arguments, **keywords), settings or GateSettings(), quiet=True)


def evenly(count, classes=2):
    return [place % classes for place in range(count)]


def encoded(array, format_="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format_, **options)
    return buffer.getvalue()


def test_clean_data_has_nothing_to_say():
    report = checked(noise(40), evenly(40))
    assert report.problems == ()
    assert report.kept.tolist() == list(range(40))
    assert not report.failed(strict=True)
    assert report.counts[:, 3].tolist() == [20, 20]
    assert report.sizes == ((16, 16, 40),)
    assert report.modes == {"L": 40}
    require_usable(report)


def bomb():
    """Return a PNG of 400 million pixels in 60 bytes."""

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_files_that_cannot_be_used_are_named_with_the_reason(tmp_path):
    whole = encoded(noise(1)[0])
    planted = {"cut.png": whole[:150], "zero.jpg": b"", "text.png": b"Dear reader", "bomb.png": bomb()}
    for name, content in planted.items():
        (tmp_path / name).write_bytes(content)
    files = [str(tmp_path / name) for name in planted] + [str(tmp_path / "gone.png")]
    report = checked([*files, *map(encoded, noise(95, seed=1))], evenly(100))
    notes = dict(zip(code(report, "unreadable").keys, code(report, "unreadable").notes, strict=True))
    assert set(notes) == {"000", "001", "002", "004"}
    assert "truncated" in notes["000"]
    assert "zero bytes" in notes["001"]
    assert "not a picture" in notes["002"]
    assert "No such file" in notes["004"]
    assert code(report, "too-many-pixels").keys == ("003",)
    assert report.kept.tolist() == list(range(5, 100))
    assert [key for key, _ in report.skipped] == [f"{n:03d}" for n in range(5)]
    assert report.bad == 5
    assert report.failed()
    with pytest.raises(DataError, match=r"5 of 100 pictures are bad \(5\.0%\).*above the 1\.0% that max_bad allows"):
        require_usable(report)
    require_usable(report, max_bad=0.05)


def test_one_pixel_is_an_error_and_a_tiny_side_a_warning():
    pictures = [*noise(38), np.zeros((1, 1), np.uint8), np.zeros((1, 40), np.uint8), noise(1, 5, (7, 30))[0]]
    report = checked(pictures, [*evenly(38), 0, 1, 0])
    assert code(report, "one-pixel").keys == ("038", "039")
    assert code(report, "one-pixel").notes == ("1×1", "40×1")
    assert code(report, "tiny-picture").keys == ("040",)
    assert 40 in report.kept
    assert not {38, 39} & set(report.kept.tolist())


def test_copies_within_a_split():
    pictures = noise(30)
    pictures += [pictures[4], pictures[4], pictures[7]]
    report = checked(pictures, [*evenly(30), 0, 0, 1])
    assert code(report, "duplicate").groups == (("004", "030", "031"), ("007", "032"))
    assert dict(report.skipped) == {
        "030": "duplicate: a copy of 004",
        "031": "duplicate: a copy of 004",
        "032": "duplicate: a copy of 007",
    }
    assert report.bad == 0
    assert codes(report) == {"duplicate"}


def test_a_picture_under_two_labels_is_left_out_wherever_it_is():
    pictures = noise(30)
    pictures += [pictures[4]]
    report = checked(pictures, [*evenly(30), 1])
    assert code(report, "contradiction").groups == (("004", "030"),)
    assert code(report, "contradiction").notes == ("a / b",)
    assert {key for key, _ in report.skipped} == {"004", "030"}
    assert report.bad == 2


@pytest.mark.parametrize(
    ("splits", "stays"),
    [
        (("train", "test"), 1),
        (("test", "train"), 0),
        (("train", "val"), 1),
        (("val", "test"), 1),
        ((None, "test"), 1),
    ],
)
def test_copies_across_splits_stay_where_they_measure(splits, stays):
    pictures = noise(40)
    pictures += [pictures[0]]
    all_splits = [splits[0], *["train"] * 20, *["val"] * 9, *["test"] * 10, splits[1]]
    report = checked(pictures, [*evenly(40), 0], all_splits)
    assert code(report, "leak").severity == "error"
    assert code(report, "leak").groups == (("000", "040"),)
    assert [key for key, _ in report.skipped] == [("040", "000")[stays]]


def photographs(folder, count):
    return [Image.open(file).convert("RGB") for file in sorted(folder.glob("*.jpg"))[:count]]


@pytest.mark.parametrize("change", ["saved again", "half the size", "another format", "grey"])
def test_near_duplicates_of_photographs_are_found(shared_data, change):
    images = photographs(shared_data("imagenet500"), 24)
    changed = {
        "saved again": lambda image: encoded(np.asarray(image), "JPEG", quality=60),
        "half the size": lambda image: np.asarray(image.resize((image.width // 2, image.height // 2))),
        "another format": lambda image: encoded(np.asarray(image), "BMP"),
        "grey": lambda image: np.asarray(image.convert("L")),
    }[change]
    pictures = [*(encoded(np.asarray(image)) for image in images), *map(changed, images[:12])]
    report = checked(pictures, [*evenly(24), *evenly(12)])
    assert code(report, "near-duplicate").groups == tuple((f"{n:03d}", f"{24 + n:03d}") for n in range(12))
    assert report.near_groups == tuple((n, 24 + n) for n in range(12))
    assert len(report.kept) == 36


def test_near_duplicates_across_splits_and_labels_are_warnings(shared_data):
    images = photographs(shared_data("imagenet500"), 22)
    pictures = [encoded(np.asarray(image)) for image in images]
    pictures += [encoded(np.asarray(images[n]), "JPEG", quality=70) for n in (0, 1)]
    report = checked(pictures, [*evenly(22), 0, 0], [*["train"] * 22, "test", "train"])
    assert code(report, "near-leak").groups == (("000", "022"),)
    assert code(report, "near-contradiction").groups == (("001", "023"),)
    assert not report.failed()
    assert report.failed(strict=True)


def test_frames_of_one_group_are_expected_to_be_alike(shared_data):
    image = photographs(shared_data("imagenet500"), 1)[0]
    frames = [encoded(np.asarray(image), "JPEG", quality=quality) for quality in (60, 70, 80)]
    report = checked([*frames, *noise(20)], [0, 0, 0, *evenly(20)], groups=["clip"] * 3 + [None] * 20)
    assert code(report, "near-duplicate") is None
    assert report.near_groups == ((0, 1, 2),)


def test_small_pictures_do_not_drown_in_false_alarms(shared_data):
    digits = check(open_source("digits"), quiet=True)
    assert digits.problems == ()
    fashion = check(open_source(shared_data("fashion_mnist")), quiet=True)
    alike = [place for group in fashion.near_groups for place in group]
    assert 0 < len(alike) < 200
    labels = open_source(shared_data("fashion_mnist")).strata()
    assert all(len(set(labels[list(group)])) == 1 for group in fashion.near_groups)


def test_real_leaks_are_found(shared_data):
    report = check(open_source(shared_data("pneumoniamnist")), quiet=True)
    assert len(code(report, "leak").groups) == 3
    assert len(report.kept) == 3158
    require_usable(report)


def test_a_group_in_two_splits_is_a_leak():
    groups = ["anna", "anna", "bob", "bob", *[None] * 36]
    splits = ["train", "test", "train", "train", *["train"] * 26, *["test"] * 10]
    report = checked(noise(40), evenly(40), splits, groups)
    assert code(report, "group-leak").groups == (("000", "001"),)
    assert report.skipped == (("000", "group-leak: its group anna is in another split"),)


@pytest.mark.parametrize(
    ("labels", "classes", "name", "message"),
    [
        ([0] * 20, "a", "one-class", "all usable pictures are of one class, 'a'"),
        ([0] * 20 + [1] * 20, "abc", "empty-class", "1 class has no usable picture: c"),
        ([0] * 20 + [1] * 20 + [2], "abc", "single-picture", "1 class has one usable picture.*: c"),
    ],
)
def test_classes_that_cannot_be_learnt_stop_training(labels, classes, name, message):
    report = checked(noise(len(labels)), labels, classes=list(classes))
    assert code(report, name).severity == "error"
    with pytest.raises(DataError, match=f"(?s)cannot be trained on.*{message}"):
        require_usable(report)


def test_nothing_usable_stops_training():
    report = checked([b"", b"x", b"y"], [0, 1, 0])
    assert report.kept.size == 0
    with pytest.raises(DataError, match=r"(?s)no picture is left"):
        require_usable(report, max_bad=1.0)


def test_tiny_and_unequal_classes_are_warnings():
    report = checked(noise(120), [0] * 111 + [1] * 9)
    assert codes(report) == {"tiny-class", "imbalance"}
    assert "'a' has 111 pictures and 'b' 9, 12 times fewer" in code(report, "imbalance").message
    require_usable(report)


@pytest.mark.parametrize(("most", "warned"), [(100, True), (99, False)])
def test_ten_to_one_is_unequal(most, warned):
    report = checked(noise(most + 10), [0] * most + [1] * 10)
    assert ("imbalance" in codes(report)) == warned


def test_classes_that_a_split_lacks():
    labels = [*[0] * 20, *[1] * 20, *[2] * 20]
    splits = [*["train"] * 15, *["test"] * 5, *["train"] * 20, *["test"] * 20]
    report = checked(noise(60), labels, splits)
    assert "b" in code(report, "not-in-test").message
    assert code(report, "not-in-train").severity == "error"
    with pytest.raises(DataError, match="none to learn from: c"):
        require_usable(report)


def test_class_names_that_may_be_one():
    report = checked(noise(40), evenly(40), classes=["Stop sign", "stop_sign"])
    assert "Stop sign, stop_sign differ only in case, spaces or dashes" in code(report, "alike-names").message
    report = checked(noise(40), evenly(40), classes=["caf\u00e9", "cafe\u0301"])
    told = code(report, "alike-names").message
    assert r"differ only in their Unicode form ('caf\xe9' and 'cafe\u0301')" in told
    assert "alike-names" not in codes(checked(noise(40), evenly(40), classes=["-1", "1"]))


def test_mixed_sizes_and_modes_are_told(tmp_path):
    colour = noise(10, 2, (20, 30, 3))
    report = checked([*noise(30), *map(encoded, colour), encoded(noise(1)[0].astype(np.uint16) * 257)], evenly(41))
    assert code(report, "mixed-modes").severity == "info"
    assert "(I;16, L, RGB)" in code(report, "mixed-modes").message  # by name: threads meet them in any order
    assert code(report, "mixed-sizes").severity == "info"
    assert sum(report.modes.values()) == 41
    assert set(report.modes) >= {"L", "RGB"}


def test_16_bit_pictures_that_use_12_bits_are_a_warning():
    """A scanner's 0…4,095 leaves 16 grey levels of the 256 that are seen."""
    deep = [picture.astype(np.uint16) * 16 for picture in noise(30)]
    warned = code(checked([encoded(picture) for picture in deep], evenly(30)), "dim-16-bit")
    assert warned.severity == "warning"
    assert "only 0…4,095 of" in warned.message
    assert code(checked(deep, evenly(30)), "dim-16-bit") is not None
    assert code(checked([picture * 16 for picture in deep], evenly(30)), "dim-16-bit") is None
    assert code(checked(noise(30), evenly(30)), "dim-16-bit") is None


def deep_png(values, kind):
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    height, width, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def deep_tiff(values, order, planes=False):
    """Return an uncompressed TIFF of 16 bits a channel, which Pillow cannot write."""
    height, width, channels = values.shape
    data = (np.moveaxis(values, -1, 0) if planes else values).astype(f"{order}u2").tobytes()
    strips = channels if planes else 1
    lists = {258: [16] * channels, 273: [8 + k * len(data) // strips for k in range(strips)]}
    lists[279] = [len(data) // strips] * strips
    plain = {256: [width], 257: [height], 259: [1], 262: [2], 277: [channels], 278: [height], 284: [1 + planes]}
    end = 8 + len(data) + 2 + 12 * 10 + 4
    entries, behind = b"", b""
    for tag, numbers in sorted((plain | lists).items()):
        packed = struct.pack(f"{order}{len(numbers)}I", *numbers)
        if len(numbers) > 1:
            behind, packed = behind + packed, struct.pack(f"{order}I", end + len(behind))
        entries += struct.pack(f"{order}HHI", tag, 4, len(numbers)) + packed
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8 + len(data))
    return head + data + struct.pack(f"{order}H", 10) + entries + bytes(4) + behind


def deep_ppm(values):
    height, width, _ = values.shape
    return f"P6 {width} {height} 65535\n".encode() + values.astype(">u2").tobytes()


DEEP = {
    "RGB": lambda values: deep_png(values, 2),
    "LA": lambda values: deep_png(np.dstack([values[..., 0], np.full(values.shape[:2], 65535)]), 4),
    "RGBA": lambda values: deep_png(np.dstack([values, np.full(values.shape[:2], 65535)]), 6),
    "TIFF": lambda values: deep_tiff(values, "<"),
    "TIFF, big endian": lambda values: deep_tiff(values, ">"),
    "PPM": deep_ppm,
}


@pytest.mark.parametrize("make", DEEP.values(), ids=DEEP)
def test_16_bit_colour_and_alpha_that_use_12_bits_are_a_warning(make):
    """Pillow gives 8 bits of these: 0…15 of 255, and their depth is known from the header alone."""
    pictures = [picture.astype(np.uint16) * 16 for picture in noise(20, shape=(16, 16, 3))]
    assert "dim-16-bit" in codes(checked([make(picture) for picture in pictures], evenly(20)))
    assert "dim-16-bit" not in codes(checked([make(picture * 16) for picture in pictures], evenly(20)))


def test_16_bit_colours_plane_by_plane_are_refused_instead_of_misread():
    picture = noise(1, shape=(16, 16, 3))[0].astype(np.uint16) * 257
    report = checked([deep_tiff(picture, "<", planes=True), *map(encoded, noise(20))], evenly(21))
    assert "separate colour planes" in code(report, "unreadable").notes[0]


def several(format_, count=3):
    first, *others = [Image.fromarray(picture) for picture in noise(count, shape=(16, 16, 3))]
    buffer = io.BytesIO()
    first.save(buffer, format_, save_all=True, append_images=others)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("format_", "severity"), [("TIFF", "warning"), ("WEBP", "warning"), ("PNG", "warning"), ("MPO", "info")]
)
def test_further_pages_and_frames_are_counted_and_named(format_, severity):
    report = checked([several(format_), several(format_, 5), *map(encoded, noise(20))], evenly(22))
    found = [problem for problem in report.problems if problem.code == "more-frames"]
    assert [problem.severity for problem in found] == [severity]
    assert "2 files have more than one page or frame. The first is used, 6 others are not." in found[0].message
    assert found[0].keys == ("000", "001")
    assert found[0].notes == (f"3 in {format_}", f"5 in {format_}")


def test_the_pages_of_a_tiff_are_counted_up_to_a_bound():
    """Each page shows the same strip; the list of pages takes about a hundred bytes a page."""
    whole = bytearray(encoded(noise(1)[0], "TIFF"))
    start = struct.unpack_from("<I", whole, 4)[0]
    end = start + 2 + 12 * struct.unpack_from("<H", whole, start)[0]
    page = whole[start:end]
    struct.pack_into("<I", whole, end, len(whole))
    for _ in range(1_200):
        whole += page + struct.pack("<I", len(whole) + len(page) + 4)
    report = checked([bytes(whole), *map(encoded, noise(20))], evenly(21))
    assert code(report, "more-frames").notes == ("1,000 in TIFF",)


def test_a_scene_that_hardly_changes_is_grouped_in_little_memory():
    rng = np.random.default_rng(0)
    rows = np.cumsum(np.cumsum(rng.normal(0, 1, (16, 16)), axis=0), axis=1)
    scene = (rows - rows.min()) / (rows.max() - rows.min()) * 255
    thumbnails = np.clip(scene + rng.normal(0, 0.7, (3000, 16, 16)), 0, 255).astype(np.uint8)
    tracemalloc.start()
    groups = near(thumbnails, np.arange(3000))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [len(group) for group in groups] == [3000]
    assert peak < 80 << 20


def test_pictures_of_which_each_is_like_the_next_are_one_group():
    """Their ends are far apart, and others that are like none of them stay alone."""
    rng = np.random.default_rng(0)
    scenes = np.cumsum(np.cumsum(rng.normal(0, 8, (2, 16, 16)), axis=1), axis=2)
    scenes = np.clip(scenes - scenes.mean(axis=(1, 2), keepdims=True) + 100, 20, 180)
    steps = np.arange(20)[:, None, None] * 1.5
    order = rng.permutation(62)
    pictures = np.concatenate([scenes[0] + steps, scenes[1] + steps, noise(22)]).astype(np.uint8)[np.argsort(order)]
    groups = sorted([sorted(order[:20].tolist()), sorted(order[20:40].tolist())])
    assert near(pictures, np.arange(62)) == groups


def test_problems_met_while_listing_are_part_of_the_report(tmp_path):
    for place, picture in enumerate(noise(40)):
        folder = tmp_path / "ab"[place % 2]
        folder.mkdir(exist_ok=True)
        (folder / f"{place}.png").write_bytes(encoded(picture))
    (tmp_path / "loose.png").write_bytes(encoded(noise(1, 9)[0]))
    report = check(open_source(tmp_path), quiet=True)
    assert (report.lost, report.bad) == (1, 1)
    assert code(report, "no-class").keys == ("loose.png",)
    with pytest.raises(DataError, match=r"(?s)1 of 41 pictures is bad.*loose\.png"):
        require_usable(report)


def test_arrays_and_files_are_judged_alike(shared_data):
    arrays = noise(6, 3, (40, 30, 3))
    of_arrays = check(source_of([*arrays, *arrays[:2]], evenly(8)), quiet=True)
    of_files = check(source_of([encoded(array) for array in [*arrays, *arrays[:2]]], evenly(8)), quiet=True)
    assert of_arrays.kept.tolist() == of_files.kept.tolist()
    assert of_arrays.sizes == of_files.sizes
    both = check(source_of([*arrays, *map(encoded, arrays)], evenly(12)), quiet=True)
    assert code(both, "near-duplicate").groups == tuple((f"{n:03d}", f"{n + 6:03d}") for n in range(6))


@pytest.mark.parametrize("shape", [(16, 16), (16, 16, 1), (16, 16, 3), (16, 16, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_thumbnails_of_arrays_are_those_of_the_decoder(shape, dtype):
    from sightsmith.core.images import decode
    from sightsmith.data.duplicates import thumbnail

    pictures = [np.random.default_rng(n).integers(0, np.iinfo(dtype).max, shape).astype(dtype) for n in range(3)]
    scan = scan_items(
        [Sample(str(n), picture) for n, picture in enumerate(pictures)], max_pixels=999, threads=1, quiet=True
    )
    for place, picture in enumerate(pictures):
        expected = thumbnail(decode(picture)).astype(int)
        assert np.abs(scan.thumbnails[place] - expected).max() <= 2


def test_large_arrays_are_not_stacked_all_at_once():
    pictures = np.zeros((40, 1000, 1000, 3), np.uint8)
    pictures[:, ::7] = np.random.default_rng(0).integers(0, 256, (40, 1, 1, 3))
    source = source_of(list(pictures), evenly(40))
    tracemalloc.start()
    check(source, GateSettings(threads=2), quiet=True)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * pictures.nbytes


def test_arrays_of_a_wrong_type_are_named():
    report = checked([*noise(38), np.zeros((9, 9)), np.ones((9, 9))], evenly(40))
    assert code(report, "unreadable").keys == ("038", "039")
    assert "uint8" in code(report, "unreadable").notes[0]


def test_json_names_all_and_can_be_written():
    pictures = noise(30)
    report = checked([*pictures, *pictures[:20]], [*evenly(30), *evenly(20)])
    raw = json.loads(json.dumps(report.to_json()))
    duplicate = next(problem for problem in raw["problems"] if problem["code"] == "duplicate")
    assert len(duplicate["keys"]) == 40
    assert len(raw["skipped"]) == 20
    assert raw["classes"]["a"] == {"train": 0, "val": 0, "test": 0, "any": 15}
    assert raw["failed"] is False
    text = report.to_text()
    assert "and 15 more" in text
    assert "0 errors, 1 warning" in text
    assert "Training may use 30 of 50 and leaves out 20" in text


def test_errors_come_first():
    report = checked([*noise(30), b"", noise(1)[0]], [*evenly(30), 0, 0])
    order = [problem.severity for problem in report.problems]
    assert order == sorted(order, key=["error", "warning", "info"].index)


def test_settings_are_checked_and_used():
    with pytest.raises(SettingsError, match="imbalance"):
        GateSettings(imbalance=0.5)
    settings = GateSettings(max_pixels=100, near_duplicates=False, tiny_class=0, imbalance=100)
    report = checked([*noise(40), *noise(2, 1, (9, 9))], [*[0] * 40, 1, 1], settings=settings)
    assert len(code(report, "too-many-pixels").keys) == 40


def test_pictures_are_checked_quickly_and_in_little_memory():
    pictures = np.random.default_rng(0).integers(0, 256, (20_000, 28, 28), dtype=np.uint8)
    source = source_of(list(pictures), evenly(20_000, 3))
    start = time.perf_counter()
    tracemalloc.start()
    report = check(source, quiet=True)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(report.kept) == 20_000
    assert 20_000 / (time.perf_counter() - start) > 1000  # far below what it does: the machine may be busy
    assert size / 20_000 < 400


def test_real_folder_with_planted_damage(shared_data, tmp_path):
    cifar = shared_data("cifar10_subset")
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            (tmp_path / split / name).mkdir(parents=True)
            for file in sorted((cifar / split / name).iterdir())[:30]:
                shutil.copy(file, tmp_path / split / name)
    files = sorted((tmp_path / "train" / "cat").iterdir())
    shutil.copy(files[0], tmp_path / "test" / "cat" / "leak.png")
    shutil.copy(files[1], tmp_path / "train" / "dog" / "wrong.png")
    Path(tmp_path / "train" / "dog" / "cut.png").write_bytes(files[2].read_bytes()[:500])
    report = check(open_source(tmp_path), quiet=True)
    assert codes(report, "error") == {"leak", "contradiction", "unreadable"}
    assert {key for key, _ in report.skipped} == {
        f"train/cat/{files[0].name}",
        f"train/cat/{files[1].name}",
        "train/dog/wrong.png",
        "train/dog/cut.png",
    }


def test_real_groups(shared_data):
    report = check(open_source(shared_data("gtsrb_tracks"), SourceOptions(group_by=r"^(\d+/\d+)_")), quiet=True)
    assert not report.failed(strict=True)
