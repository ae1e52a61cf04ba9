"""Mixup and CutMix."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sightsmith.tasks.parts.mixing import mix


def pictures(batch=5, height=9, width=7):
    """Pictures of one value each, so that what came from where can be seen."""
    return torch.arange(1.0, batch + 1)[:, None, None, None].expand(batch, 2, height, width).contiguous()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([(0.4, 0.0), (0.0, 1.0), (0.4, 1.0)]))
def test_the_share_is_what_is_left_of_each_picture(seed, alphas):
    torch.manual_seed(seed)
    images = pictures()
    mixed = mix(images, *alphas)
    own, partner = images[:, 0, 0, 0], images[mixed.partner_B][:, 0, 0, 0]
    assert 0 <= mixed.share <= 1
    torch.testing.assert_close(
        mixed.images.mean((1, 2, 3)), mixed.share * own + (1 - mixed.share) * partner, rtol=1e-4, atol=1e-4
    )
    torch.testing.assert_close(images, pictures())


def test_cutmix_pastes_one_box():
    torch.manual_seed(1)
    images = pictures(height=20, width=16)
    mixed = mix(images, 0.0, 1.0)
    changed = next(i for i in range(5) if mixed.partner_B[i] != i)
    pasted = mixed.images[changed, 0] == images[mixed.partner_B[changed], 0]
    rows, columns = pasted.any(1), pasted.any(0)
    assert torch.equal(pasted, rows[:, None] & columns[None])
    assert pasted.sum() == int(rows.sum()) * int(columns.sum())
    assert mixed.share == pytest.approx(1 - pasted.float().mean().item())


def test_both_take_turns():
    kinds = set()
    for seed in range(20):
        torch.manual_seed(seed)
        kinds.add(mix(pictures(), 5.0, 5.0).images[0].unique().numel() > 1)
    assert kinds == {True, False}


def test_nothing_is_mixed_when_off_or_alone():
    for images, alphas in ((pictures(), (0.0, 0.0)), (pictures(1), (1.0, 1.0))):
        before = torch.get_rng_state()
        mixed = mix(images, *alphas)
        assert mixed.images is images
        assert mixed.partner_B is None
        assert torch.equal(before, torch.get_rng_state())


def test_mixing_is_a_function_of_the_global_generator_and_keeps_the_memory_format():
    images = pictures().contiguous(memory_format=torch.channels_last)
    for alphas in ((0.4, 0.0), (0.0, 1.0)):
        torch.manual_seed(9)
        first = mix(images, *alphas)
        torch.manual_seed(9)
        second = mix(images, *alphas)
        assert torch.equal(first.images, second.images)
        assert first.share == second.share
        assert first.images.is_contiguous(memory_format=torch.channels_last)
