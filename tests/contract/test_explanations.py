"""Every explanation method, on nets whose evidence has a known place: the coloured patch of `patch_bundle`."""

import numpy as np
import pytest

import patch_bundle
from patch_bundle import COLOURS, PATCH, patch_picture
from sightsmith.core.errors import SettingsError
from sightsmith.explanation.explain import METHODS, explain
from sightsmith.runtime.predictor import Predictor

NETS = ("smallresnet", "smallcnn", "attention")
OF_CLASSES = [method for method in METHODS.names() if method != "drise"]
"""D-RISE explains an object; `tests/runtime/test_export_detector.py` has one whose place is known."""
PAIRS = [(net, method) for net in NETS for method in OF_CLASSES if method != "attention" or net == "attention"]
TIMES = 3
"""The original picture is so many times the input's size."""
CELL = patch_bundle.SIDE * TIMES // 8
"""Pixels of the original that one position of the nets' last maps stands for."""


@pytest.fixture(scope="module")
def predictors(tmp_path_factory):
    """Return a function from a net's name and a resize mode to its opened model."""
    opened = {}

    def find(net: str, resize: str = "crop") -> Predictor:
        if (net, resize) not in opened:
            bundle = patch_bundle.write_patch_bundle(tmp_path_factory.mktemp(net) / resize, net, resize=resize)
            opened[net, resize] = Predictor.open(bundle, backend="torch", precision="fp32")
        return opened[net, resize]

    return find


def corner_picture(target: int, left: int, top: int, width: int, height: int) -> np.ndarray:
    return patch_picture(
        np.random.default_rng(target), target, left, top, width=width, height=height, patch=PATCH * TIMES
    )


@pytest.mark.parametrize(("net", "method"), PAIRS)
def test_a_map_covers_the_picture_and_repeats(predictors, net: str, method: str) -> None:
    picture = corner_picture(1, 60, 6, width=150, height=96)
    first = explain(predictors(net), picture, method=method)
    assert first.map_HW.shape == (96, 150)
    assert first.map_HW.dtype == first.raw.dtype == np.float32
    assert np.isfinite(first.map_HW).all()
    assert np.isfinite(first.raw).all()
    assert first.map_HW.min() == 0
    assert first.map_HW.max() == 1
    assert first.overlay().size == (150, 96)
    again = explain(predictors(net), picture, method=method)
    assert (again.map_HW == first.map_HW).all()


@pytest.mark.parametrize(("net", "method"), PAIRS)
@pytest.mark.parametrize(
    ("left", "top", "width", "height"),
    # corners of what a centre crop of each picture shows, in wide, tall and square ones
    [(33, 6, 150, 96), (84, 60, 150, 96), (60, 33, 96, 150), (6, 84, 96, 150), (3, 3, 96, 96)],
)
def test_the_map_points_at_the_patch(
    predictors, net: str, method: str, left: int, top: int, width: int, height: int
) -> None:
    side = PATCH * TIMES
    for target, label in enumerate(COLOURS):
        found = explain(predictors(net), corner_picture(target, left, top, width, height), method=method)
        assert found.label == label
        row, column = np.unravel_index(found.map_HW.argmax(), found.map_HW.shape)
        assert top - CELL // 2 <= row < top + side + CELL // 2
        assert left - CELL // 2 <= column < left + side + CELL // 2
        near = np.zeros_like(found.map_HW, dtype=bool)
        near[max(0, top - CELL) : top + side + CELL, max(0, left - CELL) : left + side + CELL] = True
        seen = (
            slice(*np.clip([found.box[1], found.box[3]], 0, None).astype(int)),
            slice(*np.clip([found.box[0], found.box[2]], 0, None).astype(int)),
        )
        heat, near = found.map_HW[seen], near[seen]
        assert heat[near].mean() > 2 * heat[~near].mean()
        assert found.map_HW.sum() == pytest.approx(heat.sum(), rel=1e-5)  # nothing where the model did not look


@pytest.mark.parametrize("method", OF_CLASSES)
@pytest.mark.parametrize("resize", ["squash", "letterbox"])
def test_the_map_points_at_the_patch_however_pictures_are_fitted(predictors, method: str, resize: str) -> None:
    picture = corner_picture(2, 4, 60, width=128, height=96)
    found = explain(predictors("attention", resize), picture, method=method, label="blue")
    row, column = np.unravel_index(found.map_HW.argmax(), found.map_HW.shape)
    assert 60 <= row < 90
    assert 4 <= column < 34
    centre = (np.indices(found.map_HW.shape) * found.map_HW).sum(axis=(1, 2)) / found.map_HW.sum()
    assert np.abs(centre - [75, 19]).max() < 15


@pytest.mark.parametrize(("net", "method"), PAIRS)
def test_the_map_beats_random_maps(predictors, net: str, method: str) -> None:
    picture = corner_picture(0, 60, 60, width=96, height=96)
    judged = explain(predictors(net), picture, method=method, sanity=True).sanity
    assert judged is not None
    assert judged.deletion < judged.random_deletion - 0.05
    assert judged.insertion > judged.random_insertion
    assert judged.better_than_random
    assert judged.randomised is not None
    assert judged.not_randomised == ""


@pytest.mark.parametrize("method", METHODS.names())
def test_a_method_declares_what_it_needs(method: str) -> None:
    file = METHODS.module(method)
    assert file.NEEDS in {"any", "torch"}
    assert file.UNIT
    assert "Paper" in file.__doc__


def test_drise_is_refused_for_an_answer_without_objects(predictors) -> None:
    with pytest.raises(SettingsError, match=r"drise explains an object in a box.*\(labels\) have none"):
        explain(predictors("smallcnn"), corner_picture(1, 3, 3, 96, 96), method="drise")


def test_attention_is_refused_where_a_net_has_none(predictors) -> None:
    with pytest.raises(SettingsError, match="no attention weights"):
        explain(predictors("smallcnn"), corner_picture(1, 3, 3, 96, 96), method="attention")
