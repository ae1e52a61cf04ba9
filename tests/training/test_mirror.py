"""Whether pictures may be mirrored is measured: on real digits, and on the same digits mirrored at random."""

import numpy as np
import pytest

from digit_training import settings
from sightsmith.bundle.store import verify
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.data.picture_index import PictureIndex
from sightsmith.data.source import open_source
from sightsmith.inputs import Reader
from sightsmith.training.dataset import Subset
from sightsmith.training.mirror import compare_mirrored
from sightsmith.training.settings import TrainSettings
from sightsmith.training.task import choose_task
from sightsmith.training.train import train

READ = Reader("picture", Preprocessing(height=16, width=16, colour="grey", mean=(0.3,), std=(0.3,)))


@pytest.fixture(scope="module")
def task():
    return choose_task(TrainSettings(data="digits"), "labels")


def subset(start, stop, *, turned, strata=None, groups=None):
    samples = open_source("digits").samples[start:stop]
    mirrored_N = np.random.default_rng(start).random(len(samples)) < turned
    pictures = [
        np.ascontiguousarray(one.item[:, ::-1]) if mirrored else one.item
        for one, mirrored in zip(samples, mirrored_N, strict=True)
    ]
    targets_N = np.array([one.target for one in samples])
    places_N = np.arange(len(samples))
    return Subset(
        PictureIndex(pictures),
        targets_N,
        targets_N if strata is None else np.full(len(samples), strata),
        places_N if groups is None else places_N % groups,
    )


def test_digits_are_others_when_mirrored_unless_they_are_mirrored_in_the_data(task):
    found = compare_mirrored(task, subset(0, 600, turned=0), subset(600, 900, turned=0), READ)
    assert not found.alike
    assert found.plain > 0.9
    assert found.mirrored < 0.6
    assert (
        str(found) == f"hog_ridge recognises {found.mirrored:.0%} of mirrored pictures, {found.plain:.0%} of the others"
    )
    found = compare_mirrored(task, subset(0, 600, turned=0.5), subset(600, 900, turned=0.5), READ)
    assert found.alike
    assert found.plain == pytest.approx(found.mirrored, abs=0.05)


def test_it_is_the_same_every_time_and_needs_two_strata(task):
    train, val = subset(0, 200, turned=0), subset(600, 700, turned=0)
    assert compare_mirrored(task, train, val, READ) == compare_mirrored(task, train, val, READ)
    assert compare_mirrored(task, subset(0, 200, turned=0, strata=3), val, READ) is None


def test_a_few_pictures_or_groups_do_not_decide(task):
    train = subset(0, 200, turned=0)
    assert compare_mirrored(task, train, subset(600, 603, turned=0), READ).alike
    assert compare_mirrored(task, train, subset(600, 700, turned=0, groups=2), READ).alike
    assert not compare_mirrored(task, train, subset(600, 700, turned=0, groups=50), READ).alike


def test_training_does_not_mirror_pictures_that_are_others_then(digit_files, tmp_path):
    made = train(settings(str(digit_files), tmp_path / "out", epochs=1, colour="rgb", net={"width": 2}), quiet=True)
    augment = made.manifest.training["plan"]["augment"]
    assert augment["value"]["flip"] == "none"
    assert "hog_ridge recognises" in augment["why"]
    assert verify(made) == []
