"""Metrics of boxes equal those of COCO and of Pascal VOC, under any weights of the pictures."""

from dataclasses import replace

import numpy as np
import pytest

from detections import answers_like, cells, coco_fixture, pycocotools
from sightsmith.kinds.boxes import metrics
from sightsmith.kinds.boxes.geometry import iou, overlaps
from sightsmith.kinds.boxes.matching import NEITHER, RIGHT, WRONG, match, match_voc
from sightsmith.kinds.boxes.metrics import Scorer, average_precision, thresholds, voc_precisions
from sightsmith.kinds.boxes.rows import rows_of
from sightsmith.kinds.boxes.truth import boxed


def averages(rows, count, weights_1N=None):
    weights_1N = np.ones((1, len(rows))) if weights_1N is None else weights_1N
    return {name: value[0] for name, value in Scorer(match(rows), count).averages(weights_1N).items()}


@pytest.fixture(scope="module")
def fixture(shared_data):
    return coco_fixture(shared_data("detmetrics") / "tests/test_coco_eval")


@pytest.fixture(scope="module")
def blood(shared_data):
    _, truths = cells(shared_data("bccd_voc"), 30)
    return rows_of(answers_like(truths, classes=3), truths)


def test_they_are_those_of_cocos_fixture(fixture):
    # the averages of pycocotools on the two files of the fixture as they are
    expected = {
        "map": 0.50364732,
        "map_50": 0.69697272,
        "map_75": 0.57166706,
        "map_small": 0.5932521,
        "map_medium": 0.55799067,
        "map_large": 0.48936321,
        "ar_1": 0.38681278,
        "ar_10": 0.59367958,
        "ar_100": 0.59535298,
        "ar_small": 0.65476419,
        "ar_medium": 0.60313002,
        "ar_large": 0.55374444,
    }
    assert averages(fixture, 80) == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("crowds", [False, True])
def test_they_are_those_of_pycocotools(blood, crowds):
    rows = blood
    if crowds:
        crowd_G = np.random.default_rng(0).random(len(blood.classes_G)) < 0.2
        rows = replace(blood, crowd_G=crowd_G, ignored_G=crowd_G)
    theirs, precision_TC = pycocotools(rows, 3)
    ours = [np.nan_to_num(value, nan=-1) for value in averages(rows, 3).values()]  # in the order of COCO
    assert ours == pytest.approx(theirs, abs=1e-6)
    each_1CT = Scorer(match(rows), 3).precisions(np.ones((1, len(rows))))
    assert np.abs(each_1CT[0].T - precision_TC).max() < 1e-6


def test_a_weight_is_how_often_a_picture_counts(blood):
    doubled = blood.taken(np.arange(3))
    twice = rows_of(
        [_candidates(blood, at) for at in (0, 1, 1, 2, 2, 2)], [_truth(blood, at) for at in (0, 1, 1, 2, 2, 2)]
    )
    weighted = averages(doubled, 3, np.array([[1.0, 2.0, 3.0]]))
    assert weighted == pytest.approx(averages(twice, 3), abs=1e-12, nan_ok=True)


def _candidates(rows, at):
    one = rows.of(at)
    return one.boxes_D4, one.scores_D, one.labels_D


def _truth(rows, at):
    one = rows.of(at)
    return boxed(one.truth_G4, one.classes_G, tuple(one.sizes_N2[0]), areas_N=one.areas_G)


def test_the_order_of_pictures_moves_only_ties(blood):
    mixed = blood.taken(np.random.default_rng(0).permutation(len(blood)))
    assert averages(mixed, 3) == pytest.approx(averages(blood, 3), abs=0.01, nan_ok=True)


def test_ignored_objects_count_neither_as_found_nor_as_missed():
    truth = boxed(
        np.array([[0, 0, 50, 50], [100, 100, 150, 150.0]]),
        np.zeros(2, int),
        (200, 200),
        ignored_N=np.array([False, True]),
    )
    found = (truth.boxes_N4, np.array([0.9, 0.8]), np.zeros(2, int))
    assert averages(rows_of([found], [truth]), 1)["map"] == 1
    assert match(rows_of([found], [truth])).states_DAT[:, 0, 0].tolist() == [RIGHT, NEITHER]


def test_a_second_candidate_of_an_object_is_wrong():
    truth = boxed(np.array([[0, 0, 50, 50.0]]), np.zeros(1, int), (200, 200))
    found = (np.array([[0, 0, 50, 49.0], [0, 0, 50, 50]]), np.array([0.9, 0.8]), np.zeros(2, int))
    assert match(rows_of([found], [truth])).states_DAT[:, 0, 0].tolist() == [RIGHT, WRONG]


def test_without_an_object_there_is_no_value():
    empty = boxed(np.zeros((0, 4)), np.zeros(0, int), (200, 200))
    nothing = (np.zeros((0, 4)), np.zeros(0), np.zeros(0, int))
    invented = (np.array([[0, 0, 5, 5.0]]), np.array([0.9]), np.zeros(1, int))
    for candidates in (nothing, invented):
        assert np.isnan(averages(rows_of([candidates], [empty]), 1)["map"])
    one = boxed(np.array([[0, 0, 50, 50.0]]), np.zeros(1, int), (200, 200))
    assert averages(rows_of([nothing], [one]), 1)["map"] == 0


def test_no_more_than_a_hundred_candidates_of_a_class_count():
    truth = boxed(np.array([[0, 0, 50, 50.0]]), np.zeros(1, int), (200, 200))
    boxes_K4 = np.tile([150.0, 150, 160, 160], (101, 1))
    boxes_K4[-1] = truth.boxes_N4[0]
    found = (boxes_K4, np.linspace(1, 0.5, 101), np.zeros(101, int))
    assert averages(rows_of([found], [truth]), 1)["ar_100"] == 0


def test_pascal_voc_by_plain_loops(blood):
    blood = blood.taken(np.arange(6))
    points_C, area_C = voc_precisions(blood, 3)
    for label in range(3):
        precision, recall = _voc_curve(blood, label)
        best = [
            max([p for p, r in zip(precision, recall, strict=True) if r >= level], default=0)
            for level in np.arange(11) / 10
        ]
        assert points_C[label] == pytest.approx(np.mean(best))
        steps = np.diff([0, *recall])
        envelope = [max(precision[at:]) for at in range(len(precision))]
        assert area_C[label] == pytest.approx(float(np.dot(steps, envelope)))


def _voc_curve(rows, label):
    """Return precision and recall as the development kit of Pascal VOC computes them."""
    order = [at for at in np.argsort(-rows.scores_D, kind="stable") if rows.labels_D[at] == label]
    taken, found, precision, recall = set(), 0, [], []
    for place, at in enumerate(order):
        near = [
            (g, iou(rows.boxes_D4[at][None], rows.truth_G4[g][None])[0, 0])
            for g in np.flatnonzero((rows.pictures_G == rows.pictures_D[at]) & (rows.classes_G == label))
        ]
        best, overlap = max(near, key=lambda one: one[1], default=(None, 0))
        if overlap >= 0.5 and best not in taken:
            taken.add(best)
            found += 1
        precision.append(found / (place + 1))
        recall.append(found / (rows.classes_G == label).sum())
    return precision, recall


def test_pascal_voc_leaves_difficult_objects_out():
    truth = boxed(np.array([[0, 0, 50, 50.0]]), np.zeros(1, int), (200, 200), ignored_N=np.array([True]))
    found = (truth.boxes_N4, np.array([0.9]), np.zeros(1, int))
    assert match_voc(rows_of([found], [truth]))[1].tolist() == [NEITHER]


def test_overlaps_of_pairs_are_those_of_all():
    boxes_M4 = np.random.default_rng(0).uniform(0, 50, (20, 4))
    boxes_M4[:, 2:] += boxes_M4[:, :2]
    assert overlaps(boxes_M4, boxes_M4[::-1]) == pytest.approx(np.diag(iou(boxes_M4, boxes_M4[::-1])))
    assert overlaps(np.array([[0, 0, 2, 1.0]]), np.array([[1, 0, 50, 50.0]]), True).tolist() == [0.5]  # of a crowd


def test_one_average_precision_by_hand():
    states_D = np.array([RIGHT, WRONG, RIGHT, NEITHER], np.int8)
    ones = np.ones((1, 1))
    # recalls up to 1/3 have precision 1, up to 2/3 have 2/3, the last third has none
    value = average_precision(states_D, np.zeros(4, int), np.array([3.0]), ones)[0]
    assert value == pytest.approx((34 + 33 * 2 / 3) / 101)
    assert average_precision(states_D, np.zeros(4, int), np.array([3.0]), ones, None)[0] == pytest.approx(
        (1 + 2 / 3) / 3
    )


def test_the_threshold_has_the_best_f1(blood):
    matches = match(blood)
    common, each = thresholds(matches, 3, 0.25)
    states_D, objects = matches.states_DAT[:, 0, 0], len(blood.classes_G)

    def f1(threshold):
        sure_D = matches.scores_D >= threshold
        return 2 * (states_D[sure_D] == RIGHT).sum() / (sure_D.sum() + objects)

    assert f1(common) == max(f1(threshold) for threshold in np.unique(matches.scores_D))
    assert len(each) == 3


def test_the_threshold_of_few_objects_is_drawn_to_the_common_one(blood):
    matches = match(blood)
    common, each = thresholds(matches, 3, 0.25)
    for label in range(3):
        of_label = matches.labels_D == label
        objects = (blood.classes_G == label).sum()
        own = metrics.best_threshold(matches.scores_D[of_label], matches.states_DAT[of_label, 0, 0], objects)
        assert each[label] == pytest.approx((objects * own + 20 * common) / (objects + 20))


def test_nothing_to_find_leaves_the_threshold_as_it_was():
    empty = boxed(np.zeros((0, 4)), np.zeros(0, int), (200, 200))
    invented = (np.array([[0, 0, 5, 5.0]]), np.array([0.9]), np.zeros(1, int))
    assert thresholds(match(rows_of([invented], [empty])), 1, 0.25) == (0.25, [0.25])
