"""The evidence lower bound and its likelihoods, against closed forms, Monte Carlo and a toy whose ln p is known."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.distributions import MultivariateNormal, Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits

from sightsmith.core.errors import SettingsError
from sightsmith.tasks.parts import elbo

LEVELS = torch.arange(256, dtype=torch.float64) / 255


def double(*values):
    return torch.tensor(values, dtype=torch.float64)


def samples_of(mean_1D, log_variance_1D, noise_BD):
    """Return μ and ln σ², repeated for each sample, and the samples."""
    mean_BD, log_variance_BD = mean_1D.expand_as(noise_BD), log_variance_1D.expand_as(noise_BD)
    return mean_BD, log_variance_BD, elbo.reparameterise(mean_BD, log_variance_BD, noise_BD)


@given(mean=st.floats(-5, 5), log_variance=st.floats(-8, 4))
def test_kl_is_the_closed_form(mean, log_variance):
    expected = kl_divergence(Normal(mean, double(math.exp(log_variance / 2))), Normal(0.0, double(1.0)))
    found = elbo.kl_divergence(double([mean]), double([log_variance]))
    torch.testing.assert_close(found[0], expected, rtol=1e-9, atol=1e-12)


def test_kl_is_what_monte_carlo_finds():
    mean, log_variance = double([0.7, -1.5]), double([-1.0, 0.5])
    noise = torch.randn(200_000, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    _, _, z = samples_of(mean, log_variance, noise)
    q, prior = Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)
    ratios = q.log_prob(z) - prior.log_prob(z)
    error = 4 * ratios.std(0) / len(ratios) ** 0.5
    assert ((ratios.mean(0) - elbo.kl_divergence(mean, log_variance)[0]).abs() < error).all()
    assert (error < 0.02).all()


def test_kl_is_zero_for_the_prior_alone():
    assert elbo.kl_divergence(double([0.0]), double([0.0])).item() == 0
    assert elbo.kl_divergence(torch.tensor([[1e-4]]), torch.tensor([[0.0]])).item() == pytest.approx(5e-9)


def test_free_bits_are_the_batch_mean_of_each_latent_and_free_of_gradient():
    kl = double([0.0, 2.0], [1.0, 0.0]).requires_grad_()
    found = elbo.free_bits(kl, 0.8)
    assert found.item() == pytest.approx(0.8 + 1.0)  # means .5 and 1; a maximum for each picture would give 2.3
    (slopes,) = torch.autograd.grad(found, kl)
    assert slopes.tolist() == [[0.0, 0.5], [0.0, 0.5]]
    assert elbo.free_bits(kl, 0.0).item() == pytest.approx(1.5)


def test_the_loss_is_the_negated_mean_bound_and_beta_weighs_the_kl():
    log_likelihoods, kl = double(-10.0, -20.0), double([0.0, 2.0], [1.0, 0.0])
    assert elbo.elbo(log_likelihoods, kl).tolist() == [-12.0, -21.0]
    assert elbo.elbo_loss(log_likelihoods, kl).item() == pytest.approx(16.5)
    assert elbo.elbo_loss(log_likelihoods, kl, beta=4.0).item() == pytest.approx(15 + 4 * 1.5)
    assert elbo.elbo_loss(log_likelihoods, kl, beta=2.0, least=0.8).item() == pytest.approx(15 + 2 * 1.8)


def test_the_gradient_through_a_sample_is_the_analytic_one():
    """Under N(μ, σ²), z² has the mean μ² + σ² and the slopes 2μ and σ²; z⁴ has 4μ³ + 12μσ² and 6μ²σ² + 6σ⁴."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(8)  # exact for polynomials up to degree 15
    for power, slopes in {
        2: lambda m, v: (2 * m, v),
        4: lambda m, v: (4 * m**3 + 12 * m * v, 6 * m**2 * v + 6 * v**2),
    }.items():
        mean, log_variance = double([0.6]).requires_grad_(), double([-0.4]).requires_grad_()
        _, _, z = samples_of(mean, log_variance, torch.from_numpy(nodes)[:, None])
        expected = (torch.from_numpy(weights / weights.sum()) * z[:, 0] ** power).sum()
        found = torch.autograd.grad(expected, (mean, log_variance))
        assert [one.item() for one in found] == pytest.approx(slopes(0.6, math.exp(-0.4)))


class LinearGaussian:
    """x = Wz + b + noise of a known σ, whose ln p(x) = ln N(b, WWᵀ + σ²I); q is near the posterior, not on it."""

    WEIGHTS, SHIFT, SIGMA = double([1.0, 0.3], [-0.5, 0.8], [0.2, -1.1]), double(0.1, -0.2, 0.3), 0.7
    X = double([0.9, -1.0, 0.4])

    def __init__(self):
        covariance = self.WEIGHTS @ self.WEIGHTS.T + self.SIGMA**2 * torch.eye(3, dtype=torch.float64)
        self.log_p = MultivariateNormal(self.SHIFT, covariance).log_prob(self.X[0]).item()
        precision = torch.eye(2, dtype=torch.float64) + self.WEIGHTS.T @ self.WEIGHTS / self.SIGMA**2
        posterior = torch.linalg.solve(precision, self.WEIGHTS.T @ (self.X[0] - self.SHIFT) / self.SIGMA**2)
        self.mean, self.log_variance = posterior[None] + 0.3, -precision.diagonal()[None].log() + 0.5

    def log_likelihood(self, z):
        return Normal(z @ self.WEIGHTS.T + self.SHIFT, self.SIGMA).log_prob(self.X).sum(1)

    def log_weights(self, samples):
        noise = torch.randn(samples, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        mean, log_variance, z = samples_of(self.mean, self.log_variance, noise)
        return z, elbo.log_weight(self.log_likelihood(z), z, mean, log_variance)


def test_bounds_rise_from_the_elbo_to_the_known_log_p():
    toy = LinearGaussian()
    z, log_weights = toy.log_weights(2**17)
    kl = elbo.kl_divergence(toy.mean, toy.log_variance).expand_as(z)
    analytic = elbo.elbo(toy.log_likelihood(z), kl).mean().item()
    bounds = [elbo.importance_bound(log_weights.reshape(samples, -1)).mean().item() for samples in (1, 2, 8, 64, 1024)]
    assert bounds[0] == pytest.approx(analytic, abs=0.01)
    assert all(lower < higher for lower, higher in pairwise(bounds))
    assert bounds[0] < toy.log_p - 0.2
    assert bounds[-1] == pytest.approx(toy.log_p, abs=0.005)
    assert bounds[-1] < toy.log_p + 0.002


def test_every_sample_of_the_exact_posterior_gives_log_p():
    x, sigma = 0.9, 0.7
    variance = 1 / (1 + 1 / sigma**2)
    mean, log_variance = double([variance * x / sigma**2]), double([math.log(variance)])
    mean, log_variance, z = samples_of(mean, log_variance, double([-2.0], [0.3], [1.7]))
    found = elbo.log_weight(Normal(z[:, 0], sigma).log_prob(double(x)), z, mean, log_variance)
    expected = Normal(0.0, math.sqrt(1 + sigma**2)).log_prob(double(x)[0])
    torch.testing.assert_close(found, expected.to(found).expand(3))


def level_log_probabilities(location, log_scale):
    locations = torch.full((256, 1, 1, 1), location, dtype=torch.float64)
    return elbo.discretised_logistic(LEVELS.reshape(256, 1, 1, 1), locations, double(log_scale))


@given(location=st.floats(-3, 4), log_scale=st.floats(-9, 3))
def test_the_levels_of_the_discretised_logistic_sum_to_one(location, log_scale):
    assert level_log_probabilities(location, log_scale).exp().sum().item() == pytest.approx(1, abs=1e-9)


def test_a_level_has_the_logistic_within_its_half_steps():
    def below(value):
        return 1 / (1 + math.exp(-(value - 0.4) / math.exp(-2)))

    found = level_log_probabilities(0.4, -2.0).exp().tolist()
    expected = [
        (1 if level == 255 else below((level + 0.5) / 255)) - (0 if level == 0 else below((level - 0.5) / 255))
        for level in range(256)
    ]
    assert found == pytest.approx(expected, rel=1e-9)


def test_far_from_the_location_nothing_is_lost_in_float32():
    images = (LEVELS.float() * torch.ones(2, 1, 1, 256)).requires_grad_()
    locations = torch.tensor([-20.0, 20.0]).reshape(2, 1, 1, 1).expand_as(images).clone().requires_grad_()
    log_scales = torch.tensor([-6.0], requires_grad=True)
    found = elbo.discretised_logistic(images.detach(), locations, log_scales)
    assert found.isfinite().all()
    found.sum().backward()
    assert locations.grad.isfinite().all()
    assert log_scales.grad.isfinite().all()
    exact = elbo.discretised_logistic(images.detach().double(), locations.double(), log_scales.double())
    torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=0)


def test_each_channel_has_its_scale_and_pixels_add_up():
    images, locations = torch.rand(2, 3, 4, 5).mul(255).round().div(255), torch.rand(2, 3, 4, 5)
    log_scales = torch.tensor([-3.0, -2.0, -1.0])
    whole = elbo.log_likelihood("logistic", images, locations, log_scales)
    parts = [
        elbo.log_likelihood("logistic", images[:, [one]], locations[:, [one]], log_scales[[one]]) for one in range(3)
    ]
    torch.testing.assert_close(whole, sum(parts))


def test_bernoulli_is_the_cross_entropy_and_a_distribution_of_binary_pixels():
    images, logits = torch.rand(2, 1, 4, 5).round(), torch.randn(2, 1, 4, 5)
    found = elbo.log_likelihood("bernoulli", images, logits, torch.zeros(1))
    theirs = binary_cross_entropy_with_logits(logits, images, reduction="none").sum((1, 2, 3))
    torch.testing.assert_close(found, -theirs)
    both = elbo.bernoulli(torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1), torch.full((2, 1, 1, 1), 1.3))
    assert both.exp().sum().item() == pytest.approx(1)


def test_the_picture_to_show_is_in_range():
    decoded = torch.tensor([[-2.0, 0.25, 3.0]]).reshape(1, 1, 1, 3)
    assert elbo.expected_picture("logistic", decoded).flatten().tolist() == [0.0, 0.25, 1.0]
    torch.testing.assert_close(elbo.expected_picture("bernoulli", decoded), decoded.sigmoid())


def test_bits_per_dimension_of_a_uniform_guess_are_eight():
    images = LEVELS.reshape(1, 1, 16, 16)
    bound = double(-256 * math.log(256))
    assert elbo.bits_per_dimension("logistic", bound, images).item() == pytest.approx(8)
    guess = elbo.bernoulli(images.round(), torch.zeros(1, 1, 16, 16))
    assert elbo.bits_per_dimension("bernoulli", guess, images.round()).item() == pytest.approx(1)


def test_bits_per_dimension_are_refused_for_bernoulli_on_grey_pixels():
    with pytest.raises(SettingsError, match="distribution of binary pixels.* grey ones"):
        elbo.bits_per_dimension("bernoulli", torch.zeros(1), torch.full((1, 1, 2, 2), 0.5))
