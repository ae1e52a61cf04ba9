"""Which pictures a model is measured on: its own, moved or changed, or others."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import patch_bundle
from patch_bundle import CLASSES, write_pictures
from sightsmith.bundle.store import Bundle
from sightsmith.core.errors import DataError, SettingsError
from sightsmith.data.source import open_source
from sightsmith.data.splits import fingerprint
from sightsmith.evaluation.evaluate import evaluate
from sightsmith.evaluation.record import Evaluation
from sightsmith.evaluation.report import findings
from sightsmith.evaluation.settings import EvaluateSettings
from sightsmith.evaluation.test_data import given_data, open_evaluation_data, other_data, own_split
from sightsmith.inputs.picture import digest
from sightsmith.runtime.predictor import Predictor


def test_other_data_must_have_the_same_classes(make, tmp_path) -> None:
    write_pictures(tmp_path / "other", 24, seed=3, names=("red", "green", "blu", "none"))
    source = open_source(tmp_path / "other")
    with pytest.raises(
        DataError, match=r"does not know 'blu' and the data has no picture of 'blue'\. Did you mean 'blue'\?"
    ):
        other_data(source, CLASSES)


def test_other_data_may_lack_a_class_when_allowed(make, tmp_path) -> None:
    write_pictures(tmp_path / "some", 30, seed=3)
    shutil.rmtree(tmp_path / "some" / "blue")
    with Predictor.open(make("smallcnn"), backend="torch", precision="fp32") as predictor:
        with pytest.raises(DataError, match="the data has no picture of 'blue'"):
            evaluate(predictor, EvaluateSettings(data=tmp_path / "some"), quiet=True)
        allowed = EvaluateSettings(data=tmp_path / "some", missing_ok=True, report=tmp_path / "some.html")
        done = evaluate(predictor, allowed, quiet=True)
    assert done.figures.absent == ("blue",)
    blue = done.figures.per_class[CLASSES.index("blue")]
    assert (blue.support, blue.recall, blue.auroc) == (0, None, None)
    assert done.overall["macro_auroc"] is not None
    assert json.loads(json.dumps(done.to_json(), allow_nan=False))["absent_classes"] == ["blue"]
    assert "Classes without a sample" in (tmp_path / "some.html").read_text(encoding="utf-8")


def test_classes_are_counted_by_pictures_not_by_names(make, tmp_path) -> None:
    """An empty folder, one of unread pictures, and a test split without the class: none of them is a sample."""
    write_pictures(tmp_path / "empty", 30, seed=3)
    shutil.rmtree(tmp_path / "empty" / "blue")
    shutil.copytree(tmp_path / "empty", tmp_path / "heic")
    shutil.copytree(tmp_path / "empty", tmp_path / "split" / "test")
    for folder in ("empty/blue", "heic/blue", "split/train/blue"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "heic" / "blue" / "1.heic").write_bytes(b"not read")
    Image.new("RGB", (20, 20), (20, 30, 200)).save(tmp_path / "split" / "train" / "blue" / "1.png")
    for name in ("empty", "heic", "split"):
        with pytest.raises(DataError, match="the data has no picture of 'blue'"):
            other_data(open_source(tmp_path / name), CLASSES)
    allowed = other_data(open_source(tmp_path / "heic"), CLASSES, missing_ok=True)
    assert allowed.skipped == (("blue/1.heic", "unsupported format"),)


def test_what_was_asked_for_and_cannot_be_used_is_counted_and_named(make, tmp_path) -> None:
    """22 rows: 6 without a file, 3 without a label, 1 with a split that does not exist."""
    write_pictures(tmp_path, 12, seed=3)
    rows = [f"{path.relative_to(tmp_path)},{path.parent.name},test" for path in sorted(tmp_path.rglob("*.png"))]
    first = rows[0].split(",")[0]
    rows += [f"gone/{number}.png,red,test" for number in range(6)] + [f"{first},,test"] * 3 + [f"{first},red,holdout"]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["path,label,split", *rows]), encoding="utf-8")
    bundle = make("smallcnn")
    with Predictor.open(bundle, backend="torch", precision="fp32") as predictor:
        asked = EvaluateSettings(data=table, missing_ok=True, report=tmp_path / "page.html")
        done = evaluate(predictor, asked, quiet=True)
    assert {name: done.counts[name] for name in ("asked", "evaluated", "skipped")} == {
        "asked": 22,
        "evaluated": 12,
        "skipped": 10,
    }
    assert {one.why.partition(",")[0] for one in done.skipped} == {"missing file", "no label", "bad split"}
    assert ("gone/0.png", "missing file, row 14") in done.skipped
    assert "left out of 22 asked for, because they cannot be used: 10" in done.to_text()
    assert len(done.to_json()["skipped"]) == 10
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "gone/5.png: missing file, row 19" in page
    chosen = open_evaluation_data(bundle, EvaluateSettings(data=table, missing_ok=True))
    assert len(chosen.skipped) == 10


def test_what_lies_in_the_folder_of_another_split_was_not_asked_for(make, tmp_path) -> None:
    write_pictures(tmp_path / "test", 30, seed=3)
    write_pictures(tmp_path / "train", 30, seed=4)
    for split in ("test", "train"):
        (tmp_path / split / "red" / "1.gif").write_bytes(b"not read")
    chosen = other_data(open_source(tmp_path), CLASSES)
    assert chosen.skipped == (("test/red/1.gif", "unsupported format"),)


def test_a_split_is_named_in_one_way_for_every_verb(moved, monkeypatch) -> None:
    bundle, place = moved
    bundle.manifest.data["location"] = str(place)
    (place.parent / "val").mkdir()
    monkeypatch.chdir(place.parent)
    test, val = (open_evaluation_data(bundle, EvaluateSettings(data=name, missing_ok=True)) for name in ("test", "val"))
    assert test.samples == own_split(bundle, missing_ok=True).samples
    assert (val.split, val.own) == ("val", True)
    assert "for the data beside it of that name write ./val" in val.warning
    with pytest.raises(DataError, match="val: no picture in it"):
        open_evaluation_data(bundle, EvaluateSettings(data="./val"))
    with pytest.raises(SettingsError, match="the data 'val' is the model's own val split, and split says train"):
        open_evaluation_data(bundle, EvaluateSettings(data="val", split="train"))


def test_a_class_that_the_models_own_data_has_nowhere_is_not_asked_for(make) -> None:
    """Training warned of it and went on; no other picture of that data could be added."""
    bundle = make("smallcnn", names=(*CLASSES, "never"))
    assert {CLASSES[sample.target] for sample in own_split(bundle).samples} == set(CLASSES)
    learnt = [sample.key for sample in own_split(bundle).samples if not sample.key.startswith("test/blue/")]
    few = make("smallcnn", splits={"train": [], "test": learnt})
    with pytest.raises(DataError, match="the data has no picture of 'blue'"):
        own_split(few)


def test_figures_of_another_split_are_not_kept_as_those_of_the_test(make) -> None:
    bundle = make("smallcnn")
    with Predictor.open(bundle, backend="torch", precision="fp32") as predictor:
        done = evaluate(predictor, EvaluateSettings(data="train"), quiet=True)
    assert (done.data["split"], done.data["own"], done.report) == ("train", True, None)
    assert Bundle.open(bundle.path).manifest == bundle.manifest


def test_targets_follow_names_not_positions(make, tmp_path) -> None:
    """The folder sorts its classes; the model's order is another."""
    write_pictures(tmp_path / "sorted", 40, seed=4)
    source = open_source(tmp_path / "sorted")
    assert source.names != CLASSES
    for sample in other_data(source, CLASSES).samples:
        assert CLASSES[sample.target] == sample.key.split("/")[0]


def test_data_that_moved_is_a_clear_error(make, tmp_path) -> None:
    bundle = patch_bundle.write_patch_bundle(
        tmp_path / "lost", "smallcnn", splits={"test": ["a.png"]}, data={"location": str(tmp_path / "gone")}
    )
    with pytest.raises(DataError, match=r"no such file or folder.*data"):
        own_split(bundle)


def test_the_own_data_is_known_again_where_it_moved_and_only_its_test_split_is_measured(moved) -> None:
    bundle, place = moved
    with Predictor.open(bundle, backend="torch", precision="fp32") as predictor:
        done = evaluate(predictor, EvaluateSettings(data=place), quiet=True)
    assert done.data["own"]
    assert "warning" not in done.data
    assert set(done.keys) == set(bundle.splits()["test"])
    assert Bundle.open(bundle.path).manifest.metrics["test"]["count"] == 7


def test_data_that_is_mostly_training_pictures_is_warned_of(moved, tmp_path) -> None:
    bundle, place = moved
    Image.new("RGB", (20, 20)).save(next(place.rglob("*.png")))
    with Predictor.open(bundle, backend="torch", precision="fp32") as predictor:
        done = evaluate(predictor, EvaluateSettings(data=place, report=tmp_path / "page.html"), quiet=True)
    assert not done.data["own"]
    assert "23 of these 30 pictures have names that the model was trained on" in done.data["warning"]
    assert "warning: 23 of these 30" in done.to_text()
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Every figure is in what evaluate --json prints" in page
    assert "23 of these 30" in page


def test_a_label_that_came_after_training_is_an_error_that_names_it(moved) -> None:
    bundle, place = moved
    bundle.manifest.data["location"] = str(place)
    key = bundle.splits()["test"][0]
    (place / "violet").mkdir()
    rows = [f"{s.key},{'violet' if s.key == key else s.key.split('/')[0]}" for s in open_source(place).samples]
    (place / "table.csv").write_text("\n".join(["path,label", *rows]), encoding="utf-8")
    bundle.manifest.data.update(location=str(place / "table.csv"), format="table")
    with pytest.raises(DataError, match="the model does not know 'violet'"):
        own_split(bundle)


def test_an_empty_split_names_the_others(make) -> None:
    with pytest.raises(DataError, match=r"val split has no picture \(train 12, test 80\)"):
        own_split(make("smallcnn"), "val")


def test_own_data_that_changed_under_its_names_is_not_measured(moved) -> None:
    bundle, place = moved
    source = open_source(place)
    splits = bundle.splits()
    at = {sample.key: number for number, sample in enumerate(source.samples)}
    prints = {name: fingerprint(source, np.array([at[key] for key in keys])) for name, keys in splits.items()}
    bundle.manifest.data.update(location=str(place), fingerprints=prints)
    assert {sample.key for sample in own_split(bundle).samples} == set(splits["test"])
    trained, tested = place / splits["train"][0], place / splits["test"][0]
    tested.write_bytes(trained.read_bytes())
    with pytest.raises(DataError, match=r"test split are not those of the training.*data=.*prove="):
        own_split(bundle)
    assert own_split(bundle, "val").samples, "of which nothing changed"


def test_groups_of_the_own_data_widen_the_interval_and_are_kept(moved, tmp_path) -> None:
    bundle, place = moved
    bundle.manifest.data["group_by"] = r"0(\d\d)\."
    with Predictor.open(bundle, backend="torch", precision="fp32") as predictor:
        alone, own, tens = (
            evaluate(predictor, EvaluateSettings(data=place, group_by=group_by, split="val"), quiet=True)
            for group_by in (r"(\d+)\.", None, r"/0(\d)")
        )
    assert own.groups == tuple(Path(key).stem[1:] for key in own.keys)
    assert own.counts["groups"] == alone.counts["groups"] == len(own.keys)
    assert tens.counts["groups"] == 3
    assert f"{len(own.keys)} pictures in 3 groups of" in tens.to_text()
    assert tens.overall == own.overall
    assert any(one.text.startswith("With 3 groups accuracy is uncertain") for one in findings(tens))
    tens.save(tmp_path)
    assert Evaluation.load(tmp_path).groups == tens.groups
    assert (Evaluation.load(tmp_path).rows.top_NT == tens.rows.top_NT).all()


def test_a_folder_called_like_a_data_set_stays_a_folder(moved, monkeypatch) -> None:
    bundle, place = moved
    place.rename(place.with_name("digits"))
    monkeypatch.chdir(place.parent)
    bundle.manifest.data.update(group_by=r"0(\d\d)\.", location="digits")
    assert own_split(bundle).location == "digits"
    chosen = given_data(bundle, Path("digits"))
    assert chosen.own
    assert {sample.key for sample in chosen.samples} == set(bundle.splits()["test"])


def test_each_picture_is_hashed_once(moved, monkeypatch) -> None:
    """To tell that it is the model's own data, and to say in the record which pictures were measured."""
    hashed: list[str] = []

    def counted(picture):
        hashed.append(str(picture))
        return digest(picture)

    monkeypatch.setattr("sightsmith.inputs.picture.digest", counted)
    bundle, place = moved
    with Predictor.open(bundle, backend="torch", precision="fp32") as predictor:
        evaluate(predictor, EvaluateSettings(data=place, missing_ok=True), quiet=True)
    assert len(hashed) == len(set(hashed)) == 30
