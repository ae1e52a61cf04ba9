"""Training on pictures whose targets have places: they reach the net with the pixels that they are about."""

from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from sightsmith.core.records import Sample
from sightsmith.data.gate import check
from sightsmith.data.settings import GateSettings
from sightsmith.data.source import Source
from sightsmith.data.splits import SplitSettings, assign
from sightsmith.inputs.picture import PIXELS
from sightsmith.kinds.boxes.truth import boxed
from sightsmith.training.dataset import Dataset
from sightsmith.training.fit import _ready
from sightsmith.training.learn import learn
from sightsmith.training.settings import TrainSettings
from sightsmith.training.task import choose_task
from sightsmith.training.train import taken


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Return twelve pictures, each with one bright rectangle, but for every fourth, which has none."""
    folder, rng = tmp_path_factory.mktemp("rectangles"), np.random.default_rng(0)
    samples = []
    for number in range(12):
        width, height = 100 + 4 * number, 80
        pixels = rng.integers(0, 60, (height, width, 3), dtype=np.uint8)
        corners = np.zeros((0, 4))
        if number % 4:
            left, top = rng.integers(0, 50), rng.integers(0, 40)
            corners = np.array([[left, top, left + 40, top + 36]])
            pixels[top : top + 36, left : left + 40] = 255
        path = folder / f"{number}.png"
        Image.fromarray(pixels).save(path)
        truth = boxed(corners, np.zeros(len(corners)), (width, height))
        samples.append(Sample(path.name, path, truth, split="val" if number >= 8 else "train"))
    source = Source(format="test", location=str(folder), kind="boxes", names=("bright",), samples=samples)
    gate = check(source, GateSettings(near_duplicates=False), quiet=True)
    return Dataset(source, gate, assign(source, gate.kept, SplitSettings(test_fraction=0.0)))


def ready(dataset, out, **changes):
    given = {"size": 64, "batch_size": 4, "epochs": 2, "workers": 0, "threads": 1, "precision": "fp32", "jitter": 0.0}
    settings, work = taken(TrainSettings(data="x", out=out, device="cpu", **{**given, **changes}))
    work.start(settings)
    return _ready(settings, work, choose_task(settings, "boxes"), dataset, lambda _: None, quiet=True), work


def are_where_they_say(inputs, targets):
    """Tell of how many targets whether the pixels inside are brighter than those of the net's input as a whole."""
    count = 0
    for pixels_HWC, rows_M6 in zip(inputs[PIXELS].numpy(), targets.numpy(), strict=True):
        for left, top, right, bottom, label, _ in rows_M6:
            if label != -1:
                x0, y0, x1, y1 = (np.array([left, top, right, bottom]) * 64).round().astype(int)
                assert pixels_HWC[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1].mean() > 200
                count += 1
    return count


@pytest.mark.parametrize("cache", ["auto", "off"])
def test_targets_move_with_varied_pictures_and_with_those_of_validation(dataset, tmp_path, cache):
    context, work = ready(dataset, tmp_path / "out", cache=cache)
    with closing(work), context as (run, loaders):
        assert loaders.cached == (cache == "auto")
        assert run.plan.cache.value == {"auto": "ram", "off": "off"}[cache]
        assert loaders.val.fetcher.in_memory == (cache == "auto")
        assert loaders.train.order.mixed_epochs == 1
        assert loaders.train.vary.moves is False, "a second flip would leave the targets behind"
        assert sum(are_where_they_say(*batch) for _ in range(3) for batch in loaders.train) > 12
        assert sum(are_where_they_say(*batch) for batch in loaders.val) == 3


def test_a_training_on_them_ends_with_a_score(dataset, tmp_path):
    context, work = ready(dataset, tmp_path / "out")
    with closing(work), context as (run, loaders):
        assert 0 <= learn(run, loaders) <= 1
        assert int(run.learner.steps) == 4
