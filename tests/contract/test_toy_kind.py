"""The input, kinds, net, tasks and sources of docs/extend-kind.md go through every verb, HTTP and the page.

No other file knows them.
"""

import atexit
import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from doc_pages import DOCS, environment, write_files
from processes import command, sightsmith


@cache
def toy() -> Path:
    """Return a folder with the files of the page."""
    folder = Path(tempfile.mkdtemp(prefix="toy-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    write_files(DOCS / "extend-kind.md", folder)
    return folder


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a folder with pictures of known brightness."""
    folder = tmp_path_factory.mktemp("toy")
    rng = np.random.default_rng(0)
    (folder / "lamps").mkdir()
    lines = []
    for at in range(160):
        level = rng.uniform(0.1, 0.9)
        cells = rng.uniform(-0.1, 0.1, (4, 4)) + level
        pixels = (255 * np.clip(cells, 0, 1)).astype(np.uint8).repeat(4, 0).repeat(4, 1)
        Image.fromarray(pixels).save(folder / f"lamps/{at:03}.png")
        lines.append(f"{at:03}.png {level:.6f}")
    (folder / "lamps/levels.txt").write_text("\n".join(lines))
    return folder


def path_with_toy() -> str:
    return os.pathsep.join(filter(None, [str(toy()), os.environ.get("PYTHONPATH", "")]))


@pytest.fixture(scope="module")
def ask(place):
    """Return a function that runs a verb there, the toy on the Python path."""
    return lambda *arguments: sightsmith(*arguments, cwd=place, path=path_with_toy())


@pytest.fixture(scope="module")
def model(place, ask):
    how = ("--model", "scale", "--epochs", "60", "--lr", "0.05", "--no-near-duplicates")
    ask("train", "lamps", *how, "--out", "lamp").succeeded()
    return place / "lamp"


def test_the_data_is_checked(ask):
    told = ask("check", "lamps").succeeded().out
    assert "lamps (levels): 160 pictures of levels from 0." in told
    assert "class" not in told


def test_it_is_measured_told_and_compared(model, place, ask):
    done = json.loads(ask("evaluate", "lamp", "--json").succeeded().out)
    assert done["kind"] == "level"
    assert done["metrics"]["r2"] > 0.8
    page = (model / "report/index.html").read_text(encoding="utf-8")
    assert "Answer over truth" in page
    assert "Furthest off" in page
    shutil.copytree(model, place / "other")
    told = ask("compare", "lamp", "other").succeeded().out
    assert "mean_error" in told
    assert "r2 is" in told
    assert "no difference shown" in told
    card = (model / "README.md").read_text(encoding="utf-8")
    assert "class" not in card


def test_truths_of_another_kind_are_refused(model, ask, digits_bundle):
    ask("evaluate", "lamp", "--data", "digits").refused(2, "it tells classes, the model answers with levels")
    ask("evaluate", digits_bundle, "--data", "lamps").refused(2, "it tells levels, the model answers with classes")


def test_it_predicts_in_every_form(model, ask):
    line = json.loads(ask("predict", "lamp", "lamps/000.png", "--as", "jsonl").succeeded().out)
    assert set(line) == {"picture", "level"}
    rows = list(csv.DictReader(io.StringIO(ask("predict", "lamp", "lamps/000.png", "--as", "csv").succeeded().out)))
    assert float(rows[0]["level"]) == pytest.approx(line["level"]["level"], abs=1e-6)
    assert ask("predict", "lamp", "lamps/000.png", "--as", "text").succeeded().out.startswith("lamps/000.png: level 0.")


def test_the_kinds_own_option_is_a_flag(model, place):
    def ask(*arguments):  # started cold: the flags are gathered when the command line is imported
        return sightsmith(*arguments, cwd=place, before=("env", f"PYTHONPATH={path_with_toy()}"))

    line = json.loads(ask("predict", "lamp", "lamps/000.png", "--as", "jsonl", "--digits", "1").succeeded().out)
    assert line["level"]["level"] == round(line["level"]["level"], 1)
    ask("predict", "lamp", "lamps/000.png", "--top", "3").refused(2, "options of level: unknown key 'top'")
    assert "Digits of the level" in ask("predict", "--help").succeeded().out


def test_a_task_of_another_kind_is_refused(ask):
    asked = ("train", "lamps", "--task.name", "classify", "--out", "labelled")
    ask(*asked).refused(2, "the task 'classify' learns classes, and the data tells levels")


def test_a_table_may_hold_its_truths(place, ask):
    (place / "lamps.csv").write_text("path,level\nlamps/000.png,0.5\nlamps/001.png,1.5\nlamps/002.png,0.25\n")
    told = ask("check", "lamps.csv").out
    assert "lamps.csv (table): 2 pictures of levels from 0.25 to 0.50." in told
    assert "1 row is left out: a level that is no number from 0 to 1." in told


def test_a_setting_that_the_input_cannot_use_is_refused(ask):
    how = ("--model", "scale", "--out", "flipped")
    ask("train", "lamps", *how, "--flip", "both").refused(2, "flip augments pictures", "the task has another input")


def test_what_cannot_be_explained_says_why(model, ask):
    ask("explain", "lamp", "lamps/000.png").refused(2, "level", "nothing that a map could explain")


def test_it_is_exported_with_proof_verified_and_shown(model, ask):
    told = ask("export", "lamp", "--to", "openvino,onnx", "--prove", "test").succeeded().out
    assert "openvino fp32: 8 witnesses, level within" in told
    assert "r2" in told
    assert "every file is as it was written" in ask("verify", "lamp").succeeded().out
    shown = ask("inspect", "lamp").succeeded().out
    assert "task          level" in shown
    assert "brightness of 4 bands" in shown
    assert "classes" not in shown


@pytest.mark.browser
def test_it_is_served_and_drawn_on_the_page(model, place, browser):
    process = subprocess.Popen(
        [*command("serve", "lamp", "--port", "0")],
        cwd=place,
        env=environment(PYTHONPATH=path_with_toy()),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        lines = iter(process.stdout.readline, "")
        url = next(line for line in lines if line.startswith("Ready")).split(" at ")[1].split()[0]
        picture = (place / "lamps/000.png").read_bytes()
        answered = httpx.post(f"{url}/v1/models/lamp/predict", content=picture, headers={"Content-Type": "image/png"})
        assert set(answered.json()) == {"level"}
        refused = httpx.post(f"{url}/v1/models/lamp/predict?explain=true", content=picture)
        assert refused.status_code == 400
        assert "cannot explain" in refused.json()["error"]
        short = httpx.post(f"{url}/v1/models/lamp/predict?digits=1", content=picture).json()
        assert short["level"] == round(answered.json()["level"], 1)
        for wrong in ("top=3", "digits=7"):
            refused = httpx.post(f"{url}/v1/models/lamp/predict?{wrong}", content=picture)
            assert refused.status_code == 400, refused.text
        assert httpx.get(f"{url}/v1/models/lamp").json()["options"]["digits"]["maximum"] == 6
        assert "LevelAnswer" in httpx.get(f"{url}/openapi.json").text
        page = browser.new_page()
        page.goto(url)
        page.set_input_files("#file", str(place / "lamps/000.png"))
        page.locator("#best-score").wait_for()
        assert page.locator("#best-label").inner_text() == "level"
        assert page.locator("#bars .class").count() == 0, "words are not said twice"
        assert page.locator("#best-score").inner_text() == f"{answered.json()['level']:.3f}"
        page.get_by_label("digits").fill("1")
        page.get_by_label("digits").press("Tab")
        page.wait_for_function(
            "text => document.querySelector('#best-score').innerText === text", arg=f"{short['level']:.1f}"
        )
        facts = page.locator("#facts").inner_text()
        assert "class" not in facts
        assert "sees brightness of 4 bands" in facts
        page.close()
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_the_contract_suites_take_it_in():
    files = [f"tests/contract/test_{suite}.py" for suite in ("inputs", "kinds", "tasks", "sources", "rules")]
    chosen = ("-k", "level or bands or spot or interface", "-vv", "-n", "0", "-p", "no:cacheprovider")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *files, *chosen],
        cwd=Path(__file__).parents[2],
        env=environment(PYTHONPATH=path_with_toy()),
        text=True,
        capture_output=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [file for file in files if f"{file}::" not in done.stdout] == [], done.stdout
