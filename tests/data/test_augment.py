import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sightsmith.data.augment import Augmentation, apply_policy, vary_batch
from sightsmith.inputs.parts.pixels import random_box


def batch(count=64, height=9, width=12):
    """Return pictures in which every pixel tells where it comes from."""
    rows = torch.arange(height, dtype=torch.uint8)[:, None].expand(height, width)
    columns = torch.arange(width, dtype=torch.uint8)[None].expand(height, width)
    return torch.stack([rows, columns, rows * 16 + columns], dim=-1)[None].repeat(count, 1, 1, 1)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@given(
    width=st.integers(1, 4000),
    height=st.integers(1, 4000),
    aspect=st.floats(0.2, 5),
    area=st.floats(0.01, 1),
    seed=st.integers(0, 1000),
)
def test_random_box_lies_inside_and_has_the_area_and_aspect(width, height, aspect, area, seed):
    left, top, right, bottom = random_box(width, height, aspect, area, np.random.default_rng(seed))
    assert 0 <= left < right <= width + 1e-6
    assert 0 <= top < bottom <= height + 1e-6
    across, down = right - left, bottom - top
    assert across >= 0.99999
    assert down >= 0.99999
    if min(across, down) > 1.5:
        assert aspect * 3 / 4 * 0.999 <= across / down <= aspect * 4 / 3 * 1.001
        assert across * down <= max(area, 1) * width * height * 1.001


def test_mirror_flips_about_half_and_leaves_the_rest():
    pixels = batch()
    varied = vary_batch(pixels, Augmentation(flip="horizontal"), seeded())
    flipped = [bool((one == two.flip(1)).all()) for one, two in zip(varied, pixels, strict=True)]
    same = [bool((one == two).all()) for one, two in zip(varied, pixels, strict=True)]
    assert all(f != s for f, s in zip(flipped, same, strict=True))
    assert 16 < sum(flipped) < 48


def test_flip_both_also_turns_upside_down():
    varied = vary_batch(batch(), Augmentation(flip="both"), seeded())
    starts = {tuple(one[0, 0, :2].tolist()) for one in varied}
    assert starts == {(0, 0), (0, 11), (8, 0), (8, 11)}


def test_shift_moves_by_at_most_its_share_and_repeats_the_edge():
    varied = vary_batch(batch(256), Augmentation(shift=0.25), seeded())
    down = varied[:, 4, 0, 0].int() - 4
    across = varied[:, 0, 5, 1].int() - 5
    assert {*down.tolist()} == {-2, -1, 0, 1, 2}
    assert {*across.tolist()} == {-3, -2, -1, 0, 1, 2, 3}
    one = varied[int(across.argmax())]
    assert (one[:, -3:, 1] == 11).all()


def bar(side=41, height=None):
    """Return one picture: a bright bar from the middle to the right edge, on black."""
    picture = torch.zeros(1, height or side, side, 3, dtype=torch.uint8)
    picture[:, (height or side) // 2 - 1 : (height or side) // 2 + 2, side // 2 :] = 200
    return picture


@pytest.mark.parametrize("height", [41, 61])
def test_rotate_turns_about_the_middle_by_at_most_its_angle_and_keeps_lengths(height):
    varied = vary_batch(bar(41, height).repeat(300, 1, 1, 1), Augmentation(rotate=30), seeded())[..., 0].float()
    rows = torch.arange(height) - (height - 1) / 2
    columns = torch.arange(41.0) - 20
    ring = ((rows[:, None] ** 2 + columns[None] ** 2).sqrt() - 15).abs() < 1.5
    weight = varied * ring
    total = weight.sum(dim=(1, 2))
    assert (total > 0).all()  # the bar still reaches 15 pixels from the middle, whatever way it points
    down = (weight * rows[:, None]).sum(dim=(1, 2)) / total
    across = (weight * columns).sum(dim=(1, 2)) / total
    angles = torch.rad2deg(torch.atan2(down, across))
    assert angles.abs().max() <= 31
    assert angles.min() < -25
    assert angles.max() > 25


def test_zoom_scales_about_the_middle_within_its_factor():
    picture = torch.zeros(1, 61, 61, 1, dtype=torch.uint8)
    picture[:, 20:41, 20:41] = 255
    varied = vary_batch(picture.repeat(300, 1, 1, 1), Augmentation(zoom=0.5), seeded())[..., 0].float() / 255
    sides = varied.sum(dim=(1, 2)).sqrt()
    assert 21 / 1.5 - 1 < sides.min() < 15
    assert 30 < sides.max() < 21 * 1.5 + 1
    assert torch.allclose(varied, varied.flip(1), atol=0.02)


def test_jitter_keeps_a_grey_picture_grey_and_changes_brightness_within_its_factor():
    pixels = torch.full((400, 6, 6, 3), 100, dtype=torch.uint8)
    varied = vary_batch(pixels, Augmentation(jitter=0.5), seeded())
    assert (varied == varied[..., :1]).all()
    assert int(varied.amin()) in range(66, 71)
    assert int(varied.amax()) in range(145, 151)


def test_jitter_changes_contrast_and_saturation_of_each_picture_by_its_own_draw():
    pixels = torch.randint(60, 140, (200, 12, 12, 3), generator=seeded(1), dtype=torch.uint8)
    varied = vary_batch(pixels, Augmentation(jitter=0.6), seeded()).float()
    contrast = varied.mean(dim=3).std(dim=(1, 2)) / pixels.float().mean(dim=3).std(dim=(1, 2))
    colour = varied.std(dim=3).mean(dim=(1, 2)) / pixels.float().std(dim=3).mean(dim=(1, 2))
    for ratio in (contrast, colour / contrast):
        assert ratio.min() < 0.75
        assert ratio.max() > 1.3


def test_hue_turns_colours_about_the_grey_axis_both_ways_within_its_part_of_a_turn():
    pixels = torch.tensor([140, 100, 90], dtype=torch.uint8).expand(400, 2, 2, 3).contiguous()
    varied = vary_batch(pixels, Augmentation(hue=0.25), seeded()).double()[:, 0, 0]
    across, up = (torch.tensor(axis, dtype=torch.double) for axis in ((1, -0.5, -0.5), (0, 0.75**0.5, -(0.75**0.5))))
    turns = torch.atan2(varied @ up, varied @ across) / (2 * torch.pi)
    turns = turns - torch.atan2(pixels[0, 0, 0].double() @ up, pixels[0, 0, 0].double() @ across) / (2 * torch.pi)
    assert -0.26 < turns.min() < -0.2
    assert 0.2 < turns.max() < 0.26
    assert (varied.mean(dim=1) - 110).abs().max() <= 1, "the mean of the channels stays"
    strength = ((varied @ across) ** 2 + (varied @ up) ** 2).sqrt()
    assert (strength - strength.mean()).abs().max() < 2
    assert (vary_batch(torch.full_like(pixels, 100), Augmentation(hue=0.5), seeded()) == 100).all()


def test_variations_in_place_are_those_that_move_nothing():
    everything = Augmentation(flip="both", shift=0.1, zoom=1, mosaic=1, mixup=1, jitter=0.2, hue=0.1, erase=0.3)
    assert everything.in_place == Augmentation(jitter=0.2, hue=0.1, erase=0.3)
    assert everything.moves
    assert not everything.in_place.moves
    bars = bar(41).repeat(50, 1, 1, 1)
    lit = vary_batch(bars, Augmentation(jitter=0.5, hue=0.2).in_place, seeded())[..., 0] > 20
    assert (lit == (bars[..., 0] > 0)).all()


def test_decolouring_leaves_the_mean_of_the_channels_in_the_share_of_pictures_asked_for():
    pixels = torch.randint(0, 256, (400, 4, 4, 3), generator=seeded(1), dtype=torch.uint8)
    varied = vary_batch(pixels, Augmentation(decolour=0.25), seeded())
    changed = (varied != pixels).flatten(1).any(dim=1)
    assert 70 < int(changed.sum()) < 130
    grey = pixels[changed].float().mean(dim=3, keepdim=True).round().to(torch.uint8)
    assert (varied[changed] == grey).all()


@given(
    rotate=st.sampled_from([0.0, 10.0, 180.0]),
    zoom=st.sampled_from([0.0, 0.3, 4.0]),
    jitter=st.sampled_from([0.0, 1.0, 4.0]),
    hue=st.sampled_from([0.0, 0.5]),
    channels=st.sampled_from([1, 3]),
    seed=st.integers(0, 100),
)
def test_any_strength_gives_whole_pictures_of_the_same_shape(rotate, zoom, jitter, hue, channels, seed):
    pixels = batch(3)[..., :channels]
    varied = vary_batch(pixels, Augmentation(rotate=rotate, zoom=zoom, jitter=jitter, hue=hue), seeded(seed))
    assert varied.shape == pixels.shape
    assert varied.dtype == torch.uint8
    assert varied.is_contiguous() or varied is pixels


def test_erase_overwrites_one_rectangle_in_its_share_of_pictures():
    pixels = torch.zeros(400, 20, 20, 1, dtype=torch.uint8)
    varied = vary_batch(pixels, Augmentation(erase=0.5), seeded())
    touched = varied.amax(dim=(1, 2, 3)) > 0
    assert 150 < int(touched.sum()) < 250
    for one in varied[touched][:50, ..., 0] > 0:
        places = one.nonzero()
        low, high = places.min(dim=0).values, places.max(dim=0).values
        inside = one[low[0] : high[0] + 1, low[1] : high[1] + 1]
        assert inside.float().mean() > 0.9  # noise may be 0 here and there
        assert inside.numel() <= 0.45 * 400


def test_the_same_seed_varies_alike_and_the_argument_is_left_alone():
    pixels = batch()
    before = pixels.clone()
    plan = Augmentation(flip="both", shift=0.2, rotate=20, zoom=0.3, jitter=0.5, erase=0.5)
    assert torch.equal(vary_batch(pixels, plan, seeded(3)), vary_batch(pixels, plan, seeded(3)))
    assert not torch.equal(vary_batch(pixels, plan, seeded(3)), vary_batch(pixels, plan, seeded(4)))
    assert torch.equal(pixels, before)


@pytest.mark.parametrize("name", ["trivial", "rand"])
@pytest.mark.parametrize("channels", [1, 3])
def test_policies_depend_on_the_seed_alone_and_leave_the_global_generator(name, channels):
    picture = np.random.default_rng(0).integers(0, 256, (24, 20, channels), dtype=np.uint8)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    made = [apply_policy(name, picture, seed) for seed in (1, 1, 2, 3, 4, 5)]
    assert torch.equal(torch.rand(3), expected)
    assert all(one.shape == picture.shape and one.dtype == np.uint8 for one in made)
    assert (made[0] == made[1]).all()
    assert any((made[0] != one).any() for one in made[2:])


def test_nothing_to_vary_gives_the_batch_back():
    pixels = batch(2)
    assert vary_batch(pixels, Augmentation(), seeded()) is pixels
    assert not Augmentation(flip="both", shift=0.1, erase=1).per_picture
    assert Augmentation(crop_share=0.5).per_picture


MOVED = Augmentation(flip="both", shift=0.2, rotate=20, zoom=0.3)


def test_the_frames_of_a_clip_move_as_its_pictures_would_by_the_same_draws():
    pixels = torch.randint(0, 256, (8, 3, 9, 12, 3), generator=seeded(1), dtype=torch.uint8)
    varied = vary_batch(pixels, MOVED, seeded())
    assert varied.shape == pixels.shape
    for frame in range(3):
        torch.testing.assert_close(varied[:, frame], vary_batch(pixels[:, frame], MOVED, seeded()))


@pytest.mark.parametrize("channels", [1, 3])
def test_one_light_falls_on_all_frames_of_a_clip(channels):
    still = torch.randint(0, 256, (8, 1, 9, 12, channels), generator=seeded(1), dtype=torch.uint8)
    colour = {"hue": 0.2, "decolour": 0.5} if channels == 3 else {}
    varied = vary_batch(still.expand(-1, 4, -1, -1, -1), Augmentation(jitter=1, **colour), seeded())
    assert (varied == varied[:, :1]).all()
    assert (varied != still).any()


def test_erase_covers_the_same_place_in_all_frames_of_a_clip():
    pixels = torch.zeros((4, 5, 16, 16, 3), dtype=torch.uint8)
    erased = vary_batch(pixels, Augmentation(erase=1), seeded()).amax(dim=4) > 0
    often = erased.sum(dim=1)
    assert set(often.unique().tolist()) <= {0, 4, 5}  # the noise of a pixel is rarely black
    assert ((often > 0).float().mean(dim=(1, 2)) > 0).all()


@pytest.mark.parametrize("name", ["trivial", "rand"])
def test_a_policy_varies_the_frames_of_a_clip_alike(name):
    frame = np.random.default_rng(0).integers(0, 256, (1, 24, 20, 3), dtype=np.uint8)
    for seed in range(6):
        varied = apply_policy(name, np.repeat(frame, 3, axis=0), seed)
        assert varied.shape == (3, 24, 20, 3)
        assert (varied == apply_policy(name, frame[0], seed)).all()
