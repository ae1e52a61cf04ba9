import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sightsmith.data.augment import Augmentation, apply_policy, policy, random_box, vary_batch


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
    plan = Augmentation(flip="both", shift=0.2, erase=0.5)
    assert torch.equal(vary_batch(pixels, plan, seeded(3)), vary_batch(pixels, plan, seeded(3)))
    assert not torch.equal(vary_batch(pixels, plan, seeded(3)), vary_batch(pixels, plan, seeded(4)))
    assert torch.equal(pixels, before)


@pytest.mark.parametrize("name", ["trivial", "rand"])
@pytest.mark.parametrize("channels", [1, 3])
def test_policies_depend_on_the_seed_alone_and_leave_the_global_generator(name, channels):
    picture = np.random.default_rng(0).integers(0, 256, (24, 20, channels), dtype=np.uint8)
    transform = policy(name)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    made = [apply_policy(transform, picture, seed) for seed in (1, 1, 2, 3, 4, 5)]
    assert torch.equal(torch.rand(3), expected)
    assert all(one.shape == picture.shape and one.dtype == np.uint8 for one in made)
    assert (made[0] == made[1]).all()
    assert any((made[0] != one).any() for one in made[2:])


def test_nothing_to_vary_gives_the_batch_back():
    pixels = batch(2)
    assert vary_batch(pixels, Augmentation(), seeded()) is pixels
    assert policy("none") is None
    assert not Augmentation(flip="both", shift=0.1, erase=1).per_picture
    assert Augmentation(crop_share=0.5).per_picture
