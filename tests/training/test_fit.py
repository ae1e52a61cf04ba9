"""Training for real, on digits, from data to bundle."""

import csv
import json
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from digit_training import settings, stop_after_first_checkpoint
from processes import sightsmith
from sightsmith.bundle.store import Bundle, verify
from sightsmith.core.errors import DataError, OutputExistsError, SettingsError, TrainingError
from sightsmith.core.settings import from_mapping, read_toml
from sightsmith.data.settings import SourceOptions
from sightsmith.evaluation.settings import EvaluateSettings
from sightsmith.evaluation.test_data import given_data, open_evaluation_data, own_split
from sightsmith.training.checkpoints import load_tree
from sightsmith.training.settings import TrainSettings
from sightsmith.training.train import train


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """Return a trained bundle's result and what was printed."""
    out = tmp_path_factory.mktemp("trained") / "digits"
    return train(settings("digits", out, epochs=4, net={"width": 16}), quiet=True)


def test_training_learns_and_writes_a_whole_bundle(digits):
    bundle = Bundle.open(digits.path)
    assert verify(bundle) == []
    manifest = bundle.manifest
    assert manifest.metrics == digits.manifest.metrics
    assert manifest.metrics["val"]["accuracy"] > 0.85
    assert manifest.metrics["val"]["loss_at_temperature"] < 1
    assert manifest.net.name == "smallresnet"
    assert manifest.net.settings["width"] == 16
    assert manifest.data["counts"] == {"train": 1258, "val": 180, "test": 359}
    assert len(manifest.data["fingerprint"]) == 64
    assert manifest.training["settings"]["epochs"] == 4
    assert manifest.net.weights.origin == "none"
    assert manifest.definition.input_settings.contrast == "picture"
    assert len(bundle.witnesses().items) == 8
    assert len(np.unique(bundle.witnesses().outputs["logits"].argmax(axis=1))) >= 6
    assert not digits.path.with_name("digits.train").exists()
    rows = list(csv.DictReader(bundle.file("report/metrics.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4"]
    assert {"train_loss", "val_loss", "val_accuracy", "lr", "images_per_second"} <= set(rows[0])


def test_the_bundle_rebuilds_the_net_that_gave_the_witnesses(digits):
    from sightsmith.runtime.torch_session import graph_module, rebuild

    bundle, witnesses = digits, digits.witnesses()
    module = graph_module("classify", rebuild(bundle), bundle.manifest.definition, "model")
    with torch.inference_mode():
        logits, _ = module(torch.from_numpy(witnesses.inputs["pixels"]))
    assert np.allclose(logits.numpy(), witnesses.outputs["logits"], atol=1e-4)


def test_the_same_settings_train_the_same_weights(digits, tmp_path):
    again = train(settings("digits", tmp_path / "d", epochs=4, net={"width": 16}), quiet=True)
    one, two = digits.weights("net"), again.weights("net")
    assert all((one[name] == two[name]).all() for name in one)


def test_an_existing_out_is_refused_before_anything_is_done(digits, tmp_path):
    before = sorted(path.name for path in digits.path.parent.iterdir())
    with pytest.raises(OutputExistsError, match="overwrite=True"):
        train(settings("digits", digits.path), quiet=True)
    assert sorted(path.name for path in digits.path.parent.iterdir()) == before


def test_resume_needs_something_to_resume_and_the_same_settings(tmp_path):
    with pytest.raises(SettingsError, match="no training was interrupted there"):
        train(settings("digits", tmp_path / "x", resume=True), quiet=True)
    stop_after_first_checkpoint(tmp_path / "x")
    with pytest.raises(TrainingError, match=r"stopped by SIGTERM in epoch \d+; everything is saved in") as caught:
        train(settings("digits", tmp_path / "x", epochs=40), quiet=True)
    assert caught.value.exit_code == 143
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    with pytest.raises(SettingsError, match=r"other settings: epochs \(40 before, 3 now\)"):
        train(settings("digits", tmp_path / "x", epochs=3, resume=True), quiet=True)
    with pytest.raises(OutputExistsError, match="resume=True goes on with it"):
        train(settings("digits", tmp_path / "x"), quiet=True)


def test_a_loss_that_is_not_a_number_stops_at_once(tmp_path):
    out = tmp_path / "x"
    with pytest.raises(TrainingError, match=r"loss became (nan|inf).* in epoch 1, step \d+ of 40, at a learning rate"):
        train(settings("digits", out, lr=1e30, clip=0.0, warmup_epochs=0.0), quiet=True)
    assert list(tmp_path.iterdir()) == [], "nothing was saved yet, so nothing is left that would be in the way"


def test_after_a_loss_that_is_not_a_number_another_rate_goes_on_from_the_last_good_checkpoint(tmp_path):
    out = tmp_path / "x"
    stop_after_first_checkpoint(out)
    with pytest.raises(TrainingError, match="stopped by SIGTERM"):
        train(settings("digits", out, epochs=40, clip=0.0), quiet=True)
    last = out.with_name("x.train") / "last.safetensors"
    good = last.read_bytes()
    with pytest.raises(TrainingError, match=r"loss became (nan|inf).*The checkpoint before it, .* is good"):
        train(settings("digits", out, epochs=40, clip=0.0, lr=1e30, resume=True), quiet=True)
    assert last.read_bytes() == good
    result = train(settings("digits", out, epochs=40, clip=0.0, lr=0.003, patience=1, resume=True), quiet=True)
    assert result.manifest.metrics["val"]["accuracy"] > 0.3


def test_options_work_together(digit_files, tmp_path):
    result = train(
        settings(
            digit_files,
            tmp_path / "x.zip",
            epochs=3,
            model="smallcnn",
            net={},
            optimizer="sgd",
            lr="find",
            schedule="constant",
            balanced=True,
            cache="ram",
            augment="rand",
            crop_share=0.5,
            ema=0.0,
            freeze_epochs=1,
            patience=1,
            precision="fp32",
            batch_size=8,
            deterministic=True,
            task={"cutmix": 1.0, "top_k": 3},
            witnesses=3,
        ),
        quiet=True,
    )
    assert result.path.is_file()
    assert len(result.witnesses().items) == 3
    assert "report/lr_find.svg" in result.manifest.files
    assert 1e-6 < result.manifest.training["plan"]["lr"]["value"] < 1
    for row in csv.DictReader(result.file("report/metrics.csv").read_text().splitlines()):
        assert float(row["val_top3_accuracy"]) >= float(row["val_accuracy"])
    assert not torch.are_deterministic_algorithms_enabled(), "torch's own setting comes back"


def test_patience_stops_early(digit_files, tmp_path):
    result = train(settings(digit_files, tmp_path / "x", epochs=50, lr=1e-12, patience=2, batch_size=64), quiet=True)
    rows = result.file("report/metrics.csv").read_text().splitlines()[1:]
    assert len(rows) == 3, "equal scores are not better ones"


@pytest.mark.parametrize(
    ("lr", "told"),
    [(1e300, "weights are not finite after a step of epoch 1"), (1e30, "validation loss became nan in epoch 1")],
)
def test_weights_ruined_by_the_last_step_of_an_epoch_are_not_called_a_good_checkpoint(digit_files, tmp_path, lr, told):
    """With one step an epoch the loss, computed before it, is fine; only the weights and validation tell."""
    ruin = {"lr": lr, "clip": 0.0, "warmup_epochs": 0.0, "batch_size": 512}
    with pytest.raises(TrainingError, match=rf"{told}, .*There was no checkpoint yet"):
        train(settings(digit_files, tmp_path / "x", **ruin), quiet=True)
    assert list(tmp_path.iterdir()) == []


def test_the_loss_is_of_a_batch_however_many_make_a_step(digit_files, tmp_path):
    still = {"epochs": 1, "lr": 1e-12, "augment": "none", "batch_size": 8}
    found = []
    for accumulate in (1, 4):
        result = train(settings(digit_files, tmp_path / str(accumulate), accumulate=accumulate, **still), quiet=True)
        row = next(csv.DictReader(result.file("report/metrics.csv").read_text().splitlines()))
        found.append(float(row["train_loss"]))
    assert found[0] == pytest.approx(found[1], rel=0.01)


def test_the_last_step_of_an_epoch_is_the_mean_of_the_batches_it_has(digit_files, tmp_path):
    """Sgd without momentum, one step an epoch: dividing by batches that are not there would shorten the step."""
    plain = {"optimizer": "sgd", "momentum": 0.0, "nesterov": False, "weight_decay": 0.0, "schedule": "constant"}
    still = {"epochs": 1, "augment": "none", "precision": "fp32", "ema": 0.0, "clip": 0.0, "warmup_epochs": 0.0}
    one = {**plain, **still, "lr": 0.01, "model": "smallcnn", "net": {}, "batch_size": 24}
    weights = []
    for name, accumulate in (("seven", 7), ("whole", 1000)):
        result = train(settings(digit_files, tmp_path / name, accumulate=accumulate, **one), quiet=True)
        assert result.manifest.data["counts"]["train"] == 7 * 24
        weights.append(load_file(result.file("weights.safetensors")))
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], msg=name)


def test_batch_norms_of_a_frozen_net_keep_their_statistics(digit_files, digits, tmp_path):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(digits.file("weights.safetensors").read_bytes())
    stop_after_first_checkpoint(tmp_path / "x")
    again = {"weights": str(path), "net": {"width": 16}, "colour": "grey", "epochs": 40, "freeze_epochs": 39}
    with pytest.raises(TrainingError, match="stopped by SIGTERM"):
        train(settings(digit_files, tmp_path / "x", ema=0.0, **again), quiet=True)
    before, after = load_file(path), load_tree(tmp_path / "x.train/last.safetensors")["state_dict"]
    running = [name for name in before if "running" in name]
    assert running
    assert all(torch.equal(before[name], after[f"learner.nets.net.{name}"]) for name in running)


def test_resume_refuses_other_splits_than_it_started_with(digit_files, tmp_path):
    def write(size: int) -> None:
        paths = sorted(digit_files.rglob("*.png"))
        rows = [f"{path},{path.parent.name},{number // size}" for number, path in enumerate(paths)]
        (tmp_path / "table.csv").write_text("\n".join(["path,label,group", *rows]))

    write(3)
    grouped = {"epochs": 40, "group_by": "group"}
    stop_after_first_checkpoint(tmp_path / "x")
    with pytest.raises(TrainingError, match="stopped by SIGTERM"):
        train(settings(tmp_path / "table.csv", tmp_path / "x", **grouped), quiet=True)
    write(4)
    with pytest.raises(TrainingError, match="split otherwise than when this training started"):
        train(settings(tmp_path / "table.csv", tmp_path / "x", resume=True, **grouped), quiet=True)


@pytest.fixture(scope="module")
def fixed_camera(tmp_path_factory) -> Path:
    """Return pictures of one scene, half of them with a small defect: all nearly equal."""
    folder, rng = tmp_path_factory.mktemp("camera"), np.random.default_rng(0)
    scene = np.asarray(
        Image.fromarray(rng.integers(0, 256, (6, 6), np.uint8)).resize((48, 48), Image.Resampling.BICUBIC)
    )
    for number in range(80):
        pixels = np.clip(scene + rng.normal(0, 2, scene.shape), 0, 255).astype(np.uint8)
        kind = ("good", "defect")[number % 2]
        if kind == "defect":
            pixels[20:23, 20:26] = 255 - pixels[20:23, 20:26]
        (folder / kind).mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / kind / f"{number}.png")
    return folder


def test_pictures_of_one_scene_can_be_trained_on(fixed_camera, tmp_path, capfd):
    try:
        train(settings(fixed_camera, tmp_path / "together", epochs=1))
        told = capfd.readouterr().err
    except DataError as error:
        told = str(error)
    assert "form one near-duplicate group" in told
    assert "near_duplicates=False" in told
    result = train(settings(fixed_camera, tmp_path / "apart", epochs=1, near_duplicates=False), quiet=True)
    assert result.manifest.data["counts"] == {"train": 56, "val": 8, "test": 16}


def test_folds_share_the_data_out(digit_files, tmp_path):
    keys = set()
    for fold in (0, 1):
        out = tmp_path / str(fold)
        result = train(settings(digit_files, out, epochs=1, folds=2, fold=fold), quiet=True)
        splits = result.splits()
        assert not set(splits["val"]) & set(splits["train"])
        keys |= set(splits["val"])
    assert len(keys) == sum(result.manifest.data["counts"].values())


def test_too_many_unreadable_pictures_stop_training_by_name(digit_files, tmp_path):
    folder = tmp_path / "data"
    for path in digit_files.rglob("*.png"):
        place = folder / path.relative_to(digit_files)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.read_bytes())
    bad = sorted(folder.rglob("*.png"))[:5]
    for path in bad:
        path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DataError, match=bad[0].name):
        train(settings(folder, tmp_path / "x"), quiet=True)
    result = train(settings(folder, tmp_path / "x", max_bad=0.05, epochs=1, overwrite=True), quiet=True)
    assert result.manifest.data["skipped"] >= 5
    assert bad[0].name in result.file("report/gate.txt").read_text()


def test_a_class_that_a_fold_does_not_teach_is_named(digit_files, tmp_path, capfd):
    paths = sorted(digit_files.rglob("*.png"))
    rows = [f"{path},{path.parent.name},{'one' if path.parent.name == '3' else path.stem}" for path in paths]
    (tmp_path / "table.csv").write_text("\n".join(["path,label,group", *rows]))
    told = []
    for fold in (0, 1):
        train(settings(tmp_path / "table.csv", tmp_path / str(fold), epochs=1, folds=2, fold=fold))
        told.append("warning: train has no picture of 3: whole groups" in capfd.readouterr().err)
    assert sorted(told) == [False, True]


def test_the_stored_settings_of_a_resumed_training_make_it_again(digit_files, tmp_path):
    first = {"epochs": 40, "lr": 0.002}
    stop_after_first_checkpoint(tmp_path / "x")
    with pytest.raises(TrainingError, match="stopped by SIGTERM"):
        train(settings(digit_files, tmp_path / "x", **first), quiet=True)
    result = train(settings(digit_files, tmp_path / "x", epochs=40, patience=1, resume=True), quiet=True)
    again = from_mapping(TrainSettings, read_toml(result.file("report/run.toml")), where="run.toml")
    assert again == settings(digit_files, tmp_path / "x", patience=1, **first)


@pytest.mark.parametrize(("out", "name"), [("cats-1.5", "cats-1.5"), ("cats.v2.zip", "cats.v2")])
def test_a_model_is_called_as_its_place(digit_files, tmp_path, out, name):
    assert train(settings(digit_files, tmp_path / out, epochs=1), quiet=True).manifest.name == name


def test_weights_of_a_file_bring_their_head_and_are_named(digit_files, digits, tmp_path, capfd):
    path = tmp_path / "mine.safetensors"
    path.write_bytes(digits.file("weights.safetensors").read_bytes())
    start = {"epochs": 1, "net": {"width": 16}, "weights": str(path), "colour": "grey"}
    result = train(settings(digit_files, tmp_path / "x", **start))
    assert result.manifest.training["plan"]["head_scale"]["value"] == 1
    assert "weights of mine.safetensors, licence: not stated" in capfd.readouterr().err
    fewer = tmp_path / "fewer"
    for label in "012":
        (fewer / label).mkdir(parents=True)
        for picture in (digit_files / label).iterdir():
            (fewer / label / picture.name).write_bytes(picture.read_bytes())
    result = train(settings(fewer, tmp_path / "y", **start), quiet=True)
    assert result.manifest.training["plan"]["head_scale"]["value"] == 10


@pytest.fixture
def broken(tmp_path):
    """Return a folder of two classes whose pictures cannot be read."""
    for label in ("a", "b"):
        (tmp_path / "broken" / label).mkdir(parents=True)
        (tmp_path / "broken" / label / "1.png").write_bytes(b"no picture")
    return tmp_path / "broken"


def test_balancing_twice_is_refused_before_pictures_are_looked_at(broken, tmp_path):
    with pytest.raises(SettingsError, match="correct twice; give one of the two"):
        train(settings(broken, tmp_path / "x", balanced=True, task={"class_weights": "balanced"}), quiet=True)


def test_wrong_settings_of_the_task_are_refused_before_pictures_are_looked_at(broken, tmp_path):
    with pytest.raises(SettingsError, match=r"label_smoothing"):
        train(settings(broken, tmp_path / "x", task={"label_smothing": 0.1}), quiet=True)
    with pytest.raises(SettingsError, match=r"the task 'tag' learns tags, and the data tells classes"):
        train(settings(broken, tmp_path / "x", task={"name": "tag"}), quiet=True)
    assert [path.name for path in tmp_path.iterdir()] == ["broken"]


@pytest.mark.slow
def test_a_full_disk_is_a_clear_error_and_what_was_whole_stays_whole(digit_files, tmp_path):
    """RLIMIT_FSIZE makes writing fail as a full disk does: at once, then when there is a checkpoint already."""
    quick = ("train", digit_files, "--device", "cpu", "--workers", "0", "--net.width", "8", "--out", "out")
    sightsmith(*quick, cwd=tmp_path, file_limit=60_000).refused(3, "cannot be written")
    assert list(tmp_path.iterdir()) == []
    stop_after_first_checkpoint(tmp_path / "out")
    with pytest.raises(TrainingError, match="stopped by SIGTERM"):
        train(settings(digit_files, tmp_path / "out", epochs=20), quiet=True)
    last = tmp_path / "out.train/last.safetensors"
    good = last.read_bytes()
    on = (*quick, "--epochs", "20", "--resume")
    sightsmith(*on, cwd=tmp_path, file_limit=60_000).refused(3, "go on with --resume")
    assert last.read_bytes() == good
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".part")]
    resumed = sightsmith(*on, "--patience", "1", cwd=tmp_path).succeeded().err
    assert not {"lightning", "warning"} & set(resumed.lower().split())
    assert [line for line in resumed.splitlines() if line.startswith("epoch  2/20")]
    assert json.loads((tmp_path / "out/manifest.json").read_text())["metrics"]["best_epoch"] >= 1


def test_a_bundle_that_cannot_be_written_keeps_the_trained_weights(digit_files, tmp_path):
    """The name leaves room for the work folder's ending, and none for that of the folder that becomes the bundle."""
    out = tmp_path / ("x" * 245)
    with pytest.raises(TrainingError, match=r"cannot be written .*trained weights are in .*the same command with"):
        train(settings(digit_files, out, epochs=1), quiet=True)
    assert out.with_name(f"{out.name}.train").joinpath("best.safetensors").is_file()
    assert not out.exists()


def test_colour_pictures_of_many_sizes_and_one_of_a_pixel_train(tmp_path):
    rng = np.random.default_rng(0)
    for label in ("dark", "light"):
        (tmp_path / "data" / label).mkdir(parents=True)
        for n in range(24):
            low = 0 if label == "dark" else 150
            pixels = rng.integers(low, low + 100, (20 + n, 44 - n, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "data" / label / f"{n}.png")
    result = train(settings(tmp_path / "data", tmp_path / "x", batch_size=4, epochs=3), quiet=True)
    assert result.manifest.metrics["val"]["accuracy"] == 1.0
    assert result.manifest.definition.input_settings.colour == "rgb"


def test_labels_and_names_are_read_again_as_training_read_them(digit_files, tmp_path):
    """By evaluate on the own data, where it moved to, and by a proof on it; format='folder' reads folders again."""
    flat, moved, names = tmp_path / "flat", tmp_path / "moved", tmp_path / "names.txt"
    names.write_text("even\nodd\n")
    flat.mkdir()
    for path in digit_files.rglob("*.png"):
        shutil.copy(path, flat / f"{int(path.parent.name) % 2}-{path.name}")
    result = train(settings(flat, tmp_path / "x", epochs=1, label_by=r"^(\d)-", names=names), quiet=True)
    names.unlink()  # the bundle keeps the list
    bundle = Bundle.open(result.path)
    assert tuple(bundle.manifest.definition.names) == ("even", "odd")
    own = own_split(bundle)
    assert own.own
    for told in ({"label_by": "(x)"}, {"format": "folder"}, {"names": names}):
        with pytest.raises(SettingsError, match=f"{next(iter(told))}: the model's own data .*data"):
            open_evaluation_data(bundle, EvaluateSettings(data="test", **told))
    flat.rename(moved)
    again = given_data(bundle, moved)
    assert again.own
    assert [(sample.key, sample.target) for sample in again.samples] == [
        (sample.key, sample.target) for sample in own.samples
    ]
    assert {sample.key.split("-")[0]: sample.target for sample in own.samples} == {"0": 0, "1": 1}
    with pytest.raises(DataError, match=f"does not know {moved.name!r}"):
        given_data(bundle, moved, SourceOptions(format="folder"))
    with pytest.raises(DataError, match="does not know '0'"):
        given_data(bundle, digit_files, SourceOptions(format="folder"))
