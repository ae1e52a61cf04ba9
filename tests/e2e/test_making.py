"""Models that make pictures, through the command line: right results, and wrong requests that name the way out."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import sightsmith as ss
from processes import sightsmith
from sightsmith.core.errors import SettingsError

QUICK = ("--epochs", "1", "--net.width", "4")


@pytest.fixture(scope="module")
def home(making_bundles, digits_bundle, tmp_path_factory):
    """Return a folder with the bundles gan, vae and digits."""
    folder = tmp_path_factory.mktemp("home")
    for bundle in (making_bundles / "gan", making_bundles / "vae", digits_bundle):
        shutil.copytree(bundle, folder / bundle.name)
    return folder


@pytest.fixture(scope="module")
def ask(home):
    """Return a function that runs a verb in that folder."""
    return lambda *arguments: sightsmith(*arguments, cwd=home)


def test_every_verb_that_looks_at_a_bundle_knows_it(ask):
    assert "a seed of 100 numbers, one of 10 classes" in ask("inspect", "gan").succeeded().out
    assert "8 witnesses reproduced (picture within" in ask("verify", "gan").succeeded().out
    card = ask("card", "gan").succeeded().out
    assert "sightsmith generate gan" in card
    assert "sightsmith predict" not in card
    assert "none is from the data" in card
    ask("check", "gan").refused(2, "no picture in it")


def test_it_is_measured_proved_and_compared(ask, home):
    for bundle in ("gan", "vae"):
        figures = json.loads(ask("evaluate", bundle, "--json").succeeded().out)
        assert figures["metrics"]["fd"] > 0
        assert figures["counts"]["evaluated"] == 359
        page = (home / bundle / "report/index.html").read_text()
        assert "Between seeds" in page
        coded = ["Reconstructions", "Between real pictures", "Single latents"]
        assert [title for title in coded if f"<h2>{title}</h2>" in page] == (coded if bundle == "vae" else [])
        assert ("psnr" in figures["metrics"]) == (bundle == "vae")
    proved = ask("export", "gan", "--to", "openvino", "--precision", "fp32", "--prove", "test").succeeded().out
    assert "on 359 pictures, 100.00% the same answers" in proved
    assert "normal distribution of KID" in ask("compare", "gan", "vae").succeeded().out


def test_other_nets_measure_it_and_stand_beside_every_figure(ask, home):
    with ss.load(home / "digits") as digits:
        features = f"the bundle digits ({digits.manifest.files['weights.safetensors'][:12]})"
        classifier = f"digits ({digits.manifest.definition_digest[:12]})"
    shutil.copytree(home / "gan", home / "measured")
    told = ask("evaluate", "measured", "--features", "digits", "--classifier", "digits").succeeded().out
    assert f"features of {features}, classes recognised by {classifier}; figures of others do not compare" in told
    assert "as asked, real    0.9" in told
    assert "95 % between" in told.partition("as asked")[2].splitlines()[0]
    kept = json.loads((home / "measured/report/evaluation.json").read_text())
    assert kept["features"]["name"] == "the bundle digits"
    assert len(kept["recognised"]["per_class"]) == 10
    assert sum(one["count"] for one in kept["recognised"]["per_class"]) == 359
    assert kept["metrics"]["consistency"] == pytest.approx(
        sum(one["count"] * one["made"] for one in kept["recognised"]["per_class"]) / 359
    )
    page = (home / "measured/report/index.html").read_text()
    assert features in page
    assert "Are they of the class that was asked for?" in page
    card = ask("card", "measured").succeeded().out
    assert f"Measured with: features {features}, classifier {classifier}." in card
    assert "Measured with: features sightsmith-32 v1 (f1ec88084158)." in card
    ask("evaluate", "gan").succeeded()
    told = ("gan and measured cannot be compared: ", "different features", "--features")
    ask("compare", "gan", "measured").refused(2, *told)
    ask("compare", "measured", "measured").succeeded()


def test_nets_that_cannot_measure_it_are_refused(ask, home):
    ask("evaluate", "digits", "--features", "digits").refused(2, "features: it measures pictures that a model makes")
    ask("evaluate", "digits", "--classifier", "digits").refused(2, "classifier: it measures pictures")
    ask("evaluate", "gan", "--features", "vae").refused(2, "vae: features are those of a net that sees pictures")
    ask("evaluate", "gan", "--classifier", "vae").refused(2, "classifier: vae answers with pictures", "task classify")


def test_what_it_cannot_be_asked(ask, home):
    Image.new("L", (8, 8)).save(home / "pic.png")
    ask("predict", "gan", "pic.png").refused(2, "reads none", "sightsmith generate")
    ask("predict", "vae", "nowhere.png", "--out", "answers.jsonl").refused(2, "reads none", "sightsmith generate")
    assert not (home / "answers.jsonl").exists()
    ask("explain", "gan", "pic.png").refused(2, "nothing that a map could explain", "sightsmith evaluate")
    ask("generate", "digits", "--out", "made").refused(2, "digits makes no pictures", "--task vae")


def test_files_are_written_once_and_say_that_they_were_generated(ask, home):
    made = home / "made"
    told = ask("generate", "gan", "--out", "made", "--count", "3", "--seed", "7", "--label", "4").succeeded()
    assert told.out.strip() == "made/grid.png"
    assert sorted(path.name for path in made.iterdir()) == [*(f"7-{at:05}-4.png" for at in range(3)), "grid.png"]
    with Image.open(made / "7-00001-4.png") as image:
        assert (image.size, image.mode) == ((16, 16), "L")
        assert "trainedAlgorithmicMedia" in image.text["XML:com.adobe.xmp"]
        assert json.loads(image.text["Comment"].removeprefix("Generated by a model: "))["index"] == 1
    before = (made / "7-00000-4.png").read_bytes()
    again = ("generate", "gan", "--out", "made", "--count", "1", "--seed", "7", "--label", "4")
    ask(*again).refused(2, "made/7-00000-4.png exists already", "--overwrite")
    ask(*again, "--overwrite").succeeded()
    assert (made / "7-00000-4.png").read_bytes() == before
    ask("generate", "gan", "--out", "gan/README.md").refused(2, "gan/README.md", "cannot be written")
    ask("generate", "gan", "--out", "gan").refused(2, "gan is a bundle", "Give another folder")
    for flags, message in (
        (("--count", "0"), "count must be in 1…1,000,000, got 0"),
        (("--count", "1.5"), "--count: it takes whole numbers, got 1.5"),
        (("--seed", "-3"), "seed must be in"),
        (("--label", "cat"), "unknown label 'cat'"),
        (("--batch", "0"), "batch must be in 1…"),
    ):
        ask("generate", "gan", "--out", "other", *flags).refused(2, message)
    assert not (home / "other").exists()


def test_a_full_disk_leaves_whole_pictures_alone(home):
    done = sightsmith("generate", "gan", "--out", "cut", "--count", "4", cwd=home, file_limit=1024)
    done.refused(2, "cut: cannot be written", "Make room on the disk")
    assert sorted(path.name for path in (home / "cut").iterdir()) == [f"0-{at:05}-{at}.png" for at in range(4)]


REFUSED = {
    "a side of the gan": ({"task": "gan", "size": 20}, "16, 28, 32, 64, 128.*size=16"),
    "a side of the vae": ({"task": "vae", "size": 130}, "multiples of 4 from 16 to 128.*size=128"),
    "a classifier": ({"task": "gan", "model": "resnet18"}, "family 'classifier'.*one of these: dcgan"),
    "another family": ({"task": "vae", "model": "dcgan"}, "family 'gan'.*task gan"),
    "no task": ({"model": "vae"}, "the task 'classify' trains those of 'classifier'.*task vae"),
    "rotation": ({"task": "gan", "rotate": 20.0}, "rotate: what the task 'gan' learns.*flip and crop"),
    "policy": ({"task": "vae", "augment": "rand"}, "augment: what the task 'vae' learns.*flip and crop"),
    "a frozen backbone": ({"task": "gan", "freeze_epochs": 1, "epochs": 2}, "freeze_epochs must be 0"),
    "a rate to find": ({"task": "gan", "lr": "find"}, "a task with one optimiser"),
    "accumulation": ({"task": "gan", "accumulate": 2}, "accumulate must be 1"),
    "weights": ({"task": "gan", "weights": "some.safetensors"}, "starts from random numbers"),
    "beta": ({"task": {"name": "vae", "beta": -1}}, "task.beta must be ≥ 0, got -1"),
    "likelihood": ({"task": {"name": "vae", "likelihood": "l2"}}, "task: likelihood"),
    "a setting of the other": ({"task": {"name": "gan", "beta": 2}}, "unknown key 'beta'"),
    "an unknown task": ({"task": "gam"}, "unknown task 'gam'. Did you mean 'gan'"),
    "both lengths": ({"task": "gan", "epochs": 2, "minutes": 1}, "minutes must be left out"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_training_refuses(name, tmp_path):
    rng, (asked, told) = np.random.default_rng(0), REFUSED[name]
    np.savez(tmp_path / "noise.npz", images=rng.integers(0, 256, (40, 16, 16), np.uint8), labels=np.arange(40) % 2)
    with pytest.raises(SettingsError, match=told):
        ss.train(tmp_path / "noise.npz", out=tmp_path / "out", near_duplicates=False, quiet=True, **asked)
    assert [path.name for path in tmp_path.iterdir()] == ["noise.npz"]


def test_baselines_and_a_short_form_with_a_setting_of_the_task(ask):
    how = ("train", "digits", "--task=vae", "--task.beta", "2", "--out", "refused")
    ask(*how, "--baselines").refused(2, "'vae' has no baselines", "Leave --baselines out")


def test_mirrored_pictures_folds_and_the_short_form_in_a_file(ask, home):
    (home / "run.toml").write_text('data = "digits"\ntask = "gan"\nflip = "horizontal"\n')
    how = ("--config", "run.toml", *QUICK, "--folds", "4", "--fold", "1", "--out", "mirrored")
    told = ask("train", *how).succeeded()
    assert "flip horizontal" in told.err
    assert "sightsmith generate mirrored --out" in told.err


@pytest.fixture(scope="module")
def colour(home):
    """Return tables of small colour pictures: tags, numbers, and a folder of pictures alone."""
    rng = np.random.default_rng(0)
    (home / "patches").mkdir()
    for at in range(48):
        pixels = np.full((18, 22, 3), rng.integers(0, 256, 3), np.uint8)
        pixels[rng.integers(0, 9) :, rng.integers(0, 11) :] = rng.integers(0, 256, 3)
        Image.fromarray(pixels).save(home / f"patches/{at:02}.png")
    rows = [f"patches/{at:02}.png" for at in range(48)]
    (home / "tags.csv").write_text(
        "path,labels\n" + "".join(f"{row},{'a;b' if at % 3 else 'a'}\n" for at, row in enumerate(rows))
    )
    (home / "numbers.csv").write_text("path,number\n" + "".join(f"{row},{at}\n" for at, row in enumerate(rows)))


@pytest.mark.usefixtures("colour")
@pytest.mark.parametrize(("data", "task"), [("tags.csv", "gan"), ("numbers.csv", "gan"), ("patches", "vae")])
def test_colour_pictures_without_classes_make_a_model_without_labels(data, task, ask, home):
    out = f"of-{data}"
    ask("train", data, "--task", task, *QUICK, "--no-near-duplicates", "--out", out).succeeded()
    assert json.loads((home / out / "manifest.json").read_text())["definition"]["names"] == []
    ask("generate", out, "--out", f"made-{data}", "--count", "2").succeeded()
    with Image.open(home / f"made-{data}/0-00001.png") as image:
        assert image.mode == "RGB"
    ask("generate", out, "--out", "x", "--label", "a").refused(2, "was trained without labels. Leave --label out.")
    if data == "tags.csv":
        assert (
            "Fréchet distance"
            in ask("export", out, "--to", "openvino", "--precision", "fp32", "--prove", "test").succeeded().out
        )


@pytest.mark.usefixtures("colour")
def test_a_real_picture_that_cannot_be_read_is_left_out_and_named(ask, home):
    ask("train", "patches", "--task", "gan", *QUICK, "--no-near-duplicates", "--out", "patcher").succeeded()
    shutil.copytree(home / "patches", home / "damaged")
    (home / "damaged/07.png").write_bytes((home / "patches/07.png").read_bytes()[:40])
    done = ask("evaluate", "patcher", "--data", "damaged", "--json")
    assert done.code == 1
    assert "skipped 07.png: damaged/07.png: " in done.err
    assert json.loads(done.out)["counts"] == {"asked": 48, "evaluated": 47, "skipped": 1}


def test_too_few_pictures(ask, home):
    for label in "ab":
        (home / "two" / label).mkdir(parents=True)
        Image.effect_noise((16, 16), 60).save(home / f"two/{label}/1.png")
    ask("train", "two", "--task", "vae", "--out", "refused").refused(2, "2 classes have one usable picture")
    (home / "six/all").mkdir(parents=True)
    for at in range(6):
        Image.effect_noise((16, 16), 60).save(home / f"six/all/{at}.png")
    ask("train", "six", "--task", "gan", "--out", "refused").refused(2, "1 picture for validation", "needs at least 2")
    assert not (home / "refused.train").exists()


def test_an_empty_folder(ask, home):
    (home / "nothing/all").mkdir(parents=True)
    ask("train", "nothing", "--task", "gan", "--out", "refused").refused(2, "nothing: no picture in it")


QUICKLY = {"task": "vae", "net": {"width": 4}, "epochs": 1, "near_duplicates": False, "threads": 1, "quiet": True}


def test_16_bit_pictures_are_learnt_as_those_of_8_bits(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16), np.uint8)
    for bits, pixels in ((8, images), (16, images.astype(np.uint16) * 257)):
        np.savez(tmp_path / f"{bits}.npz", images=pixels, labels=np.arange(40) % 2)
        ss.train(tmp_path / f"{bits}.npz", out=tmp_path / f"of-{bits}", **QUICKLY).close()
    shallow, deep = (tmp_path / f"of-{bits}" / "decoder.safetensors" for bits in (8, 16))
    assert shallow.read_bytes() == deep.read_bytes()


def test_grey_pictures_and_a_model_of_colour(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (60, 16, 16), np.uint8)
    np.savez(tmp_path / "grey.npz", images=images, labels=np.arange(60) % 2)
    with ss.train(tmp_path / "grey.npz", out=tmp_path / "colour", colour="rgb", **QUICKLY) as model:
        assert model.generate(1, quiet=True)[0].pixels_HWC.shape == (16, 16, 3)
        assert model.evaluate(tmp_path / "grey.npz", quiet=True).overall["fd"] > 0


def test_a_collapse_is_told_with_its_epoch(ask):
    how = ("--task", "gan", "--net.width", "8", "--lr", "1", "--epochs", "2", "--precision", "fp32")
    told = ask("train", "digits", *how, "--out", "collapsed").succeeded().err
    assert told.count("(mode collapse)") == 1
    assert "warning: epoch 1: the made pictures hardly differ from each other" in told
