"""Labels: the best classes, and the class map brought back onto the original picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sightsmith.core.errors import SettingsError
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.kinds import KINDS
from sightsmith.kinds.labels.value import Labels, decode, differences, headline, same_answers


def labels(scores, class_map=None):
    names = tuple("abcdefgh"[: len(scores)])
    return Labels(names, np.array(scores, np.float32), class_map)


def test_the_best_class_and_the_next_ones():
    found = labels([0.1, 0.6, 0.3])
    assert (found.label, found.index) == ("b", 1)
    assert found.score == pytest.approx(0.6)
    assert [name for name, _ in found.top(2)] == ["b", "c"]
    assert found.to_json(top=2) == [{"label": "b", "score": 0.6}, {"label": "c", "score": 0.3}]
    assert len(found.to_json()) == 3


def test_equal_scores_come_in_the_order_of_the_classes():
    assert [name for name, _ in labels([0.25, 0.25, 0.25, 0.25]).top(3)] == ["a", "b", "c"]


def test_scores_must_fit_the_classes():
    with pytest.raises(ValueError, match="2 classes need as many scores"):
        Labels(("a", "b"), np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="as many maps"):
        labels([0.5, 0.5], np.zeros((3, 2, 2), np.float32))


def test_a_batch_becomes_predictions():
    made = decode({"logits": 3 * np.eye(3, dtype=np.float32)}, ("a", "b", "c"), {"temperature": 1.5})
    assert [one.label for one in made] == ["a", "b", "c"]
    assert made[0].scores_K == pytest.approx(np.exp([2, 0, 0]) / np.exp([2, 0, 0]).sum())
    assert made[0].scores_K.dtype == np.float32
    of_schema_1 = decode({"probabilities": np.eye(3, dtype=np.float32)}, ("a", "b", "c"), {})
    assert of_schema_1[1].scores_K.tolist() == [0, 1, 0]
    assert made[0].class_map_Khw is None
    assert KINDS.module("labels").PREDICTION is Labels


def spot(size, row, column, classes=2):
    maps = np.zeros((classes, size, size), np.float32)
    maps[0, row, column] = 5
    return maps


@pytest.mark.parametrize(("row", "column", "x", "y"), [(0, 0, 10, 10), (0, 3, 70, 10), (3, 1, 30, 70)])
def test_squash_stretches_the_map_over_the_whole_picture(row, column, x, y):
    heat = labels([0.7, 0.3], spot(4, row, column)).heat(
        0, Preprocessing(height=32, width=32, resize="squash"), (80, 80)
    )
    assert heat.shape == (80, 80)
    assert heat.dtype == np.float32
    assert (heat.min(), heat.max()) == (0, 1)
    assert heat[y, x] > 0.95
    assert np.unravel_index(heat.argmax(), heat.shape) == pytest.approx((y, x), abs=10)


def test_crop_leaves_what_was_not_seen_cold():
    heat = labels([0.7, 0.3], spot(4, 1, 1)).heat(0, Preprocessing(height=32, width=32), (160, 80))
    assert heat.shape == (80, 160)
    assert heat[:, :40].max() == 0
    assert heat[:, 120:].max() == 0
    assert np.unravel_index(heat.argmax(), heat.shape) == pytest.approx((30, 70), abs=1)


def test_letterbox_drops_the_padding():
    heat = labels([0.7, 0.3], spot(4, 2, 0)).heat(0, Preprocessing(height=32, width=32, resize="letterbox"), (160, 80))
    assert heat.shape == (80, 160)
    assert heat[60, 20] > 0.98
    assert np.unravel_index(heat.argmax(), heat.shape) == pytest.approx((60, 20), abs=20)


def test_heat_is_where_the_input_showed_the_object():
    """A white dot found again: through the preprocessing and back."""
    picture = np.zeros((90, 200, 3), np.uint8)
    picture[60:66, 120:126] = 255
    for resize in ("crop", "squash", "letterbox"):
        spec = Preprocessing(height=48, width=48, resize=resize, fill=0)
        bright = spec.apply(picture)[:, :, 0].astype(np.float32)
        maps = np.stack([bright, np.zeros_like(bright)])
        heat = labels([0.5, 0.5], maps).heat(0, spec, (200, 90))
        assert np.unravel_index(heat.argmax(), heat.shape) == pytest.approx((62.5, 122.5), abs=3), resize


def test_what_all_classes_share_is_no_evidence():
    maps = np.random.default_rng(0).normal(size=(3, 5, 5)).astype(np.float32)
    spec = Preprocessing(height=32, width=32)
    shifted = maps + np.arange(25, dtype=np.float32).reshape(5, 5)
    one, other = (labels([0.5, 0.3, 0.2], each).heat(1, spec, (64, 64)) for each in (maps, shifted))
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_class_without_evidence_stays_cold():
    maps = np.stack([np.ones((3, 3)), np.zeros((3, 3))]).astype(np.float32)
    assert labels([0.9, 0.1], maps).heat(1, Preprocessing(height=32, width=32), (20, 20)).max() == 0


@given(width=st.integers(1, 90), height=st.integers(1, 90), resize=st.sampled_from(["crop", "squash", "letterbox"]))
def test_any_size_of_picture_gives_a_heat_in_range(width, height, resize):
    maps = np.random.default_rng(width).normal(size=(2, 3, 3)).astype(np.float32)
    spec = Preprocessing(height=16, width=24, resize=resize)
    heat = labels([0.5, 0.5], maps).heat(0, spec, (width, height))
    assert heat.shape == (height, width)
    assert np.isfinite(heat).all()
    assert heat.min() >= 0
    assert heat.max() <= 1


def test_a_heat_needs_a_map_and_a_class():
    spec = Preprocessing(height=16, width=16)
    with pytest.raises(SettingsError, match="no class map"):
        labels([1.0]).heat(0, spec, (4, 4))
    with pytest.raises(SettingsError, match="0…1, got 2"):
        labels([0.5, 0.5], np.zeros((2, 3, 3), np.float32)).heat(2, spec, (4, 4))


def test_a_drawing_shows_the_picture_and_a_bar_as_long_as_the_score():
    drawn = labels([0.25, 0.75]).draw(np.full((60, 300, 3), 7, np.uint8))
    assert isinstance(drawn, Image.Image)
    pixels = np.asarray(drawn)
    assert pixels.shape[1] == 300
    assert (pixels[:60] == 7).all()
    blue = (pixels[60:] == (47, 111, 237)).all(axis=2).sum(axis=1)
    lengths = sorted({int(count) for count in blue if count})
    assert lengths[-1] / lengths[0] == pytest.approx(3, rel=0.1)


def test_a_drawing_takes_the_count_of_labels_in_either_way():
    found, picture = labels([0.5, 0.3, 0.2]), np.zeros((20, 300, 3), np.uint8)
    assert found.draw(picture, 1).height == found.draw(picture, top=1).height < found.draw(picture).height


def test_the_names_are_classes_too():
    assert labels([0.4, 0.6]).classes == labels([0.4, 0.6]).names == ("a", "b")


def test_any_name_and_any_size_can_be_drawn():
    found = Labels(("鸟" * 50, "a\nb", ""), np.array([0.5, 0.3, 0.2], np.float32))
    assert found.draw(Image.new("L", (1, 1))).width == 240
    assert found.draw(Image.new("RGB", (2000, 10))).width == 2000


def test_differences_and_answers():
    maps = np.ones((2, 3, 3), np.float32)
    before = [labels([0.6, 0.4], maps), labels([0.51, 0.49], maps)]
    after = [labels([0.5, 0.5], maps * 1.1), labels([0.49, 0.51], maps * 1.1)]
    assert differences(before, after) == pytest.approx({"probabilities": 0.1, "class_map": 0.1})
    assert same_answers(before, after) == 0.5
    assert same_answers(before, after, tolerance=0.05) == 1
    assert headline(after, [0, 0]) == 0.5
