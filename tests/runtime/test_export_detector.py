"""An exported Faster R-CNN answers as the trained one does, for any number of pictures, and can be explained."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
from PIL import Image

import sightsmith.nets
from detector_bundle import NAMES, SIDE, scene, write_detector_bundle
from sightsmith.bundle.store import Bundle
from sightsmith.cli import app
from sightsmith.core.errors import SettingsError
from sightsmith.explanation.explain import explain
from sightsmith.kinds.boxes.geometry import iou
from sightsmith.kinds.boxes.truth import boxed
from sightsmith.kinds.boxes.value import METRIC
from sightsmith.runtime.export import export
from sightsmith.runtime.onnx_graph import require_free_axes
from sightsmith.runtime.predictor import Predictor
from sightsmith.runtime.proving import compare_on_data


def write_coco(folder):
    """Write twelve labelled scenes of another shape than the input."""
    rng = np.random.default_rng(3)
    (folder / "images").mkdir(parents=True)
    images, objects = [], []
    for number in range(1, 13):
        pixels, truth = scene(rng, 100, 80)
        Image.fromarray(pixels).save(folder / f"images/{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 100, "height": 80})
        for (left, top, right, bottom), label in zip(truth.boxes_N4.tolist(), truth.labels_N.tolist(), strict=True):
            objects.append({"image_id": number, "category_id": label, "bbox": [left, top, right - left, bottom - top]})
    names = [{"id": number, "name": name} for number, name in enumerate(NAMES)]
    numbered = [{"id": number, **one} for number, one in enumerate(objects)]
    (folder / "instances.json").write_text(json.dumps({"images": images, "categories": names, "annotations": numbered}))


@pytest.fixture(scope="module")
def exported(made_once):
    """Return the path of a detector's bundle, exported by the command line to both backends."""

    def make(folder: Path) -> None:
        write_coco(folder / "scenes")
        write_detector_bundle(folder / "rectangles")
        how = ["--to", "openvino", "--to", "onnx", "--with-nms", "--precision", "fp32"]
        words = ["export", str(folder / "rectangles"), *how, "--prove", str(folder / "scenes")]
        app(words, exit_on_error=False, print_error=False, result_action="return_value")

    with pytest.MonkeyPatch.context() as patch:
        added = str(Path(__file__).parent / "added_nets")
        patch.setattr(sightsmith.nets, "__path__", [*sightsmith.nets.__path__, added])
        yield made_once("exported_detector", make) / "rectangles"


def test_it_is_proved_by_sets_of_objects_and_by_the_metric(exported):
    backends = Bundle.open(exported).manifest.backends
    assert set(backends) == {"openvino", "onnx"}
    for one in (entry["precisions"]["fp32"] for entry in backends.values()):
        assert one["differences"].keys() == {"scores", "boxes"}
        assert max(one["differences"].values()) < 1e-3
        assert one["data"]["count"] == 12
        assert one["data"]["trained"] > 0.3  # it has learned, so the comparison says something
        assert one["data"]["exported"] == pytest.approx(one["data"]["trained"], abs=0.002)


def test_pictures_without_objects_prove_that_the_answers_stay(exported):
    rng = np.random.default_rng(6)
    samples = []
    for _ in range(3):
        pixels, truth = scene(rng)
        samples.append((pixels, boxed(truth.boxes_N4[:0], truth.labels_N[:0], truth.size)))
    bundle = Bundle.open(exported)
    with Predictor.open(bundle, backend="openvino", precision="fp32") as model:
        (found,) = compare_on_data(bundle, "openvino", {"fp32": model}, samples, quiet=True).values()
    assert str(found) == "mAP 50:95 undefined against undefined on 3 pictures, 100.00% the same answers"
    assert json.loads(json.dumps(found.to_json(), allow_nan=False))["trained"] is None
    assert found.problem(METRIC) == ""
    assert "may fall by 0.002" in replace(found, trained=0.5).problem(METRIC)


def test_objects_are_in_pixels_of_the_original_in_any_batch(exported):
    rng = np.random.default_rng(4)
    pairs = [scene(rng, 128, 112) for _ in range(4)]
    for backend in ("openvino", "onnx", "torch"):
        with Predictor.open(exported, backend=backend, precision="fp32") as model:
            answers = [outcome.prediction for outcome in model.predict([pixels for pixels, _ in pairs])]
        near = [
            iou(np.array([box]), truth.boxes_N4[NAMES.index(name)][None])[0, 0]
            for answer, (_, truth) in zip(answers, pairs, strict=True)
            for name, _, box in answer.objects()
        ]
        assert len(near) >= 5
        assert np.mean(np.array(near) > 0.5) > 0.7  # the net is no perfect one; wrong pixels would make all wrong


def test_graphs_carry_what_others_need(exported):
    facts = {one.key: one.value for one in onnx.load(exported / "backends/onnx/model.onnx").metadata_props}
    assert facts["task"] == "detect"
    assert json.loads(facts["names"]) == list(NAMES)
    assert json.loads(facts["inputs"]) == {"pixels": [SIDE, SIDE, 3]}
    assert json.loads(facts["stride"]) == 32
    assert json.loads(facts["preprocessing"])["resize"] == "letterbox"
    model = openvino.Core().read_model(exported / "backends/openvino/model.xml")
    assert {name: model.get_rt_info(["model_info", name]).value for name in facts} == facts


def test_the_graph_with_suppression_finds_the_same_objects(exported):
    session = onnxruntime.InferenceSession(exported / "elsewhere/model.onnx")
    assert [one.name for one in session.get_outputs()] == ["boxes", "scores", "labels", "pictures"]
    rng = np.random.default_rng(6)
    pixels = np.stack([scene(rng)[0] for _ in range(3)] + [np.full((SIDE, SIDE, 3), 125, np.uint8)])
    got = dict(zip(("boxes", "scores", "labels", "pictures"), session.run(None, {"pixels": pixels}), strict=True))
    assert (np.diff(got["scores"]) <= 0).all()
    with Predictor.open(exported, backend="onnx") as model:
        answers = model.decode(model.run({"pixels": pixels}))
    assert len(got["scores"]) == sum(len(answer.kept()) for answer in answers) >= 6
    for at, answer in enumerate(answers):
        mine = got["pictures"] == at
        np.testing.assert_array_equal(got["labels"][mine], answer.labels_K[answer.kept()])
        np.testing.assert_allclose(got["boxes"][mine], answer.boxes_K4[answer.kept()] * SIDE, atol=1e-3)


def test_a_graph_of_a_fixed_batch_is_refused(exported):
    model = onnx.load(exported / "backends/onnx/model.onnx")
    ports = Bundle.open(exported).manifest.definition.graphs["model"].inputs
    shapes = {
        one.name: [side.dim_value or None for side in one.type.tensor_type.shape.dim] for one in model.graph.input
    }
    require_free_axes(ports, shapes)
    with pytest.raises(ValueError, match="takes 2 items alone, at the input pixels"):
        require_free_axes(ports, {"pixels": [2, *shapes["pixels"][1:]]})


def test_only_detectors_have_such_a_graph(digits_bundle):
    with pytest.raises(SettingsError, match="with_nms is for models that find objects"):
        export(Bundle.open(digits_bundle), ("onnx",), whole=True, quiet=True)


def test_drise_points_at_the_object_and_draws_its_box(exported, tmp_path):
    pixels, truth = scene(np.random.default_rng(5), 2 * SIDE, 2 * SIDE)
    with Predictor.open(exported, backend="openvino", precision="fp32") as model:
        found = {name: explain(model, pixels, label=name) for name in NAMES}
        with pytest.raises(SettingsError, match="without a map of their own"):
            explain(model, pixels, method="class_map")
        with pytest.raises(SettingsError, match="looks inside classifiers alone"):
            explain(model, pixels, method="gradcam")
    for name, box_4 in zip(NAMES, truth.boxes_N4, strict=True):
        one, (left, top, right, bottom) = found[name], box_4.astype(int)
        assert one.method == "drise"
        heat_HW, inside_HW = one.map_HW, np.zeros(one.map_HW.shape, bool)
        inside_HW[top:bottom, left:right] = True
        assert heat_HW[inside_HW].mean() > 2 * heat_HW[~inside_HW].mean()
        assert iou(np.array([one.object_box]), box_4[None])[0, 0] > 0.5  # in pixels of the picture, not of the input
        assert one.to_json()["object_box"] == pytest.approx(one.object_box, abs=0.01)
        drawn = np.asarray(Image.open(one.save(tmp_path / f"{name}.png")["overlay"]).convert("RGB")).astype(int)
        x, y = (round(edge * 2.5) for edge in (one.object_box[0], (one.object_box[1] + one.object_box[3]) / 2))
        assert drawn.shape == (320, 320, 3)  # enlarged by 2.5
        assert np.ptp(drawn[y, x]) > 100  # the line of the box has a strong colour
