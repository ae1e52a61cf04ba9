"""The answer of a detector: its objects, how two answers differ, and what validation calibrates."""

import numpy as np
import pytest

from detections import answers_like, cells
from sightsmith.core.errors import SettingsError
from sightsmith.core.placement import Placement
from sightsmith.kinds.boxes import value
from sightsmith.kinds.boxes.truth import boxed

NAMES = ("cat", "dog")
TWO = [[10, 10, 50, 50, 0.9, 0], [60, 60, 90, 90, 0.4, 1], [12, 10, 52, 50, 0.6, 0], [0, 0, 5, 5, 0.1, 1]]


def answer(rows=TWO, **calibrated):
    """Return the answer to one picture of 100×100 pixels, given in pixels."""
    rows_K6 = np.array(rows, dtype=np.float32).reshape(-1, 6)
    rows_K6[:, :4] /= 100
    (one,) = value.decode({"detections": rows_K6[None]}, NAMES, calibrated)
    return value.to_original(one, Placement(size=(100, 100), box=(0, 0, 100, 100)))


def truth(*boxes, labels=None, **changes):
    return boxed(
        np.array(boxes, dtype=float).reshape(-1, 4),
        np.array(labels or [0] * len(boxes), dtype=int),
        (100, 100),
        **changes,
    )


def test_its_objects_are_sure_and_apart():
    found = answer()
    assert [(one["label"], round(one["score"], 3)) for one in found.to_json()] == [("cat", 0.9), ("dog", 0.4)]
    assert found.to_json()[0]["box"] == {"xmin": 10, "ymin": 10, "xmax": 50, "ymax": 50}
    assert len(found.to_json(iou=1)) == 3
    assert len(found.to_json(threshold=0)) == 3  # the second box of the cat overlaps the first
    assert len(found.to_json(threshold=0, most=1)) == 1
    assert found.to_text() == "1 cat, 1 dog"
    assert answer([]).to_text() == "no object"
    assert answer([]).to_rows() == [[""] * 6]


def test_each_name_has_its_threshold():
    assert [name for name, _ in answer(threshold=0.95).top()] == []
    assert [name for name, _ in answer(threshold=0.95, thresholds=[0.5]).top()] == ["cat"]
    assert [name for name, _ in answer(thresholds=[0.95, 0.3]).top()] == ["dog"]


def test_its_shapes_are_its_objects_coloured_by_name():
    shapes = answer().shapes()
    assert [(shape.name, shape.text, shape.index) for shape in shapes] == [("cat", "90%", 0), ("dog", "40%", 1)]
    assert shapes[0].box == pytest.approx((10, 10, 50, 50), abs=0.01)


def test_an_object_is_explained_by_name():
    aspect = answer().aspect("dog")
    assert aspect.name == "dog"
    assert answer().score_of(aspect) == pytest.approx(0.4, abs=1e-6)
    assert answer([[60, 60, 90, 90, 0.8, 0]]).score_of(aspect) == 0  # another name
    with pytest.raises(SettingsError, match="no object 'cow'"):
        answer().aspect("cow")
    with pytest.raises(SettingsError, match="finds no dog"):
        answer([TWO[0]]).aspect("dog")


def test_answers_keep_their_places_through_the_input():
    placement = Placement(size=(200, 100), box=(0, -50, 200, 150))  # a letterbox
    targets_16 = np.array([[10, 20, 110, 60, 1, 0], [0, 0, 0, 0, -1, 0]], dtype=np.float32)
    moved_M6 = value.to_input(targets_16, placement)
    assert moved_M6[0, :4] == pytest.approx([0.05, 0.35, 0.55, 0.55])
    assert moved_M6[1].tolist() == targets_16[1].tolist()
    (one,) = value.decode({"detections": np.array([[[*moved_M6[0, :4], 0.9, 1]]])}, NAMES, {})
    assert value.to_original(one, placement).boxes_K4[0] == pytest.approx(targets_16[0, :4], abs=1e-4)


def test_a_box_never_leaves_its_picture():
    (one,) = value.decode({"detections": np.array([[[-0.2, 0.1, 1.3, 0.9, 0.9, 1]]])}, NAMES, {})
    moved = value.to_original(one, Placement(size=(200, 100), box=(0, 0, 200, 100)))
    assert moved.boxes_K4.tolist() == [[0, 10, 200, 90]]


def test_what_lies_in_the_padding_of_a_letterbox_is_no_object():
    rows_K6 = np.array([[0.1, 0.0, 0.4, 0.2, 0.9, 0], [0.1, 0.2, 0.4, 0.5, 0.8, 1], [0.5, 0.5, 0.5, 0.7, 0.7, 0]])
    (one,) = value.decode({"detections": rows_K6[None]}, NAMES, {})
    moved = value.to_original(one, Placement(size=(200, 100), box=(0, -50, 200, 150)))
    assert moved.objects(threshold=0) == [("dog", pytest.approx(0.8), [20, 0, 80, 50])]


def test_differences_compare_sets_of_boxes():
    mixed = [TWO[2], TWO[3], TWO[1], TWO[0]]
    assert value.differences([answer()], [answer(mixed)]) == {"scores": 0, "boxes": 0}
    moved = [[10, 10, 50, 46, 0.85, 0], *TWO[1:]]
    gaps = value.differences([answer()], [answer(moved)])
    assert gaps["scores"] == pytest.approx(0.05, abs=1e-3)
    assert gaps["boxes"] == pytest.approx(0.1, abs=1e-3)
    assert value.differences([answer()], [answer(TWO[1:2])])["scores"] == pytest.approx(0.9, abs=1e-3)
    assert value.differences([answer(TWO[1:2])], [answer()])["scores"] == pytest.approx(0.9, abs=1e-3)
    other = [[*TWO[0][:5], 1], *TWO[1:]]
    assert value.differences([answer()], [answer(other)])["scores"] > 0.2
    assert value.differences([answer([])], [answer([])]) == {"scores": 0, "boxes": 0}


@pytest.fixture
def unsure():
    """Return two answers of a model that has learned little, with scores below 0.05."""
    rows = np.array([[10, 10, 50, 50, 0.02, 0], [60, 60, 90, 90, 0.019, 1]])
    return [answer(rows), answer(rows * [1, 1, 1, 1, 0.5, 1])]


def test_a_model_that_is_sure_of_nothing_is_compared_by_its_surest_objects(unsure):
    assert value.differences(unsure, unsure) == {"scores": 0, "boxes": 0}
    moved = [answer([[10, 10, 50, 48, 0.021, 0]]), unsure[1]]
    gaps = value.differences(unsure, moved)
    assert gaps["boxes"] == pytest.approx(0.05, abs=1e-3)
    assert gaps["scores"] == pytest.approx(0.001, abs=1e-4)
    elsewhere = [answer([[10, 60, 50, 90, 0.02, 0]]), unsure[1]]
    assert value.differences(unsure, elsewhere)["boxes"] == 1
    assert value.differences(unsure, [answer([]), unsure[1]])["boxes"] == 1
    assert value.differences([answer([])], [answer([])]) == {"scores": 0, "boxes": 0}


def test_noise_among_scores_near_0_is_no_difference(unsure):
    swapped = np.array([[60, 60, 90, 90, 0.0201, 0], [10, 10, 50, 50, 0.02, 1], [0, 90, 9, 99, 0.002, 1]])
    assert value.differences(unsure[:1], [answer(swapped)])["boxes"] == pytest.approx(0, abs=1e-6)
    sure = [answer(), unsure[0]]  # of which the surest objects count
    assert value.differences(sure, [answer(), answer([])])["boxes"] == 0


def test_what_is_no_number_or_has_swapped_edges_is_no_object():
    beside = answer([[np.nan, 10, 50, 50, 0.8, 0], [50, 50, 10, 10, 0.7, 0], TWO[1]])
    assert [one["label"] for one in beside.to_json()] == ["dog"]
    assert len(value.measured(beside)[0]) == 1


def test_a_number_that_is_none_is_never_equal():
    spoilt = answer([[*TWO[0][:4], np.nan, 0]])
    assert value.differences([answer()], [spoilt])["scores"] > 0.5


def test_the_same_answers_have_the_same_objects():
    assert value.same_answers([answer()], [answer([TWO[3], *TWO[:3]])]) == 1
    assert value.same_answers([answer(), answer()], [answer(), answer(TWO[:1])]) == 0.5
    assert value.same_answers([answer()], [answer([[*TWO[0][:5], 1], *TWO[1:]])]) == 0
    near = [[*TWO[1][:4], 0.24, 1], TWO[0]]
    sure = [[*TWO[1][:4], 0.26, 1], TWO[0]]
    assert value.same_answers([answer(sure)], [answer(near)]) == 0
    assert value.same_answers([answer(sure)], [answer(near)], tolerance=0.02) == 1
    assert value.same_answers([], []) == 1


def test_strata_are_the_rarest_names():
    truths = [truth([0, 0, 9, 9]), truth([0, 0, 9, 9], [0, 0, 9, 9], labels=[0, 1]), truth(), None]
    assert value.strata(truths).tolist() == [0, 1, 2, -1]
    assert [column.tolist() for column in value.pairs(truths)] == [[0, 1, 1], [0, 0, 1]]


def test_a_truth_is_told_whatever_the_order_of_its_objects():
    one = truth([0, 0, 9, 9], [1, 2, 30.5, 40], labels=[0, 1], ignored_N=np.array([False, True]))
    other = truth([1, 2, 30.5, 40], [0, 0, 9, 9], labels=[1, 0], ignored_N=np.array([True, False]))
    assert value.truth_text(one, NAMES) == value.truth_text(other, NAMES) == "cat 0 0 9 9; dog 1 2 30.5 40 ignored"
    assert value.truth_text(truth(), NAMES) == "no object"


def test_targets_are_filled_up():
    targets_NM6 = value.targets([truth([0, 0, 9, 9]), truth(), truth([0, 0, 9, 9], [1, 2, 3, 4])], NAMES)
    assert targets_NM6.shape == (3, 2, 6)
    assert targets_NM6[:, :, 4].tolist() == [[0, -1], [-1, -1], [0, 0]]
    assert value.targets([truth()], NAMES).shape == (1, 1, 6)


def test_names_decide_how_a_truth_is_translated():
    moved = value.translate(truth([0, 0, 9, 9], [1, 2, 3, 4], labels=[0, 1]), NAMES, ("dog", "cow", "cat"))
    assert moved.labels_N.tolist() == [2, 0]


def test_a_perfect_answer_has_a_map_of_one():
    assert value.headline([answer(TWO[:2])], [truth(TWO[0][:4], TWO[1][:4], labels=[0, 1])]) == 1
    assert np.isnan(value.headline([answer()], [truth()]))


@pytest.fixture(scope="module")
def arrays(shared_data):
    """Return detections and targets of real pictures as training gets them, in shares."""
    _, truths = cells(shared_data("bccd_voc"), 20)
    targets_NM6 = value.targets(truths, ("a", "b", "c"))
    found = answers_like(truths, classes=3)
    detections_NK6 = np.zeros((len(truths), max(len(scores_K) for _, scores_K, _ in found), 6), np.float32)
    for at, (parts, one) in enumerate(zip(found, truths, strict=True)):
        placement = Placement(size=one.size, box=(0, 0, *one.size))
        targets_NM6[at] = value.to_input(targets_NM6[at], placement)
        columns = [part.reshape(len(parts[1]), -1) for part in parts]
        detections_NK6[at, : len(parts[1])] = np.concatenate(columns, axis=1)
        detections_NK6[at, :, :4] /= np.array([*one.size, *one.size])
    return truths, detections_NK6, targets_NM6


def test_validation_measures_as_evaluation_does(arrays):
    truths, detections_NK6, targets_NM6 = arrays
    answers = value.decode({"detections": detections_NK6}, ("a", "b", "c"), {})
    moved = [
        value.to_original(one, Placement(size=truth.size, box=(0, 0, *truth.size)))
        for one, truth in zip(answers, truths, strict=True)
    ]
    assert value.validation(detections_NK6, targets_NM6)["map"] == pytest.approx(
        value.headline(moved, truths), abs=1e-3
    )
    assert value.validation(detections_NK6[:, :0], targets_NM6) == {"map": 0, "map_50": 0}
    assert value.validation(detections_NK6[:1], targets_NM6[:1] * 0 - 1) == {"map": 0, "map_50": 0}


def test_calibrated_thresholds_give_the_f1_that_is_told(arrays):
    truths, detections_NK6, targets_NM6 = arrays
    values, figures = value.calibrate(detections_NK6, targets_NM6, overlap=0.7)
    assert values["overlap"] == 0.7
    assert len(values["thresholds"]) == 3
    answers = value.decode({"detections": detections_NK6}, ("a", "b", "c"), values)
    answered = sum(len(one.kept()) for one in answers)
    objects = sum(map(len, truths))
    precision, recall = figures["precision_at_thresholds"], figures["recall_at_thresholds"]
    assert precision * answered == pytest.approx(recall * objects, rel=0.02)  # edges of pictures aside
    assert figures["f1_at_thresholds"] == pytest.approx(2 * precision * recall / (precision + recall))
    assert figures["f1_at_thresholds"] > 0.7


def test_ignored_targets_are_not_measured(arrays):
    _, detections_NK6, targets_NM6 = arrays
    ignored_NM6 = targets_NM6.copy()
    ignored_NM6[:, :, 5] = 1
    assert value.validation(detections_NK6, ignored_NM6) == {"map": 0, "map_50": 0}
