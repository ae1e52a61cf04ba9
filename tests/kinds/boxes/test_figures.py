"""Figures of a detector: kinds of mistakes by hand, tables that load back equal, intervals, comparison."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from detections import CELLS, answers_like, cells
from sightsmith.kinds.boxes import errors, figures
from sightsmith.kinds.boxes.matching import match
from sightsmith.kinds.boxes.rows import rows_of
from sightsmith.kinds.boxes.truth import boxed
from sightsmith.kinds.boxes.value import Boxes

SIZE = (400, 400)
AT = [[0, 0, 100, 100], [200, 0, 300, 100], [0, 200, 100, 300]]


def truth(*labels, boxes=AT, **changes):
    return boxed(
        np.array(boxes[: len(labels)], dtype=float).reshape(-1, 4), np.array(labels, dtype=int), SIZE, **changes
    )


def found(*rows):
    """Return candidates from rows of left, top, right, bottom, score, label."""
    rows_K6 = np.array(rows, dtype=float).reshape(-1, 6)
    return rows_K6[:, :4], rows_K6[:, 4], rows_K6[:, 5].astype(int)


def answers(candidates, names, thresholds=None):
    thresholds_C = np.array(thresholds or [0.35] * len(names), np.float32)
    return [
        Boxes(tuple(names), boxes_K4.astype(np.float32), scores_K.astype(np.float32), labels_K, thresholds_C)
        for boxes_K4, scores_K, labels_K in candidates
    ]


def evaluated(candidates, truths, names=CELLS, groups_N=None):
    measured = figures.measure(answers(candidates, names), truths, names, groups_N)
    known = {"overall": measured.overall, "intervals": measured.intervals, "figures": measured.figures}
    return SimpleNamespace(
        names=tuple(names), counts={"evaluated": len(truths)}, groups=None, rows=measured.rows, **known
    )


@pytest.fixture(scope="module")
def truths(shared_data):
    return cells(shared_data("bccd_voc"), 30)[1]


@pytest.fixture(scope="module")
def blood(truths):
    return evaluated(answers_like(truths, classes=3), truths)


MISTAKES = {
    "class": ([0, 0, 100, 100, 0.9, 1], ["class"]),
    "location": ([40, 0, 140, 100, 0.9, 0], ["location"]),
    "both": ([40, 0, 140, 100, 0.9, 1], ["both", "missed"]),
    "background": ([300, 300, 390, 390, 0.9, 0], ["background", "missed"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_each_kind_of_mistake_has_its_name(name):
    candidate, expected = MISTAKES[name]
    rows = rows_of([found(candidate)], [truth(0)])
    counts = errors.costs(match(rows), errors.mistakes(rows, match(rows)), 2)
    assert [kind for kind, (count, _) in counts.items() if count] == expected


def test_a_second_answer_to_an_object_is_a_duplicate():
    rows = rows_of([found([0, 0, 100, 100, 0.9, 0], [0, 0, 100, 98, 0.8, 0])], [truth(0)])
    counts = errors.costs(match(rows), errors.mistakes(rows, match(rows)), 1)
    assert {kind: count for kind, (count, _) in counts.items() if count} == {"duplicate": 1}


def test_mending_a_mistake_gives_what_it_costs():
    """Of two objects one is found; the surer candidate for the other has the wrong class, so mending gives all."""
    rows = rows_of([found([0, 0, 100, 100, 0.9, 0], [200, 0, 300, 100, 0.8, 1])], [truth(0, 0)])
    counts = errors.costs(match(rows), errors.mistakes(rows, match(rows)), 2)
    assert counts["class"] == (1, pytest.approx(1 - 51 / 101))  # 51 of the 101 recalls are reached by one of two
    assert counts["missed"] == (0, 0)
    rows = rows_of([found([0, 0, 100, 100, 0.9, 0])], [truth(0, 0)])
    counts = errors.costs(match(rows), errors.mistakes(rows, match(rows)), 1)
    assert counts["missed"] == (1, pytest.approx(1 - 51 / 101))


def test_ignored_objects_make_no_mistake():
    rows = rows_of([found([0, 0, 100, 100, 0.9, 0])], [truth(0, ignored_N=np.array([True]))])
    counts = errors.costs(match(rows), errors.mistakes(rows, match(rows)), 1)
    assert {count for count, _ in counts.values()} == {0}
    assert errors.confusion(rows, match(rows), np.array([True]), 1).sum() == 0


def test_the_confusion_has_the_background():
    candidates = found(
        [0, 0, 100, 100, 0.9, 0], [200, 0, 300, 98, 0.8, 1], [300, 300, 390, 390, 0.7, 1], [0, 0, 9, 9, 0.1, 0]
    )
    one = evaluated([candidates], [truth(0, 0, 1)], names=("a", "b"))
    assert one.figures.confusion == ((1, 1, 0), (0, 0, 1), (0, 1, 0))  # rows: a, b, background
    assert one.figures.answered == 3


def test_answers_to_ignored_objects_are_not_counted_as_answers():
    candidates = found([0, 0, 100, 100, 0.9, 0], [200, 0, 300, 100, 0.8, 0], [300, 300, 390, 390, 0.7, 0])
    one = evaluated([candidates], [truth(0, 0, ignored_N=np.array([False, True]))], names=("a",))
    assert one.figures.answered == 2
    assert one.overall["precision"] == 0.5


def test_every_object_and_answer_is_in_the_confusion(blood):
    table = np.array(blood.figures.confusion)
    assert table[:-1].sum() == blood.figures.objects
    assert table[:, :-1].sum() == blood.figures.answered


def test_figures_and_answers_load_back_equal(blood):
    names, loaded = figures.load(json.loads(json.dumps(figures.save(blood))))
    assert names == blood.names
    assert loaded == blood.figures
    header, lead, cells_ = figures.to_table(blood.rows, blood.names)
    assert header[:lead] == ["width", "height", "target"]
    again = figures.from_table(header, list(cells_), blood.names)
    for name in again.__dataclass_fields__:
        assert np.array_equal(getattr(again, name), getattr(blood.rows, name)), name


def test_ignored_objects_load_back_too():
    crowds = truth(0, 1, 0, ignored_N=np.array([True, False, False]), crowd_N=np.array([False, False, True]))
    rows = rows_of([found(), found()], [crowds, truth()])
    again = figures.from_table([], list(figures.to_table(rows, ("a", "b"))[2]), ("a", "b"))
    assert again.ignored_G.tolist() == [True, False, True]
    assert again.crowd_G.tolist() == [False, False, True]
    assert len(again) == 2


def test_intervals_hold_their_values(blood):
    assert set(blood.intervals) == set(figures.TITLES)
    for name, interval in blood.intervals.items():
        assert interval.value == blood.overall[name]
        assert interval.low < interval.value < interval.high
    rare, common = (blood.figures.per_class[CELLS.index(name)] for name in ("Platelets", "RBC"))
    assert common.support > 5 * rare.support
    assert rare.ap_high - rare.ap_low > common.ap_high - common.ap_low


def test_groups_widen_the_intervals(truths):
    """The same ten pictures four times know no more than once."""
    repeated, candidates = truths[:10] * 4, answers_like(truths[:10], classes=3) * 4
    alone, grouped = (
        evaluated(candidates, repeated, groups_N=groups_N) for groups_N in (None, np.tile(np.arange(10), 4))
    )
    assert grouped.overall == alone.overall
    widths = [one.intervals["f1"].high - one.intervals["f1"].low for one in (alone, grouped)]
    assert widths[1] > 1.5 * widths[0]


def test_a_detector_is_above_random_boxes(blood):
    assert 0 < blood.figures.map_of_prior < 0.05 < blood.intervals["map"].low


def test_the_better_of_two_models_is_told(truths, blood):
    better = evaluated(answers_like(truths, classes=3, seed=1, blur=0.02), truths)
    order_N = np.arange(len(truths))
    paired = figures.compare(blood, better, order_N, None)
    assert paired.verdict == "better"
    assert paired.p_value < 0.01
    assert paired.metrics["map"].value == pytest.approx(better.overall["map"] - blood.overall["map"])
    same = figures.compare(blood, blood, order_N, None)
    assert (same.verdict, same.metrics["map"].value) == ("no difference shown", 0)


def test_models_are_compared_by_the_names_of_classes(truths, blood):
    """The other model has its classes and its pictures in another order."""
    names, turned = CELLS[::-1], list(range(len(truths)))[::-1]
    candidates = [(boxes, scores, 2 - labels) for boxes, scores, labels in answers_like(truths, classes=3)]
    moved = [replace(one, labels_N=2 - one.labels_N) for one in truths]
    other = evaluated([candidates[at] for at in turned], [moved[at] for at in turned], names=names)
    paired = figures.compare(blood, other, np.array(turned), None)
    assert paired.metrics["map"].value == pytest.approx(0, abs=1e-12)


def test_what_is_told_in_a_terminal(blood):
    lines = "\n".join([*figures.text(blood), *figures.further_text(blood)])
    assert "mAP 50:95" in lines
    assert "random boxes" in lines
    assert figures.brief(blood) == {"map_of_prior": blood.figures.map_of_prior}


@pytest.mark.parametrize("candidates", [found(), found([0, 0, 9, 9, 0.9, 0])])
def test_pictures_without_objects_are_measured(candidates):
    one = evaluated([candidates, candidates], [truth(), truth()], names=("a", "b"))
    assert one.overall["map"] is None
    assert one.figures.negatives == 2
    assert one.figures.map_of_prior == 0
    json.dumps(figures.save(one), allow_nan=False)
    assert figures.text(one) == []
    assert "a”" in figures.further_text(one)[-1]


def test_one_picture_has_no_interval():
    one = evaluated([found([0, 0, 100, 100, 0.9, 0])], [truth(0)], names=("a",))
    assert one.overall["map"] == 1
    assert one.intervals == {}
