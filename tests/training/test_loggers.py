"""Curves and settings in TensorBoard files and in an MLflow store, both read back with their own libraries."""

import csv
import shutil
import threading
import time

import pytest
from mlflow.tracking import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from digit_training import settings, stop_after_first_checkpoint
from sightsmith.core.errors import SettingsError, TrainingError
from sightsmith.training.train import train


def test_tensorboard_files_have_the_curve_of_metrics_csv(digit_files, tmp_path):
    bundle = train(settings(digit_files, tmp_path / "x", logger="tensorboard", epochs=3), quiet=True)
    events = [name for name in bundle.manifest.files if "tfevents" in name]
    read = EventAccumulator(str(bundle.file(events[0]).parent)).Reload()
    rows = list(csv.DictReader(bundle.file("report/metrics.csv").read_text().splitlines()))
    for column in ("val_accuracy", "val_loss"):
        told = [event.value for event in read.Scalars(column)]
        assert told == pytest.approx([float(row[column]) for row in rows], rel=1e-5)
    assert "report/tensorboard/hparams.yaml" in bundle.manifest.files


def test_mlflow_has_the_curve_and_the_settings_and_a_resumed_training_goes_on_in_its_run(
    digit_files, tmp_path, monkeypatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "runs").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    asked = {"logger": "mlflow", "epochs": 40, "lr": 0.004}
    stop_after_first_checkpoint(tmp_path / "x")
    with pytest.raises(TrainingError, match="stopped by SIGTERM"):
        train(settings(digit_files, tmp_path / "x", **asked), quiet=True)
    bundle = train(settings(digit_files, tmp_path / "x", resume=True, patience=2, **asked), quiet=True)
    client = MlflowClient()
    (run,) = client.search_runs([client.get_experiment_by_name("sightsmith").experiment_id])
    rows = list(csv.DictReader(bundle.file("report/metrics.csv").read_text().splitlines()))
    told = [metric.value for metric in client.get_metric_history(run.info.run_id, "val_accuracy")]
    assert told == pytest.approx([float(row["val_accuracy"]) for row in rows])
    assert run.data.params["lr"] == "0.004"
    assert run.data.params["model"] == "smallresnet"
    assert run.info.run_name == "x"


def test_training_goes_on_where_mlflow_is_lost(digit_files, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "runs").as_uri())
    work = tmp_path / "x.train"

    def lose() -> None:
        while not (work / "last.safetensors").exists():
            time.sleep(0.005)
        shutil.rmtree(tmp_path / "runs")
        (tmp_path / "runs").write_text("no folder any more")

    threading.Thread(target=lose, daemon=True).start()
    with pytest.warns(UserWarning, match=r"MLflow failed \(.*the curve continues in metrics\.csv"):
        bundle = train(settings(digit_files, tmp_path / "x", logger="mlflow", epochs=30), quiet=True)
    assert len(bundle.file("report/metrics.csv").read_text().splitlines()) == 31


def test_an_mlflow_place_that_cannot_be_used_is_a_clear_error(digit_files, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "gopher://nowhere")
    with pytest.raises(SettingsError, match=r"logger mlflow: gopher://nowhere cannot be used .*metrics\.csv is always"):
        train(settings(digit_files, tmp_path / "x", logger="mlflow"), quiet=True)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "taken").as_uri())
    with pytest.raises(SettingsError, match=r"logger mlflow: .*taken cannot be used"):
        train(settings(digit_files, tmp_path / "x", logger="mlflow"), quiet=True)
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]
