"""`train` on few pictures: a net fitted in one step is tried too, and the better one is kept."""

import csv

import pytest

from digit_training import stop_after_first_checkpoint
from sightsmith.core.errors import TrainingError
from sightsmith.tasks import classify
from sightsmith.training import plan
from sightsmith.training.settings import TrainSettings
from sightsmith.training.train import train


@pytest.fixture
def short(monkeypatch):
    """Let the plan choose two epochs: the deep net is then worse than HOG, and better than the most frequent class."""
    monkeypatch.setattr(plan, "_epochs", lambda *_, **__: plan.Choice(2, "short"))


def run(out, **changes):
    return train(
        TrainSettings(
            data="digits", test_fraction=0.5, near_duplicates=False, out=out, device="cpu", threads=1, **changes
        )
    )


def test_the_fitted_net_is_kept_if_it_is_better(short, tmp_path, capsys):
    bundle = run(tmp_path / "m")
    told = capsys.readouterr().err
    assert bundle.manifest.net.name == "hog_ridge"
    assert "The better one is kept; --model smallresnet keeps the other." in told
    chosen = bundle.manifest.training["plan"]["model"]
    assert chosen["value"] == "hog_ridge"
    assert f"val accuracy {bundle.manifest.metrics['val']['accuracy']:.4f} by hog_ridge" in chosen["why"]
    assert len(list(csv.DictReader(bundle.file("report/metrics.csv").read_text().splitlines()))) == 1
    assert 'model = "hog_ridge"' in bundle.file("report/run.toml").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_the_net_that_descends_is_kept_if_it_is_better_also_after_a_stop(short, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(classify, "ALSO_TRY", "majority")
    stop_after_first_checkpoint(tmp_path / "m")
    with pytest.raises(TrainingError, match="stopped by SIGTERM"):
        run(tmp_path / "m")
    bundle = run(tmp_path / "m", resume=True)
    assert bundle.manifest.net.name == "smallresnet"
    assert "0.1006 by majority" in bundle.manifest.training["plan"]["model"]["why"]
    assert "also tried: val accuracy 0.1006 by majority" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["m"]
