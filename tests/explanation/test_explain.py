"""Explaining a real small model: files, labels, other backends, and judging maps that are known good and bad."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import patch_bundle
from patch_bundle import patch_picture
from sightsmith.core.errors import OutputExistsError, PictureError, SettingsError
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.explanation.explain import METHODS, explain
from sightsmith.explanation.sanity import noise, scores, strongest_first
from sightsmith.explanation.subject import Subject
from sightsmith.kinds.labels.value import Labels
from sightsmith.kinds.parts.answer import Aspect
from sightsmith.nets.build import build_net
from sightsmith.runtime.predictor import Predictor

LEFT, TOP = 20, 2
GREEN = Aspect(1, "green", 1.0)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return patch_bundle.write_patch_bundle(tmp_path_factory.mktemp("bundle") / "patches", "smallcnn")


@pytest.fixture(scope="module")
def predictor(bundle):
    return Predictor.open(bundle, backend="torch", precision="fp32")


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return patch_picture(np.random.default_rng(0), 1, LEFT, TOP)


def test_the_overlay_and_the_raw_values_are_written(predictor, picture, tmp_path) -> None:
    done = explain(predictor, picture)
    paths = done.save(tmp_path / "out.jpg")
    assert {name: path.name for name, path in paths.items()} == {"overlay": "out.png", "raw": "out.npy"}
    with Image.open(paths["overlay"]) as image:
        assert image.size == (32, 32)
    assert (np.load(paths["raw"], allow_pickle=False) == done.raw).all()
    with pytest.raises(OutputExistsError, match=r"out\.png exists already"):
        done.save(tmp_path / "out.png")
    (tmp_path / "out.reason.svg").write_text("of another model")
    done.save(tmp_path / "out.png", overwrite=True)
    assert not (tmp_path / "out.reason.svg").exists(), "it would tell why another model answered"


def test_the_json_says_what_was_explained(predictor, picture) -> None:
    said = json.loads(json.dumps(explain(predictor, picture).to_json()))
    assert said["method"] == "class_map"
    assert said["label"] == "green"
    assert said["score"] == said["top"][0]["score"] > 0.5
    assert said["size"] == [32, 32]
    assert said["raw_shape"] == [8, 8]
    assert said["sanity"] is None


def test_the_service_and_the_method_draw_the_same_class_map(predictor, picture) -> None:
    labels = predictor.predict_one(picture, outputs=("class_map",))
    assert isinstance(labels, Labels)
    heat_HW = labels.heat(1, predictor.definition.input_settings, (32, 32))
    assert np.allclose(explain(predictor, picture, label="green").map_HW, heat_HW, atol=1e-5)


def test_another_class_can_be_asked_for(predictor, picture) -> None:
    asked = explain(predictor, picture, label="red", method="gradcam")
    assert asked.label == "red"
    assert asked.score < 0.5
    assert asked.map_HW[TOP : TOP + 10, LEFT : LEFT + 10].mean() < 0.2  # the green patch does not speak for red


def test_a_bundle_s_path_will_do(bundle, picture) -> None:
    assert explain(bundle.path, picture, method="occlusion").label == "green"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"method": "gradcan"}, r"unknown explanation method 'gradcan'\. Did you mean 'gradcam'"),
        ({"label": "gren"}, "no class 'gren'. Did you mean 'green'"),
    ],
)
def test_unknown_names_are_refused(predictor, picture, options, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        explain(predictor, picture, **options)


def test_a_broken_picture_is_refused(predictor) -> None:
    with pytest.raises(PictureError):
        explain(predictor, b"not a picture")


def test_deletion_and_insertion_tell_a_right_map_from_a_wrong_one(predictor, picture) -> None:
    subject = Subject(predictor, predictor.bundle)
    right = np.zeros((32, 32), np.float32)
    right[TOP : TOP + 10, LEFT : LEFT + 10] = 1
    deletion, insertion = scores(subject, picture, GREEN, right)
    worst_deletion, worst_insertion = scores(subject, picture, GREEN, -right)
    assert deletion < 0.3 < 0.6 < worst_deletion
    assert insertion > worst_insertion
    for score in (deletion, insertion, worst_deletion, worst_insertion):
        assert 0 <= score <= 1


@pytest.mark.parametrize("method", ["class_map", "occlusion", "gradcam"])
def test_every_method_is_compared_with_random_weights(predictor, picture, method) -> None:
    judged = explain(predictor, picture, method=method, sanity=True)
    assert judged.sanity.not_randomised == ""
    assert -1 <= judged.sanity.randomised <= 1
    assert abs(judged.sanity.randomised) < 0.95, "the map of other weights is another"
    assert "rank correlation with random weights" in judged.to_text()


def test_where_random_weights_cannot_be_had_the_reason_is_told(bundle) -> None:
    code = """
import sys
sys.modules["torch"] = None
from sightsmith.explanation import sanity
class One: size = 4
print(*sanity.randomisation(None, None, None, 0, One))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=bundle.path)
    assert done.stdout.startswith("None random weights need PyTorch: ")


def test_occlusion_is_judged_against_noise_of_its_own_coarseness(predictor, picture) -> None:
    """The map changes only where the window steps, and so do the random maps."""
    sides = METHODS.module("occlusion").cells((32, 32, 3))
    side = sides[0]
    steps = np.arange(32) % side != 0
    for map_hw in (
        explain(predictor, picture, method="occlusion").raw,
        noise(np.random.default_rng(0), (32, 32), sides),
    ):
        for axis in (0, 1):
            change = np.abs(np.diff(map_hw, axis=axis)).max(axis=1 - axis)
            assert (change[steps[1:]] == 0).all()
            assert (change[~steps[1:]] > 0).sum() > 5
    fine = noise(np.random.default_rng(0), (5, 9), (1, 1))
    assert fine.shape == (5, 9)
    assert len(np.unique(fine)) == 45


@pytest.mark.parametrize("target", [".", "..", "maps"])
def test_a_folder_is_no_place_for_a_map(predictor, picture, tmp_path, monkeypatch, target) -> None:
    (tmp_path / "maps").mkdir()
    monkeypatch.chdir(tmp_path / "maps" if target == ".." else tmp_path)
    with pytest.raises(OutputExistsError, match=r"is a folder; name a picture to write, such as .*why\.png"):
        explain(predictor, picture).save(Path(target))
    assert [path.name for path in tmp_path.rglob("*")] == ["maps"]


def test_neighbours_of_a_peak_come_before_the_rest() -> None:
    raw_hw = np.zeros((4, 4), np.float32)
    raw_hw[1, 1] = 1
    order = strongest_first(raw_hw, (32, 32))
    first = np.stack(np.unravel_index(order[: 16 * 16], (32, 32)), axis=1)
    assert np.abs(first - [11.5, 11.5]).max() < 12
    assert sorted(order) == list(range(32 * 32))


@pytest.mark.parametrize("name", ["test_resnet", "test_vit3", "test_convnext"])
@pytest.mark.parametrize("method", ["gradcam", "hirescam", "integrated_gradients"])
def test_methods_fit_the_nets_of_timm(name: str, method: str) -> None:
    from sightsmith.explanation.gradients import TorchNet
    from sightsmith.tasks import classify
    from sightsmith.tasks.parts.normalise import Normalise

    preprocessing = Preprocessing(height=patch_bundle.SIDE, width=patch_bundle.SIDE)
    built = build_net(name, channels=3, classes=4, height=64, width=64)
    subject = Subject(None, None)
    subject.net = TorchNet(built.module.eval(), name, Normalise(preprocessing), classify.score)
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    raw_hw = METHODS.module(method).explain(subject, pixels, Aspect(2, "blue", 0.0))
    assert raw_hw.ndim == 2
    assert min(raw_hw.shape) > 1
    assert np.isfinite(raw_hw).all()
    assert raw_hw.std() > 0


def test_a_net_that_reads_one_token_has_no_grad_cam() -> None:
    from sightsmith.explanation.gradients import TorchNet
    from sightsmith.tasks import classify
    from sightsmith.tasks.parts.normalise import Normalise

    preprocessing = Preprocessing(height=patch_bundle.SIDE, width=patch_bundle.SIDE)
    built = build_net("vit_tiny_patch16_224", channels=3, classes=4, height=32, width=32)
    subject = Subject(None, None)
    subject.net = TorchNet(built.module.eval(), "vit", Normalise(preprocessing), classify.score)
    with pytest.raises(SettingsError, match="does not depend on the positions"):
        METHODS.module("gradcam").explain(subject, np.zeros((32, 32, 3), np.uint8), Aspect(0, "red", 0.0))


def test_without_torch_the_message_names_the_way_out(bundle) -> None:
    """A process in which torch and captum cannot be imported."""
    code = """
import sys
for name in ("torch", "captum"):
    sys.modules[name] = None
from sightsmith.explanation.explain import explain, _method
_method("class_map"), _method("occlusion")
try:
    _method("integrated_gradients")
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=bundle.path)
    assert done.stdout.startswith("BackendError integrated_gradients needs torch")
    assert "sightsmith[train]" in done.stdout
