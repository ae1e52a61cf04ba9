"""Tags: what an answer says, how answers are compared, and what a truth becomes."""

import numpy as np
import pytest

from sightsmith.core.errors import SettingsError
from sightsmith.kinds.tags import value
from sightsmith.kinds.tags.truth import Tagged

NAMES = ("rain", "night", "fog")


def answer(*scores, thresholds=(0.5, 0.5, 0.5)):
    return value.Tags(NAMES, np.array(scores, np.float32), np.array(thresholds, np.float32))


def test_an_answer_tells_its_present_tags_surest_first():
    one = answer(0.6, 0.9, 0.1)
    assert one.present == ["night", "rain"]
    assert [each["tag"] for each in one.to_json()] == ["night", "rain"]
    assert [each["present"] for each in one.to_json(absent=True)] == [True, True, False]
    assert one.to_text() == "night 90.0%  rain 60.0%"
    assert one.to_text(absent=True).endswith("(fog 10.0%)")
    assert [row[0] for row in one.to_rows()] == ["night", "rain"]


def test_an_answer_without_a_tag_is_told_too():
    one = answer(0.1, 0.2, 0.3)
    assert one.to_json() == []
    assert one.to_text() == "no tag"
    assert one.to_rows() == [["", "", "", ""]]
    (shape,) = one.shapes()
    assert (shape.name, shape.on) == ("fog", False)


def test_a_drawing_shows_the_absent_tags_unless_told_otherwise():
    one, picture = answer(0.6, 0.9, 0.1), np.zeros((20, 300, 3), np.uint8)
    assert one.draw(picture).height == one.draw(picture, absent=True).height > one.draw(picture, absent=False).height


def test_shapes_have_the_thresholds_as_marks():
    shapes = answer(0.6, 0.9, 0.1, thresholds=(0.25, 0.5, 0.75)).shapes(absent=True)
    assert [(shape.name, shape.mark, shape.on) for shape in shapes] == [
        ("night", 0.5, True),
        ("rain", 0.25, True),
        ("fog", 0.75, False),
    ]


def test_the_same_tags_are_the_same_answer_near_ties_counting():
    near, other = answer(0.52, 0.9, 0.1), answer(0.49, 0.9, 0.1)
    assert value.same_answers([near], [other]) == 0
    assert value.same_answers([near], [other], tolerance=0.05) == 1
    assert value.differences([near], [other])["scores"] == pytest.approx(0.03)


def test_decoded_scores_never_reach_a_threshold_of_one():
    (one,) = value.decode({"logits": np.array([[80.0, 0.0, -80.0]])}, NAMES, {"thresholds": [1.0, 0.5, 0.5]})
    assert one.present == ["night"]


def test_truths_become_targets_with_unknown_ones():
    targets_NK = value.targets([Tagged(present=(0,), unknown=(2,)), Tagged(present=())], NAMES)
    np.testing.assert_array_equal(targets_NK, [[1, 0, np.nan], [0, 0, 0]])


def test_strata_are_the_rarest_tags():
    truths = [Tagged(present=(0,)), Tagged(present=(0, 1)), Tagged(present=()), None, Tagged(present=(0, 2))]
    assert value.strata(truths).tolist() == [0, 1, 3, -1, 2]
    at_M, names_M = value.pairs(truths)
    assert list(zip(at_M.tolist(), names_M.tolist(), strict=True)) == [(0, 0), (1, 0), (1, 1), (4, 0), (4, 2)]


def test_a_truth_of_other_data_is_translated_by_name():
    closed = value.translate(Tagged(present=(1,)), ("fog", "rain"), NAMES)
    assert closed == Tagged(present=(0,))
    opened = value.translate(Tagged(present=(1,), closed=False), ("fog", "rain"), NAMES)
    assert opened == Tagged(present=(0,), unknown=(1,), closed=False)
    assert value.truth_text(opened, NAMES) == "rain;?night"
    assert value.truth_text(Tagged(present=()), NAMES) == "no tag"
    assert value.truth_text(Tagged(present=(0, 2)), NAMES) == "fog;rain", "whatever the order of the names"


@pytest.mark.parametrize("logits", [(-15.0, -15.5, -16.0, -17.0), (16.5, 16.0, 14.5, 14.0)])
def test_thresholds_keep_scores_near_the_ends_apart(logits):
    logits_N1, targets_N1 = np.array(logits)[:, None], np.array([1.0, 1.0, 0.0, 0.0])[:, None]
    values, figures = value.calibrate(logits_N1, targets_N1)
    answers = value.decode({"logits": logits_N1}, ("rain",), values)
    assert [bool(one.present) for one in answers] == [True, True, False, False]
    assert figures["macro_f1_at_thresholds"] == 1


def test_an_unknown_tag_cannot_be_explained():
    with pytest.raises(SettingsError, match=r"no tag 'fogg'. Did you mean 'fog'"):
        answer(0.1, 0.2, 0.3).aspect("fogg")
    assert answer(0.1, 0.2, 0.3).aspect().name == "fog"
    shown = answer(0.6, 0.55, 0.1, thresholds=(0.7, 0.3, 0.5))
    assert shown.aspect().name == "night", "the surest of those that are answered"
