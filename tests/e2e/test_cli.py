"""Every verb in a real process: exit codes, what goes to which stream, settings, misspelt names, stopping."""

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from photos import CLASSES, QUICK
from processes import SECONDS, Done, command, environment, sightsmith

RUN = ("photos", "--out", "again", "--model", "smallcnn")


@pytest.fixture
def home(life, tmp_path) -> Path:
    """Return a folder with links to the photos and the bundle, to write beside them."""
    for name in ("photos", "cats"):
        (tmp_path / name).symlink_to(life.home / name)
    return tmp_path


def test_train_prints_the_bundle_alone_and_tells_the_rest_on_standard_error(life):
    assert life.train.out == "cats\n"
    for told in ("60 pictures", "precision", "epoch 3/3", "Validation accuracy", "Next: sightsmith evaluate cats"):
        assert told in life.train.err
    assert not (life.home / "cats.train").exists()


def test_evaluate_prints_json_alone(life):
    answer = json.loads(life.evaluate.out)
    assert [one["name"] for one in answer["per_class"]] == list(CLASSES)
    assert 0 <= answer["metrics"]["accuracy"] <= 1
    assert "Report: cats/report/index.html" in life.evaluate.err
    assert "<html" in (life.bundle / "report/index.html").read_text(encoding="utf-8")


def test_evaluate_on_other_data(home):
    shutil.copytree(home / "photos", home / "fewer")
    min((home / "fewer").rglob("*.jpg")).unlink()
    done = sightsmith("evaluate", "cats", "--data", "fewer", "--report", "page.html", cwd=home).succeeded()
    assert "accuracy" in done.out
    assert "on 59 pictures" in done.out
    assert "have names that the model was trained on" in done.out
    assert (home / "page.html").is_file()


def test_export_tells_what_it_proved(life):
    assert "6 witnesses" in life.export.out or "8 witnesses" in life.export.out
    assert "accuracy" in life.export.out
    assert "the same answers" in life.export.out
    assert (life.bundle / "backends/openvino").is_dir()


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "photos"),
        ("compare", "cats", "cats"),
        ("models", "--search", "small"),
        ("doctor",),
        ("inspect", "cats"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_text_for_people_and_json_alone_on_standard_output(home, arguments):
    assert sightsmith(*arguments, cwd=home).succeeded().out.strip()
    assert json.loads(sightsmith(*arguments, "--json", cwd=home).succeeded().out)


def test_compare_writes_a_page(home):
    sightsmith("compare", "cats", "cats", "--html", "both.html", cwd=home).succeeded()
    assert "cats" in (home / "both.html").read_text(encoding="utf-8")
    sightsmith("compare", "cats", "cats", "--html", "both.html", cwd=home).refused(2, "both.html exists", "--overwrite")


def test_predict_in_its_three_forms(home):
    done = sightsmith("predict", "cats", "photos/owl", "photos/cat/cat_0*.jpg", cwd=home).succeeded()
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert len(rows) == 30
    assert rows[0]["picture"] == "photos/owl/owl_00.jpg"
    assert sum(label["score"] for label in rows[0]["labels"]) == pytest.approx(1, abs=1e-3)
    done = sightsmith("predict", "cats", "photos/owl", "--as", "csv", "--top", "1", cwd=home).succeeded()
    table = list(csv.DictReader(io.StringIO(done.out)))
    assert len(table) == 20
    assert {row["label"] for row in table} <= set(CLASSES)
    done = sightsmith("predict", "cats", "photos/dog", "--as", "text", cwd=home).succeeded()
    assert done.out.startswith("photos/dog/dog_00.jpg: ")


def test_predict_reads_names_or_a_picture_from_standard_input(home):
    names = b"photos/cat/cat_00.jpg\nphotos/dog/dog_00.jpg\n"
    assert len(sightsmith("predict", "cats", "-", cwd=home, given=names).succeeded().out.splitlines()) == 2
    picture = (home / "photos/cat/cat_00.jpg").read_bytes()
    piped = json.loads(sightsmith("predict", "cats", "-", cwd=home, given=picture).succeeded().out)
    named = json.loads(sightsmith("predict", "cats", "photos/cat/cat_00.jpg", cwd=home).succeeded().out)
    assert piped["picture"] == "-"
    assert piped["labels"] == named["labels"]


def test_predict_to_a_file_keeps_standard_output_clean(home):
    done = sightsmith("predict", "cats", "photos", "--out", "answers.jsonl", cwd=home).succeeded()
    assert done.out == ""
    assert len((home / "answers.jsonl").read_text().splitlines()) == 60


def test_a_bad_picture_is_told_and_the_others_are_answered(home):
    (home / "text.jpg").write_text("not a picture")
    done = sightsmith("predict", "cats", "text.jpg", "absent.jpg", "photos/cat/cat_00.jpg", cwd=home)
    done.refused(1, "skipped text.jpg: not a picture", "skipped absent.jpg: no such file")
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert ["error" in row for row in rows] == [True, True, False]


def test_explain_writes_the_overlay_and_the_map(home):
    done = sightsmith("explain", "cats", "photos/owl/owl_00.jpg", "--label", "dog", cwd=home).succeeded()
    assert done.out.startswith("dog 0.")
    assert len(done.out.splitlines()) == 1
    with Image.open(home / "owl_00.cats.class_map.png") as overlay, Image.open(home / "photos/owl/owl_00.jpg") as photo:
        assert overlay.size == photo.size
    assert np.isfinite(np.load(home / "owl_00.cats.class_map.npy")).all()
    again = sightsmith("explain", "cats", "photos/owl/owl_00.jpg", "--json", cwd=home).succeeded()
    assert json.loads(again.out)["label"] == "owl"
    assert (home / "owl_00.cats.class_map-2.png").exists()
    assert (home / "owl_00.cats.class_map-2.npy").exists()


def test_verify_and_doctor_on_what_is_well(home):
    assert "every file is as it was written" in sightsmith("verify", "cats", cwd=home).succeeded().out
    assert "openvino" in sightsmith("doctor", "--port", "0", cwd=home).succeeded().out


def test_models_shows_one_net_and_a_task(home):
    assert "width" in sightsmith("models", "smallcnn", cwd=home).succeeded().out
    classical = sightsmith("models", "hog_svm", cwd=home).succeeded().out
    assert all(text in classical for text in ("set by the training data", "orientations", "kernel", "pca"))
    assert "label_smoothing" in sightsmith("models", "--task", "classify", cwd=home).succeeded().out


def test_printed_settings_run_the_same_training_again(home):
    given = ("--epochs", "1", "--lr", "0.002", "--no-nesterov", "--net.width", "12", "--task.label-smoothing", "0.25")
    shown = sightsmith("train", *RUN, "--size", "24", *given, "--print-config", cwd=home).succeeded()
    assert shown.err == ""
    assert not (home / "again.train").exists()
    settings = tomllib.loads(shown.out)
    assert settings["net"] == {"width": 12}
    assert settings["task"] == {"label_smoothing": 0.25}
    (home / "run.toml").write_text(shown.out, encoding="utf-8")
    assert sightsmith("train", "--config", "run.toml", "--print-config", cwd=home).succeeded().out == shown.out
    assert "lr = 0.5" in sightsmith("train", "--config", "run.toml", "--lr", "0.5", "--print-config", cwd=home).out
    sightsmith("train", "--config", "run.toml", cwd=home).succeeded()
    manifest = json.loads((home / "again/manifest.json").read_text(encoding="utf-8"))
    assert manifest["nets"]["net"]["settings"]["width"] == 12
    assert manifest["task"]["settings"]["label_smoothing"] == 0.25
    assert {name: manifest["training"]["settings"][name] for name in settings} == settings


def write_typo(home: Path) -> None:
    (home / "typo.toml").write_text('data = "photos"\nout = "again"\nepohcs = 3\n')
    (home / "typo2.toml").write_text('data = "photos"\nout = "again"\nmodel = "smallcnn"\n[net]\nwidht = 3\n')


MISSPELT = {
    "verb": (("trian", "photos"), "train"),
    "flag": (("train", *RUN, "--epohcs", "3"), "--epochs"),
    "flag of check": (("check", "photos", "--strcit"), "--strict"),
    "flag of serve": (("serve", "cats", "--prot", "0"), "--port"),
    "choice": (("evaluate", "cats", "--split", "tset"), "test"),
    "choice of train": (("train", *RUN, "--optimizer", "admw"), "adamw"),
    "toml key": (("train", "--config", "typo.toml"), "'epochs'"),
    "toml net key": (("train", "--config", "typo2.toml"), "'width'"),
    "net key": (("train", *RUN, "--net.widht", "8"), "'width'"),
    "task key": (("train", *RUN, "--task.label-smoothin", "0.1"), "'label_smoothing'"),
    "model": (("train", "photos", "--out", "again", "--model", "resnet19"), "'resnet18'"),
    "shown model": (("models", "smalcnn"), "'smallcnn'"),
    "task": (("models", "--task", "clasify"), "'classify'"),
    "data": (("train", "digitz", "--out", "again"), "'digits'"),
    "format": (("check", "photos", "--format", "foldr"), "'folder'"),
    "backend": (("predict", "cats", "photos", "--backend", "openvno"), "'openvino'"),
    "export": (("export", "cats", "--to", "openvin"), "'openvino'"),
    "serve": (("serve", "cats", "--backend", "torhc", "--port", "0"), "'torch'"),
    "method": (("explain", "cats", "photos/cat/cat_00.jpg", "--method", "clas_map"), "'class_map'"),
    "label": (("explain", "cats", "photos/cat/cat_00.jpg", "--label", "catt"), "'cat'"),
}


@pytest.mark.parametrize(("arguments", "meant"), MISSPELT.values(), ids=MISSPELT)
def test_a_misspelt_name_is_answered_with_the_nearest(home, arguments, meant):
    write_typo(home)
    before = sorted(path.name for path in home.iterdir())
    done = sightsmith(*arguments, cwd=home).refused(2, "Did you mean", meant)
    assert done.out == ""
    assert sorted(path.name for path in home.iterdir()) == before


def test_unknown_class_of_other_data_is_answered_with_the_nearest(life, photos):
    (photos / "owl").rename(photos / "owls")
    done = sightsmith("evaluate", life.bundle, "--data", "photos", cwd=photos.parent)
    done.refused(2, "'owls'", "Did you mean 'owl'?", "Rename")


WRONG = {
    "no data": (("train", "--out", "again"), "data must be given"),
    "no out": (("train", "photos", "--resume"), "--resume needs --out"),
    "word for number": (("train", *RUN, "--epochs", "three"), "--epochs"),
    "out of range": (("train", *RUN, "--epochs", "0"), "epochs must be in 1…100000, got 0"),
    "wrong net value": (("train", *RUN, "--net.width", "abc"), "width"),
    "no bundle": (("predict", "catz", "photos"), "catz: no such bundle"),
    "no bundle to serve": (("serve", "catz", "--port", "0"), "catz: no such bundle"),
    "photos for a bundle": (("verify", "photos"), "no manifest.json"),
    "port": (("serve", "cats", "--port", "70000"), "port must be in 0…65535"),
    "config": (("train", "--config", "absent.toml"), "absent.toml"),
    "top": (("predict", "cats", "photos", "--top", "0"), "top must be at least 1, got 0"),
    "ending": (("predict", "cats", "photos", "--out", "answers.doc"), "answers.doc: name it .jsonl, .csv or .txt"),
    "nothing to resume": (("train", *RUN, "--resume"), "no training was interrupted there"),
    "existing out": (("train", "photos", "--out", "cats"), "cats exists already"),
    "one to compare": (("compare", "cats"), "two"),
    "cuda": (("train", *RUN, "--device", "cuda:77"), "cuda:77"),
}


@pytest.mark.parametrize(("arguments", "told"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_done_is_told_in_a_line(home, arguments, told):
    before = sorted(path.name for path in home.iterdir())
    done = sightsmith(*arguments, cwd=home).refused(2, "error: ", told)
    assert done.out == ""
    assert sorted(path.name for path in home.iterdir()) == before


@pytest.mark.parametrize("verb", ["inspect", "verify"])
def test_a_name_that_is_not_text_is_printed_in_its_own_bytes(life, tmp_path, verb):
    name = os.fsencode(tmp_path) + b"/mod\xffel"
    try:
        shutil.copytree(os.fsencode(life.bundle), name)
    except OSError as error:
        pytest.skip(f"this file system takes no such name ({error})")
    done = subprocess.run(
        [*command(verb), name], capture_output=True, timeout=SECONDS, env=environment(), cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (b"mod\xffel" if verb == "verify" else b"mod\\udcffel") in done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_answers_that_nothing_takes_are_an_error(home):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command("inspect", "cats"), stdout=full, stderr=subprocess.PIPE, text=True, timeout=SECONDS,
            env=environment(PYTHONUNBUFFERED=""), cwd=home, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "error: standard output: No space left on device.\n"


@pytest.mark.slow
def test_interrupted_training_tells_how_to_go_on_and_goes_on(home):
    epochs = ("--epochs", "40", *QUICK[:-2])
    with subprocess.Popen(
        command("train", "photos", "--out", "long", *epochs),
        cwd=home,
        env=environment(),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        told = []
        for line in process.stderr:
            told.append(line)
            if re.match(r"epoch +2/", line):
                process.send_signal(signal.SIGINT)
        code = process.wait(SECONDS)
    Done(code, "", "".join(told)).refused(130, "SIGINT", "long.train/last.safetensors", "--resume goes on")
    assert not (home / "long").exists()
    again = sightsmith("train", "photos", "--out", "long", *epochs, cwd=home)
    again.refused(2, "long.train holds an interrupted training", "--resume", "--overwrite")
    done = sightsmith("train", "photos", "--out", "long", *epochs, "--resume", cwd=home).succeeded()
    assert "epoch 1/40" not in done.err
    assert "epoch 40/40" in done.err
    assert not (home / "long.train").exists()
    sightsmith("verify", "long", cwd=home).succeeded()


@pytest.mark.parametrize("encoding", ["ascii:strict", "cp1252"])
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("models", "smallcnn"), 0),
        (("inspect", "猫…≥"), 2),
        (("predict", "cats", "猫.jpg", "--as", "jsonl"), 1),
        (("predict", "cats", "猫.jpg", "--as", "text"), 1),
        (("check", "photos", "--json"), 0),
    ],
)
def test_a_terminal_without_some_characters_gets_escapes(home, encoding, arguments, code):
    done = subprocess.run(
        command(*arguments),
        cwd=home,
        env=environment(PYTHONIOENCODING=encoding),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert b"Traceback" not in done.stderr
    said = done.stdout.decode(encoding.partition(":")[0])
    if "--json" in arguments:
        assert json.loads(said)
    if "jsonl" in arguments:
        assert json.loads(said)["picture"] == "猫.jpg"
