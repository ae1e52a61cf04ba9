"""A mixture of normal distributions for each class, fitted to the latents of pictures: new pictures start from it.

The latents of real pictures are not spread as N(0, 1), which the KL divergence only draws them to. A decoder that is
given latents from N(0, 1) sees many that it never learned. The mixture draws them where those of the pictures are.

Paper: Ghosh et al., "From Variational to Deterministic Autoencoders", ICLR 2020, arXiv:1903.12436, section 4 (ex-post
density estimation), with a mixture for each label; it is fitted to samples of q(z|x).

Shapes: B batch, N pictures, D latents, G groups (a class each; one without classes), K components of a group, M = G·K,
E = K − 1 bounds between the components of a group.
"""

import warnings
from statistics import NormalDist

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

_PICTURES = 2  # of a component for each side of its covariance, at least: fewer pictures get fewer components
_SAMPLES = 20  # of a group for each side of a covariance, at least: fewer pictures give several samples each
_FLOOR = 1e-4  # added to the variances, which are about 1
_CERTAIN = 1e-9  # share of a component that counts as none


class Mixture(nn.Module):
    """Maps standard normal numbers to latents; before it is fitted, to N(0, 1).

    The last number, if a group has several components, picks one of them by its quantile. So the same numbers give the
    same latents in every backend, and no backend draws any.

    Attributes:
        noise_size: numbers that a picture's latents are made from.
    """

    def __init__(self, groups: int, components: int, size: int) -> None:
        super().__init__()
        self.groups, self.components, self.size = groups, components, size
        self.noise_size = size + (components > 1)
        self.means_MD: Tensor
        self.factors_MDD: Tensor  # lower triangles L, covariances are L·Lᵀ
        self.bounds_GE: Tensor  # on the last number, between one component and the next
        shares_K = np.full(components, 1 / components)
        self.register_buffer("means_MD", torch.zeros(groups * components, size))
        self.register_buffer("factors_MDD", torch.eye(size).repeat(groups * components, 1, 1))
        self.register_buffer("bounds_GE", torch.tensor([_bounds(shares_K)] * groups, dtype=torch.float32))

    def forward(self, noise_BN: Tensor, labels_B: Tensor | None) -> Tensor:
        """Return latents (B, D) for standard normal numbers (B, noise_size); `labels_B` is None without classes."""
        noise_BD = noise_BN[:, : self.size]
        index_B = torch.zeros_like(noise_BN[:, 0], dtype=torch.int64) if labels_B is None else labels_B
        if self.components > 1:
            above_BE = noise_BN[:, self.size :] > self.bounds_GE[index_B]
            index_B = index_B * self.components + above_BE.sum(dim=1)
        # a sum and no matrix product: bf16 must not round it
        return self.means_MD[index_B] + (self.factors_MDD[index_B] * noise_BD[:, None, :]).sum(dim=2)

    def fit(self, means_ND: Tensor, log_variances_ND: Tensor, labels_N: Tensor | None) -> None:
        """Fit the mixture of each group to samples of the latents of N pictures, by expectation maximisation.

        The same arguments give the same mixture. A class without pictures keeps N(0, 1).

        Args:
            means_ND: the means of q(z|x).
            log_variances_ND: the logarithms of its variances.
            labels_N: the classes of the pictures; None without classes.
        """
        means, deviations = means_ND.double().numpy(), (0.5 * log_variances_ND.double()).exp().numpy()
        groups_N = np.zeros(len(means), np.int64) if labels_N is None else labels_N.numpy()
        for group in np.unique(groups_N):
            own = groups_N == group
            self._fit_group(int(group), _samples(means[own], deviations[own]), int(own.sum()))

    def _fit_group(self, group: int, samples_SD: NDArray[np.float64], pictures: int) -> None:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture

        count = max(1, min(self.components, pictures // (_PICTURES * self.size)))
        found = GaussianMixture(count, reg_covar=_FLOOR, init_params="k-means++", random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a hundred passes are near enough
            found.fit(samples_SD)
        shares_K = np.zeros(self.components)
        shares_K[:count] = found.weights_
        first = group * self.components
        self.means_MD[first : first + count] = torch.from_numpy(found.means_)
        self.factors_MDD[first : first + count] = torch.from_numpy(np.linalg.cholesky(found.covariances_))
        self.bounds_GE[group] = torch.tensor(_bounds(shares_K))


def _samples(means_ND: NDArray[np.float64], deviations_ND: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return samples of the normal distributions of N pictures, each as often as a covariance of few of them needs."""
    count, size = means_ND.shape
    times = -(-_SAMPLES * size // count)
    noise_TND = np.random.default_rng(0).standard_normal((times, count, size))
    samples_SD: NDArray[np.float64] = (means_ND + deviations_ND * noise_TND).reshape(-1, size)
    return samples_SD


def _bounds(shares_K: NDArray[np.float64]) -> list[float]:
    """Return the numbers between the K components if each takes its share of the standard normal distribution."""
    until_E = np.cumsum(shares_K)[:-1].clip(_CERTAIN, 1 - _CERTAIN)
    return [NormalDist().inv_cdf(float(share)) for share in until_E]
