from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from PIL import Image

from sightsmith.bundle.store import Bundle
from sightsmith.core.errors import SettingsError
from sightsmith.core.machine import Machine
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.data.augment import Augmentation
from sightsmith.data.picture_index import PictureIndex
from sightsmith.inputs import picture
from sightsmith.inputs.parts.pixels import mean_and_std
from sightsmith.inputs.parts.survey import Survey
from sightsmith.training.augmenting import mixed_epochs
from sightsmith.training.choice import Choice
from sightsmith.training.fitted import beside
from sightsmith.training.plan import choose, choose_within_reach, wanted_input
from sightsmith.training.settings import TrainSettings

MACHINE = Machine(cores=4, memory=8 << 30, processor="test", bf16=True, amx=False)
DIGITS = Survey(count=1258, side=8, grey=True, in_memory=True)
PHOTOS = Survey(count=3000, side=480, grey=False, in_memory=False)
no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")


def input_for(asked, plan):
    return picture.choose(wanted_input(plan), [np.zeros((8, 8), np.uint8)])


def plan_for(survey, machine=MACHINE, **changes):
    return choose(TrainSettings(data="x", out="y", device="cpu", **changes), survey, machine)


def values(plan, *names):
    return tuple(getattr(plan, name).value for name in names)


def test_small_grey_pictures_get_the_small_net_at_their_size_unmirrored():
    plan = plan_for(DIGITS)
    assert values(plan, "model", "size", "colour", "weights", "workers") == ("smallresnet", 16, "grey", "none", 0)
    assert plan.augment.value == Augmentation(shift=0.1, rotate=10.0, zoom=0.2, jitter=1.0)


def test_only_few_small_pictures_are_turned_scaled_and_relit_unasked():
    assert plan_for(replace(DIGITS, count=54_000)).augment.value == Augmentation(shift=0.1)
    assert plan_for(DIGITS, augment="light").augment.value == Augmentation(shift=0.1)
    assert plan_for(DIGITS, rotate=0, zoom=0.0, jitter=0.0).augment.value == Augmentation(shift=0.1)
    asked = plan_for(PHOTOS, rotate=5.0, zoom=0.1, jitter=0.4).augment.value
    assert (asked.rotate, asked.zoom, asked.jitter) == (5, 0.1, 0.4)


def test_few_small_pictures_with_labels_are_normalised_each_and_lose_their_colour_at_times():
    coloured = replace(DIGITS, grey=False)
    plan = plan_for(coloured)
    assert plan.contrast.value == "picture"
    assert plan.augment.value == Augmentation(
        flip="horizontal", shift=0.1, rotate=10.0, zoom=0.2, jitter=1.0, decolour=0.5
    )
    assert input_for(TrainSettings(data="x", out="y"), plan).contrast == "picture"
    assert plan_for(coloured, contrast="data").contrast.value == "data"
    for other in (replace(coloured, count=54_000), replace(coloured, whole=True), PHOTOS):
        plan = plan_for(other)
        assert (plan.contrast.value, plan.augment.value.decolour) == ("data", 0.0)
        assert plan_for(other, contrast="picture", decolour=0.2).contrast.value == "picture"
    assert plan_for(DIGITS).augment.value.decolour == 0, "a grey picture has no colour"


def test_computed_features_are_of_the_pixels_as_they_are():
    assert plan_for(DIGITS, model="hog_ridge").contrast.value == "data"
    with pytest.raises(SettingsError, match="hog_ridge is fitted in one step, in fp32, and takes no contrast"):
        plan_for(DIGITS, model="hog_ridge", contrast="picture")


def test_fewer_pictures_get_more_passes_and_smaller_batches():
    counts = (200, 1000, 5000, 20_000, 60_000)
    plans = [plan_for(replace(DIGITS, grey=False, count=count)) for count in counts]
    assert [plan.epochs.value for plan in plans] == [120, 107, 48, 24, 14]
    assert plan_for(replace(DIGITS, count=5000)).epochs.value == 24
    assert [plan.batch_size.value for plan in plans] == [16, 32, 32, 128, 128]


@pytest.mark.parametrize(("side", "size"), [(1, 16), (28, 28), (30, 32), (43, 44), (64, 64)])
def test_small_sizes_are_multiples_of_four(side, size):
    assert plan_for(replace(DIGITS, side=side)).size.value == size


def test_published_weights_that_nobody_asked_for_are_left_out_if_they_cannot_be_fetched(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    told = []

    def reached(**changes):
        settings = TrainSettings(data="x", out="y", device="cpu", **changes)
        return choose_within_reach(settings, PHOTOS, MACHINE, told.append)

    plan = reached()
    assert plan.weights == Choice("none", "the published ones cannot be fetched")
    assert replace(plan, weights=Choice("none", "")) == plan_for(PHOTOS, weights="none")
    assert len(told) == 1
    for part in ("resnet18: its published weights cannot be fetched from https://huggingface.co/", "--weights FILE"):
        assert part in told[0]
    assert "\n" not in told[0]
    assert reached(weights="pretrained").weights.value == "pretrained"  # an error when the net is built
    assert reached(weights="none").weights.value == "none"
    assert len(told) == 1


USUAL = {"model": "yolo", "size": 416, "epochs": 300, "lr": 1e-3, "clip": 10.0}


def plan_of_objects(**changes):
    settings = TrainSettings(data="x", out="y", device="cpu", **changes)
    return choose(settings, replace(PHOTOS, placed=True), MACHINE, usual=USUAL)


def test_a_task_chooses_open_settings_and_says_so():
    plan = plan_of_objects()
    assert values(plan, *USUAL) == tuple(USUAL.values())
    assert {getattr(plan, name).why for name in USUAL} == {"usual for the task"}
    given = plan_of_objects(lr=0.02, size=320)
    assert (given.lr, given.size, given.clip.value) == (Choice(0.02, ""), Choice(320, ""), 10.0)
    assert plan_of_objects(optimizer="sgd").lr.value > 1e-3  # the task's is for AdamW
    assert plan_of_objects(minutes=5).epochs.value != 300


def test_a_net_chooses_before_its_task():
    plan = plan_of_objects(model="dfine_n", weights="none")
    assert values(plan, *USUAL, "weight_decay") == ("dfine_n", 416, 300, 1e-4, 0.1, 1e-4)
    assert (plan.lr.why, plan.size.why) == ("usual for dfine_n", "usual for the task")
    assert plan_of_objects(model="dfine_n", weights="none", lr=3e-4).lr == Choice(3e-4, "")


def test_trained_weights_learn_less_and_are_shown_no_larger_pictures_than_they_were_made_for():
    rcnn = "fasterrcnn_mobilenet_v3_large_320_fpn"
    plan = plan_of_objects(model=rcnn)
    assert values(plan, *USUAL)[:2] == (rcnn, 320)
    assert plan.epochs.value <= 30
    assert (plan.lr, plan.clip.value) == (Choice(1e-4, f"usual for trained {rcnn}"), 10.0)
    assert plan_of_objects(model=rcnn, weights="none").lr.value == 1e-3
    assert plan_of_objects(model=rcnn, weights="mine.pth").lr.value == 1e-4
    assert plan_of_objects(model="retinanet_resnet50_fpn").size.value == 416  # made for 800


def test_photographs_get_a_pretrained_resnet_and_random_crops():
    plan = plan_for(PHOTOS)
    assert values(plan, "model", "colour", "weights", "head_scale") == ("resnet18", "rgb", "pretrained", 10.0)
    assert plan.augment.value == Augmentation(flip="horizontal", crop_share=0.25)
    preprocessing = input_for(TrainSettings(data="x", out="y"), plan)
    assert preprocessing.mean == pytest.approx((0.485, 0.456, 0.406))
    assert preprocessing.height == plan.size.value
    assert plan.lr.value < plan_for(PHOTOS, weights="none").lr.value


def test_a_file_of_weights_is_fed_as_the_published_ones():
    plan = plan_for(replace(PHOTOS, grey=True), model="resnet18", weights="mine.safetensors")
    assert plan.colour.value == "rgb"
    asked = TrainSettings(data="x", out="y")
    assert input_for(asked, plan) == input_for(asked, plan_for(PHOTOS, model="resnet18"))
    assert plan_for(DIGITS, model="smallcnn", weights="mine.safetensors").colour.value == "grey"


def test_weights_in_a_bundle_are_fed_as_the_bundle_says(digits_bundle):
    plan = plan_for(PHOTOS, model="resnet18", weights=str(digits_bundle / "weights.safetensors"))
    stored = Bundle.open(digits_bundle).manifest.definition.input_settings
    made = input_for(TrainSettings(data="x", out="y"), plan)
    for name in ("colour", "mean", "std", "contrast"):
        assert getattr(made, name) == getattr(stored, name)
    assert "as in the bundle of the weights" in plan.colour.why


def test_a_warm_up_longer_than_the_training_is_refused():
    assert plan_for(PHOTOS, epochs=3, warmup_epochs=3.0).warmup_epochs.value == 3
    with pytest.raises(SettingsError, match=r"warmup_epochs must be at most the epochs \(3\), got 10"):
        plan_for(PHOTOS, epochs=3, warmup_epochs=10.0)


def test_the_warm_up_follows_the_schedule():
    assert values(plan_for(PHOTOS, epochs=40), "schedule", "clip", "ema", "warmup_epochs") == ("cosine", 1.0, 0.999, 4)
    asked = {"epochs": 100, "schedule": "flat", "clip": 10.0, "ema": 0.998, "head_scale": 2.0}
    assert values(plan_for(PHOTOS, **asked), *asked, "warmup_epochs") == (*asked.values(), 3)


def test_what_was_asked_for_is_never_replaced():
    asked = {
        "model": "smallcnn", "size": 40, "colour": "rgb", "batch_size": 12, "epochs": 7, "lr": 0.5, "weight_decay": 0.0,
        "warmup_epochs": 0.0, "workers": 3, "precision": "fp32", "augment": "light", "flip": "both", "shift": 0.0,
    }  # fmt: skip
    plan = plan_for(DIGITS, **asked)
    for name in ("model", "size", "colour", "batch_size", "epochs", "lr", "weight_decay", "workers", "precision"):
        assert getattr(plan, name).value == asked[name]
    assert plan.augment.value == Augmentation(flip="both")
    assert plan_for(PHOTOS, augment="none").augment.value == Augmentation()
    only = {"augment": "none", "flip": "horizontal", "erase": 0.25, "jitter": 0.3}
    assert plan_for(PHOTOS, **only).augment.value == Augmentation(flip="horizontal", erase=0.25, jitter=0.3)
    assert plan_for(PHOTOS, augment="rand").augment.value.policy == "rand"


def test_precision_follows_the_processor():
    assert plan_for(DIGITS).precision.value == "bf16"
    assert plan_for(DIGITS, replace(MACHINE, bf16=False)).precision.value == "fp32"


@no_gpu
@pytest.mark.parametrize("device", ["cuda", "cuda:0", "mps"])
def test_an_absent_device_that_was_asked_for_is_an_error(device):
    with pytest.raises(SettingsError, match=f"device '{device}' was asked for, and this machine has 0"):
        choose(TrainSettings(data="x", out="y", device=device), DIGITS, MACHINE)


@pytest.mark.parametrize("device", ["gpu", "cpu:x", "cdua"])
def test_an_unknown_device_is_an_error(device):
    with pytest.raises(SettingsError, match="unknown device"):
        choose(TrainSettings(data="x", out="y", device=device), DIGITS, MACHINE)


def test_weights_that_were_never_published_are_refused_by_name():
    with pytest.raises(SettingsError, match="unknown net 'resnet181'"):
        plan_for(PHOTOS, model="resnet181")


@pytest.mark.parametrize("count", [10, 100, 5000, 10**6])
@pytest.mark.parametrize("survey", [DIGITS, PHOTOS])
def test_batches_and_epochs_stay_reasonable(survey, count):
    plan = plan_for(replace(survey, count=count))
    assert 2 <= plan.batch_size.value <= max(4, count // 8)
    assert 4 <= plan.epochs.value <= 120
    assert plan.warmup_epochs.value < plan.epochs.value


def test_the_table_and_its_json_have_every_choice_with_its_reason():
    plan = plan_for(DIGITS)
    text, raw = plan.to_text(), plan.to_json()
    assert "smallresnet (the median shorter side is 8 pixels)" in text
    assert raw["augment"]["value"]["shift"] == 0.1
    assert raw["model"]["why"]
    assert set(raw) == set(plan.__dataclass_fields__)


def test_the_survey_measures_sizes_colour_and_brightness(tmp_path):
    rng = np.random.default_rng(0)
    grey = [np.full((10 + n, 30), 51 * (n % 6), np.uint8) for n in range(12)]
    seen = picture.survey(PictureIndex(grey))
    assert (seen.count, seen.side, seen.grey, seen.in_memory) == (12, 15, True, True)
    paths = []
    for n in range(4):
        paths.append(tmp_path / f"{n}.png")
        pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        Image.fromarray(pixels if n == 2 else pixels[..., :1].repeat(3, axis=2)).save(paths[-1])
    seen = picture.survey(PictureIndex(paths))
    assert (seen.side, seen.grey, seen.in_memory) == (40, False, False)
    assert picture.survey(PictureIndex(paths[:2])).grey
    plain = Preprocessing(height=8, width=8, colour="grey", mean=(0.5,), std=(0.5,))
    mean, std = mean_and_std(PictureIndex(grey), plain)
    assert mean == pytest.approx((0.5,), abs=1e-4)
    assert std == pytest.approx((np.std([n / 5 for n in range(6)]),), abs=1e-3)
    assert mean_and_std(PictureIndex(grey[:1]), plain)[1] == (0.02,)


def test_the_colour_of_grey_pictures_cannot_be_taken():
    settings = TrainSettings(data="x", out="y", device="cpu", decolour=0.5)
    with pytest.raises(SettingsError, match="decolour takes the colour from pictures, and the input is grey"):
        choose(settings, replace(DIGITS, grey=True), MACHINE)
    assert choose(settings, replace(DIGITS, grey=False), MACHINE).augment.value.decolour == 0.5


CELLS = Survey(count=300, side=480, grey=False, in_memory=False, whole=True, placed=True)


def test_pictures_with_objects_are_moved_with_them_and_put_together():
    plan = plan_for(CELLS)
    assert plan.resize.value == "letterbox"
    usual = Augmentation(flip="horizontal", shift=0.1, zoom=0.5, jitter=0.4, hue=0.015, mosaic=0.5)
    assert plan.augment.value == plan_for(CELLS, augment="light").augment.value == usual
    assert "the last epochs without mosaic; --flip none if left and right differ" in str(plan.augment)
    assert plan_for(replace(CELLS, side=32)).augment.value == usual, "small pictures are not turned"
    assert plan_for(CELLS, colour="grey").augment.value == replace(usual, flip="none", hue=0.0)
    assert plan_for(CELLS, augment="none").augment.value == Augmentation()
    given = {"flip": "both", "zoom": 1.0, "crop_share": 0.3, "mosaic": 1.0, "mixup": 0.2, "erase": 0.1, "hue": 0.0}
    assert plan_for(CELLS, **given).augment.value == replace(usual, **given)


@pytest.mark.parametrize(
    ("survey", "asked", "message"),
    [
        (CELLS, {"augment": "trivial"}, r"'trivial' turns and shears .* Give augment light"),
        (CELLS, {"rotate": 5.0}, r"rotate must be 0 for objects, got 5"),
        (PHOTOS, {"mosaic": 0.5}, r"mosaic puts pictures together .* these have none"),
        (PHOTOS, {"mixup": 0.5}, r"mixup puts .* task\[.mixup.\] for labels"),
        (DIGITS, {"hue": 0.1}, r"hue turns the colours of pictures, and the input is grey"),
    ],
)
def test_a_variation_that_would_lose_places_or_needs_them_is_refused(survey, asked, message):
    with pytest.raises(SettingsError, match=message):
        plan_for(survey, **asked)


def test_the_last_epochs_show_each_picture_by_itself():
    assert [mixed_epochs(count) for count in (1, 2, 5, 20, 30, 100, 200)] == [1, 1, 3, 10, 20, 90, 180]


def test_few_pictures_are_also_tried_with_a_fitted_net_unless_something_was_said():
    def tried(survey=DIGITS, **changes):
        return choose(TrainSettings(data="x", out="y", device="cpu", **changes), survey, MACHINE, "hog_ridge").also_try

    assert tried().value == "hog_ridge"
    assert "1,258 pictures are few; the better one on validation is kept" in str(tried())
    assert tried(size=24, colour="grey", seed=3).value == "hog_ridge"
    assert tried(replace(PHOTOS, count=300), weights="none").value == "hog_ridge"
    assert tried(PHOTOS).value is None, "resnet18 has published weights"
    assert tried(replace(DIGITS, count=10_000)).value is None
    for said in ({"epochs": 3}, {"model": "smallresnet"}, {"net": {"width": 8}}, {"flip": "none"}, {"balanced": True}):
        assert tried(**said).value is None
    assert tried(task={"label_smoothing": 0.0}).value is None
    for unfollowed in ({"size": 128}, {"precision": "bf16"}, {"logger": "tensorboard"}):
        assert tried(**unfollowed).value is None, "hog_ridge would take fewer pixels, fp32, and log no steps"
    assert tried(baselines=True).value is None, "the comparison tells, and the user chooses"


def test_a_net_beside_another_keeps_the_data_and_forgets_what_only_descent_has():
    given = TrainSettings(data="x", out="y", seed=4, epochs=3, lr=0.1, size=224, colour="grey", val_fraction=0.3)
    other = beside(given, "hog_svm", Path("z"))
    assert (other.data, other.seed, other.val_fraction, other.colour) == ("x", 4, 0.3, "grey")
    assert (other.model, other.epochs, other.lr, other.size, other.out) == ("hog_svm", None, None, None, Path("z"))
    assert beside(replace(given, size=24), "hog_svm", Path("z")).size == 24
