"""Figures that need another model: the classes it recognises, and figures that must not stand side by side."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from sightsmith.core.errors import SettingsError
from sightsmith.kinds.labels.value import Labels
from sightsmith.kinds.parts.instruments import Instruments, Recogniser, require_names
from sightsmith.kinds.parts.intervals import wilson
from sightsmith.kinds.pictures.figures import incomparable, load, measure, save
from sightsmith.kinds.pictures.value import Made

NAMES = ("dark", "light")


def answers(pictures):
    """Return the class of each picture by its mean level."""
    return [Labels(NAMES[::-1], np.eye(2)[int(pixels.mean() < 128)], None) for pixels in pictures]


BY_LEVEL = Recogniser(name="level", definition="0123456789abcdef", kind="labels", names=NAMES[::-1], answers=answers)


def pictures(levels):
    rng = np.random.default_rng(0)
    return [(level + rng.integers(-20, 20, (8, 8, 1))).astype(np.uint8) for level in levels]


@pytest.fixture(scope="module")
def measured():
    asked = [0, 0, 0, 0, 1, 1, 1, 1, 1, 1]
    real = pictures([50] * 4 + [200] * 6)
    made = [Made(pixels) for pixels in pictures([50, 50, 200, 200] + [200] * 5 + [50])]
    return measure(made, real, NAMES, None, Instruments(asked=asked, recogniser=BY_LEVEL))


def test_each_class_and_all_of_them_are_counted_by_name(measured):
    dark, light = measured.figures.recognised.per_class
    assert (dark.name, dark.count, dark.made, dark.real) == ("dark", 4, 0.5, 1.0)
    assert (light.name, light.count, light.made, light.real) == ("light", 6, 5 / 6, 1.0)
    assert measured.overall["consistency"] == pytest.approx(0.7)
    assert measured.overall["consistency_of_real"] == 1.0
    assert measured.intervals["consistency"] == wilson(measured.overall["consistency"], 10)


def test_they_are_read_back_as_they_were_saved(measured):
    whole = SimpleNamespace(names=NAMES, figures=measured.figures)
    names, figures = load(save(whole))
    assert names == NAMES
    assert figures == replace(measured.figures, made=[], real=[])


def test_different_nets_must_not_stand_side_by_side(measured):
    def of(**change):
        return SimpleNamespace(figures=replace(measured.figures, **change))

    assert incomparable(of(), of()) == ""
    assert "different features, sightsmith-32 v1 (f1ec88084158) and sightsmith-32 v1 (0)" in incomparable(
        of(), of(weights="0")
    )
    other = replace(measured.figures.recognised, by="another")
    assert "different classifier, level (0123456789ab) and another" in incomparable(of(), of(recognised=other))
    assert incomparable(of(), of(recognised=None)) == "", "only one has such figures"


def test_a_model_that_cannot_recognise_the_classes_is_refused():
    require_names(BY_LEVEL, NAMES)
    for names, other, told in (
        ((), BY_LEVEL, "cannot be asked for a class"),
        (("dark", "red"), BY_LEVEL, "level does not know 'red'"),
        (NAMES, replace(BY_LEVEL, kind="tags"), "level answers with tags.*task classify"),
    ):
        with pytest.raises(SettingsError, match=told):
            require_names(other, names)
