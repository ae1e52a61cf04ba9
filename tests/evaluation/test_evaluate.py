"""Evaluating a real small model: through the predictor, into the bundle, onto the page, against another model."""

import base64
import csv
import io
import json
import re
import time
from dataclasses import replace

import numpy as np
import pytest
import sklearn.metrics as sk
from PIL import Image

import patch_bundle
from html_page import Page
from patch_bundle import write_pictures
from sightsmith.bundle.store import Bundle, add_files
from sightsmith.core.errors import DataError
from sightsmith.evaluation.evaluate import evaluate
from sightsmith.evaluation.record import Evaluation
from sightsmith.evaluation.report import findings, training_curves
from sightsmith.evaluation.settings import EvaluateSettings
from sightsmith.evaluation.test_data import own_split
from sightsmith.kinds.labels.figures import Rows
from sightsmith.kinds.labels.report import picks
from sightsmith.runtime.predictor import Predictor


def test_the_figures_are_those_of_the_predictions(evaluated) -> None:
    bundle, done = evaluated
    samples = own_split(bundle, "test").samples
    with Predictor.open(bundle, backend="torch", precision="fp32") as predictor:
        outcomes = list(predictor.predict([sample.item for sample in samples]))
    read = [(s, o.prediction) for s, o in zip(samples, outcomes, strict=True) if o.error is None]
    targets_N = np.array([sample.target for sample, _ in read])
    scores_NK = np.stack([labels.scores_K for _, labels in read])
    predicted_N = scores_NK.argmax(axis=1)
    assert done.overall["accuracy"] == pytest.approx(sk.accuracy_score(targets_N, predicted_N))
    assert done.overall["macro_f1"] == pytest.approx(sk.f1_score(targets_N, predicted_N, average="macro"))
    assert done.overall["macro_auroc"] == pytest.approx(
        sk.roc_auc_score(targets_N, scores_NK / scores_NK.sum(axis=1, keepdims=True), multi_class="ovr"), abs=1e-4
    )
    assert (done.figures.confusion_KK == sk.confusion_matrix(targets_N, predicted_N)).all()
    assert done.overall["accuracy"] > 0.9
    assert set(done.overall) >= {"top3", "balanced_accuracy", "weighted_f1"}
    assert "top5" not in done.overall  # there are only four classes
    assert "group_accuracy" not in done.overall


def test_the_first_answers_of_a_process_are_not_timed(evaluated, monkeypatch) -> None:
    bundle, _ = evaluated
    with Predictor.open(bundle, backend="torch", precision="fp32") as predictor:
        compute, starts = predictor.stream, [1.0]

        def slow_start(*arguments):
            time.sleep(starts.pop() if starts else 0)
            return compute(*arguments)

        monkeypatch.setattr(predictor, "stream", slow_start)
        done = evaluate(predictor, EvaluateSettings(split="train"), quiet=True)
    assert not starts
    assert done.seconds < 1


def test_what_cannot_be_read_is_counted_and_named(evaluated) -> None:
    _, done = evaluated
    assert dict(done.counts) == {"asked": 80, "evaluated": 79, "skipped": 1}
    ((key, why),) = done.skipped
    assert key.startswith("test/red/")
    assert "damaged" in why
    assert "because they cannot be used: 1" in done.to_text()


def test_everything_lands_in_the_bundle_and_can_be_read_back(evaluated) -> None:
    bundle, done = evaluated
    stored = Evaluation.load(bundle.folder / "report")
    assert stored.to_json() == done.to_json() == json.loads((bundle.folder / "report/evaluation.json").read_text())
    assert stored.keys == done.keys
    assert (stored.rows.top_NT == done.rows.top_NT).all()
    assert np.allclose(stored.rows.scores_NT, done.rows.scores_NT, rtol=1e-5)
    assert bundle.manifest.metrics["test"]["accuracy"] == done.overall["accuracy"]
    assert "accuracy" in (bundle.folder / "README.md").read_text()
    assert done.report == bundle.path / "report/index.html"
    assert done.report.exists()


def test_the_table_has_a_row_for_each_picture(evaluated) -> None:
    bundle, done = evaluated
    with (bundle.folder / "report/predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == done.counts["evaluated"]
    assert sum(int(row["right"]) for row in rows) == round(done.overall["accuracy"] * len(rows))
    for row in rows:
        assert row["target"] == row["key"].split("/")[1]
        assert float(row["score"]) >= float(row["score_2"]) >= float(row["score_3"])


def test_the_page_is_whole_and_refers_to_nothing_outside(evaluated) -> None:
    _, done = evaluated
    text = done.report.read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert page.open == []
    assert page.images > 20
    assert all(link.startswith("data:image/") for link in page.links)
    assert re.findall(r"https?://", text) == []
    assert "url(" not in text
    assert f"{done.overall['accuracy']:.1%}" in text
    assert "Confusion matrix" in text
    assert "1 picture cannot be used" in text
    assert "val_loss" not in text  # drawn as one chart of train and val
    assert text.count("<polyline") == 5  # loss twice, accuracy, learning rate, coverage
    first = re.search(r'src="data:image/(png|jpeg);base64,([^"]+)"', text)
    assert first is not None
    assert Image.open(io.BytesIO(base64.b64decode(first[2]))).size[0] <= 168


@pytest.mark.parametrize(
    ("best_temperature", "best_ece", "said"),
    [
        (0.89, 0.081, "temperature scaling cannot fix it"),
        (0.7, 0.02, "less sure than it could be: its probabilities are off by 6.9 points on average; temperature 0.70"),
        (1.6, 0.02, "too sure of itself"),
    ],
)
def test_a_temperature_is_named_only_where_it_helps(evaluated, best_temperature, best_ece, said) -> None:
    done = evaluated[1]
    believed = replace(done.figures.calibration, ece=0.069, best_temperature=best_temperature, best_ece=best_ece)
    changed = replace(done, figures=replace(done.figures, calibration=believed))
    assert any(said in one.text for one in findings(changed))


def test_what_does_most_harm_comes_first(evaluated) -> None:
    """A class that is never recognised is red and above a wide interval, and a test without skill is too."""
    done = evaluated[1]
    blind = [replace(one, recall=0.0) if one.name == "blue" else one for one in done.figures.per_class]
    wide = {**done.intervals, "accuracy": replace(done.intervals["accuracy"], low=0.1, high=0.9)}
    told = findings(replace(done, figures=replace(done.figures, per_class=tuple(blind)), intervals=wide))
    support = next(one.support for one in blind if one.name == "blue")
    assert told[0].level == told[1].level == "error"
    assert told[0].text == f"Never recognised: “blue” (0 of {support})."
    assert told[1].text.startswith("Not shown to be better than always answering")
    assert [one.level for one in told] == sorted((one.level for one in told), key=["error", "warning", "note"].index)
    assert any("accuracy is uncertain" in one.text and one.level == "warning" for one in told)


def test_names_are_escaped_on_the_page(data, tmp_path) -> None:
    names = ("<b>red", 'gr"een', "blue & co", "<script>alert(1)</script>".replace("/", "∕"))
    write_pictures(tmp_path / "odd", 24, seed=8, names=names)
    bundle = patch_bundle.write_patch_bundle(tmp_path / "bundle", "smallcnn", names=names)
    with Predictor.open(bundle, backend="torch", precision="fp32") as predictor:
        done = evaluate(predictor, EvaluateSettings(data=tmp_path / "odd", report=tmp_path / "page.html"), quiet=True)
    assert done.report == tmp_path / "page.html"
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<b>red" not in text
    assert "&lt;b&gt;red" in text
    assert "<script>alert" not in text
    page = Page()
    page.feed(text)
    assert page.open == []
    assert "report/index.html" not in bundle.manifest.files


def test_groups_of_one_class_are_measured_as_wholes(make, data, tmp_path) -> None:
    settings = EvaluateSettings(data=data, group_by=r"(test/\w+/\d)", report=tmp_path / "page.html", split="test")
    with Predictor.open(make("smallcnn"), backend="torch", precision="fp32") as predictor:
        done = evaluate(predictor, settings, quiet=True)
    assert done.overall["group_accuracy"] == 1.0
    low = done.intervals["group_accuracy"].low
    assert f"  group accuracy    1.0000   95 % between {low:.4f} and 1.0000" in done.to_text()
    assert done.to_json()["metrics"]["group_accuracy"] == 1.0
    assert "Group accuracy" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "group accuracy" in done._repr_html_()
    done.save(tmp_path)
    assert Evaluation.load(tmp_path).to_json() == done.to_json()


def test_figures_that_the_bundle_does_not_take_are_told_all_the_same(make, tmp_path) -> None:
    bundle = make("smallcnn")
    with Predictor.open(bundle, backend="torch", precision="fp32") as predictor:
        add_files(Bundle.open(bundle.path), {"report/note.txt": "somebody else was here"})
        done = evaluate(predictor, EvaluateSettings(report=tmp_path / "page.html"), quiet=True)
    assert "was changed since it was opened" in done.not_kept
    assert done.counts["evaluated"] == 79
    assert done.report == tmp_path / "page.html"
    assert done.report.is_file()


def test_frames_of_one_video_do_not_fill_the_gallery(evaluated) -> None:
    scores_N = np.linspace(0.99, 0.6, 20).astype(np.float32)
    rows = Rows(
        targets_N=np.repeat([0, 1], 10).astype(np.int32),
        top_NT=np.full((20, 1), 1, np.int32),  # the first ten are wrong
        scores_NT=scores_N[:, None],
        target_scores_N=scores_N,
    )
    groups = ("a",) * 6 + ("b",) * 3 + ("",) + ("c",) * 8 + ("d",) * 2
    wrong, unsure, _ = picks(replace(evaluated[1], rows=rows, groups=groups), 5)
    assert wrong.samples_N.tolist() == [0, 6, 9, 1, 7]
    assert unsure.samples_N.tolist() == [19, 17, 18, 16, 15]
    assert picks(replace(evaluated[1], rows=rows, groups=None), 5)[0].samples_N.tolist() == [0, 1, 2, 3, 4]


def test_a_damaged_evaluation_is_an_error(evaluated, tmp_path) -> None:
    evaluated[1].save(tmp_path)
    (tmp_path / "evaluation.json").write_text('{"schema": 1, "model": {}}')
    with pytest.raises(DataError, match="damaged evaluation"):
        Evaluation.load(tmp_path)
    (tmp_path / "evaluation.json").write_text('{"schema": 99}')
    with pytest.raises(DataError, match="schema 99"):
        Evaluation.load(tmp_path)


def test_the_losses_of_two_optimisers_share_a_chart_and_the_kept_epoch_is_marked():
    text = (
        "epoch,step,lr,train_loss,train_loss_discriminator,train_loss_generator,val_loss,val_fd,seconds\n"
        "1,5,0.1,2.0,1.5,0.5,nan,40,3\n2,10,0.1,1.9,1.3,0.6,nan,20.5,3\n3,15,0.1,1.8,1.0,0.8,nan,30,3\n"
    )
    drawn = dict(training_curves(text, "fd", 2))
    assert list(drawn) == ["loss", "fd", "lr"]
    assert drawn["loss"].count("<polyline") == 2
    assert ">discriminator<" in drawn["loss"]
    assert ">generator<" in drawn["loss"]
    assert "val, best at epoch 2: 20.5" in drawn["fd"]
    assert drawn["fd"].count("<circle") == 4, "three points and a ring"
    assert "best" not in drawn["lr"]
