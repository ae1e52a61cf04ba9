"""The report of a detector: what it finds worth saying, which pictures it shows, and what is drawn on them."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from detections import CELLS, answers_like, cells
from sightsmith.evaluation import gallery
from sightsmith.evaluation.compare import Entry, side_by_side
from sightsmith.evaluation.record import Evaluation
from sightsmith.evaluation.report import page
from sightsmith.kinds.boxes import figures, report
from sightsmith.kinds.boxes.truth import boxed
from sightsmith.kinds.boxes.value import Boxes

SIZE = (400, 400)
PLACES = np.array([[0, 0, 100, 100], [200, 0, 300, 100], [0, 200, 100, 300]], dtype=float)
FREE = [300, 300, 390, 390]


def evaluated(candidates, truths, names, keys=None):
    """Return the evaluation of candidates (rows of edges, score, label) at a threshold of 0.35."""
    answers = []
    for one in candidates:
        rows_K6 = np.array(one, dtype=np.float32).reshape(-1, 6)
        thresholds_C = np.full(len(names), 0.35, np.float32)
        answers.append(Boxes(tuple(names), rows_K6[:, :4], rows_K6[:, 4], rows_K6[:, 5].astype(np.int64), thresholds_C))
    measured = figures.measure(answers, truths, names, None)
    return Evaluation(
        kind="boxes",
        model={"name": "cells", "net": "none", "backend": "torch", "precision": "fp32"},
        data={"location": "here", "split": "test", "digest": "d"},
        names=tuple(names),
        counts={"asked": len(truths), "evaluated": len(truths)},
        skipped=(),
        overall=measured.overall,
        intervals=measured.intervals,
        figures=measured.figures,
        seconds=1.0,
        created="2026-11-30T08:00:00+00:00",
        keys=tuple(keys or map(str, range(len(truths)))),
        groups=None,
        rows=measured.rows,
    )


def truth(*labels):
    return boxed(PLACES[: len(labels)], np.array(labels, dtype=int), SIZE)


@pytest.fixture(scope="module")
def scenes():
    """Return an evaluation of four pictures: right, one missed, one invented, one of another class."""
    right = [[*PLACES[0], 0.9, 0], [*PLACES[1], 0.8, 1]]
    other = [[*PLACES[0], 0.95, 1], right[1]]
    return evaluated([right, right[:1], [*right, [*FREE, 0.5, 0]], other], [truth(0, 1)] * 4, ("cat", "dog"))


def test_pictures_are_picked_by_their_mistakes(scenes):
    picked = {pick.title: pick.samples_N.tolist() for pick in report.picks(scenes, 6)}
    assert picked["Missed objects"] == [1, 3]
    assert picked["Invented objects"] == [2]
    assert picked["Probably another class"] == [3]
    assert picked["Probably missing in the truth"] == []
    assert picked["Worst pictures"] == [3, 1, 2]


def test_a_sure_answer_without_an_object_is_probably_missing_in_the_truth():
    right = [*PLACES[0], 0.9, 0]
    one = evaluated([[right], [right, [*FREE, 0.95, 0]]], [truth(0)] * 2, ("cat",))
    picked = {pick.title: pick.samples_N.tolist() for pick in report.picks(one, 6)}
    assert picked["Probably missing in the truth"] == [1]
    assert picked["Invented objects"] == []


def test_mistakes_are_drawn_thick_and_first(scenes):
    (_, objects), (_, answers) = report.drawn(scenes, 3)
    assert [(shape.name, shape.on) for shape in objects] == [("cat", None), ("dog", False)]
    assert [(shape.name, shape.text, shape.on) for shape in answers] == [("dog", "95%", None), ("dog", "80%", False)]
    assert objects[0].box == tuple(PLACES[0])
    assert "".join(piece.text for piece in report.said(scenes, 3)) == "1 found, 1 missed, 1 wrong answer"
    assert "".join(piece.text for piece in report.said(scenes, 0)) == "2 found"


def test_curves_of_shares_have_axes_from_0_to_1_and_points_all_along(scenes):
    sections = {section.title: section for section in report.sections(scenes, kept=True)}
    for chart in sections["Precision, recall and F1"].columns[0].blocks:
        told = re.findall(r">([\d.]+%?)</text>", chart.svg)
        assert told == ["0%", "20%", "40%", "60%", "80%", "100%", "0", "0.2", "0.4", "0.6", "0.8", "1"]
    recall_S = np.concatenate([np.linspace(0, 0.9, 100), np.full(9900, 0.9)])  # most candidates find nothing
    precision_S = np.concatenate([np.full(100, 1.0), np.linspace(1.0, 0.1, 9900)])
    points = np.array(report._thinned(recall_S, precision_S))
    assert np.abs(np.diff(points, axis=0)).sum(axis=1).max() < 0.05
    assert (len(points), report._thinned(recall_S[:0], recall_S[:0])) == (80, [])


def test_findings_say_what_is_confused_and_never_found():
    wrong = evaluated([[[*PLACES[0], 0.9, 1]]] * 20, [truth(0)] * 20, ("cat", "dog", "cow"))
    told = " ".join(one.text for one in report.findings(wrong))
    assert "Never found at the thresholds: “cat”" in told
    assert "cat is taken for dog in 20 of 20" in told
    assert "Not shown to find objects better than random boxes" in told
    assert "without a sample" in told


def test_the_page_has_every_part_and_draws_on_the_pictures(shared_data):
    folder = shared_data("bccd_voc")
    keys, truths = cells(folder, 12)
    candidates = [
        np.concatenate([boxes_K4, scores_K[:, None], labels_K[:, None]], axis=1)
        for boxes_K4, scores_K, labels_K in answers_like(truths, classes=3)
    ]
    one = evaluated(candidates, truths, CELLS, keys)
    galleries = gallery.build(one, SimpleNamespace(), {key: folder / f"JPEGImages/{key}.jpg" for key in keys})
    assert len(galleries) >= 4
    assert [caption for caption, _ in galleries[0].cards[0].panels] == ["truth", "answer"]
    html = page(
        "report.html.j2",
        name="cells",
        evaluation=one,
        kept=False,
        noun="object classes",
        when="now",
        lead=report.lead(one),
        tiles=report.tiles(one),
        findings=report.findings(one),
        galleries=galleries,
        first=[],
        sections=report.sections(one, kept=False),
        curves=[],
        facts=[],
    )
    titles = ("Each class", "Kinds of mistakes", "Confusion", "Precision, recall and F1", "By size", "Worst pictures")
    assert [title for title in titles if f">{title}</h2>" not in html] == []
    assert "random boxes would have" in html
    assert report.side_by_side(one)["mAP 50:95"].startswith(f"{one.overall['map']:.4f}")


def test_a_comparison_calls_the_figures_by_one_name(scenes):
    models = [
        Entry(
            name=name,
            net="none",
            parameters=None,
            weights_bytes=1,
            input="400×400 rgb",
            training_seconds=None,
            evaluation=scenes,
        )
        for name in ("first", "second")
    ]
    values, differences = side_by_side(models).to_text().split("against first")
    for title in figures.TITLES.values():
        assert re.search(rf"^{title}  +[\d.]+", values, re.MULTILINE)
        assert re.search(rf"^{title}  +\+0\.0000", differences, re.MULTILINE)


@pytest.mark.parametrize("candidates", [[], [[*FREE, 0.9, 0]]])
def test_pictures_without_objects_have_a_report_too(candidates):
    one = evaluated([candidates] * 2, [truth()] * 2, ("cat",))
    assert "–" in report.lead(one)
    assert len(report.sections(one, kept=True)) == 6
    assert any("without a sample" in finding.text for finding in report.findings(one))
