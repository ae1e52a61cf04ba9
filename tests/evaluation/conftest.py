"""Small models of coloured patches, and the pictures they are measured on."""

from pathlib import Path

import numpy as np
import pytest

import patch_bundle
from patch_bundle import write_pictures
from sightsmith.bundle.store import Bundle
from sightsmith.data.source import open_source
from sightsmith.data.splits import fingerprint
from sightsmith.evaluation.evaluate import evaluate
from sightsmith.evaluation.record import Evaluation
from sightsmith.runtime.predictor import Predictor


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
        parts = {"splits": splits, "data": known, "files": {"report/metrics.csv": metrics_csv}, **changes}
        return patch_bundle.write_patch_bundle(tmp_path_factory.mktemp("bundles") / net, net, **parts)

    return write


@pytest.fixture(scope="module")
def evaluated(make) -> tuple[Bundle, Evaluation]:
    bundle = make("smallcnn")
    with Predictor.open(bundle, backend="torch", precision="fp32") as predictor:
        done = evaluate(predictor, quiet=True)
    return Bundle.open(bundle.path), done


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
