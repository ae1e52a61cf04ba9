"""A net of the classical line through every verb, and the ways in which it differs from one trained by descent."""

import asyncio
import io
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
from PIL import Image
from sklearn.datasets import load_digits

from processes import environment, sightsmith
from serving_app import running


def make(folder) -> None:
    for model in ("hog_svm", "pixel_forest"):
        sightsmith("train", "digits", "--model", model, "--out", model, cwd=folder).succeeded()
    sightsmith("evaluate", "hog_svm", cwd=folder).succeeded()


@pytest.fixture(scope="session")
def home(made_once):
    return made_once("classical", make)


def test_hog_and_an_svm_read_digits_in_seconds(home):
    figures = json.loads((home / "hog_svm/report/evaluation.json").read_text())
    assert figures["metrics"]["accuracy"] >= 0.97
    manifest = json.loads((home / "hog_svm/manifest.json").read_text())
    assert manifest["nets"]["net"]["parameters"] > 0
    plan = manifest["training"]["plan"]
    assert plan["precision"]["value"] == "fp32"
    assert plan["lr"]["value"] is None
    assert manifest["definition"]["input_settings"]["mean"] == [0.0], "features are of pixels in 0…1"


def test_the_card_says_what_of_the_training_pictures_it_holds(home):
    held = "the features of many training pictures (the support vectors)"
    assert f"The weights hold {held}" in (home / "hog_svm/README.md").read_text()
    assert held in sightsmith("inspect", "hog_svm", cwd=home).succeeded().out
    assert "The weights hold" not in (home / "pixel_forest/README.md").read_text()


def test_it_is_exported_with_proof_and_answers_without_torch_and_scikit_learn(home):
    told = sightsmith("export", "hog_svm", "--to", "openvino,onnx", "--prove", "test", cwd=home).succeeded().out
    for backend in ("openvino", "onnx"):
        (line,) = (line for line in told.splitlines() if line.startswith(f"{backend} fp32: 8 witnesses"))
        assert "100.00% the same answers" in line
    left_out = [line for line in told.splitlines() if "left out" in line]
    assert all(line.startswith("openvino bf16: left out, ") and "differs by" in line for line in left_out)
    code = (
        "import sys, numpy as np, sightsmith as ss\n"
        "answer = ss.load('hog_svm', backend='openvino').predict(np.zeros((8, 8), np.uint8))\n"
        "print(answer.label in '0123456789', sorted({'torch', 'sklearn'} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=home, env=environment(), capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "True []"


def test_it_is_served_as_it_predicts(home):
    picture = io.BytesIO()
    Image.fromarray((load_digits().images[3] * 15).astype("uint8")).save(picture, "PNG")

    async def ask() -> None:
        async with running(home / "hog_svm") as (model, client):
            told = await client.post(
                "/v1/models/digits/predict", content=picture.getvalue(), headers={"Content-Type": "image/png"}
            )
            assert told.json()[0]["label"] == "3"
            assert (await client.get("/v1/models/digits")).json()["net"] == "hog_svm"
            assert model.predictor.predict_one(picture.getvalue()).label == "3"

    asyncio.run(ask())


def test_it_is_explained_by_hiding_parts(home, tmp_path):
    Image.fromarray((load_digits().images[0] * 15).astype("uint8")).resize((64, 64)).save(tmp_path / "zero.png")
    for method in ("class_map", "occlusion"):
        told = sightsmith("explain", home / "hog_svm", "zero.png", "--method", method, cwd=tmp_path).succeeded()
        assert told.out.startswith("0 ")
    for method, says in (("gradcam", "its last features are no grid"), ("integrated_gradients", "has no gradient")):
        refused = sightsmith("explain", home / "pixel_forest", "zero.png", "--method", method, cwd=tmp_path)
        refused.refused(2, says, "Use class_map")


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("pixel_knn", r"Nearest training pictures: (all/\d+ \(0, distance [\d.]+\), ){4}"),
        ("rules", r"If \w+ is (above|at most) [-\d.]+ and \w+ is (above|at most) [-\d.]+: \d \("),
        ("measure_tree", r"Path in the tree: \w+ is (above|at most) [-\d.]+, then \w+ is"),
    ],
)
def test_what_can_be_read_says_why_in_words_and_draws_it(tmp_path, model, says):
    sightsmith("train", "digits", "--model", model, "--out", "m", cwd=tmp_path).succeeded()
    picture = load_digits().images[0]
    Image.fromarray((picture * 17).clip(0, 255).astype("uint8")).save(tmp_path / "zero.png")
    told = sightsmith("explain", "m", "zero.png", cwd=tmp_path).succeeded().out
    assert re.search(says, told)
    drawn = tmp_path / "zero.m.class_map.reason.svg"
    assert ET.parse(drawn).getroot().tag.endswith("svg")
    again = json.loads(sightsmith("explain", "m", "zero.png", "--json", cwd=tmp_path).succeeded().out)
    assert again["files"] == {
        "overlay": "zero.m.class_map-2.png",
        "raw": "zero.m.class_map-2.npy",
        "reason": "zero.m.class_map-2.reason.svg",
    }
    assert (tmp_path / again["files"]["reason"]).read_bytes() == drawn.read_bytes()
    assert set(again["reasons"]) <= set(told.splitlines())
    (tmp_path / "mine.reason.svg").write_text("mine")
    asked = sightsmith("explain", "m", "absent.png", "--out", "mine.png", cwd=tmp_path)
    asked.refused(2, "mine.reason.svg exists already", "--overwrite")  # before the picture is looked for
    if model == "pixel_knn":
        digits, first = load_digits(), int(re.search(r"all/(\d+)", told)[1])
        keys = json.loads((tmp_path / "m/splits.json").read_text())["train"]
        train = [int(key.partition("/")[2]) for key in keys]
        apart = ((digits.images[train] - picture) ** 2).sum((1, 2))
        assert first == train[int(apart.argmin())], "the key is that of the nearest picture"


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--epochs", "3"), "hog_svm is fitted in one step, in fp32, and takes no epochs. Leave it out."),
        (("--lr", "0.1"), "takes no lr"),
        (("--rotate", "5"), "takes no rotate"),
        (("--precision", "bf16"), "takes no precision"),
        (("--weights", "pretrained"), "its features are computed and have no weights"),
        (("--net.cell", "40"), "hog needs inputs of at least 80×80 pixels"),
        (("--size", "6"), "hog needs inputs of at least 8×8 pixels, got 6×6. Ask for a larger input, such as --size 8"),
        (("--net.depth", "3"), "unknown key 'depth'"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, flags, says):
    sightsmith("train", "digits", "--model", "hog_svm", *flags, cwd=tmp_path).refused(2, says)


def test_features_larger_than_memory_are_refused_before_they_are_computed(tmp_path):
    many = ("--model", "colour_tree", "--net.parts", "700", "--net.bins", "99")
    refused = sightsmith("train", "digits", *many, "--out", "m", cwd=tmp_path)
    need = 1258 * (48_510_000 * 8 + 16 * 16 * 6) / 2**30
    refused.refused(2, f"with 48,510,000 features each take at least {need:.1f} GiB", "are free. Lower --size, choose")
    assert not (tmp_path / "m").exists()


def test_a_rule_on_an_unknown_measure_and_data_of_one_class_are_refused(tmp_path):
    rule = '[[rule]]\nwhen = ["brightnes > 0.5"]\nclass = "1"\n[[rule]]\nclass = "0"\n'
    (tmp_path / "rules.toml").write_text(rule)
    asked = sightsmith("train", "digits", "--model", "rules", "--net.file", "rules.toml", cwd=tmp_path)
    asked.refused(2, "rules.toml: rule 1: no feature 'brightnes'. Did you mean 'brightness'")
    (tmp_path / "one/only").mkdir(parents=True)
    for at in range(12):
        Image.new("L", (16, 16), 20 * at).save(tmp_path / f"one/only/{at}.png")
    one = sightsmith("train", "one", "--model", "hog_svm", "--no-near-duplicates", cwd=tmp_path)
    one.refused(2, "all usable pictures are of one class, 'only'", "Add another class")


def test_a_picture_smaller_than_a_cell_is_enlarged(home, tmp_path):
    """Cells are of the model's input, whatever the size of a picture."""
    Image.new("L", (2, 3), 7).save(tmp_path / "tiny.png")
    Image.new("L", (64, 64), 7).save(tmp_path / "same.png")
    told = sightsmith("predict", home / "hog_svm", "tiny.png", "same.png", "--as", "jsonl", cwd=tmp_path).succeeded()
    tiny, same = (json.loads(line)["labels"] for line in told.out.splitlines())
    assert tiny == same


def test_other_tasks_refuse_it(tmp_path):
    rows = ["path,number", *(f"{at}.png,{at}" for at in range(30))]
    (tmp_path / "numbers.csv").write_text("\n".join(rows))
    for at in range(30):
        Image.new("L", (16, 16), 8 * at).save(tmp_path / f"{at}.png")
    refused = sightsmith("train", "numbers.csv", "--model", "hog_ridge", "--no-near-duplicates", cwd=tmp_path)
    refused.refused(2, "hog_ridge is fitted in one step, and the task 'regress' trains by gradient descent")
