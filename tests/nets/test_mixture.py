"""The mixture that new pictures of a VAE start from."""

import numpy as np
import pytest
import torch

from sightsmith.nets.parts.mixture import Mixture

SURE = torch.full((600, 2), -20.0)  # log-variances of latents that are known exactly


def normal(count, size):
    return torch.from_numpy(np.random.default_rng(1).standard_normal((count, size))).float()


def test_before_it_is_fitted_latents_are_the_numbers_themselves():
    for components, numbers in ((1, 3), (4, 4)):
        mixture = Mixture(2, components, 3)
        assert mixture.noise_size == numbers
        noise = normal(5, numbers)
        assert torch.equal(mixture(noise, torch.tensor([0, 1, 1, 0, 1])), noise[:, :3])


def test_one_component_has_the_mean_and_the_covariance_of_the_latents():
    latents = normal(600, 2) @ torch.tensor([[1.0, 0.8], [0.0, 0.3]]) + torch.tensor([5.0, -2.0])
    mixture = Mixture(1, 1, 2)
    mixture.fit(latents, SURE, None)
    torch.testing.assert_close(mixture.means_MD[0], latents.mean(0), atol=1e-3, rtol=0)
    covariance = mixture.factors_MDD[0] @ mixture.factors_MDD[0].T
    torch.testing.assert_close(covariance, torch.cov(latents.T), atol=5e-3, rtol=0)


def test_the_variance_of_the_encoder_counts():
    mixture = Mixture(1, 1, 2)
    mixture.fit(torch.zeros(4000, 2), torch.full((4000, 2), float(np.log(4.0))), None)
    torch.testing.assert_close(mixture.factors_MDD[0], 2 * torch.eye(2), atol=0.1, rtol=0)


def test_components_get_their_shares_by_the_last_number():
    latents = 0.1 * normal(600, 2)
    latents[:150] += 10.0
    mixture = Mixture(1, 2, 2)
    mixture.fit(latents, SURE, None)
    made = mixture(normal(4000, 3), None)
    assert float((made[:, 0] > 5).float().mean()) == pytest.approx(0.25, abs=0.03)
    assert float((made[:, 0] - made[:, 0].round(decimals=-1)).abs().max()) < 0.5
    alike = normal(1, 3).repeat(2, 1)
    alike[:, 2] = torch.tensor([-5.0, 5.0])
    assert sorted((mixture(alike, None)[:, 0] > 5).tolist()) == [False, True]


def test_each_class_has_its_own_and_one_without_pictures_keeps_the_normal_distribution():
    latents, labels = 0.1 * normal(600, 2), torch.arange(600) % 2
    latents[labels == 1] -= 3.0
    mixture = Mixture(3, 4, 2)
    mixture.fit(latents, SURE, labels)
    noise = normal(900, 3)
    for label, mean, deviation in ((0, 0.0, 0.1), (1, -3.0, 0.1), (2, 0.0, 1.0)):
        made = mixture(noise, torch.full((900,), label))
        assert float(made.mean()) == pytest.approx(mean, abs=0.1)
        assert float(made.std()) == pytest.approx(deviation, rel=0.15)


@pytest.mark.parametrize("count", [1, 2, 9])
def test_few_pictures_give_few_components_and_a_whole_covariance(count):
    mixture = Mixture(1, 5, 8)
    mixture.fit(normal(count, 8), torch.full((count, 8), -2.0), None)
    made = mixture(normal(2000, 9), None)
    assert made.isfinite().all()
    assert float(torch.linalg.eigvalsh(torch.cov(made.T))[0]) > 0.03


def test_the_same_latents_give_the_same_mixture():
    first, second = Mixture(1, 6, 2), Mixture(1, 6, 2)
    for one in (first, second):
        one.fit(normal(600, 2), SURE, None)
    assert all(map(torch.equal, first.state_dict().values(), second.state_dict().values()))
