"""Answers as annotations that labelling tools read, as drawings, and for `supervision`: the same boxes, by name."""

import json

import numpy as np
import pytest
import yaml
from pycocotools.coco import COCO

from coloured_boxes import png, scene
from sightsmith.core.errors import DataError, OutputExistsError, SettingsError
from sightsmith.core.images import decode, picture_size
from sightsmith.core.settings import from_mapping
from sightsmith.data.source import SourceOptions, open_source
from sightsmith.model import load
from sightsmith.runtime.settings import PredictSettings

BLUE, GREEN = (44, 40, 60, 60, 2, 150), (5, 4, 33, 20, 1, 120)


@pytest.fixture(scope="module")
def model(coloured_bundle):
    with load(coloured_bundle) as opened:
        yield opened


@pytest.fixture
def pictures(tmp_path):
    """Return files with objects of the last names alone, with none, and with the same name in another folder."""
    for name, pixels in (("a.png", scene(BLUE, GREEN)), ("b.png", scene()), ("more/A.png", scene(GREEN))):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(png(pixels))
    (tmp_path / "in/c.png").write_bytes(b"\x89PNG\r\n")
    return tmp_path / "in"


def predict(model, folder, **settings) -> list[str]:
    settings = {"options": {"iou": 0.4}, **settings}
    return model.predict_to([str(folder)], from_mapping(PredictSettings, settings, where="predict"))


FILES = {"a.png": "a.png", "b.png": "b.png", "A-2.png": "more/A.png"}
"""Names in the folder of annotations, and those of the pictures."""


def expected(model, pictures) -> dict[str, list[tuple]]:
    answers = {name: model.predict(pictures / file).objects(iou=0.4) for name, file in FILES.items()}
    assert [label for label, _, _ in answers["a.png"]] == ["blue", "green"]
    return {name: [(label, *box) for label, _, box in answer] for name, answer in answers.items()}


def test_coco(model, pictures, tmp_path):
    (skipped,) = predict(model, pictures, form="coco", out=tmp_path / "out")
    assert "c.png" in skipped
    file = tmp_path / "out/annotations/instances_all.json"
    whole = json.loads(file.read_text(encoding="utf-8"))
    read = COCO(str(file))
    names = {one["id"]: one["name"] for one in read.loadCats(read.getCatIds())}
    assert names == {1: "red", 2: "green", 3: "blue"}
    found = {}
    for number, image in read.imgs.items():
        objects = read.loadAnns(read.getAnnIds(imgIds=[number]))
        corners = [(one["bbox"][0], one["bbox"][1], *np.add(one["bbox"][:2], one["bbox"][2:])) for one in objects]
        found[image["file_name"]] = [
            (names[one["category_id"]], *box) for one, box in zip(objects, corners, strict=True)
        ]
        assert picture_size(tmp_path / "out/images" / image["file_name"]) == (image["width"], image["height"])
    assert found == expected(model, pictures)
    results = read.loadRes(whole["annotations"])
    assert [one["score"] for one in results.loadAnns(results.getAnnIds())] == pytest.approx(
        [150 / 255, 120 / 255, 120 / 255], abs=1e-6
    )


@pytest.mark.parametrize("form", ["coco", "yolo", "voc"])
def test_what_is_written_is_read_back_as_data_with_the_same_boxes_and_names(model, pictures, tmp_path, form):
    predict(model, pictures, form=form, out=tmp_path / "out")
    source = open_source(str(tmp_path / "out"), SourceOptions())
    assert source.format == form
    found = {
        sample.key.rpartition("/")[2]: [
            (source.names[label], *box)
            for label, box in zip(sample.target.labels_N, sample.target.boxes_N4.round(4).tolist(), strict=True)
        ]
        for sample in source.samples
    }
    assert found == expected(model, pictures)


def test_the_numbers_of_yolo_are_those_of_the_names(model, pictures, tmp_path):
    predict(model, pictures, form="yolo", out=tmp_path / "out")
    config = yaml.safe_load((tmp_path / "out/data.yaml").read_text(encoding="utf-8"))
    assert config["names"] == {0: "red", 1: "green", 2: "blue"}
    (file,) = (tmp_path / "out").rglob("a.txt")
    assert [line.split()[0] for line in file.read_text(encoding="utf-8").splitlines()] == ["2", "1"]


def test_annotations_go_to_a_new_folder_whole_or_not_at_all(model, pictures, tmp_path):
    with pytest.raises(SettingsError, match="form='coco' writes a folder with pictures: name it by"):
        predict(model, pictures, form="coco")
    out = tmp_path / "out"
    predict(model, pictures, form="coco", out=out)
    with pytest.raises(OutputExistsError, match="exists already"):
        predict(model, pictures, form="yolo", out=out)
    predict(model, pictures, form="yolo", out=out, overwrite=True)
    assert sorted(path.name for path in out.iterdir()) == ["data.yaml", "images", "labels"]
    other = tmp_path / "mine"
    other.mkdir()
    (other / "mine.txt").write_text("kept")
    with pytest.raises(OutputExistsError, match="is no folder of such data"):
        predict(model, pictures, form="coco", out=other, overwrite=True)
    with pytest.raises(SettingsError, match="threshold must be 0…1, got 7"):
        predict(model, pictures, form="coco", out=tmp_path / "other", options={"threshold": 7})
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("form", ["coco", "yolo", "voc"])
def test_pictures_whose_files_have_no_ending_of_pictures_are_read_back(model, tmp_path, form):
    for name in ("in/scan", "in/scan.001"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(png(scene(BLUE)))
    settings = from_mapping(PredictSettings, {"form": form, "out": tmp_path / "out"}, where="predict")
    assert model.predict_to([str(tmp_path / "in/scan"), str(tmp_path / "in/scan.001")], settings) == []
    source = open_source(str(tmp_path / "out"), SourceOptions())
    keys = [sample.key.rpartition("/")[2] for sample in source.samples]
    assert sorted(keys) == ["scan.001.png", "scan.png"]


@pytest.mark.parametrize("name", [f"{'图' * 82}.png", f"{'a' * 251}.png"])
def test_long_names_are_cut(model, tmp_path, name):
    (tmp_path / name).write_bytes(png(scene(BLUE)))
    settings = {"form": "yolo", "out": tmp_path / "out", "draw": tmp_path / "drawn"}
    assert model.predict_to([str(tmp_path / name)] * 2, from_mapping(PredictSettings, settings, where="predict")) == []
    drawn = sorted(path.stem for path in (tmp_path / "drawn").iterdir())
    assert [stem.removeprefix(name[:66]).lstrip(name[0]) for stem in drawn] == ["", "-2"]
    assert sorted(path.stem for path in (tmp_path / "out/labels").iterdir()) == drawn


def test_annotations_do_not_replace_the_pictures_that_are_answered(model, pictures, tmp_path):
    data = tmp_path / "data"
    predict(model, pictures, form="yolo", out=data)
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    with pytest.raises(SettingsError, match="data' would be replaced, and this picture is in it"):
        predict(model, data / "images", form="yolo", out=data, overwrite=True)
    assert {path: path.read_bytes() for path in data.rglob("*") if path.is_file()} == before


def test_why_no_picture_was_answered(model, pictures, tmp_path):
    with pytest.raises(DataError, match=r"form='coco': no picture could be answered, .*c.png: not a picture in"):
        predict(model, pictures / "c.png", form="coco", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("out", "draw"), [("new", "new"), ("new", "new/drawn"), ("new/coco", "new")])
def test_drawings_and_annotations_are_apart(model, pictures, tmp_path, out, draw):
    with pytest.raises(SettingsError, match=r"draw: .* and the output .* must be apart"):
        predict(model, pictures, form="coco", out=tmp_path / out, draw=tmp_path / draw)
    assert not (tmp_path / "new").exists()


def test_a_form_that_the_answers_do_not_have(model, pictures, tmp_path, exported_bundle):
    with pytest.raises(SettingsError, match="'coko' is no form of these answers. Did you mean 'coco'"):
        predict(model, pictures, form="coko", out=tmp_path / "out")
    with load(exported_bundle) as digits, pytest.raises(SettingsError, match="'coco' is no form of these answers"):
        predict(digits, pictures, form="coco", out=tmp_path / "out", options={})


def test_text_rows_and_lines(model, pictures, tmp_path):
    for form in ("txt", "csv", "jsonl"):
        predict(model, pictures, out=tmp_path / f"out.{form}")
    assert f"{pictures}/a.png: 1 blue, 1 green\n" in (tmp_path / "out.txt").read_text(encoding="utf-8")
    assert f"{pictures}/b.png: no object\n" in (tmp_path / "out.txt").read_text(encoding="utf-8")
    rows = (tmp_path / "out.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0] == "picture,label,score,xmin,ymin,xmax,ymax,error"
    assert f"{pictures}/a.png,blue,0.588235,44.00,40.00,60.00,60.00," in rows
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    assert lines[0]["boxes"][0]["box"] == {"xmin": 44.0, "ymin": 40.0, "xmax": 60.0, "ymax": 60.0}


def test_answers_are_drawn_into_a_new_folder(model, pictures, tmp_path):
    drawn = tmp_path / "drawn"
    predict(model, pictures, out=tmp_path / "out.csv", draw=drawn)
    assert sorted(path.name for path in drawn.iterdir()) == ["A-2.png", "a.png", "b.png"]
    with_box, without = (np.asarray(decode(drawn / name)) for name in ("a.png", "b.png"))
    assert not without.any()
    assert len(np.unique(with_box.reshape(-1, 3), axis=0)) > 4
    with pytest.raises(OutputExistsError, match="drawings go to a new folder"):
        predict(model, pictures, out=tmp_path / "out2.csv", draw=drawn)


def test_detections_of_supervision(model):
    supervision = pytest.importorskip("supervision")
    answer = model.predict(scene(BLUE, GREEN))
    detections = answer.to_supervision(iou=0.4)
    assert isinstance(detections, supervision.Detections)
    objects = answer.objects(iou=0.4)
    assert detections.data["class_name"].tolist() == [name for name, _, _ in objects]
    assert detections.class_id.tolist() == [2, 1]
    assert detections.confidence.tolist() == pytest.approx([score for _, score, _ in objects])
    assert detections.xyxy.tolist() == [box for _, _, box in objects]
    assert len(model.predict(scene()).to_supervision()) == 0
    assert detections.with_nms(0.5).xyxy.shape == (2, 4)
