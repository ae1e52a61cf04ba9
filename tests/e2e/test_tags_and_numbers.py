"""Tags and numbers through every verb, HTTP and the page, and the ways in which their tables can be wrong."""

import csv
import io
import json
import subprocess

import httpx
import numpy as np
import pytest
from PIL import Image

from processes import command, environment, sightsmith

SIDE = 20
QUICK = ("--model", "smallresnet", "--net.width", "8", "--epochs", "12", "--lr", "0.01", "--no-near-duplicates")


def dots(rng: np.random.Generator, left: int, right: int) -> Image.Image:
    """Return a picture with so many bright dots in its left and right half, on a dark ground with noise."""
    pixels = rng.integers(0, 60, (SIDE, SIDE), dtype=np.uint8)
    half = SIDE // 2
    for count, start in ((left, 0), (right, half)):
        for place in rng.choice((half // 2) * (SIDE // 2), count, replace=False).tolist():
            y, x = 2 * (place // (half // 2)), start + 2 * (place % (half // 2))
            pixels[y : y + 2, x : x + 2] = 255
    return Image.fromarray(pixels)


def make(folder) -> None:
    rng = np.random.default_rng(0)
    (folder / "dots").mkdir()
    tags, flags, numbers = [["path", "labels"]], [["path", "left", "right"]], [["path", "count", "site"]]
    for at in range(150):
        left, right = (int(rng.integers(1, 9)) if rng.random() < 0.6 else 0 for _ in range(2))
        dots(rng, left, right).save(folder / f"dots/{at:03}.png")
        path = f"dots/{at:03}.png"
        tags.append([path, ";".join(name for name, count in (("left", left), ("right", right)) if count)])
        flags.append([path, "" if at % 10 == 9 else str(int(left > 0)), str(int(right > 0))])
        numbers.append([path, str(left + right), "a"])
    for name, rows in (("tags", tags), ("flags", flags), ("numbers", numbers)):
        write(folder / f"{name}.csv", rows)
    train = ("train", *QUICK)
    sightsmith(*train, "tags.csv", "--out", "sides", cwd=folder).succeeded()
    sightsmith(*train, "numbers.csv", "--target", "count", "--unit", "dots", "--out", "counter", cwd=folder).succeeded()
    for model in ("sides", "counter"):
        sightsmith("evaluate", model, cwd=folder).succeeded()
        sightsmith("export", model, "--to", "openvino", "--prove", "test", cwd=folder).succeeded()


def write(path, rows) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.fixture(scope="session")
def home(made_once):
    return made_once("tags_and_numbers", make)


@pytest.fixture
def ask(home):
    return lambda *arguments: sightsmith(*arguments, cwd=home)


@pytest.fixture
def table(home, tmp_path):
    """Return a function that writes a table beside the pictures and returns its name."""

    def give(*lines: str) -> str:
        path = home / f"{tmp_path.name}.csv"
        path.write_text("\n".join(lines))
        return path.name

    return give


def test_tags_are_learnt_measured_and_compared(home, ask):
    done = json.loads(ask("evaluate", "sides", "--json").succeeded().out)
    assert done["kind"] == "tags"
    assert done["metrics"]["map"] > 0.9
    assert done["intervals"]["map_gain"]["low"] > 0
    assert {one["name"] for one in done["per_tag"]} == {"left", "right"}
    page = (home / "sides/report/index.html").read_text(encoding="utf-8")
    assert "Against a constant answer" in page
    assert "Precision over recall" in page
    assert "mAP is" in ask("compare", "sides", "sides").succeeded().out


def test_blank_flags_are_unknown(home, ask):
    told = ask("check", "flags.csv").out
    assert "flags.csv (table): 150 pictures in 2 tags" in told
    done = json.loads(ask("evaluate", "sides", "--data", "flags.csv", "--json").succeeded().out)
    known = {one["name"]: one["known"] for one in done["per_tag"]}
    assert known == {"left": 135, "right": 150}
    first, *_ = (home / "sides/report/predictions.csv").read_text(encoding="utf-8").splitlines()
    assert first == "key,target,left,right"


def test_a_least_precision_moves_the_thresholds(ask, home):
    ask("train", *QUICK, "tags.csv", "--task.min-precision", "1", "--task.loss", "bce", "--out", "sure").succeeded()
    manifest = json.loads((home / "sure/manifest.json").read_text(encoding="utf-8"))
    thresholds = manifest["definition"]["calibrated"]["thresholds"]
    assert len(thresholds) == 2
    assert manifest["task"]["settings"]["min_precision"] == 1
    ask("train", "tags.csv", "--task.min-precision", "2", "--out", "x").refused(
        2, "task.min_precision must be in [0, 1]"
    )


def test_numbers_are_learnt_measured_and_compared(home, ask):
    done = json.loads(ask("evaluate", "counter", "--json").succeeded().out)
    assert done["kind"] == "number"
    assert done["metrics"]["mae"] < 0.6 * done["metrics"]["mae_of_mean"]
    assert done["metrics"]["spearman"] > 0.8
    assert 0.7 < done["metrics"]["coverage"] <= 1
    assert done["unit"] == "dots"
    page = (home / "counter/report/index.html").read_text(encoding="utf-8")
    assert "Answer over truth" in page
    assert "Furthest too high" in page
    manifest = json.loads((home / "counter/manifest.json").read_text(encoding="utf-8"))
    assert manifest["definition"]["calibrated"].keys() == {"quantity", "unit", "scale", "reach", "coverage"}
    assert (
        manifest["definition"]["calibrated"]["scale"] == manifest["definition"]["graphs"]["model"]["settings"]["scale"]
    )
    splits = json.loads((home / "counter/splits.json").read_text(encoding="utf-8"))
    assert 15 <= len(splits["calibration"]) <= 30
    assert not set(splits["calibration"]) & {key for split in ("train", "val", "test") for key in splits[split]}
    told = ask("compare", "counter", "counter").succeeded().out
    assert "p of equal MAE" in told


def test_no_sample_held_out_makes_no_interval(ask, home):
    how = ("--target", "count", "--task.calibration-fraction", "0", "--out", "bare")
    ask("train", *QUICK, "numbers.csv", *how).succeeded()
    line = json.loads(ask("predict", "bare", "dots/000.png", "--as", "jsonl").succeeded().out)
    assert line["number"]["low"] is None
    assert "There is no prediction interval" in ask_report(ask, home, "bare")


def ask_report(ask, home, model):
    ask("evaluate", model).succeeded()
    return (home / model / "report/index.html").read_text(encoding="utf-8")


def test_answers_in_every_form(ask):
    (line,) = ask("predict", "sides", "dots/000.png", "--as", "jsonl", "--absent").succeeded().out.splitlines()
    assert {one["tag"] for one in json.loads(line)["tags"]} == {"left", "right"}
    rows = list(csv.DictReader(io.StringIO(ask("predict", "sides", "dots/", "--as", "csv").succeeded().out)))
    assert len({row["picture"] for row in rows}) == 150, "a picture without a tag has a row too"
    line = json.loads(ask("predict", "counter", "dots/000.png", "--as", "jsonl").succeeded().out)
    assert line["number"].keys() == {"value", "low", "high", "coverage", "unit"}
    assert line["number"]["low"] < line["number"]["value"] < line["number"]["high"]
    assert "dots (90% between " in ask("predict", "counter", "dots/000.png", "--as", "text").succeeded().out


@pytest.mark.parametrize(
    ("model", "more", "told"),
    [
        ("sides", ("--label", "left"), "left "),
        ("sides", ("--label", "left", "--method", "occlusion"), "fall of the log-probability"),
        ("counter", (), "occlusion, fall of the number"),
        ("counter", ("--method", "class_map", "--sanity"), "share of the number"),
    ],
)
def test_answers_are_explained(ask, model, more, told, tmp_path):
    out = tmp_path / "why.png"
    assert told in ask("explain", model, "dots/000.png", *more, "--out", out).succeeded().out
    with Image.open(out) as drawn:
        assert drawn.size == (SIDE, SIDE)


def test_an_export_is_proved_and_verified(ask):
    told = ask("export", "counter", "--to", "onnx", "--prove", "test").succeeded().out
    assert "onnx fp32: 8 witnesses, number within" in told
    assert "; MAE " in told
    assert "every file is as it was written" in ask("verify", "counter").succeeded().out
    assert "every file is as it was written" in ask("verify", "sides").succeeded().out


@pytest.mark.browser
def test_they_are_served_and_drawn_on_the_page(home, browser):
    process = subprocess.Popen(
        command("serve", "sides", "counter", "--port", "0"),
        cwd=home,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        url = (
            next(line for line in iter(process.stdout.readline, "") if line.startswith("Ready"))
            .split(" at ")[1]
            .split()[0]
        )
        both = home / "dots/000.png"
        tags = httpx.post(f"{url}/v1/models/sides/predict?absent=true", content=both.read_bytes()).json()
        assert [one["tag"] for one in tags] in (["left", "right"], ["right", "left"])
        number = httpx.post(f"{url}/v1/models/counter/predict?digits=2", content=both.read_bytes()).json()
        assert len(f"{number['value']:g}".replace(".", "").lstrip("0")) <= 2
        assert number["unit"] == "dots"
        explained = httpx.post(
            f"{url}/v1/models/sides/predict?explain=true&label=left", content=both.read_bytes()
        ).json()
        assert explained["map"]["label"] == "left"
        document = httpx.get(f"{url}/openapi.json").text
        assert "TagScore" in document
        assert "NumberAnswer" in document
        page = browser.new_page()
        page.goto(f"{url}/#sides")
        page.set_input_files("#file", str(both))
        page.locator("#bars .mark").first.wait_for()
        page.get_by_label("Absent").check()
        page.locator("#bars .mark").nth(1).wait_for()
        present = [one["tag"] for one in tags if one["present"]]
        assert page.locator("#chips li").all_inner_texts() == present
        assert page.locator("#bars .off").count() == 2 - len(present)
        page.select_option("#models", "counter")
        page.locator("#best-score", has_text="dots").wait_for()
        assert page.locator("#bars .name").all_inner_texts() == ["90% interval"]
        page.close()
    finally:
        process.terminate()
        process.communicate(timeout=60)


def test_an_unknown_tag_in_other_data_is_named(ask, table):
    name = table("path,labels", "dots/000.png,left;rihgt", "dots/001.png,left;right")
    ask("evaluate", "sides", "--data", name).refused(2, "does not know 'rihgt'", "Did you mean 'right'")


def test_tags_that_are_all_blank_are_refused(ask, table):
    ask("check", table("path,labels", "dots/000.png,", "dots/001.png,")).refused(2, "'labels' is empty in all 2 rows")
    blank = table("path,left,right", "dots/000.png,,", "dots/001.png,,")
    ask("check", blank, "--target", "left,right").refused(2, "no tag filled in")
    ask("check", blank).refused(2, "no column 'label'")


def test_a_flag_that_is_no_flag_is_named(ask, table):
    name = table("path,left,right", "dots/000.png,1,0", "dots/001.png,yes,1", "dots/002.png,0,1")
    told = ask("check", name, "--target", "left,right").out
    assert "neither 0, 1 nor empty" in told
    assert "row 3: 'left yes'" in told
    flags = [f"dots/{at:03}.png,{at % 2}.0,{int(at < 9)}" for at in range(20)]
    told = ask("check", table("path,left,right", *flags, "dots/030.png,1.0,yes")).out
    assert "20 pictures in 2 tags" in told, "1.0 is 1, and one wrong cell does not make a column no tag"
    assert "row 22: 'right yes'" in told


def test_tags_that_tell_nothing_apart_are_refused(ask, table):
    name = table("path,labels", *(f"dots/{at:03}.png,left;right" for at in range(20)))
    ask("train", name, "--out", "x").refused(2, "every tag is in all usable pictures or in none", "no-tag-varies")


def test_cells_that_are_no_numbers_are_named(ask, table):
    cells = ["3", "about 4", "nan", "inf", "", "1_000", "5", "6"]
    name = table("path,number", *(f"dots/{at:03}.png,{cell}" for at, cell in enumerate(cells)))
    told = ask("check", name).out
    assert f"{name} (table): 3 pictures of numbers from 3 to 6, the middle one 5." in told
    for text in ("row 3: 'about 4'", "row 4: 'nan'", "row 5: 'inf'", "row 7: '1_000'", "no-number", "not-finite"):
        assert text in told
    ask("train", name, "--out", "x").refused(2, "5 of 8 pictures are bad")


def test_one_number_for_all_is_refused(ask, table):
    name = table("path,number", *(f"dots/{at:03}.png,7" for at in range(20)))
    ask("train", name, "--out", "x").refused(2, "all usable pictures have the number 7")


def test_units_that_differ_are_refused(ask):
    asked = ("evaluate", "counter", "--data", "numbers.csv")
    ask(*asked, "--unit", "kg").refused(2, "its numbers are in kg, the model's in dots")
    assert "MAE" in ask(*asked, "--unit", "dots").succeeded().out
    assert "MAE" in ask(*asked).succeeded().out


def test_a_unit_where_no_number_is_is_refused(ask, home):
    ask("check", "tags.csv", "--unit", "kg").refused(2, "tags have no unit")
    ask("check", "dots", "--target", "x").refused(2, "target", "table")
    ask("check", "numbers.csv", "--target", "cuont").refused(2, "no column 'cuont'", "Did you mean 'count'?")


def test_far_numbers_are_a_warning(ask, table):
    name = table("path,number", *(f"dots/{at:03}.png,{at % 9 if at else 5000}" for at in range(60)))
    told = ask("check", name).out
    assert "1 number is far from all others" in told
    assert "dots/000.png: 5000" in told


def test_a_thousand_tags(home, ask):
    rng = np.random.default_rng(0)
    rows = [["path", "labels"]]
    for at in range(150):
        chosen = sorted({int(one) for one in rng.integers(0, 1000, 30)})
        rows.append([f"dots/{at:03}.png", ";".join(f"t{one}" for one in chosen)])
    write(home / "many.csv", rows)
    ask("train", "many.csv", "--model", "smallresnet", "--net.width", "4", "--epochs", "1", "--out", "many").succeeded()
    done = json.loads(ask("evaluate", "many", "--json", "--missing-ok").succeeded().out)
    assert len(done["per_tag"]) == len(json.loads((home / "many/manifest.json").read_text())["definition"]["names"])
    assert len(done["per_tag"]) > 900
    answer = json.loads(ask("predict", "many", "dots/000.png", "--as", "jsonl", "--absent").succeeded().out)
    assert len(answer["tags"]) == len(done["per_tag"])
