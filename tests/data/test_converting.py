"""What is written in a format and read again is the same truth, and what a format cannot hold is said."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from box_data import coco_json, objects_of, write_coco, write_pictures, write_voc
from sightsmith.core.errors import OutputExistsError, SettingsError
from sightsmith.core.records import SPLITS, Sample
from sightsmith.data.converting import convert, formats, write
from sightsmith.data.source import SourceOptions, build_source, open_source
from sightsmith.kinds.boxes.truth import boxed

SIZE = (61, 47)
every_form = pytest.mark.parametrize("form", ["coco", "voc", "yolo"])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    write_pictures(folder, ["0", "1", "2"], SIZE)
    return folder


def edges(size):
    """Draw the two edges of a box along a side, to thousandths of a pixel, at least a tenth apart."""
    positions = some.integers(0, size * 10).map(lambda tenth: tenth / 10)
    fine = some.tuples(positions, positions).filter(lambda two: two[0] != two[1]).map(sorted)
    return fine.map(lambda two: (two[0], min(size, two[1] + 0.003)))


objects = some.lists(
    some.tuples(some.sampled_from(range(3)), edges(SIZE[0]), edges(SIZE[1]), some.booleans()), max_size=5
)


@every_form
@settings(max_examples=8)
@given(truths=some.lists(objects, min_size=3, max_size=3), split=some.sampled_from([*SPLITS, None]))
def test_random_truths_survive_the_way_there_and_back(form, tmp_path_factory, pictures, truths, split):
    names = ('a <b> & "c"', "0: x", "été")
    samples = []
    for number, listed in enumerate(truths):
        boxes_N4 = np.array([(left, top, right, bottom) for _, (left, right), (top, bottom), _ in listed]).reshape(
            -1, 4
        )
        ignored_N = np.array([ignored for *_, ignored in listed], dtype=np.bool_)
        truth = boxed(boxes_N4, np.array([label for label, *_ in listed]), SIZE, ignored_N=ignored_N)
        picture = str(pictures / f"{number}.png")
        samples.append(Sample(f"{number}.png", picture, truth, None, split if number else "train"))
    source = build_source(format="x", location="x", kind="boxes", names=names, samples=samples, options=SourceOptions())
    out = tmp_path_factory.mktemp("there") / "out"
    lost = write(source, out, form)
    again = open_source(out, SourceOptions(format=form))
    assert objects_of(again) == objects_of(source)
    expected = {str(number): split if number else "train" for number in range(3)}
    if form != "coco" and split is None:  # lists of some pictures leave the others out
        expected = dict.fromkeys(expected, "train")
        assert lost[0] == "2 pictures without a split: written into train"
    assert {Path(one.key).stem: one.split for one in again.samples} == expected
    if form != "yolo":
        ignored = [sample.target.ignored_N.tolist() for sample in sorted(again.samples, key=lambda one: one.key[-5:])]
        assert ignored == [sample.target.ignored_N.tolist() for sample in samples]


@pytest.mark.parametrize(("name", "form"), [("bccd_voc", "yolo"), ("coad_driving_coco", "voc")])
def test_real_truths_survive(shared_data, tmp_path, name, form):
    first = open_source(shared_data(name))
    done = convert(shared_data(name), form, tmp_path / "out", quiet=True)
    again = open_source(done.out)
    assert done.pictures == len(again.samples) == len(first.samples)
    assert objects_of(again) == objects_of(first)
    assert Counter(sample.split for sample in again.samples) == Counter(sample.split for sample in first.samples)
    assert not [problem for problem in again.problems if problem.severity != "info" and problem.code != "unused-zero"]


def test_names_survive_a_change_of_numbers(tmp_path):
    """From 17 and 90 to 0 and 1 and back to 1 and 2."""
    write_coco(tmp_path / "first", coco_json(numbers=(90, 17)))
    expected = objects_of(open_source(tmp_path / "first"))
    for before, form in (("first", "yolo"), ("yolo", "coco"), ("coco", "voc")):
        convert(tmp_path / before, form, tmp_path / form, quiet=True)
        assert objects_of(open_source(tmp_path / form)) == expected
    assert "17" not in (tmp_path / "yolo" / "data.yaml").read_text()


def test_what_a_format_cannot_hold_is_said(tmp_path):
    content = coco_json()
    content["annotations"][0]["iscrowd"] = 1
    content["annotations"][1] |= {"ignore": 1, "area": 7}
    content["categories"].append({"id": 3, "name": "bus"})
    write_coco(tmp_path / "data", content)
    lost = {form: convert(tmp_path / "data", form, tmp_path / form, quiet=True).lost for form in formats()}
    assert lost == {
        "coco": (),
        "voc": (
            "1 box around crowds: written as difficult",
            "1 area of outlines: that of the box counts",
            "1 name without objects: bus",
        ),
        "yolo": (
            "1 box around crowds: left out",
            "1 object marked as difficult: written without the mark",
            "1 area of outlines: that of the box counts",
        ),
    }
    (sample, *_) = open_source(tmp_path / "coco").samples
    assert (sample.target.crowd_N.tolist(), sample.target.ignored_N.tolist()) == ([True, False], [True, True])
    assert sample.target.areas_N.tolist() == [384, 7]


def test_pictures_of_one_name_in_two_folders_stay_two(tmp_path):
    for split in ("train", "val"):
        write_pictures(tmp_path / "data" / split, ["a"])
        (tmp_path / "data" / split / "a.xml").write_text(
            "<annotation><object><name>cat</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax>"
            "</bndbox></object></annotation>"
        )
    for form in formats():
        convert(tmp_path / "data", form, tmp_path / form, quiet=True)
        assert sorted(str(sample.split) for sample in open_source(tmp_path / form).samples) == ["train", "val"]


def test_nothing_else_is_replaced_and_nothing_half_written(tmp_path):
    write_voc(tmp_path / "data")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("words")
    with pytest.raises(OutputExistsError, match="exists already"):
        convert(tmp_path / "data", "coco", tmp_path / "mine")
    with pytest.raises(OutputExistsError, match="is no folder of such data"):
        convert(tmp_path / "data", "coco", tmp_path / "mine", overwrite=True)
    for inside in (tmp_path / "data" / "out", tmp_path / "data", tmp_path):
        with pytest.raises((SettingsError, OutputExistsError), match="overlap|no folder of such data"):
            convert(tmp_path / "data", "coco", inside, overwrite=True)
    convert(tmp_path / "data", "coco", tmp_path / "out", quiet=True)
    convert(tmp_path / "data", "yolo", tmp_path / "out", overwrite=True, quiet=True)
    assert open_source(tmp_path / "out").format == "yolo"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "mine", "out"]
    assert objects_of(open_source(tmp_path / "data")) == objects_of(open_source(tmp_path / "out"))


def test_formats_and_kinds_that_do_not_fit_are_refused(tmp_path):
    write_voc(tmp_path / "data")
    with pytest.raises(SettingsError, match=r"'coca' is no format that can be written\. Did you mean 'coco'"):
        convert(tmp_path / "data", "coca", tmp_path / "out")
    for label in ("cat", "dog"):
        write_pictures(tmp_path / "photos" / label)
    with pytest.raises(SettingsError, match="holds object classes, and .*photos tells classes"):
        convert(tmp_path / "photos", "coco", tmp_path / "out")
    assert not (tmp_path / "out").exists()
