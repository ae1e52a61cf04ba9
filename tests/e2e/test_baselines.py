"""`train --baselines`, then `evaluate`: is the deep net better than nets that are fitted in a second?"""

import json
import shutil

import pytest
from sklearn.datasets import load_digits

from photos import make_photos
from processes import sightsmith
from sightsmith import load
from sightsmith.evaluation.baselines import answered, section
from sightsmith.tasks.classify import baselines

BASELINES = list(baselines(1258))


def make(folder) -> None:
    quick = ("--test-fraction", "0.5", "--epochs", "2", "--net.width", "8", "--threads", "1")
    train = ("train", "digits", "--baselines", *quick, "--out", "deep")
    told = sightsmith(*train, cwd=folder).succeeded()
    (folder / "told.txt").write_text(told.err)
    sightsmith("evaluate", "deep", cwd=folder).succeeded()


@pytest.fixture(scope="session")
def home(made_once):
    return made_once("baselines", make)


def figures(bundle):
    return json.loads((bundle / "report/evaluation.json").read_text())


def test_the_baselines_are_fitted_to_the_same_split_and_told(home):
    deep = json.loads((home / "deep/splits.json").read_text())
    told = (home / "told.txt").read_text()
    for name in BASELINES:
        assert json.loads((home / "deep.baselines" / name / "splits.json").read_text()) == deep
        assert f"baseline {name}: val accuracy" in told
    assert not (home / "deep.train").exists()


def test_the_report_answers_with_paired_differences_time_size_and_speed(home):
    raw = figures(home / "deep")["baselines"]
    assert raw["question"] == "Does deep learning help here?"
    assert raw["answer"].startswith("No: "), "two epochs of a narrow net are worse than HOG on digits"
    assert [model["net"] for model in raw["models"]] == ["smallresnet", *BASELINES]
    assert {one["verdict"] for one in raw["differences"]} == {"better", "worse"}
    assert raw["left_out"] == {}
    accuracy = {model["net"]: model["metrics"]["accuracy"] for model in raw["models"]}
    for one in raw["differences"]:
        gap = one["metrics"]["accuracy"]
        assert gap["value"] == pytest.approx(accuracy[one["model"]] - accuracy["smallresnet"])
        assert gap["low"] < gap["value"] < gap["high"]
    page = (home / "deep/report/index.html").read_text()
    assert page.index("Does deep learning help here?") < page.index("Most confidently wrong")
    assert "trained in" in page
    assert "kB" in page


def test_it_is_what_compare_says(home):
    told = sightsmith("compare", "deep", "deep.baselines/hog_svm", "--json", cwd=home).succeeded().out
    kept = {one["model"]: one for one in figures(home / "deep")["baselines"]["differences"]}
    (difference,) = json.loads(told)["differences"]
    assert difference["metrics"] == kept["hog_svm"]["metrics"]


def test_the_majority_is_the_most_frequent_class_of_training(home):
    accuracy = figures(home / "deep.baselines/majority")["metrics"]["accuracy"]
    splits = json.loads((home / "deep/splits.json").read_text())
    truth = {f"all/{at:05}": label for at, label in enumerate(load_digits().target.tolist())}
    train = [truth[key] for key in splits["train"]]
    most = max(range(10), key=train.count)
    assert accuracy == pytest.approx(sum(truth[key] == most for key in splits["test"]) / len(splits["test"]))
    rules = (home / "deep.baselines/majority/report/rules.txt").read_text()
    assert rules == f"Always {most}: most of the training pictures are of it.\n"


def test_a_model_that_was_moved_alone_keeps_its_answer(home, tmp_path):
    shutil.copytree(home / "deep", tmp_path / "deep")
    told = sightsmith("evaluate", "deep", cwd=tmp_path).succeeded().out
    assert "Does deep learning help here? No: " in told
    assert figures(tmp_path / "deep")["baselines"] == figures(home / "deep")["baselines"]


def test_a_baseline_that_cannot_be_evaluated_costs_no_other_figure(home, tmp_path, monkeypatch):
    shutil.copytree(home / "deep", tmp_path / "deep")
    for name in ("majority", "hog_ridge"):
        shutil.copytree(home / "deep.baselines" / name, tmp_path / "deep.baselines" / name)
    (tmp_path / "deep.baselines/hog_ridge/net.safetensors").write_bytes(b"damaged")
    monkeypatch.chdir(tmp_path)
    with load("deep", threads=1) as model:
        raw = model.evaluate(quiet=True).baselines
    assert set(raw["left_out"]) == set(BASELINES) - {"majority"}
    assert "net.safetensors" in raw["left_out"]["hog_ridge"]
    assert raw["left_out"]["hog_svm"] == "deep.baselines/hog_svm was moved or deleted"
    assert [model["net"] for model in raw["models"]] == ["smallresnet", "majority"]


def test_another_backend_is_told_with_the_speed(home):
    raw = figures(home / "deep")["baselines"]
    raw["models"][0]["model"] |= {"backend": "openvino", "precision": "int8"}
    del raw["answer"]
    answer = answered(raw, "labels", "pictures", {}, deep=True)["answer"]
    assert "pictures/s (torch fp32) instead of" in answer
    assert answer.endswith("(openvino int8).")


def test_an_answer_that_nothing_is_shown_gives_the_test(home):
    raw = figures(home / "deep")["baselines"]
    less = {"verdict": "no difference shown", "p_value": 0.25, "test": "sign flips of groups"}
    raw["differences"] = [one | less for one in raw["differences"]]  # as of three groups
    del raw["answer"]
    answer = answered(raw, "labels", "pictures", {}, deep=True)["answer"]
    assert "no difference in accuracy is shown (p = 0.25 by sign flips of groups). The accuracy of" in answer


def test_a_model_that_is_called_like_a_baseline_is_not_compared_with_itself(home):
    raw = figures(home / "deep")["baselines"]
    raw["models"][0]["name"] = "hog_svm"
    _, table, *_ = section(raw, "labels", "pictures").blocks
    assert [cell.text for cell in table.rows[0]][2] == "–"


def test_a_baseline_that_cannot_be_fitted_is_left_out_with_the_reason(tmp_path):
    for file in sorted(make_photos(tmp_path / "all", 8).glob("*/*")):
        label, _, number = file.stem.partition("_")
        place = tmp_path / "photos" / ("train" if number == "00" else "val" if number == "01" else "test") / label
        place.mkdir(parents=True, exist_ok=True)
        file.rename(place / file.name)
    quick = ("--model", "smallcnn", "--size", "24", "--epochs", "1", "--no-near-duplicates", "--workers", "0")
    told = sightsmith("train", "photos", *quick, "--baselines", "--out", "m", cwd=tmp_path).succeeded().err
    why = "net.k must be at most the training pictures, 3, got 5."
    assert f"warning: baseline pixel_knn is left out: {why}" in told
    shutil.rmtree(tmp_path / "m.baselines/hog_forest")
    told = sightsmith("evaluate", "m", cwd=tmp_path).succeeded().out
    assert f"left out: pixel_knn ({why})" in told
    assert "left out: hog_forest (" in told
    measured = [one["net"] for one in figures(tmp_path / "m")["baselines"]["models"]]
    assert measured == ["smallcnn", *(name for name in BASELINES if name not in ("pixel_knn", "hog_forest"))]
    assert why in (tmp_path / "m/report/index.html").read_text()


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--test-fraction", "0"), "baselines are compared on the test split, and there is none. Give --test-fraction"),
        (("--folds", "5"), "there is none. Leave --folds out, or leave --baselines out"),
        (("--out", "taken"), "taken.baselines exists already. Give another name, or --overwrite"),
    ],
)
def test_what_baselines_need(tmp_path, flags, says):
    (tmp_path / "taken.baselines").mkdir()
    sightsmith("train", "digits", "--baselines", *flags, cwd=tmp_path).refused(2, says)
