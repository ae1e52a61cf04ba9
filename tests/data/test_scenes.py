"""Pixels and the corners of what they show move together."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F  # noqa: N812

from sightsmith.core.errors import DataError, PictureError
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.data.augment import Augmentation
from sightsmith.data.composition import Scene, blend, compose, quarters
from sightsmith.data.loading import Loader, Order
from sightsmith.data.picture_index import PictureIndex
from sightsmith.data.pixels import RamCache, fits_in_cache
from sightsmith.data.scenes import Placed, Scenes
from sightsmith.inputs import Reader
from sightsmith.kinds.boxes import value
from sightsmith.kinds.boxes.truth import boxed

SQUARE = Preprocessing(height=96, width=96, resize="letterbox")
STILL = Augmentation()
ALL = Augmentation(flip="both", shift=0.2, zoom=0.5, crop_share=0.5, mosaic=0.5, mixup=0.3)
WHOLE = (0, 0, 96, 96)


def things(*corners):
    """Return rows (left, top, right, bottom, label, ignored) with the labels 0, 1, …"""
    rows = [[*four, label, 0] for label, four in enumerate(corners)]
    return torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)


def bright(width, height, left, top, right, bottom, channels=3):
    """Return a black picture with one white rectangle, and the rectangle."""
    pixels = np.zeros((height, width, channels), np.uint8)
    pixels[top:bottom, left:right] = 255
    return Scene(pixels, things((left, top, right, bottom)))


def seen(pixels_HWC, threshold=128):
    """Return the corners of the bright pixels, None if there are none; half covered edges count by their light."""
    light_HW = pixels_HWC[..., 0].astype(float)
    light_HW[np.abs(light_HW - 100) < 1] = 0  # the fill
    rows, columns = np.flatnonzero((light_HW >= threshold).any(1)), np.flatnonzero((light_HW >= threshold).any(0))
    return None if not len(rows) else (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)


@st.composite
def rectangles(draw):
    width, height = draw(st.integers(24, 200)), draw(st.integers(24, 200))
    left, top = draw(st.integers(0, width - 12)), draw(st.integers(0, height - 12))
    right, bottom = draw(st.integers(left + 12, width)), draw(st.integers(top + 12, height))
    return width, height, left, top, right, bottom


VARIED = st.builds(
    Augmentation,
    flip=st.sampled_from(["none", "horizontal", "both"]),
    shift=st.sampled_from([0.0, 0.1, 0.5]),
    zoom=st.sampled_from([0.0, 0.5, 4.0]),
    crop_share=st.sampled_from([1.0, 0.3]),
)


@given(
    rectangle=rectangles(),
    vary=VARIED,
    resize=st.sampled_from(["letterbox", "squash", "crop"]),
    size=st.sampled_from([(96, 96), (64, 128)]),
    mosaic=st.booleans(),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=60, deadline=None)
def test_a_bright_rectangle_is_still_where_its_corners_say(rectangle, vary, resize, size, mosaic, seed):
    """The strongest check: every variation, and each part of a mosaic with a picture of its own grey beside it."""
    preprocessing = Preprocessing(height=size[0], width=size[1], resize=resize, fill=100)
    rng = np.random.default_rng(seed)
    spots = quarters(size[1], size[0], rng) if mosaic else [(0, 0, size[1], size[0])]
    own = bright(*rectangle)
    dark = Scene(np.full((50, 60, 3), 40, np.uint8), things())
    where = int(rng.integers(len(spots)))
    placed = [(own if at == where else dark, spot) for at, spot in enumerate(spots)]
    scene = compose(placed, preprocessing, vary, rng)
    assert scene.pixels_HWC.shape == (*size, 3)
    shown = seen(scene.pixels_HWC)
    if len(scene.things_MD):
        assert np.abs(np.array(shown) - scene.things_MD[0, :4].numpy()).max() <= 1
    elif shown is not None and resize != "crop" and vary.crop_share == 1:  # it is too narrow, or an edge cuts it
        narrow = min(shown[2] - shown[0], shown[3] - shown[1]) <= 3
        assert narrow or any(abs(edge - end) <= 1 for edge, end in zip(shown, spots[where], strict=True))


def test_without_variation_a_scene_is_as_at_prediction():
    picture = np.random.default_rng(0).integers(0, 256, (80, 120, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(picture).resize((12, 8)).resize((120, 80), Image.Resampling.BICUBIC))
    for resize in ("letterbox", "squash", "crop"):
        preprocessing = replace(SQUARE, resize=resize)
        rows_M6 = np.array([[30, 20, 60, 50, 3, 1]], np.float32)
        scene = compose(
            [(Scene(np.array(smooth), torch.from_numpy(rows_M6)), WHOLE)],
            preprocessing,
            STILL,
            np.random.default_rng(0),
        )
        assert np.abs(scene.pixels_HWC.astype(int) - preprocessing.apply(smooth)).max() <= 3
        read = Reader("picture", preprocessing)
        expected = value.to_input(rows_M6, read.file.placement(smooth, preprocessing))
        expected[:, :4] *= 96
        assert scene.things_MD.numpy() == pytest.approx(expected, abs=0.5), resize


def test_both_flips_twice_a_resize_and_back_and_a_crop_inside_give_the_corners_back():
    """What our geometry relies on: torchvision moves corners as edges, not as centres of pixels."""
    corners = tv_tensors.BoundingBoxes(
        torch.tensor([[3.0, 5, 40, 31], [0, 0, 64, 48]]), format="XYXY", canvas_size=(48, 64), clamping_mode=None
    )
    for flip in (F.horizontal_flip, F.vertical_flip):
        assert torch.equal(flip(flip(corners)), corners)
        assert not torch.equal(flip(corners), corners)
    back = F.resize(F.resize(corners, [96, 160]), [48, 64])
    assert torch.allclose(back, corners, atol=1e-4)
    cropped = F.crop(corners, 2, 1, 40, 60)
    assert torch.equal(F.pad(cropped, [1, 2, 3, 6]), corners)


@given(rectangle=rectangles(), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_a_scene_moved_back_by_the_inverse_gives_its_corners_back(rectangle, seed):
    """Zoom and shift without a flip are two lines, which a second thing in the picture shows."""
    width, height, left, top, right, bottom = rectangle
    own = bright(*rectangle)
    frame = things((left, top, right, bottom), (0, 0, width, height))
    vary = Augmentation(shift=0.0, zoom=0.3)
    scene = compose([(Scene(own.pixels_HWC, frame), WHOLE)], SQUARE, vary, np.random.default_rng(seed))
    moved, whole = scene.things_MD[scene.things_MD[:, 4] == 0], scene.things_MD[scene.things_MD[:, 4] == 1]
    inside = bool((whole[:, :2] > 0).all() and (whole[:, 2:4] < 96).all())  # no edge cuts the picture
    if inside and len(moved):
        across, down = width / (whole[0, 2] - whole[0, 0]), height / (whole[0, 3] - whole[0, 1])
        scale, corner = torch.stack([across, down] * 2), torch.cat([whole[0, :2]] * 2)
        assert torch.allclose((moved[0, :4] - corner) * scale, own.things_MD[0, :4], atol=1e-3)


def test_things_are_clipped_and_left_out_by_side_and_by_the_share_of_their_area():
    half = Preprocessing(height=100, width=50, resize="crop")  # shows the middle half of a square picture
    rows = {
        "inside": ((30, 10, 60, 40), (5, 10, 35, 40)),
        "cut": ((15, 10, 35, 40), (0, 10, 10, 40)),
        "a tenth is left": ((7, 50, 27, 90), (0, 50, 2, 90)),
        "less than a tenth is left": ((0, 50, 27, 90), None),
        "too narrow": ((24, 0, 26.5, 10), None),
        "small from the start": ((40, 40, 41.5, 60), None),
        "outside": ((80, 0, 99, 20), None),
    }
    scene = Scene(np.zeros((100, 100, 3), np.uint8), things(*(row for row, _ in rows.values())))
    made = compose([(scene, (0, 0, 50, 100))], half, STILL, np.random.default_rng(0)).things_MD
    assert {list(rows)[int(row[4])]: tuple(row[:4].tolist()) for row in made} == {
        name: expected for name, (_, expected) in rows.items() if expected
    }


def test_a_mosaic_covers_the_input_and_keeps_what_each_picture_has():
    greys = (10, 20, 30, 40)
    scenes = [Scene(np.full((96, 96, 3), grey, np.uint8), things((0, 0, 96, 96))) for grey in greys]
    for scene, grey in zip(scenes, greys, strict=True):
        scene.things_MD[:, 4], scene.things_MD[:, 5] = grey, grey == 30
    rng = np.random.default_rng(0)
    spots = quarters(96, 96, rng)
    made = compose(list(zip(scenes, spots, strict=True)), SQUARE, STILL, rng)
    assert sum((right - left) * (bottom - top) for left, top, right, bottom in spots) == 96 * 96
    for spot, grey in zip(spots, greys, strict=True):
        left, top, right, bottom = spot
        assert (made.pixels_HWC[top:bottom, left:right] == grey).all()
        (row,) = made.things_MD[made.things_MD[:, 4] == grey]
        assert row.tolist() == [*spot, grey, grey == 30], "an ignored thing moves like any other"


def test_a_blend_shows_both_pictures_and_counts_the_things_of_both():
    one = Scene(np.full((4, 4, 3), 200, np.uint8), things((0, 0, 2, 2)))
    other = Scene(np.zeros((4, 4, 3), np.uint8), things((1, 1, 4, 4)))
    rng = np.random.default_rng(0)
    lights = [int(blend(one, other, rng).pixels_HWC[0, 0, 0]) for _ in range(200)]
    assert 20 < min(lights) < 80 < 120 < max(lights) < 180
    assert len(blend(one, other, rng).things_MD) == 2
    assert (one.pixels_HWC == 200).all(), "the argument stays"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Return eleven pictures, and truths of which every third is empty."""
    folder, rng = tmp_path_factory.mktemp("scenes"), np.random.default_rng(0)
    paths, truths = [], []
    for number in range(11):
        width, height = 90 + 20 * number, 150
        pixels = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
        paths.append(folder / f"{number}.jpg")
        Image.fromarray(pixels).resize((width, height), Image.Resampling.BICUBIC).save(paths[-1])
        corners = rng.uniform(0, 50, (number % 3, 4)) + np.array([0, 0, 20, 30])
        corners[:, 2:] += corners[:, :2]
        truths.append(boxed(corners.clip(0, 89), np.arange(len(corners)), (width, height)))
    return PictureIndex(paths), value.targets(truths, ("a", "b"))


def scenes_of(photos, vary=ALL, seed=3, preprocessing=SQUARE, *, cached=False):
    items, targets = photos
    items = RamCache(items, Reader("picture", preprocessing), quiet=True) if cached else items
    return Scenes(items, targets, Reader("picture", preprocessing), value, vary, seed)


def same(one, other):
    return all((one[name] == other[name]).all() for name in one)


def test_draws_depend_on_seed_epoch_and_position_alone_with_and_without_the_cache(photos):
    plain, cached = scenes_of(photos), scenes_of(photos, cached=True)
    assert cached.cached
    assert not plain.cached
    for position in range(11):
        assert same(plain.fetch([position], 2), cached.fetch([position], 2))
    batch = plain.fetch([4, 9, 1], 2)
    assert (batch["pixels"][1] == plain.fetch([9], 2)["pixels"][0]).all()
    assert (batch["pixels"] != plain.fetch([4, 9, 1], 3)["pixels"]).any()
    assert (batch["pixels"] != scenes_of(photos, seed=4).fetch([4, 9, 1], 2)["pixels"]).any()
    assert (batch["pixels"] != plain.fetch([4, 9, 1], 2, mix=False)["pixels"]).any()


def loader_of(photos, workers=0, mixed_epochs=2, epoch=1):
    order = Order(11, 4, seed=3, mixed_epochs=mixed_epochs)
    order.set_epoch(epoch)
    vary = replace(ALL, jitter=0.5, erase=0.5)
    return Loader(scenes_of(photos, vary), photos[1], order, vary=vary.in_place, seed=3, workers=workers)


def test_workers_and_a_restart_give_the_same_batches_and_mosaic_ends_with_its_epochs(photos):
    alone, helped = list(loader_of(photos)), loader_of(photos, workers=2)
    for (inputs, targets), (others, other_targets) in zip(alone, helped, strict=True):
        assert torch.equal(inputs["pixels"], others["pixels"])
        assert torch.equal(targets, other_targets)
    helped.load_state_dict({"given": 2})
    (rest,) = list(helped)
    assert torch.equal(rest[0]["pixels"], alone[2][0]["pixels"])
    assert torch.equal(rest[1], alone[2][1])
    helped.order.mixed_epochs = 1  # workers that run already follow it
    late, over = list(helped), list(loader_of(photos, mixed_epochs=1))
    helped.close()
    assert all(torch.equal(one[1], two[1]) for one, two in zip(late, over, strict=True))
    assert not torch.equal(late[0][0]["pixels"], alone[0][0]["pixels"])


def test_targets_are_shares_of_the_input_and_rows_that_fill_up_stay(photos):
    targets = scenes_of(photos).fetch(range(11), 0)["targets"]
    real = targets[..., 4] != -1
    assert targets.shape[0] == 11
    assert targets.shape[2] == 6
    assert (targets[real][:, :4] >= 0).all()
    assert (targets[real][:, :4] <= 1).all()
    assert (targets[real][:, 2:4] - targets[real][:, :2] >= 2 / 96 - 1e-6).all()
    assert (targets[~real] == [0, 0, 0, 0, -1, 0]).all()
    assert targets.shape[1] == real.sum(axis=1).max()


def test_as_at_prediction_pictures_and_targets_are_those_of_the_input(photos):
    items, targets = photos
    read = Reader("picture", SQUARE)
    made = Placed(items, targets, read, value).fetch([5, 2], 0)
    assert (made["pixels"][1] == SQUARE.apply(items[2])).all()
    assert (made["targets"][1] == value.to_input(targets[2], read.file.placement(items[2], SQUARE))).all()


def test_one_picture_negatives_and_five_hundred_things_are_no_special_cases():
    grey = replace(SQUARE, colour="grey", mean=(0.5,), std=(0.5,))
    picture = np.random.default_rng(0).integers(0, 256, (120, 160), dtype=np.uint8)
    rng = np.random.default_rng(1)
    many = np.column_stack([rng.uniform(0, 140, 500), rng.uniform(0, 100, 500)])
    truths = {
        "none": boxed(np.zeros((0, 4)), np.zeros(0), (160, 120)),
        "many": boxed(np.hstack([many, many + 20]), np.arange(500) % 2, (160, 120)),
        "one pixel": boxed(np.array([[3, 3, 4, 4]]), np.zeros(1), (160, 120)),
    }
    counts = {}
    for name, truth in truths.items():
        index, targets = PictureIndex([picture]), value.targets([truth], ("a", "b"))
        vary = Augmentation(flip="horizontal", mosaic=1.0, mixup=1.0)
        made = Scenes(index, targets, Reader("picture", grey), value, vary, 0).fetch([0, 0], 0)
        assert made["pixels"].shape == (2, 96, 96, 1)
        assert made["pixels"].std() > 10
        counts[name] = int((made["targets"][0][:, 4] != -1).sum())
    assert counts["none"] == counts["one pixel"] == 0
    assert counts["many"] > 500


def test_an_unreadable_picture_is_named(photos, tmp_path):
    items, targets = photos
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(items[0].read_bytes()[:400])
    broken = PictureIndex([bad, *(items[at] for at in range(1, 11))])
    with pytest.raises(PictureError, match=r"bad\.jpg"):
        scenes_of((broken, targets)).fetch([0], 0)
    loader = Loader(scenes_of((broken, targets)), targets, Order(11, 4), vary=STILL)
    with pytest.raises(DataError, match=r"bad\.jpg.*resume"):
        list(loader)


def test_a_cache_that_does_not_fit_is_known_before_anything_is_decoded(photos, monkeypatch):
    assert fits_in_cache(photos[0], Reader("picture", SQUARE))
    monkeypatch.setattr("sightsmith.data.pixels.free_memory", lambda: 2000)
    assert not fits_in_cache(photos[0], Reader("picture", SQUARE))
