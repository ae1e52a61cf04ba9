"""Evaluating a real small model: through the predictor, into the bundle, onto the page, against another model."""

import base64
import csv
import io
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics as sk
from PIL import Image

import patch_bundle
from patch_bundle import CLASSES, patch_pictures
from sightsmith.bundle.store import Bundle, add_files
from sightsmith.core.errors import DataError, SettingsError
from sightsmith.data.source import open_source
from sightsmith.data.splits import fingerprint
from sightsmith.evaluation.compare import compare
from sightsmith.evaluation.findings import findings
from sightsmith.evaluation.gallery import choose
from sightsmith.evaluation.record import Answers, Evaluation
from sightsmith.evaluation.samples import given_data, other_data, own_split
from sightsmith.evaluation.verb import evaluate
from sightsmith.runtime.predictor import Predictor


def write_pictures(folder: Path, count: int, seed: int, names=CLASSES) -> None:
    pictures, targets = patch_pictures(count, seed)
    for at, (picture, target) in enumerate(zip(pictures, targets, strict=True)):
        path = folder / names[target] / f"{at:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    """Return a folder with a train and a test part, one test picture damaged."""
    folder = tmp_path_factory.mktemp("patches")
    write_pictures(folder / "train", 12, seed=5)
    write_pictures(folder / "test", 80, seed=6)
    damaged = next((folder / "test" / "red").iterdir())
    damaged.write_bytes(damaged.read_bytes()[:60])
    return folder


@pytest.fixture(scope="module")
def make(data, tmp_path_factory):
    """Return a function that writes the bundle of a net trained on the patches, its test split in `data`."""

    def write(net: str, **changes) -> Bundle:
        splits = {name: [s.key for s in open_source(data).samples if s.split == name] for name in ("train", "test")}
        known = {"location": str(data), "format": "folder", "counts": {"train": 12, "test": 80}}
        metrics_csv = (
            "epoch,lr,train_loss,val_loss,val_accuracy,seconds\n1,0.1,2,1.5,0.4,3\n2,0.05,1,1,0.8,3\n3,0,0.5,,,3\n"
        )
        return patch_bundle.write_patch_bundle(
            tmp_path_factory.mktemp("bundles") / net,
            net,
            splits=splits,
            data=known,
            files={"report/metrics.csv": metrics_csv},
            **changes,
        )

    return write


@pytest.fixture(scope="module")
def evaluated(make) -> tuple[Bundle, Evaluation]:
    bundle = make("smallcnn")
    with Predictor.open(bundle, backend="torch", precision="fp32") as predictor:
        done = evaluate(predictor, quiet=True)
    return Bundle.open(bundle.path), done


def test_the_figures_are_those_of_the_predictions(evaluated) -> None:
    bundle, done = evaluated
    samples = own_split(bundle, "test").samples
    with Predictor.open(bundle, backend="torch", precision="fp32") as predictor:
        outcomes = list(predictor.predict([sample.picture for sample in samples]))
    read = [(s, o.prediction) for s, o in zip(samples, outcomes, strict=True) if o.error is None]
    targets_N = np.array([sample.target for sample, _ in read])
    scores_NK = np.stack([labels.scores_K for _, labels in read])
    predicted_N = scores_NK.argmax(axis=1)
    assert done.overall["accuracy"] == pytest.approx(sk.accuracy_score(targets_N, predicted_N))
    assert done.overall["macro_f1"] == pytest.approx(sk.f1_score(targets_N, predicted_N, average="macro"))
    assert done.overall["macro_auroc"] == pytest.approx(
        sk.roc_auc_score(targets_N, scores_NK / scores_NK.sum(axis=1, keepdims=True), multi_class="ovr"), abs=1e-4
    )
    assert (done.confusion_KK == sk.confusion_matrix(targets_N, predicted_N)).all()
    assert done.overall["accuracy"] > 0.9
    assert set(done.overall) >= {"top3", "balanced_accuracy", "weighted_f1"}
    assert "top5" not in done.overall  # there are only four classes


def test_what_cannot_be_read_is_counted_and_named(evaluated) -> None:
    _, done = evaluated
    assert dict(done.counts) == {"asked": 80, "evaluated": 79, "skipped": 1}
    ((key, why),) = done.skipped
    assert key.startswith("test/red/")
    assert "damaged" in why
    assert "cannot be read: 1" in done.to_text()


def test_everything_lands_in_the_bundle_and_can_be_read_back(evaluated) -> None:
    bundle, done = evaluated
    stored = Evaluation.load(bundle.folder / "report")
    assert stored.to_json() == done.to_json() == json.loads((bundle.folder / "report/evaluation.json").read_text())
    assert stored.answers.keys == done.answers.keys
    assert (stored.answers.top_NT == done.answers.top_NT).all()
    assert np.allclose(stored.answers.scores_NT, done.answers.scores_NT, rtol=1e-5)
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


class _Page(HTMLParser):
    """Collects what a page refers to and checks that its elements are closed."""

    VOID = frozenset({"meta", "img", "br", "link", "input", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.images = 0

    def handle_starttag(self, tag: str, attrs) -> None:
        self.links += [value for name, value in attrs if name in {"src", "href", "action"}]
        self.images += tag == "img"
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_and_refers_to_nothing_outside(evaluated) -> None:
    _, done = evaluated
    text = done.report.read_text(encoding="utf-8")
    page = _Page()
    page.feed(text)
    assert page.open == []
    assert page.images > 20
    assert all(link.startswith("data:image/") for link in page.links)
    assert re.findall(r"https?://", text) == []
    assert "url(" not in text
    assert f"{done.overall['accuracy']:.1%}" in text
    assert "Confusion matrix" in text
    assert "1 picture could not be read" in text
    assert "val_loss" not in text  # drawn as one chart of train and val
    assert text.count("<polyline") == 5  # loss twice, accuracy, learning rate, coverage
    first = re.search(r'src="data:image/(png|jpeg);base64,([^"]+)"', text)
    assert first is not None
    assert Image.open(io.BytesIO(base64.b64decode(first[2]))).size[0] <= 168


@pytest.mark.parametrize(
    ("best_temperature", "best_ece", "said"),
    [
        (0.89, 0.081, "no temperature mends that"),
        (0.7, 0.02, "less sure than it could be: its probabilities are off by 6.9 points on average; temperature 0.70"),
        (1.6, 0.02, "too sure of itself"),
    ],
)
def test_a_temperature_is_named_only_where_it_helps(evaluated, best_temperature, best_ece, said) -> None:
    done = evaluated[1]
    figures = replace(done.calibration, ece=0.069, best_temperature=best_temperature, best_ece=best_ece)
    assert any(said in one.text for one in findings(replace(done, calibration=figures)))


def test_names_are_escaped_on_the_page(data, tmp_path) -> None:
    names = ("<b>red", 'gr"een', "blue & co", "<script>alert(1)</script>".replace("/", "∕"))
    write_pictures(tmp_path / "odd", 24, seed=8, names=names)
    bundle = patch_bundle.write_patch_bundle(tmp_path / "bundle", "smallcnn", classes=names)
    with Predictor.open(bundle, backend="torch", precision="fp32") as predictor:
        done = evaluate(predictor, data=tmp_path / "odd", report=tmp_path / "page.html", quiet=True)
    assert done.report == tmp_path / "page.html"
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<b>red" not in text
    assert "&lt;b&gt;red" in text
    assert "<script>alert" not in text
    page = _Page()
    page.feed(text)
    assert page.open == []
    assert "report/index.html" not in bundle.manifest.files


def test_other_data_must_have_the_same_classes(make, tmp_path) -> None:
    write_pictures(tmp_path / "other", 24, seed=3, names=("red", "green", "blu", "none"))
    source = open_source(tmp_path / "other")
    with pytest.raises(DataError, match=r"does not know 'blu' and the data lacks 'blue'\. Did you mean 'blue'\?"):
        other_data(source, CLASSES)


def test_other_data_may_lack_a_class_when_allowed(make, tmp_path) -> None:
    write_pictures(tmp_path / "some", 30, seed=3)
    shutil.rmtree(tmp_path / "some" / "blue")
    with Predictor.open(make("smallcnn"), backend="torch", precision="fp32") as predictor:
        with pytest.raises(DataError, match="the data lacks 'blue'"):
            evaluate(predictor, data=tmp_path / "some", quiet=True)
        done = evaluate(predictor, data=tmp_path / "some", missing_ok=True, report=tmp_path / "some.html", quiet=True)
    assert done.absent == ("blue",)
    blue = done.per_class[CLASSES.index("blue")]
    assert (blue.support, blue.recall, blue.auroc) == (0, None, None)
    assert done.overall["macro_auroc"] is not None
    assert json.loads(json.dumps(done.to_json(), allow_nan=False))["absent_classes"] == ["blue"]
    assert "Classes without a sample" in (tmp_path / "some.html").read_text(encoding="utf-8")


def test_targets_follow_names_not_positions(make, tmp_path) -> None:
    """The folder sorts its classes; the model's order is another."""
    write_pictures(tmp_path / "sorted", 40, seed=4)
    source = open_source(tmp_path / "sorted")
    assert source.classes != CLASSES
    for sample in other_data(source, CLASSES).samples:
        assert CLASSES[sample.target] == sample.key.split("/")[0]


def test_data_that_moved_is_a_clear_error(make, tmp_path) -> None:
    bundle = patch_bundle.write_patch_bundle(
        tmp_path / "lost", "smallcnn", splits={"test": ["a.png"]}, data={"location": str(tmp_path / "gone")}
    )
    with pytest.raises(DataError, match=r"no such file or folder.*--data"):
        own_split(bundle)


@pytest.fixture
def moved(tmp_path) -> tuple[Bundle, Path]:
    """Return a bundle trained on a folder without splits, and where that folder is now."""
    write_pictures(tmp_path / "was", 30, seed=8)
    source = open_source(tmp_path / "was")
    keys = [sample.key for sample in source.samples]
    bundle = patch_bundle.write_patch_bundle(
        tmp_path / "bundle",
        "smallcnn",
        splits={"train": keys[::2], "val": keys[1::4], "test": keys[3::4]},
        data={
            "location": str(tmp_path / "was"),
            "format": "folder",
            "fingerprint": fingerprint(source, np.arange(len(keys))),
        },
    )
    (tmp_path / "was").rename(tmp_path / "is")
    return bundle, tmp_path / "is"


def test_the_own_data_is_known_again_where_it_moved_and_only_its_test_split_is_measured(moved) -> None:
    bundle, place = moved
    with Predictor.open(bundle, backend="torch", precision="fp32") as predictor:
        done = evaluate(predictor, data=place, quiet=True)
    assert done.data["own"]
    assert "warning" not in done.data
    assert set(done.answers.keys) == set(bundle.splits()["test"])
    assert Bundle.open(bundle.path).manifest.metrics["test"]["count"] == 7


def test_data_that_is_mostly_training_pictures_is_warned_of(moved, tmp_path) -> None:
    bundle, place = moved
    Image.new("RGB", (20, 20)).save(next(place.rglob("*.png")))
    with Predictor.open(bundle, backend="torch", precision="fp32") as predictor:
        done = evaluate(predictor, data=place, report=tmp_path / "page.html", quiet=True)
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
    with pytest.raises(DataError, match="does not know 'violet'; the data changed after training"):
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
    with pytest.raises(DataError, match=r"test split are not those of the training.*--data .*--prove"):
        own_split(bundle)
    assert own_split(bundle, "val").samples, "of which nothing changed"


def test_figures_that_the_bundle_does_not_take_are_told_all_the_same(make, tmp_path) -> None:
    bundle = make("smallcnn")
    with Predictor.open(bundle, backend="torch", precision="fp32") as predictor:
        add_files(Bundle.open(bundle.path), {"report/note.txt": "somebody else was here"})
        done = evaluate(predictor, report=tmp_path / "page.html", quiet=True)
    assert "was changed since it was opened" in done.not_kept
    assert done.counts["evaluated"] == 79
    assert done.report == tmp_path / "page.html"
    assert done.report.is_file()


def test_groups_of_the_own_data_widen_the_interval_and_are_kept(moved, tmp_path) -> None:
    bundle, place = moved
    bundle.manifest.data["group_by"] = r"0(\d\d)\."
    with Predictor.open(bundle, backend="torch", precision="fp32") as predictor:
        alone = evaluate(predictor, data=place, group_by=r"(\d+)\.", split="val", quiet=True)
        own = evaluate(predictor, data=place, split="val", quiet=True)
        tens = evaluate(predictor, data=place, group_by=r"/0(\d)", split="val", quiet=True)
    assert own.answers.groups == tuple(Path(key).stem[1:] for key in own.answers.keys)
    assert own.counts["groups"] == alone.counts["groups"] == len(own.answers.keys)
    assert tens.counts["groups"] == 3
    assert f"{len(own.answers.keys)} pictures in 3 groups of" in tens.to_text()
    assert tens.overall == own.overall
    assert any(one.text.startswith("3 groups leave the accuracy uncertain") for one in findings(tens))
    tens.save(tmp_path)
    assert Evaluation.load(tmp_path).answers.groups == tens.answers.groups
    assert (Evaluation.load(tmp_path).answers.top_NT == tens.answers.top_NT).all()


def test_other_groups_of_the_same_pictures_are_not_compared(make) -> None:
    first, second = make("smallcnn"), make("smallcnn")
    for bundle, group_by in ((first, r"/\d(\d)"), (second, r"/(\d)\d")):
        with Predictor.open(bundle, backend="torch", precision="fp32") as predictor:
            evaluate(predictor, group_by=group_by, quiet=True)
    with pytest.raises(DataError, match="were evaluated with other groups of the same pictures"):
        compare([first.path, second.path])


def test_a_folder_called_like_a_data_set_stays_a_folder(moved, monkeypatch) -> None:
    bundle, place = moved
    place.rename(place.with_name("digits"))
    monkeypatch.chdir(place.parent)
    bundle.manifest.data.update(group_by=r"0(\d\d)\.", location="digits")
    assert own_split(bundle).location == "digits"
    chosen = given_data(bundle, open_source(Path("digits")))
    assert chosen.own
    assert {sample.key for sample in chosen.samples} == set(bundle.splits()["test"])


def test_frames_of_one_video_do_not_fill_the_gallery() -> None:
    scores_N = np.linspace(0.99, 0.6, 20).astype(np.float32)
    answers = Answers(
        keys=tuple(map(str, range(20))),
        targets_N=np.repeat([0, 1], 10).astype(np.int32),
        top_NT=np.full((20, 1), 1, np.int32),  # the first ten are wrong
        scores_NT=scores_N[:, None],
        target_scores_N=scores_N,
        groups=("a",) * 6 + ("b",) * 3 + ("",) + ("c",) * 8 + ("d",) * 2,
    )
    assert choose(answers, 5)["wrong"].tolist() == [0, 6, 9, 1, 7]
    assert choose(answers, 5)["unsure"].tolist() == [19, 17, 18, 16, 15]
    assert choose(replace(answers, groups=None), 5)["wrong"].tolist() == [0, 1, 2, 3, 4]


def test_models_with_groups_are_compared_by_groups(make, evaluated) -> None:
    other = make("attention")
    with Predictor.open(other, backend="torch", precision="fp32") as predictor:
        evaluate(predictor, group_by=r"/\d(\d)", quiet=True)
    (gap,) = compare([evaluated[0].path, other.path]).differences
    assert gap.test == "sign flips of groups"
    (swapped,) = compare([other.path, evaluated[0].path]).differences
    assert swapped.test == "sign flips of groups"
    assert swapped.p_value == pytest.approx(gap.p_value)


def test_comparing_two_models_on_the_same_pictures(make, evaluated, tmp_path) -> None:
    other = make("attention")
    with Predictor.open(other, backend="torch", precision="fp32") as predictor:
        second = evaluate(predictor, quiet=True)
    done = compare([evaluated[0].path, other.path])
    (gap,) = done.differences
    assert done.warnings == ()
    expected = second.overall["accuracy"] - evaluated[1].overall["accuracy"]
    assert gap.metrics["accuracy"].value == pytest.approx(expected)
    assert gap.metrics["accuracy"].low <= expected <= gap.metrics["accuracy"].high
    assert 0 < gap.p_value <= 1
    text = done.to_text()
    assert "smallcnn" in text.splitlines()[0]
    assert gap.test == "McNemar"
    assert "p of equal accuracy" in text
    assert json.dumps(done.to_json(), allow_nan=False)
    page = _Page()
    page.feed(done.to_html())
    assert page.open == []
    assert page.links == []


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


def test_a_damaged_evaluation_is_an_error(evaluated, tmp_path) -> None:
    evaluated[1].save(tmp_path)
    (tmp_path / "evaluation.json").write_text('{"schema": 1, "model": {}}')
    with pytest.raises(DataError, match="damaged evaluation"):
        Evaluation.load(tmp_path)
    (tmp_path / "evaluation.json").write_text('{"schema": 99}')
    with pytest.raises(DataError, match="schema 99"):
        Evaluation.load(tmp_path)
