"""Latents of pictures: of every task that has an encoder, through the verb `encode` and from Python."""

import shutil

import numpy as np
import pytest
from PIL import Image

import sightsmith as ss
from processes import sightsmith
from sightsmith.bundle.store import Bundle
from sightsmith.core.errors import PictureError, SettingsError
from sightsmith.runtime.latents import Encoder
from sightsmith.tasks import TASKS

MAKING = [name for name in TASKS.names() if TASKS.module(name).KIND == "pictures"]
CODING = [name for name in MAKING if hasattr(TASKS.module(name), "coder")]
every_task = pytest.mark.parametrize("task", CODING)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Return a folder with three colour pictures of the classes 3 and 7, of other sizes than the model's."""
    folder, rng = tmp_path_factory.mktemp("encode") / "photos", np.random.default_rng(0)
    for at, label in enumerate("337"):
        (folder / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20 + at, 24, 3), np.uint8)).save(folder / label / f"{at}.png")
    return folder


@every_task
def test_the_verb_writes_each_picture_with_its_path_and_label(task, making_bundles, photos, tmp_path):
    done = sightsmith("encode", making_bundles / task, photos, "--out", "new/latents.npz", cwd=tmp_path).succeeded()
    assert done.out.strip() == "new/latents.npz"
    written = np.load(tmp_path / "new" / "latents.npz")
    assert written["mean"].shape == written["log_variance"].shape
    assert written["mean"].dtype == np.float32
    assert written["path"].tolist() == ["3/0.png", "3/1.png", "7/2.png"]
    assert written["label"].tolist() == ["3", "3", "7"]
    with ss.load(making_bundles / task, backend="openvino") as model:
        paths = [photos / path for path in written["path"]]
        latents = model.encode(paths, label=["3", "3", "7"])
        alone = model.encode(paths[2], label="7")
    np.testing.assert_allclose(latents.mean_ND, written["mean"], atol=1e-4)
    np.testing.assert_allclose(alone.log_variance_ND, written["log_variance"][2:], atol=1e-4)


@every_task
def test_pictures_become_latents_and_pictures_again(task, making_bundles):
    encoder, rng = Encoder(Bundle.open(making_bundles / task)), np.random.default_rng(0)
    grey = rng.integers(0, 256, (16, 16, 1), np.uint8)
    colour = np.repeat(grey, 3, axis=2)  # the model is grey: the colours must not count
    latents = encoder.encode([grey, colour, 255 - grey], [1, 1, 1])
    np.testing.assert_allclose(latents.mean_ND[0], latents.mean_ND[1], atol=1e-4)
    assert np.abs(latents.mean_ND[0] - latents.mean_ND[2]).max() > 1e-2
    assert (latents.kl_ND >= 0).all()
    pictures = list(encoder.decode(latents.mean_ND, [1, 1, 1]))
    assert [(one.shape, one.dtype) for one in pictures] == [((16, 16, 1), np.uint8)] * 3
    many = encoder.encode([grey] * 70, [1] * 70)
    np.testing.assert_allclose(many.mean_ND[-1], latents.mean_ND[0], atol=1e-4)


@every_task
def test_what_is_asked_wrongly_is_named_and_nothing_is_written(task, making_bundles, photos, tmp_path):
    bad, out = tmp_path / "bad", tmp_path / "latents.npz"
    shutil.copytree(photos, bad)
    (bad / "7" / "torn.png").write_bytes((bad / "7" / "2.png").read_bytes()[:200])
    bundle = making_bundles / task
    sightsmith("encode", bundle, bad, "--out", out, cwd=tmp_path).refused(2, "torn.png")
    sightsmith("encode", bundle, tmp_path / "nowhere", "--out", out, cwd=tmp_path).refused(2, "nowhere")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad"]
    out.write_text("mine")
    sightsmith("encode", bundle, photos, "--out", out, cwd=tmp_path).refused(2, "exists already", "--overwrite")
    assert out.read_text() == "mine"
    sightsmith("encode", bundle, photos, "--out", out, "--overwrite", cwd=tmp_path).succeeded()
    with ss.load(bundle) as model:
        for pictures, labels, error, told in (
            (photos / "3/0.png", None, SettingsError, "needs the class of each picture: give 1 labels, not 0"),
            ([photos / "3/0.png"], ["3", "7"], SettingsError, "give 1 labels, not 2"),
            (photos / "3/0.png", "33", SettingsError, "unknown label '33'. Did you mean '3'"),
            (bad / "7/torn.png", "7", PictureError, "torn.png"),
        ):
            with pytest.raises(error, match=told):
                model.encode(pictures, labels)


@pytest.mark.parametrize("task", ["classify", *(name for name in MAKING if name not in CODING)])
def test_models_without_an_encoder_say_so(task, making_bundles, digits_bundle, tmp_path):
    bundle = digits_bundle if task == "classify" else making_bundles / task
    told = sightsmith("encode", bundle, "test", "--out", "latents.npz", cwd=tmp_path)
    told.refused(2, f"has no encoder: the task '{task}'", "--task vae")
    assert not list(tmp_path.iterdir())
