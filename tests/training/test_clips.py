"""What training chooses for clips, and what it refuses."""

import pytest

from sightsmith.core.errors import SettingsError
from sightsmith.core.machine import this_machine
from sightsmith.inputs.parts.survey import Survey
from sightsmith.training.plan import choose
from sightsmith.training.settings import TrainSettings
from sightsmith.training.task import choose_task

CLIPS = Survey(count=100, side=240, grey=False, in_memory=False, moving=True)
PICTURES = Survey(count=100, side=32, grey=False, in_memory=False)


def plan_of(survey, **given):
    return choose(TrainSettings(data="somewhere", model="smallresnet", **given), survey, this_machine())


def test_labels_of_clips_have_a_task_of_their_own():
    assert choose_task(TrainSettings(data="somewhere"), "labels", "clip").name == "classify_clips"


def test_a_kind_that_no_task_learns_from_the_items_is_refused():
    with pytest.raises(SettingsError, match=r"no task learns tags from clips, only from pictures\. Name other data"):
        choose_task(TrainSettings(data="somewhere"), "tags", "clip")


def test_a_task_that_learns_from_other_items_is_refused():
    with pytest.raises(SettingsError, match=r"'classify' learns from pictures, and the data is of clips\. Leave"):
        choose_task(TrainSettings(data="somewhere", task={"name": "classify"}), "labels", "clip")


@pytest.mark.parametrize(("name", "value"), [("frames", 8), ("sampling", "dense"), ("spacing", 0.5)])
def test_settings_of_clips_are_refused_for_pictures(name, value):
    with pytest.raises(SettingsError, match=f"train: {name} is for clips, and the data is of pictures"):
        plan_of(PICTURES, **{name: value})


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        ({}, (16, "segments", None)),
        ({"spacing": 0.5}, (16, "dense", 0.5)),
        ({"sampling": "dense", "frames": 4}, (4, "dense", 0.1)),
        ({"sampling": "uniform"}, (16, "uniform", None)),
    ],
)
def test_the_frames_of_a_clip_are_chosen_by_the_sampling(given, chosen):
    plan = plan_of(CLIPS, **given)
    assert (plan.frames.value, plan.sampling.value, plan.spacing.value) == chosen


def test_clips_are_smaller_and_fewer_in_a_batch_than_pictures_and_not_mirrored():
    plan = plan_of(CLIPS)
    assert (plan.size.value, plan.batch_size.value, plan.augment.value.flip) == (112, 8, "none")


def test_a_spacing_without_dense_sampling_is_refused():
    with pytest.raises(SettingsError, match="spacing must be left out unless sampling is dense"):
        TrainSettings(data="somewhere", sampling="uniform", spacing=0.5)
