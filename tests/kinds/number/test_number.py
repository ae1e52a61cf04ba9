"""Numbers: answers, errors against scikit-learn and SciPy's definitions, and the coverage of intervals."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from sightsmith.core.errors import SettingsError
from sightsmith.kinds.number import conformal, figures, value
from sightsmith.kinds.number.options import Options
from sightsmith.kinds.number.value import Number


def answers_of(values, **facts):
    return [Number(float(one), **facts) for one in values]


@given(st.integers(0, 10_000))
@settings(max_examples=20, deadline=None)
def test_errors_are_those_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    truths = rng.normal(10, 3, 30)
    guesses = truths + rng.normal(0, 1, 30)
    found = figures.measure(answers_of(guesses), truths.tolist(), (), None).overall
    assert found["mae"] == pytest.approx(mean_absolute_error(truths, guesses))
    assert found["rmse"] == pytest.approx(root_mean_squared_error(truths, guesses))
    assert found["r2"] == pytest.approx(r2_score(truths, guesses))
    ranks = np.argsort(np.argsort(truths)), np.argsort(np.argsort(guesses))
    assert found["spearman"] == pytest.approx(np.corrcoef(*ranks)[0, 1])
    assert found["mae_of_mean"] == pytest.approx(np.abs(truths - truths.mean()).mean())


def test_the_intervals_of_the_error_hold_it():
    """Intervals of 95 % hold the error on endless samples in 90 to 99 of 100 cases, also on groups of like samples."""
    expected = np.sqrt(2 / np.pi)
    for each in (1, 4):
        held = 0
        for seed in range(100):
            rng = np.random.default_rng(seed)
            off_N = np.repeat(rng.normal(0, 1, 40), each)
            groups_N = np.repeat(np.arange(40), each)
            truths = rng.normal(0, 5, len(off_N))
            span = figures.measure(answers_of(truths + off_N), truths.tolist(), (), groups_N).intervals["mae"]
            held += span.low <= expected <= span.high
        assert 90 <= held <= 99


def test_split_conformal_covers_as_often_as_asked():
    """Mean over 200 draws of 60 samples, whatever the model: 54 of 60 ranks lie within."""
    held = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        off_N = rng.standard_t(2, 1060)
        reach = conformal.reach(np.zeros(60), off_N[:60], 0.9)
        held.append((np.abs(off_N[60:]) <= reach).mean())
    assert 0.89 <= np.mean(held) <= 0.92


@pytest.mark.parametrize(("count", "coverage", "possible"), [(9, 0.9, True), (8, 0.9, False), (1, 0.5, True)])
def test_too_few_samples_make_no_interval(count, coverage, possible):
    assert (conformal.reach(np.zeros(count), np.arange(count), coverage) is not None) == possible


def test_nothing_held_out_makes_no_interval():
    values, figures_ = value.calibrate(np.zeros((0, 1)), np.zeros(0), coverage=0.9, scale=3.0)
    assert values == {"scale": 3.0}
    assert figures_ == {"calibration_count": 0.0}


def test_equal_truths_have_no_share_of_a_variance():
    answers = answers_of(np.linspace(0, 1, 10))
    found = figures.measure(answers, [0.1] * 10, (), None).overall
    assert found["r2"] is None
    assert found["spearman"] is None


def test_an_interval_that_holds_everything_is_not_certain():
    span = figures.measure(answers_of([1, 2, 3], reach=5.0, coverage=0.9), [1.5, 2.0, 2.5], (), None).intervals
    assert span["coverage"].low < 0.5
    assert span["coverage"].high == 1


def test_an_answer_tells_its_number_with_unit_and_interval():
    one = Number(12.34567, reach=2.0, coverage=0.9, quantity="age", unit="years")
    assert one.to_json(digits=3) == {"value": 12.3, "low": 10.3, "high": 14.3, "coverage": 0.9, "unit": "years"}
    assert one.to_text() == "12.346 years (90% between 10.346 and 14.346)"
    assert Number(12345.678, unit="EUR").to_text(digits=8) == "12345.678 EUR"
    assert one.to_rows(digits=2) == [["12", "10", "14", "years"]]
    assert [shape.text for shape in one.shapes()] == ["12.346 years", "10.346 … 14.346 years"]
    bare = Number(3.0)
    assert bare.to_json() == {"value": 3.0, "low": None, "high": None, "coverage": None, "unit": ""}
    assert bare.to_text() == "3"


@pytest.mark.parametrize("digits", [0, 10])
def test_digits_out_of_range_are_refused(digits):
    with pytest.raises(SettingsError, match=r"digits must be 1…9"):
        Options(digits=digits)


def test_answers_are_compared_in_standard_deviations():
    one, other = Number(10.0, scale=5.0), Number(10.1, scale=5.0)
    assert value.differences([one], [other])["number"] == pytest.approx(0.02)
    assert value.same_answers([one], [other]) == 0
    assert value.same_answers([one], [other], tolerance=0.03) == 1


def test_strata_are_ranges_of_about_as_many_samples():
    truths = [float(one) for one in np.random.default_rng(0).exponential(3, 200)]
    counts = np.bincount(value.strata(truths))
    assert len(counts) == 10
    assert counts.min() >= 19
    assert value.strata([1.0] * 50).tolist() == [1] * 50 or value.strata([1.0] * 50).tolist() == [0] * 50
    assert value.strata([None, 2.0]).tolist()[0] == -1


def test_units_that_differ_are_named():
    assert value.unlike({"quantity": "number"}, {"unit": "kg"}) == ""
    assert value.unlike({"unit": "kg"}, {"unit": "kg"}) == ""
    assert "its numbers are in g, the model's in kg" in value.unlike({"unit": "g"}, {"unit": "kg"})
    assert "the model's in no unit" in value.unlike({"unit": "g"}, {})


def test_two_models_are_compared_by_their_errors():
    rng = np.random.default_rng(0)
    truths = rng.normal(0, 3, 80)

    class Evaluated:
        def __init__(self, spread):
            self.rows = figures.Rows(truths_N=truths, values_N=truths + rng.normal(0, spread, 80))

    paired = figures.compare(Evaluated(2.0), Evaluated(0.5), np.arange(80), None)
    assert paired.verdict == "better"
    assert paired.metrics["mae"].high < 0
    assert figures.compare(Evaluated(1.0), Evaluated(1.0), np.arange(80), None).verdict == "no difference shown"
