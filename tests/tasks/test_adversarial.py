"""The losses of a GAN, by hand and where their gradients vanish."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits

from sightsmith.tasks.parts.adversarial import discriminator_loss, generator_loss, gradient_penalty

LOGITS = st.lists(st.floats(-30, 30, width=32), min_size=1, max_size=5)


def test_two_points_by_hand():
    """Reals at 1, made ones at −1, D(x) = wx with w = ln 3: σ(D) is 3/4 of the reals and 1/4 of the made ones."""
    w = torch.tensor(math.log(3), dtype=torch.float64, requires_grad=True)
    made = torch.full((2,), -1.0, dtype=torch.float64, requires_grad=True)
    loss = discriminator_loss(w * torch.ones(2, dtype=torch.float64), w * made.detach())
    assert loss.item() == pytest.approx(2 * math.log(4 / 3))
    (slope,) = torch.autograd.grad(loss, w)
    assert slope.item() == pytest.approx(-1 / 4 - 1 / 4)  # −σ(−D(1)) · 1 + σ(D(−1)) · (−1)
    loss = generator_loss(w * made)
    assert loss.item() == pytest.approx(math.log(4))
    (slopes,) = torch.autograd.grad(loss, made)
    assert slopes.tolist() == pytest.approx([-3 / 4 * math.log(3) / 2] * 2)  # −σ(−D) w / 2: towards the reals


def test_the_gradient_penalty_of_a_line_and_of_a_bowl():
    """D(x) = 3x has the slope 3 everywhere, D(x) = x² the slope 2x; the penalty is ½ of its square."""
    x_BCHW = torch.tensor([1.0, 2.0]).reshape(2, 1, 1, 1).requires_grad_()
    w = torch.tensor(3.0, requires_grad=True)
    penalty = gradient_penalty((w * x_BCHW).flatten(), x_BCHW)
    assert penalty.item() == pytest.approx(9 / 2)
    assert torch.autograd.grad(penalty, w)[0].item() == pytest.approx(3)
    assert gradient_penalty(x_BCHW.square().flatten(), x_BCHW).item() == pytest.approx((4 + 16) / 2 / 2)


def test_a_discriminator_that_cannot_tell_loses_ln_2_for_each():
    nothing = torch.zeros(3)
    assert discriminator_loss(nothing, nothing).item() == pytest.approx(2 * math.log(2))
    assert generator_loss(nothing).item() == pytest.approx(math.log(2))


@given(LOGITS)
def test_they_are_cross_entropies(logits):
    logits_B = torch.tensor(logits, dtype=torch.float64)
    ones, zeros = torch.ones_like(logits_B), torch.zeros_like(logits_B)
    expected = binary_cross_entropy_with_logits(logits_B, ones) + binary_cross_entropy_with_logits(-logits_B, zeros)
    torch.testing.assert_close(discriminator_loss(logits_B, -logits_B), expected)
    torch.testing.assert_close(generator_loss(logits_B), binary_cross_entropy_with_logits(logits_B, ones))


def test_the_gradient_stays_where_that_of_the_saturating_loss_vanishes():
    def slope(loss):
        logits_B = torch.tensor([-20.0], requires_grad=True)
        return torch.autograd.grad(loss(logits_B), logits_B)[0].item()

    def saturating(logits_B):
        return -torch.nn.functional.softplus(logits_B).mean()

    assert slope(generator_loss) == pytest.approx(-1, abs=1e-6)
    assert slope(saturating) == pytest.approx(0, abs=1e-8)
    assert slope(saturating) < 0
