"""Explaining clips: one frame has a coloured patch, so that the frame and the place in it are known."""

import json

import numpy as np
import pytest
from PIL import Image

import patch_bundle
from patch_bundle import FRAMES, PATCH, SIDE, patch_picture
from sightsmith.core.errors import SettingsError
from sightsmith.core.placement import Placement
from sightsmith.explanation.explain import METHODS, explain
from sightsmith.explanation.sheet import Frame, draw_sheet, rows
from sightsmith.runtime.predictor import Predictor

LEFT, TOP, WITH_PATCH = 20, 2, 2
GREEN, NONE = 1, 3
IN_TIME = [name for name in METHODS.names() if getattr(METHODS.module(name), "IN_TIME", False)]


@pytest.fixture(scope="module")
def predictor(tmp_path_factory) -> Predictor:
    """Return the mean over the frames of a net that has learned the patches."""
    path = tmp_path_factory.mktemp("clips") / "patches"
    bundle = patch_bundle.write_clip_bundle(path, [a_clip(), a_clip()[::-1]])
    return Predictor.open(bundle, backend="torch", precision="fp32")


def a_clip() -> np.ndarray:
    """Return grey noise (T, H, W, 3) with a green patch in one frame."""
    rng = np.random.default_rng(0)
    targets = [GREEN if frame == WITH_PATCH else NONE for frame in range(FRAMES)]
    return np.stack([patch_picture(rng, target, LEFT, TOP) for target in targets])


@pytest.mark.parametrize("method", IN_TIME)
def test_the_evidence_is_in_the_frame_and_at_the_place_of_the_patch(predictor, method: str) -> None:
    done = explain(predictor, a_clip(), method=method, label="green")
    assert done.raw.shape == (FRAMES, SIDE, SIDE)
    patch_THW = np.zeros(done.raw.shape, bool)
    patch_THW[WITH_PATCH, TOP : TOP + PATCH, LEFT : LEFT + PATCH] = True
    assert done.raw[patch_THW].mean() > 5 * np.abs(done.raw[~patch_THW]).mean()
    assert max(done.frames, key=lambda one: one.fall).number == WITH_PATCH + 1
    assert done.frames[WITH_PATCH + 1].fall < 0, "frozen, the frame after the patch shows it too"
    assert [one.seconds for one in done.frames] == pytest.approx([0.02, 0.06, 0.1, 0.14, 0.18])
    assert done.map_HW.shape == done.overlay().size[::-1]
    row, column = np.unravel_index(done.map_HW.argmax(), done.map_HW.shape)
    width = (done.map_HW.shape[1] - 8) // 4  # a frame and the gap behind it
    assert column // width == WITH_PATCH
    assert row < width


def test_the_usual_method_of_clips_is_occlusion_and_beats_random_maps(predictor) -> None:
    done = explain(predictor, a_clip(), label="green", sanity=True)
    assert done.method == "occlusion"
    assert done.sanity.better_than_random
    assert abs(done.sanity.randomised) < 0.9


def test_the_files_and_the_text_name_the_frames(predictor, tmp_path) -> None:
    done = explain(predictor, a_clip(), method="integrated_gradients", label="green")
    paths = done.save(tmp_path / "why.png")
    with Image.open(paths["overlay"]) as image:
        assert image.size == done.map_HW.shape[::-1]
    assert np.load(paths["raw"], allow_pickle=False).shape == (FRAMES, SIDE, SIDE)
    assert "Frames that matter most, by the fall when frozen: 3 at 0.10 s (+" in done.to_text()
    said = json.loads(json.dumps(done.to_json()))
    assert [one["number"] for one in said["frames"]] == [1, 2, 3, 4, 5]
    assert said["raw_shape"] == [FRAMES, SIDE, SIDE]


def test_in_a_clip_that_stands_still_no_frame_matters(predictor) -> None:
    still = a_clip()[WITH_PATCH : WITH_PATCH + 1]
    done = explain(predictor, still, method="integrated_gradients")
    assert [one.fall for one in done.frames] == [0] * FRAMES
    assert "No frame matters by itself" in done.to_text()


def test_falls_have_common_decimals_and_small_ones_are_no_importance() -> None:
    falls = (0.0183, -6e-05, 0.0046)
    told = rows([Frame(at, at / 10, fall) for at, fall in enumerate(falls)])
    assert [text for _, text, *_ in told] == ["+0.018", "+0.000", "+0.005"]
    assert [share for _, _, share, *_ in told] == pytest.approx([1, 0.0033, 0.25], abs=2e-3)
    noise = rows([Frame(1, 0.0, 0.0002), Frame(2, 0.1, -0.0001)])
    assert [(text, share) for _, text, share, *_ in noise] == [("+0.000", pytest.approx(0.02)), ("+0.000", 0.01)]


@pytest.mark.parametrize("method", [name for name in METHODS.names() if name not in IN_TIME])
def test_methods_of_pictures_are_refused_with_a_reason(predictor, method: str) -> None:
    with pytest.raises(SettingsError, match=rf"{method} makes one map of one picture, and this model answers clips"):
        explain(predictor, a_clip(), method=method)


def test_of_many_frames_the_most_important_are_drawn_in_order_of_time() -> None:
    rng = np.random.default_rng(0)
    falls = rng.permutation(np.linspace(-1, 1, 40))
    frames = [Frame(at + 1, at / 10, float(fall)) for at, fall in enumerate(falls)]
    images = [Image.new("L", (64, 48), at) for at in range(40)]
    shown = Placement((64, 48), (8.0, 0.0, 56.0, 48.0))
    paper, map_HW = draw_sheet(images, frames, rng.random((40, 6, 6), np.float32), shown, 0.0)
    lefts, tops = (range(8, paper.width - 8, 328), range(8, paper.height - 8, paper.height // 4))
    drawn = [paper.getpixel((left + 5, top + 5))[0] for top in tops for left in lefts]
    assert drawn == sorted(np.argsort(-np.abs(falls))[:16].tolist())
    assert map_HW.shape == (paper.height, paper.width)
    assert map_HW.max() == 1
    assert (map_HW[:, 8:47] == 0).all(), "left of what the input shows"
