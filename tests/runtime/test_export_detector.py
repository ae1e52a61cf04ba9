"""An exported detector answers as the trained one does, for any number of pictures, and can be explained."""

import json

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest

from detector_bundle import NAMES, SIDE, scene, write_detector_bundle
from sightsmith.bundle.store import Bundle
from sightsmith.core.errors import SettingsError
from sightsmith.explanation.explain import explain
from sightsmith.kinds.boxes.geometry import iou
from sightsmith.runtime.export import export
from sightsmith.runtime.predictor import Predictor


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Return the path of a detector's bundle, exported to both backends, and the report."""
    path = tmp_path_factory.mktemp("detector") / "rectangles"
    write_detector_bundle(path)
    rng = np.random.default_rng(3)
    samples = [scene(rng, 100, 80) for _ in range(12)]
    return path, export(Bundle.open(path), ("openvino", "onnx"), prove=samples, whole=True, quiet=True)


def test_it_is_proved_by_sets_of_objects_and_by_the_metric(exported):
    _, report = exported
    assert report.left_out == ()
    assert {(one.backend, one.precision) for one in report.proved} >= {("openvino", "fp32"), ("onnx", "fp32")}
    for one in report.proved:
        assert one.proof.ok
        assert set(one.proof.differences) == {"scores", "boxes"}
        assert one.comparison.trained > 0.5  # it has learned, so the comparison says something
        assert one.comparison.exported == pytest.approx(one.comparison.trained, abs=0.002)


def test_objects_are_in_pixels_of_the_original_in_any_batch(exported):
    path, _ = exported
    rng = np.random.default_rng(4)
    pairs = [scene(rng, 128, 112) for _ in range(4)]
    for backend in ("openvino", "onnx", "torch"):
        with Predictor.open(path, backend=backend, precision="fp32") as model:
            answers = [outcome.prediction for outcome in model.predict([pixels for pixels, _ in pairs])]
        near = [
            iou(np.array([box]), truth.boxes_N4[NAMES.index(name)][None])[0, 0]
            for answer, (_, truth) in zip(answers, pairs, strict=True)
            for name, _, box in answer.objects()
        ]
        assert len(near) >= 5
        assert np.mean(np.array(near) > 0.5) > 0.7  # the net is no perfect one; wrong pixels would make all wrong


def test_graphs_carry_what_others_need(exported):
    path, _ = exported
    facts = {one.key: one.value for one in onnx.load(path / "backends/onnx/model.onnx").metadata_props}
    assert facts["task"] == "detect"
    assert json.loads(facts["names"]) == list(NAMES)
    assert json.loads(facts["inputs"]) == {"pixels": [SIDE, SIDE, 3]}
    assert json.loads(facts["stride"]) == 32
    assert json.loads(facts["preprocessing"])["resize"] == "letterbox"
    model = openvino.Core().read_model(path / "backends/openvino/model.xml")
    assert {name: model.get_rt_info(["model_info", name]).value for name in facts} == facts


def test_the_graph_with_suppression_finds_the_same_objects(exported):
    path, _ = exported
    session = onnxruntime.InferenceSession(path / "elsewhere/model.onnx")
    assert [one.name for one in session.get_outputs()] == ["boxes", "scores", "labels", "pictures"]
    rng = np.random.default_rng(6)
    pixels = np.stack([scene(rng)[0] for _ in range(3)] + [np.full((SIDE, SIDE, 3), 125, np.uint8)])
    got = dict(zip(("boxes", "scores", "labels", "pictures"), session.run(None, {"pixels": pixels}), strict=True))
    assert (np.diff(got["scores"]) <= 0).all()
    with Predictor.open(path, backend="onnx") as model:
        answers = model.decode(model.run({"pixels": pixels}))
    assert len(got["scores"]) == sum(len(answer.kept()) for answer in answers) >= 6
    for at, answer in enumerate(answers):
        mine = got["pictures"] == at
        np.testing.assert_array_equal(got["labels"][mine], answer.labels_K[answer.kept()])
        np.testing.assert_allclose(got["boxes"][mine], answer.boxes_K4[answer.kept()] * SIDE, atol=1e-3)


def test_only_detectors_have_such_a_graph(digits_bundle):
    with pytest.raises(SettingsError, match="with_nms is for models that find objects"):
        export(Bundle.open(digits_bundle), ("onnx",), whole=True, quiet=True)


def test_drise_points_at_the_object(exported):
    path, _ = exported
    pixels, truth = scene(np.random.default_rng(5))
    with Predictor.open(path, backend="openvino", precision="fp32") as model:
        found = {name: explain(model, pixels, label=name) for name in NAMES}
        again = explain(model, pixels, label=NAMES[0])
        with pytest.raises(SettingsError, match="without a map of their own"):
            explain(model, pixels, method="class_map")
        with pytest.raises(SettingsError, match="looks inside classifiers alone"):
            explain(model, pixels, method="gradcam")
    assert (found[NAMES[0]].map_HW == again.map_HW).all()
    for name, (left, top, right, bottom) in zip(NAMES, truth.boxes_N4.astype(int), strict=True):
        assert found[name].method == "drise"
        heat_HW, inside_HW = found[name].map_HW, np.zeros((SIDE, SIDE), bool)
        inside_HW[top:bottom, left:right] = True
        assert heat_HW[inside_HW].mean() > 2 * heat_HW[~inside_HW].mean()
