"""Claims: HOG reads digits, signs and clothing as published, in minutes, and answers faster than scikit-learn does.

The settings were chosen on validation pictures; the test part is read once. scikit-learn's own machine is fitted to the
same features, gives the same labels, and is timed from the features; ours is timed from the pixels. Of a tree and a
forest our head is timed from the features too, and the sizes are compared.
"""

import itertools
import pickle  # to measure the size of scikit-learn's own files; nothing is loaded
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import openvino
import torch
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from benchmarks.common import alternate, claim, data, evaluated, machine, sightsmith
from sightsmith.bundle.own_data import open_own
from sightsmith.bundle.store import Bundle
from sightsmith.core.records import Sample
from sightsmith.nets.parts.tree_head import stepped
from sightsmith.runtime.predictor import Predictor
from sightsmith.runtime.torch_session import rebuild
from sightsmith.tasks.parts.normalise import Normalise

_NET = ("--model", "hog+pixel_svm", "--net.weight", "0.15", "--net.pca", "200", "--net.c", "10", "--net.gamma", "0.05")
_BATCH = 64
_COMPARED, _TIMED = 1000, 640  # pictures


def digits(folder: Path) -> list[bool]:
    """Train on the built-in digits."""
    sightsmith("train", "digits", "--model", "hog_svm", "--out", folder / "digits", quiet=True)
    return [claim("digits: accuracy of hog_svm", evaluated(folder / "digits")["accuracy"], 0.97, unit="")]


def signs(folder: Path) -> list[bool]:
    """Cross-validate on whole tracks of signs, one of four tracks a class at a time."""
    found = []
    for fold in range(4):
        bundle = folder / f"signs-{fold}"
        cut = ("--group-by", r"^(\d+/\d+)_", "--folds", "4", "--fold", str(fold))
        sightsmith("train", data("gtsrb_tracks"), *cut, "--model", "hog_ridge", "--out", bundle, quiet=True)
        found.append(Bundle.open(bundle).manifest.metrics["val"]["accuracy"])
    print(f"signs: accuracy of hog_ridge on unseen tracks, a fold: {', '.join(f'{one:.3f}' for one in found)}")
    return [claim("signs: accuracy of hog_ridge a frame, mean of 4 folds", float(np.mean(found)), 0.86, unit="")]


def clothing(folder: Path) -> list[bool]:
    """Train on Fashion-MNIST, and compare labels and speed with scikit-learn's own machine."""
    bundle, started = folder / "clothing", time.monotonic()
    sightsmith("train", data("fashion_mnist"), *_NET, "--no-near-duplicates", "--out", bundle, quiet=True)
    minutes = (time.monotonic() - started) / 60
    reached = [
        claim("Fashion-MNIST: accuracy of hog+pixel_svm", evaluated(bundle)["accuracy"], 0.93, unit=""),
        claim("Fashion-MNIST: training, from command to bundle", minutes, 10, unit="min", at_most=True),
    ]
    train, test = _samples(bundle, "train"), _samples(bundle, "test")[:_COMPARED]
    settings = {"C": 10, "gamma": 0.05, "cache_size": 1000, "break_ties": True}
    with Exported(bundle) as ours:
        theirs = SVC(**settings).fit(ours.features(train).astype(np.float64), [one.target for one in train])
        asked = ours.features(test).astype(np.float64)
        reached.append(
            claim("labels that are scikit-learn's", ours.agreement(test, theirs.predict(asked)), 0.999, unit="")
        )
        rates = alternate({"ours": ours.answering(test), "theirs": _by_batch(theirs.predict, asked)}, 3, work=_TIMED)
    return [*reached, claim("answers in batches of 64, against scikit-learn's", rates["ours"] / rates["theirs"], 5)]


def trees(folder: Path) -> list[bool]:
    """Train a tree and a forest, and compare labels, size and speed with scikit-learn's own."""
    places = {"digits": ("digits",), "signs": (data("gtsrb_tracks"), "--group-by", r"^(\d+/\d+)_")}
    own = {
        "hog_tree": DecisionTreeClassifier(max_depth=12, min_samples_leaf=3, random_state=0),
        "hog_forest": RandomForestClassifier(200, random_state=0),
    }
    reached = []
    for (name, place), (model, theirs) in itertools.product(places.items(), own.items()):
        bundle = folder / f"{name}-{model}"
        sightsmith("train", *place, "--model", model, "--out", bundle, quiet=True)
        reached.append(_beside_scikit_learn(f"{name}, {model}", bundle, theirs))
    return reached


def _beside_scikit_learn(title: str, bundle: Path, theirs: Any) -> bool:
    """Fit scikit-learn's own to the same features, print size and speed, and tell whether the labels are the same."""
    train, test = _samples(bundle, "train"), _samples(bundle, "test")
    with Exported(bundle) as ours:
        # steps as in our trees, so that both are fitted to the same numbers
        theirs.fit(stepped(torch.from_numpy(ours.features(train))).numpy(), [one.target for one in train])
        asked = stepped(torch.from_numpy(ours.features(test))).numpy()
        same = ours.agreement(test, theirs.predict(asked))
        many = [test[at % len(test)] for at in range(_TIMED)]
        features_ND = np.resize(asked, (_TIMED, asked.shape[1]))
        rates = alternate(
            {
                "ours from pixels": ours.answering(many),
                "our head from features": _by_batch(ours.head(), features_ND),
                "scikit-learn from features": _by_batch(theirs.predict, features_ND),
            },
            rounds=7,
            work=_TIMED,
        )
    sizes = [(bundle / "weights.safetensors").stat().st_size, len(pickle.dumps(theirs))]
    print(f"{title}: {len(test):,} test pictures, accuracy {evaluated(bundle)['accuracy']:.3f}")
    print(f"{title}: weights file {sizes[0]:,} bytes, scikit-learn's pickle {sizes[1]:,} bytes")
    print(f"{title}: pictures a second: {', '.join(f'{name} {rate:,.0f}' for name, rate in rates.items())}")
    return claim(f"{title}: labels that are scikit-learn's", same, 0.999, unit="")


class Exported:
    """A bundle exported to OpenVINO in fp32, and its features in torch."""

    def __init__(self, bundle: Path) -> None:
        sightsmith("export", bundle, "--to", "openvino", "--precision", "fp32", quiet=True)
        self.predictor = Predictor.open(bundle, "openvino", "fp32")
        self.net = rebuild(Bundle.open(bundle))["net"]
        self.normalise = Normalise(self.predictor.definition.input_settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.predictor.close()

    def pixels(self, samples: Sequence[Sample]) -> NDArray[np.uint8]:
        return np.stack([self.predictor.feeds(one.item)["pixels"] for one in samples])

    def features(self, samples: Sequence[Sample]) -> NDArray[np.float32]:
        parts = [self.normalise(torch.from_numpy(self.pixels(part))) for part in _cut(samples, 512)]
        with torch.inference_mode():
            return torch.cat([self.net.measured(part) for part in parts]).numpy()

    def agreement(self, samples: Sequence[Sample], labels: NDArray[np.int64]) -> float:
        """Return the share of equal labels."""
        answers = self.predictor.decode(self.predictor.run({"pixels": self.pixels(samples)}))
        return float(np.mean([answer.index == label for answer, label in zip(answers, labels, strict=True)]))

    def answering(self, samples: Sequence[Sample]) -> Callable[[], object]:
        """Return the work to time: answers from decoded pixels, a batch at a time."""
        batches = [self.pixels(part) for part in _cut(samples[:_TIMED], _BATCH)]
        return lambda: [self.predictor.run({"pixels": one}, self.predictor.outputs[:1]) for one in batches]

    def head(self) -> Callable[..., object]:
        """Return the head alone in OpenVINO, from features to scores."""
        example = torch.zeros(2, sum(self.net.counts()))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of torch.jit.trace, which OpenVINO uses
            graph = openvino.convert_model(self.net.head, example_input=example, input=[-1, example.shape[1]])
        compiled: Callable[..., object] = openvino.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return compiled


def _samples(bundle: Path, split: str) -> list[Sample]:
    """Return the samples of a split, in the order in which training had them."""
    opened = Bundle.open(bundle)
    own = {sample.key: sample for sample in open_own(opened).samples}
    return [own[key] for key in opened.splits()[split]]


def _by_batch(predict: Callable[..., object], features_ND: NDArray[np.floating]) -> Callable[[], object]:
    return lambda: [predict(part) for part in _cut(features_ND[:_TIMED], _BATCH)]


def _cut(values: Any, size: int) -> list[Any]:
    return [values[at : at + size] for at in range(0, len(values), size)]


def main() -> None:
    print(machine())
    with tempfile.TemporaryDirectory() as temporary:
        parts = {"digits": digits, "signs": signs, "trees": trees, "clothing": clothing}
        reached = [one for name in sys.argv[1:] or parts for one in parts[name](Path(temporary))]
    sys.exit(not all(reached))


if __name__ == "__main__":
    main()
