"""Learners that differ from a classifier by descent train through the same verb: an estimator, and two optimisers.

Their files are written into a folder on the package's path, and no other file changes.
"""

import json
import os

import pytest

from processes import sightsmith

COMMON = """
import torch
from torch import nn

from sightsmith.tasks.classify import (
    INPUT, KIND, NETS, OUTPUTS, PROGRAMS, Settings, check, example, graph, score, sizes, validation,
)
from sightsmith.tasks.parts.learner import Learner
from sightsmith.tasks.parts.normalise import Normalise
"""
MEANS = """
class RidgeLearner(Learner):
    OPTIMISERS = {}

    def __init__(self, nets, facts):
        super().__init__(nets)
        self.normalise = Normalise(facts.input_settings)

    def answer(self, feeds):
        return self.nets["net"](self.normalise(feeds["pixels"]))

    def fit(self, feeds, targets):
        from sklearn.linear_model import RidgeClassifier

        flat = self.normalise(feeds["pixels"]).flatten(1).numpy()
        ridge = RidgeClassifier(alpha=10.0).fit(flat, targets.numpy())
        self.nets["net"].head.weight.copy_(torch.from_numpy(ridge.coef_))
        self.nets["net"].head.bias.copy_(torch.from_numpy(ridge.intercept_))


def learner(nets, facts, settings):
    return RidgeLearner(nets, facts)
"""
FLAT = """
from dataclasses import dataclass

from torch import nn

from sightsmith.nets.parts.classifier import ClassifierNet

PAPER = "none: a test"
LICENCE = "Apache-2.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    pass


class Flat(ClassifierNet):
    def __init__(self, size, classes):
        super().__init__()
        self.head = nn.Linear(size, classes)

    def features(self, images_BCHW):
        return images_BCHW

    def classify(self, features_BDhw):
        return self.head(features_BDhw.flatten(1))

    def class_map(self, features_BDhw):
        weights = self.head.weight.view(-1, *features_BDhw.shape[1:])
        return (features_BDhw[:, None] * weights).sum(2)

    def head_parts(self):
        return ("head",)


def build(settings, *, channels, classes, height, width):
    return Flat(channels * height * width, classes)
"""
TURNS = """
NETS = {"net": "classifier", "rival": "classifier"}


class Rivals(Learner):
    OPTIMISERS = {"net": ("net",), "rival": ("rival",)}

    def __init__(self, nets, facts):
        super().__init__(nets)
        self.normalise = Normalise(facts.input_settings)

    def answer(self, feeds):
        return self.nets["net"](self.normalise(feeds["pixels"])).float()

    def loss(self, batch, optimiser):
        logits = self.nets[optimiser](self.normalise(batch[0]["pixels"])).float()
        loss = nn.functional.cross_entropy(logits, batch[1])
        if optimiser == "rival":
            return loss
        other = self.nets["rival"](self.normalise(batch[0]["pixels"])).float().detach()
        return loss + 0.1 * nn.functional.mse_loss(logits, other)


def learner(nets, facts, settings):
    return Rivals(nets, facts)
"""


@pytest.fixture
def place(tmp_path):
    """Return a folder with the files of the two tasks and a net, to be put on the Python path."""
    files = {"tasks/ridge.py": COMMON + MEANS, "tasks/rivals.py": COMMON + TURNS, "nets/flat.py": FLAT}
    for name, text in files.items():
        path = tmp_path / "sightsmith" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.fixture
def ask(place):
    """Return a function that runs a verb with that folder on the Python path."""
    path = os.pathsep.join(filter(None, [str(place), os.environ.get("PYTHONPATH", "")]))
    return lambda *arguments: sightsmith(*arguments, cwd=place, path=path)


def test_an_estimator_that_scikit_learn_fits_becomes_a_bundle_like_any_other(place, ask):
    told = ask("train", "digits", "--task.name", "ridge", "--model", "flat", "--out", "ridge").succeeded()
    assert "fitted to 1,258 pictures" in told.err
    figures = json.loads(ask("evaluate", "ridge", "--json").succeeded().out)["metrics"]
    assert figures["accuracy"] > 0.9
    exported = ask("export", "ridge", "--to", "openvino", "--precision", "fp32").succeeded()
    assert "openvino fp32: 8 witnesses" in exported.out
    assert "every file is as it was written" in ask("verify", "ridge").succeeded().out
    assert len((place / "ridge/report/metrics.csv").read_text().splitlines()) == 2


def test_two_optimisers_step_in_turn(place, ask):
    how = ("--task.name", "rivals", "--net.width", "8", "--epochs", "3", "--batch-size", "64", "--out", "rivals")
    ask("train", "digits", *how).succeeded()
    curve = (place / "rivals/report/metrics.csv").read_text().splitlines()
    assert [line.split(",")[1] for line in curve[1:]] == ["20", "40", "60"]
    assert json.loads(ask("evaluate", "rivals", "--json").succeeded().out)["metrics"]["accuracy"] > 0.7
    weights = sorted(path.name for path in (place / "rivals").glob("*.safetensors"))
    assert weights == ["rival.safetensors", "weights.safetensors"]
    assert "every file is as it was written" in ask("verify", "rivals").succeeded().out
    ask("train", "digits", *how[:-1], "other", "--accumulate", "2").refused(2, "accumulate must be 1")
    ask("train", "digits", *how[:-1], "other", "--lr", "find").refused(2, "lr=find needs a task with one optimiser")
