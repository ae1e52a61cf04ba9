"""Figures of tags: two models compared by the metric that the verdict is about, and the table of answers."""

import numpy as np

from sightsmith.kinds.tags import figures
from sightsmith.kinds.tags.truth import Tagged
from sightsmith.kinds.tags.value import Tags

NAMES = ("rain", "group", "fog")


class Evaluated:
    def __init__(self, scores_NK, truths):
        answers = [Tags(NAMES, scores_K, np.full(3, 0.5, np.float32)) for scores_K in scores_NK.astype(np.float32)]
        found = figures.measure(answers, truths, NAMES, None)
        self.names, self.figures, self.rows, self.overall = NAMES, found.figures, found.rows, found.overall


def case(noise, seed=0):
    rng = np.random.default_rng(seed)
    targets_NK = rng.random((120, 3)) < 0.4
    scores_NK = np.clip(targets_NK * 0.5 + rng.normal(0.25, noise, (120, 3)), 0, 1)
    return scores_NK, [Tagged(present=tuple(np.flatnonzero(row).tolist())) for row in targets_NK]


def test_the_verdict_is_about_the_metric():
    scores_NK, truths = case(0.3)
    first, same = Evaluated(scores_NK, truths), Evaluated(scores_NK * np.array([1, 0.8, 0.6]), truths)
    paired = figures.compare(first, same, np.arange(120), None)
    assert paired.metrics["map"].value == 0
    assert paired.p_value == 1
    assert paired.verdict == "no difference shown"
    better = Evaluated(case(0.05)[0], truths)
    assert figures.compare(first, better, np.arange(120), None).verdict == "better"
    assert figures.compare(better, first, np.arange(120), None).verdict == "worse"


def test_the_table_is_read_back():
    scores_NK, truths = case(0.2)
    rows = Evaluated(scores_NK, [*truths[:-1], Tagged(present=(0,), unknown=(2,))]).rows
    header, lead, cells = figures.to_table(rows, NAMES)
    again = figures.from_table(header, list(cells), NAMES)
    assert lead == 1
    np.testing.assert_array_equal(again.targets_NK, rows.targets_NK)
    np.testing.assert_allclose(again.scores_NK, rows.scores_NK, rtol=1e-5)
