"""Evaluated models side by side."""

import json
import shutil
from dataclasses import replace

import pytest
from PIL import Image

import patch_bundle
from html_page import Page
from sightsmith.core.errors import DataError, SettingsError
from sightsmith.data.source import open_source
from sightsmith.evaluation.compare import compare
from sightsmith.evaluation.evaluate import evaluate
from sightsmith.evaluation.settings import EvaluateSettings
from sightsmith.kinds.labels.report import side_by_side
from sightsmith.runtime.predictor import Predictor


def test_other_groups_of_the_same_pictures_are_not_compared(make) -> None:
    first, second = make("smallcnn"), make("smallcnn")
    for bundle, group_by in ((first, r"/\d(\d)"), (second, r"/(\d)\d")):
        with Predictor.open(bundle, backend="torch", precision="fp32") as predictor:
            evaluate(predictor, EvaluateSettings(group_by=group_by), quiet=True)
    with pytest.raises(DataError, match="were evaluated with other groups of the same pictures"):
        compare([first.path, second.path])


def test_models_with_groups_are_compared_by_groups(make, evaluated) -> None:
    other = make("attention")
    with Predictor.open(other, backend="torch", precision="fp32") as predictor:
        evaluate(predictor, EvaluateSettings(group_by=r"/\d(\d)"), quiet=True)
    (gap,) = compare([evaluated[0].path, other.path]).differences
    assert gap.paired.test == "sign flips of groups"
    (swapped,) = compare([other.path, evaluated[0].path]).differences
    assert swapped.paired.test == "sign flips of groups"
    assert swapped.paired.p_value == pytest.approx(gap.paired.p_value)


def test_comparing_two_models_on_the_same_pictures(make, evaluated, tmp_path) -> None:
    other = make("attention")
    with Predictor.open(other, backend="torch", precision="fp32") as predictor:
        second = evaluate(predictor, quiet=True)
    done = compare([evaluated[0].path, other.path])
    (gap,) = done.differences
    assert done.warnings == ()
    expected = second.overall["accuracy"] - evaluated[1].overall["accuracy"]
    assert gap.paired.metrics["accuracy"].value == pytest.approx(expected)
    assert gap.paired.metrics["accuracy"].low <= expected <= gap.paired.metrics["accuracy"].high
    assert 0 < gap.paired.p_value <= 1
    text = done.to_text()
    assert "smallcnn" in text.splitlines()[0]
    assert gap.paired.test == "McNemar"
    assert "p of equal accuracy" in text
    assert json.dumps(done.to_json(), allow_nan=False)
    page = Page()
    page.feed(done.to_html())
    assert page.open == []
    assert page.links == []


def test_an_undefined_figure_keeps_its_row(evaluated) -> None:
    defined, undefined = evaluated[1], replace(evaluated[1], overall={**evaluated[1].overall, "macro_auroc": None})
    assert list(side_by_side(undefined)) == list(side_by_side(defined))
    assert side_by_side(undefined)["macro auroc"] == "–"


def test_comparing_on_different_pictures_says_so(make, evaluated, data, tmp_path) -> None:
    fewer = tmp_path / "fewer"
    shutil.copytree(data, fewer)
    next((fewer / "test" / "green").iterdir()).unlink()
    keys = [s.key for s in open_source(fewer).samples if s.split == "test"]
    other = patch_bundle.write_patch_bundle(
        tmp_path / "other", "smallcnn", splits={"test": keys}, data={"location": str(fewer), "format": "folder"}
    )
    with Predictor.open(other, backend="torch", precision="fp32") as predictor:
        evaluate(predictor, quiet=True)
    done = compare([evaluated[0].path, other.path])
    assert done.differences == ()
    assert "different pictures (79 of" in done.warnings[0]
    assert "warning:" in done.to_text()
    assert "different pictures" in done.to_html()


def test_comparing_on_other_pictures_of_the_same_names_says_so(make, evaluated, data, tmp_path) -> None:
    other = tmp_path / "other pixels"
    shutil.copytree(data, other)
    green = next((other / "test" / "green").iterdir())
    Image.open(green).transpose(Image.Transpose.FLIP_LEFT_RIGHT).point(lambda value: value // 2).save(green)
    keys = [s.key for s in open_source(other).samples if s.split == "test"]
    bundle = patch_bundle.write_patch_bundle(
        tmp_path / "other", "smallcnn", splits={"test": keys}, data={"location": str(other), "format": "folder"}
    )
    with Predictor.open(bundle, backend="torch", precision="fp32") as predictor:
        evaluate(predictor, quiet=True)
    assert "different pictures (79 of" in compare([evaluated[0].path, bundle.path]).warnings[0]


def test_comparing_needs_two_evaluated_models(make, evaluated) -> None:
    with pytest.raises(SettingsError, match="two models or more, got 1"):
        compare([evaluated[0].path])
    with pytest.raises(DataError, match="was not evaluated yet"):
        compare([evaluated[0].path, make("smallcnn").path])
