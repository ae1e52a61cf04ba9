"""The rules for boxes: each fault planted among clean truths, found, with its code, picture and place."""

import io
import re
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from photos import stripes
from sightsmith.core.errors import DataError
from sightsmith.core.records import Sample
from sightsmith.data.gate import GateSettings, check, require_usable
from sightsmith.data.rules import same_boxes, shifted_boxes
from sightsmith.data.source import SourceOptions, build_source, open_source
from sightsmith.data.verdict import Checked, Verdict
from sightsmith.inputs.parts.survey import Survey
from sightsmith.kinds.boxes.truth import boxed
from sightsmith.tasks.detect import defaults

NAMES = ("cell", "plate")
CELL, PLATE = (4, 5, 20, 25), (22, 8, 38, 30)
SPLITS = ("train", "train", "train", "val", "test")


def sample(number, *objects, split=None, picture=None):
    """Return a picture with objects (label, left, top, right, bottom), by default a cell and a plate."""
    objects = objects or ((0, *CELL), (1, *PLATE))
    picture = stripes(number, number % 3) if picture is None else picture
    rows = np.array(objects, dtype=np.float64).reshape(-1, 5)
    places = tuple(f"{number:02}.xml:{10 + at}" for at in range(len(rows)))
    truth = boxed(rows[:, 1:], rows[:, 0].astype(np.int64), picture.size, places=places)
    return Sample(f"{number:02}.jpg", picture, truth, None, split)


def clean(count=20, splits=(None,)):
    return [sample(number, split=splits[number % len(splits)]) for number in range(count)]


def checked(samples, names=NAMES, **settings):
    source = build_source(
        format="voc", location="cells", names=names, samples=samples, options=SourceOptions(), kind="boxes"
    )
    return check(source, GateSettings(tiny_class=5, **settings), quiet=True)


def problem(report, code):
    return next((each for each in report.problems if each.code == code), None)


def test_clean_truths_have_nothing_to_say():
    report = checked(clean(20, SPLITS))
    assert not report.errors + report.warnings
    assert len(report.kept) == 20
    assert [each.rows[:3] for each in report.contents] == [
        (("cell", 20), ("plate", 20)),
        (("none (negative)", 0), ("1", 0), ("2", 20)),
        (("small", 40), ("medium", 0), ("large", 0)),
    ]


PLANTED = {
    "same-box": (((0, *CELL), (1, *PLATE), (0, 4.2, 5, 20, 25)), (0, 2), "cell 4.2 5 20 25"),
    "two-names": (((0, *CELL), (1, *PLATE), (1, 4, 5, 20, 24)), (0, 2), "plate 4 5 20 24"),
    "whole-picture": (((0, 0, 0, 40, 40), (1, *PLATE)), (0,), ""),
    "sliver": (((0, 1, 5, 38, 6.5), (1, *PLATE)), (0,), "25 to 1"),
    "tiny-box": (((0, *CELL), (1, 7, 7, 7.1, 8.5)), (1,), "plate 7 7 7.1 8.5, "),
}


@pytest.mark.parametrize("code", PLANTED)
def test_a_planted_box_is_named_with_its_picture_and_its_place(code):
    objects, faulty, words = PLANTED[code]
    picture = stripes(7, 0).resize((40, 40))
    report = checked([*clean(), sample(20, *objects, picture=picture)])
    found = problem(report, code)
    assert found.severity == "warning"
    assert found.groups == (("20.jpg",),)
    assert [place in found.notes[0] for place in (f"20.xml:{10 + at}:" for at in faulty)] == [True] * len(faulty)
    assert words in found.notes[0]
    assert found.spots == (tuple(tuple(map(float, objects[at][1:])) for at in faulty),)
    assert [each.code for each in report.errors + report.warnings] == [code]
    assert len(report.kept) == 21  # the picture is still learnt from
    assert found.notes[0] in report.to_text()


def test_boxes_side_by_side_and_ignored_ones_are_no_faults():
    beside = sample(20, (0, *CELL), (0, 6, 5, 22, 25), (1, *PLATE))
    crowd = sample(21, (0, *CELL), (0, *CELL), (1, *PLATE))
    crowd = replace(crowd, target=replace(crowd.target, ignored_N=np.array([False, True, False])))
    assert not checked([*clean(), beside, crowd]).warnings


def test_three_boxes_of_one_object_are_two_too_many():
    report = checked([*clean(), sample(20, *[(0, *CELL)] * 3, (1, *PLATE))])
    assert problem(report, "same-box").message.startswith("2 objects are annotated twice")


def test_what_is_tiny_depends_on_the_size_of_the_input():
    samples = [*clean(), sample(20, (0, *CELL), (1, 7, 7, 8, 9), picture=stripes(1, 0).resize((400, 300)))]
    assert problem(checked(samples, input_size=800), "tiny-box") is None
    told = problem(checked(samples, input_size=400), "tiny-box")
    assert "A --size of 800 would show all" in told.message
    assert problem(checked(samples, input_size=800), "small-box").message.startswith("1 of 42 objects (2%)")


@pytest.mark.parametrize(("size", "side"), [((40, 40), 64), ((200, 150), 160), ((900, 700), 416)])
def test_the_size_of_the_input_is_that_of_a_training_that_is_asked_for_none(size, side):
    least = max(size) / side
    samples = [
        sample(number, (0, 1, 1, 9, 1 + 1.9 * least), picture=stripes(number, 0).resize(size)) for number in range(9)
    ]
    assert f"once the picture is resized to {side}:" in problem(checked(samples), "tiny-box").message
    assert defaults(Survey(side=min(size), grey=False, count=9, in_memory=True))["size"] == side


def test_a_box_that_is_like_a_repetition_alone_stays():
    chain = [(0, 4, 5, 20 + step, 25) for step in (0, 0.6, 1.2)]
    samples = [*clean(), sample(20, *chain, (1, *PLATE))]
    assert len(problem(checked(samples), "same-box").groups) == 1
    source = build_source(
        format="voc", location="cells", names=NAMES, samples=samples, options=SourceOptions(), kind="boxes"
    )
    mended, changes = same_boxes.mend(source)
    assert [len(each.target) for each in mended.samples[-2:]] == [2, 3]
    assert [change.before for change in changes] == ["20.xml:11: cell 4 5 20.6 25"]


def test_thousands_of_objects_in_a_picture_take_little_memory():
    corners = np.array([(x, y) for y in range(60) for x in range(50)]) * 12.0
    objects = [(0, x, y, x + 9, y + 9) for x, y in corners.tolist()]
    crowded = sample(20, *objects, (0, 0, 0, 9, 9.1), picture=stripes(20, 0).resize((600, 720)))
    tracemalloc.start()
    report = checked([*clean(), crowded])
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert problem(report, "same-box").notes == ("20.xml:10: cell 0 0 9 9 = 20.xml:3010: cell 0 0 9 9.1",)
    assert most < 100e6  # one matrix of all pairs has 72 MB, and IoU takes several


NAMED = {
    ("cell", "Cell "): ("alike-names", "warning", "case, spaces or dashes"),
    ("platelet", "platelets"): ("similar-names", "warning", "singular and plural"),
    ("lorry", "lorries"): ("similar-names", "warning", "singular and plural"),
    ("platelet", "plateIet"): ("similar-names", "info", "one letter"),
    ("platelet", "platlet"): ("similar-names", "info", "one letter"),
    ("platelet", "plaetlet"): ("similar-names", "info", "one letter"),
    ("cat", "bat"): None,
    ("lane 10", "lane 11"): None,
    ("platelet", "leukocyte"): None,
}


@pytest.mark.parametrize("names", NAMED)
def test_names_that_are_probably_one(names):
    report = checked(clean(), names)
    found = [each for each in report.problems if each.code.endswith("-names")]
    assert [(each.code, each.severity) for each in found] == ([NAMED[names][:2]] if NAMED[names] else [])
    assert all(NAMED[names][2] in each.message and names[1] in each.message for each in found)


def in_splits(*classes_of_splits):
    """Return 20 pictures, those of each split with objects of these classes alone."""
    chosen = dict(zip(("train", "val", "test"), classes_of_splits, strict=True))
    boxes = {0: (0, *CELL), 1: (1, *PLATE)}
    return [
        sample(number, *(boxes[label] for label in chosen[SPLITS[number % 5]]), split=SPLITS[number % 5])
        for number in range(20)
    ]


SPREAD = {
    "class-not-in-train": ("error", in_splits([0], [0, 1], [0, 1])),
    "not-in-val": ("warning", in_splits([0, 1], [0], [0, 1])),
    "not-in-test": ("warning", in_splits([0, 1], [0, 1], [0])),
    "unused-class": ("warning", in_splits([0], [0], [0])),
    "tiny-class": ("warning", [*[sample(n, (0, *CELL)) for n in range(20)], *[sample(20 + n) for n in range(4)]]),
}


@pytest.mark.parametrize("code", SPREAD)
def test_classes_that_are_not_where_they_should_be(code):
    severity, samples = SPREAD[code]
    report = checked(samples)
    assert problem(report, code).severity == severity
    assert "plate" in problem(report, code).message
    assert [each.code for each in report.errors + report.warnings] == [code]


def ignoring(samples, label, splits=("train", "val", "test")):
    """Return the samples with the objects of a class marked as ignored in some splits."""
    return [
        replace(each, target=replace(each.target, ignored_N=each.target.labels_N == label))
        if each.split in splits
        else each
        for each in samples
    ]


def test_ignored_objects_teach_and_measure_nothing():
    whole = in_splits([0, 1], [0, 1], [0, 1])
    report = checked(ignoring(whole, 1))
    assert [each.code for each in report.errors + report.warnings] == ["ignored-class"]
    assert "only objects that are ignored (difficult, crowds)" in problem(report, "ignored-class").message
    report = checked(ignoring(whole, 1, ("train",)))
    assert [each.code for each in report.errors] == ["class-not-in-train"]


def test_negatives_are_counted_and_alone_are_nothing_to_learn():
    none = [replace(each, target=boxed(np.zeros((0, 4)), np.zeros(0), (40, 40))) for each in clean()]
    report = checked([*clean(), *(replace(each, key=f"n{each.key}", item=stripes(90 + at, 0)) for at, each in
                                  enumerate(none))])  # fmt: skip
    assert "Objects in a picture: 0 to 2, median 1; 20 pictures have none." in report.to_text()
    assert report.to_json()["objects_in_a_picture"]["none (negative)"] == 20
    report = checked(none)
    assert problem(report, "no-object").severity == "error"
    with pytest.raises(DataError, match="no object in 20 usable pictures: all are negatives"):
        require_usable(report)


def test_copies_are_contradictions_if_their_boxes_differ_and_leaks_if_in_two_splits():
    samples = clean(20, SPLITS)
    again = replace(samples[0], key="20.jpg")
    leaked = replace(samples[1], key="21.jpg", split="test")
    moved = sample(22, (0, *CELL), (1, 22, 8, 38, 20), picture=samples[2].item, split="train")
    report = checked([*samples, again, leaked, moved])
    assert problem(report, "duplicate").groups == (("00.jpg", "20.jpg"),)
    assert problem(report, "leak").groups == (("01.jpg", "21.jpg"),)
    assert problem(report, "contradiction").groups == (("02.jpg", "22.jpg"),)
    assert problem(report, "contradiction").notes == ("1 cell, 1 plate (2 versions)",)
    assert dict(report.skipped) == {
        "01.jpg": "leak: a copy of 21.jpg",
        "02.jpg": "contradiction: the same picture has another annotation elsewhere",
        "20.jpg": "duplicate: a copy of 00.jpg",
        "22.jpg": "contradiction: the same picture has another annotation elsewhere",
    }


def test_truths_of_many_objects_are_short_in_messages():
    crowd = [(number % 2, number, 3, number + 9, 20) for number in range(30)]
    first = sample(20, *crowd)
    second = sample(21, *crowd[1:], picture=first.item)
    (note,) = problem(checked([*clean(), first, second]), "contradiction").notes
    assert note == "15 cell, 15 plate / 15 plate, 14 cell"


def test_nearly_equal_pictures_with_other_boxes_are_two_views_of_a_scene():
    scene = stripes(50, 0).resize((8, 8)).resize((60, 60))
    first = sample(20, picture=scene, split="train")
    second = sample(21, (0, 6, 5, 22, 25), picture=scene.resize((56, 56)), split="test")
    report = checked([*clean(20, SPLITS), first, second])
    assert problem(report, "near-contradiction") is None
    assert problem(report, "near-leak").groups == (("20.jpg", "21.jpg"),)


def moved(source, across, down):
    """Return the source with all boxes moved, in pixels."""
    samples = []
    for each in source.samples:
        boxes_N4 = each.target.boxes_N4 + np.array([across, down] * 2)
        samples.append(replace(each, target=replace(each.target, boxes_N4=boxes_N4)))
    return replace(source, samples=tuple(samples))


SHIFTS = {
    (0, 0): None,
    (2, -2): None,
    (-15, 15): r"shifted left by 2\.\d% and down by (1\.9|2\.\d)% of",
}


@pytest.fixture(scope="module")
def cells(shared_data):
    """Return 60 real pictures of blood cells."""
    source = open_source(shared_data("bccd_voc"))
    return replace(source, samples=source.samples[:60])


def shift_of(source, **settings):
    """Return the messages of the rule alone."""
    count = len(source.samples)
    verdict = Verdict(left_out=np.zeros(count, bool), bad=np.zeros(count, bool))
    shifted_boxes.find(Checked(source, None, GateSettings(**settings)), verdict)
    return [each.message for each in verdict.problems]


@pytest.mark.parametrize("shift", SHIFTS)
def test_a_shift_of_all_boxes_is_seen_in_real_pictures(cells, shift):
    told = shift_of(moved(cells, *shift))
    assert len(told) == (SHIFTS[shift] is not None)
    assert all(re.search(SHIFTS[shift], message) for message in told)


def test_a_shift_is_not_told_of_few_or_loose_boxes(cells):
    shifted = moved(cells, 10, 0)
    assert shift_of(shifted)
    assert not shift_of(replace(shifted, samples=shifted.samples[:15]))
    rng = np.random.default_rng(0)
    loose = [moved(replace(shifted, samples=(each,)), *rng.normal(0, 40, 2)).samples[0] for each in shifted.samples]
    assert not shift_of(replace(shifted, samples=tuple(loose)))


def test_a_picture_beyond_the_usual_bound_of_pixels_is_measured_if_the_bound_is_raised(cells):
    file = io.BytesIO()
    Image.new("1", (8000, 6300)).save(file, "PNG")
    large = replace(cells.samples[0], item=file.getvalue(), target=boxed(np.array([CELL]), np.zeros(1), (8000, 6300)))
    assert not shift_of(replace(cells, samples=(large,)), max_pixels=60_000_000)
