"""A graph with non-maximum suppression finds the objects that an answer has."""

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from sightsmith.tasks.parts.suppression_graph import OUTPUTS, append, difference

NAMES = ("cell", "platelet", "none of them")
SIZE = (96, 64)


def candidates(rng: np.random.Generator, pictures: int, count: int) -> np.ndarray:
    """Return many overlapping candidates, (N, K, 6), the last ones free places."""
    corners = np.sort(rng.random((pictures, count, 2, 2)), axis=2).reshape(pictures, count, 4)
    scores = np.sort(rng.random((pictures, count, 1)), axis=1)[:, ::-1]
    rows = np.concatenate([corners, scores, rng.integers(0, 2, (pictures, count, 1))], axis=2).astype(np.float32)
    rows[:, -5:] = 0
    return rows


@pytest.fixture(scope="module")
def plain():
    """Return a graph that passes its input on as candidates."""
    ends = [helper.make_tensor_value_info(one, TensorProto.FLOAT, ["N", "K", 6]) for one in ("given", "detections")]
    graph = helper.make_graph([helper.make_node("Identity", ["given"], ["detections"])], "plain", ends[:1], ends[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


@pytest.mark.parametrize(
    "calibrated", [{}, {"thresholds": [0.2, 0.7, 0.5], "overlap": 0.4}, {"thresholds": [0.6] * 3, "overlap": 1.0}]
)
def test_it_finds_the_objects_of_the_answer_for_any_number_of_pictures(plain, calibrated):
    session = onnxruntime.InferenceSession(append(plain, NAMES, calibrated, SIZE).SerializeToString())
    for pictures in (1, 4):
        rows_NK6 = candidates(np.random.default_rng(pictures), pictures, 120)
        found = dict(zip(OUTPUTS, session.run(None, {"given": rows_NK6}), strict=True))
        assert len(found["scores"]) > 5 * pictures
        assert difference(found, {"detections": rows_NK6}, NAMES, calibrated, SIZE) == ""
        assert (np.diff(found["scores"]) <= 0).all()
        moved = {**found, "boxes": found["boxes"] + 1}
        assert difference(moved, {"detections": rows_NK6}, NAMES, calibrated, SIZE) == "picture 0: other boxes"
        fewer = {name: array[:-1] for name, array in found.items()}
        assert "objects instead of" in difference(fewer, {"detections": rows_NK6}, NAMES, calibrated, SIZE)


def test_a_picture_without_objects_has_no_rows(plain):
    session = onnxruntime.InferenceSession(append(plain, NAMES, {}, SIZE).SerializeToString())
    found = session.run(None, {"given": np.zeros((2, 10, 6), np.float32)})
    assert [len(one) for one in found] == [0, 0, 0, 0]
