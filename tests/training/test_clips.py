"""What training chooses for clips, and what it refuses."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sightsmith.bundle.store import Bundle
from sightsmith.core.errors import SettingsError
from sightsmith.core.machine import this_machine
from sightsmith.data.augment import Augmentation
from sightsmith.inputs import clip
from sightsmith.inputs.parts.survey import Survey
from sightsmith.training.fitted import beside
from sightsmith.training.plan import choose, wanted_input
from sightsmith.training.settings import TrainSettings
from sightsmith.training.task import choose_task

CLIPS = Survey(count=100, side=240, grey=False, in_memory=False, moving=True)
PICTURES = Survey(count=100, side=32, grey=False, in_memory=False)


def plan_of(survey, model="smallresnet", **given):
    return choose(TrainSettings(data="somewhere", model=model, **given), survey, this_machine())


def input_of(model, weights, net=None):
    """Return the input chosen for grey clips, with first weights."""
    net = net or {}
    plan = plan_of(replace(CLIPS, grey=True), model, weights=str(weights), net=net)
    return clip.choose(wanted_input(plan, net), [np.zeros((4, 8, 8), np.uint8)]).picture


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


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        ({}, ("uniform", Augmentation())),
        ({"spacing": 0.5}, ("dense", Augmentation())),
        ({"sampling": "segments", "jitter": 0.5}, ("segments", Augmentation(moments=True, jitter=0.5))),
    ],
)
def test_under_a_frozen_backbone_clips_are_varied_only_if_that_is_asked_for(given, chosen):
    plan = plan_of(CLIPS, freeze_epochs="all", **given)
    assert (plan.sampling.value, plan.augment.value) == chosen


def test_a_spacing_without_dense_sampling_is_refused():
    with pytest.raises(SettingsError, match="spacing must be left out unless sampling is dense"):
        TrainSettings(data="somewhere", sampling="uniform", spacing=0.5)


@pytest.mark.parametrize("weights", ["pretrained", "there/resnet18.pth"])
@pytest.mark.parametrize("model", ["frames", "gru", "lstm"])
def test_trained_weights_of_the_backbone_are_shown_frames_as_they_were_pictures(model, weights):
    picture = input_of(model, weights, {"backbone": "resnet18"})
    assert (picture.colour, picture.crop_fraction) == ("rgb", 0.95)
    assert picture.mean == (0.485, 0.456, 0.406)
    assert picture.std == (0.229, 0.224, 0.225)
    assert input_of(model, weights, {"backbone": "test_resnet"}).mean == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("weights", "net"), [("none", {"backbone": "resnet18"}), ("there/net.safetensors", {"backbone": "smallcnn"})]
)
def test_without_published_weights_the_clips_say_how_they_are_normalised(weights, net):
    picture = input_of("lstm", weights, net)
    assert (picture.colour, picture.mean, picture.crop_fraction) == ("grey", (0.0,), 1.0)


@pytest.mark.parametrize("weights", ["pretrained", "there/r3d.pth"])
def test_nets_of_torchvision_are_shown_clips_as_kinetics_was(weights):
    picture = input_of("r3d_18", weights)
    assert (picture.colour, picture.crop_fraction) == ("rgb", 0.875)
    assert (picture.mean, picture.std) == ((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989))


def test_weights_of_a_bundle_for_clips_are_shown_clips_as_there(moving_bars_bundles):
    with Bundle.open(moving_bars_bundles / "window") as bundle:
        file, settings = bundle.path / bundle.manifest.net.file, bundle.manifest.definition.input_settings
    picture = input_of("lstm", file)
    assert (picture.colour, picture.mean, picture.std) == ("rgb", settings.picture.mean, settings.picture.std)


@pytest.mark.parametrize("weights", ["pretrained", "there/net.pth"])
def test_the_votes_of_frames_start_from_the_weights_of_a_net_with_the_same_backbone_alone(weights):
    nets = (("r3d_18", "auto"), ("lstm", weights), ("auto", weights))
    for model, expected in nets:
        settings = TrainSettings(data="somewhere", model=model, weights=weights)
        assert beside(settings, "frames", Path("there")).weights == expected


def test_a_backbone_that_is_unknown_is_named_before_any_weights_are_read():
    with pytest.raises(SettingsError, match="unknown net 'resnet1'"):
        input_of("lstm", "pretrained", {"backbone": "resnet1"})
