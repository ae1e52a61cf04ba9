"""The evidence lower bound of a variational autoencoder, its likelihoods, and bits per dimension.

With x a picture, z its latents, q(z|x) = N(μ, diag σ²) from the encoder, p(z) = N(0, 1) and p(x|z) from the decoder:

    ln p(x) ≥ ELBO = E_q ln p(x|z) − KL(q(z|x) ‖ p(z))
    KL = Σⱼ ½(μⱼ² + σⱼ² − 1 − ln σⱼ²)

Papers: Kingma & Welling, "Auto-Encoding Variational Bayes", ICLR 2014, arXiv:1312.6114 (ELBO: equation 3; KL:
appendix B; reparameterisation: section 2.4); β: Higgins et al., "β-VAE", ICLR 2017, equation 4; free bits: Kingma et
al., "Improved Variational Inference with Inverse Autoregressive Flow", NeurIPS 2016, arXiv:1606.04934, appendix C.8;
discretised logistic: Salimans et al., "PixelCNN++", ICLR 2017, arXiv:1701.05517, section 2.1; bound of k samples: Burda
et al., "Importance Weighted Autoencoders", ICLR 2016, arXiv:1509.00519, equation 8.

All amounts are in nats unless a name says bits. Shapes: B batch, D latents, S samples of z, C channels, H W height and
width of the picture.
"""

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from sightsmith.core.errors import SettingsError

Likelihood = Literal["logistic", "bernoulli"]

_STEP = 1 / 255  # between two of the 256 levels, pixels in [0, 1]
_LEAST_LOG_SCALE = -7.0  # a quarter of a level: a smaller scale gains nothing, and its gradients explode


def kl_divergence(mean_BD: Tensor, log_variance_BD: Tensor) -> Tensor:
    """Return KL(N(μ, σ²) ‖ N(0, 1)) of each latent, (B, D) ≥ 0 (appendix B of the VAE paper).

    Args:
        mean_BD: μ.
        log_variance_BD: ln σ².
    """
    return 0.5 * (mean_BD.square() + log_variance_BD.expm1() - log_variance_BD)


def reparameterise(mean_BD: Tensor, log_variance_BD: Tensor, noise_BD: Tensor) -> Tensor:
    """Return a sample z = μ + σε of N(μ, σ²), (B, D), through which gradients reach μ and σ (section 2.4).

    Args:
        mean_BD: μ.
        log_variance_BD: ln σ².
        noise_BD: ε, drawn from N(0, 1).
    """
    return mean_BD + (0.5 * log_variance_BD).exp() * noise_BD


def bernoulli(images_BCHW: Tensor, logits_BCHW: Tensor) -> Tensor:
    """Return ln p(x|z) of binary pictures, (B,) ≤ 0: each pixel is white with probability sigmoid(logit).

    On grey pixels this is the negated binary cross-entropy, which can be trained but is no likelihood: the
    probabilities of 0 and 1 sum to 1, and leave none for the levels between (`bits_per_dimension` refuses it).

    Args:
        images_BCHW: 0 or 1; or grey in [0, 1], with the loss above.
        logits_BCHW: the decoder's output.
    """
    return (images_BCHW * logits_BCHW - softplus(logits_BCHW)).flatten(1).sum(1)


def discretised_logistic(images_BCHW: Tensor, locations_BCHW: Tensor, log_scales_C: Tensor) -> Tensor:
    """Return ln p(x|z) of pictures of 256 levels, (B,) ≤ 0 (PixelCNN++, section 2.1, one component).

    The probability of a level is what a logistic distribution has within half a level of it; level 0 also has all below
    it, and level 255 all above. It is σ(a) − σ(b) = σ(a) σ(−b) (1 − e^(b−a)) for its upper and lower edge, a and b, in
    scales from the location: in logarithms this form loses no digits, however far the location is.

    Args:
        images_BCHW: levels / 255, in [0, 1].
        locations_BCHW: the decoder's output: the median of each pixel, without bounds, so that black can be certain.
        log_scales_C: logarithm of each channel's scale, in units of pixels in [0, 1]; below −7 it counts as −7.
    """
    scales_C11 = log_scales_C.clamp(min=_LEAST_LOG_SCALE).exp()[:, None, None]
    centred_BCHW = images_BCHW - locations_BCHW
    below_upper_BCHW = logsigmoid((centred_BCHW + _STEP / 2) / scales_C11)
    above_lower_BCHW = logsigmoid((_STEP / 2 - centred_BCHW) / scales_C11)
    within_BCHW = below_upper_BCHW + above_lower_BCHW + (-(-_STEP / scales_C11).expm1()).log()
    darkest, brightest = images_BCHW < _STEP / 2, images_BCHW > 1 - _STEP / 2
    log_probability_BCHW = torch.where(darkest, below_upper_BCHW, torch.where(brightest, above_lower_BCHW, within_BCHW))
    return log_probability_BCHW.flatten(1).sum(1)


def log_likelihood(likelihood: Likelihood, images_BCHW: Tensor, decoded_BCHW: Tensor, log_scales_C: Tensor) -> Tensor:
    """Return ln p(x|z), (B,), by `bernoulli` or `discretised_logistic`."""
    if likelihood == "bernoulli":
        return bernoulli(images_BCHW, decoded_BCHW)
    return discretised_logistic(images_BCHW, decoded_BCHW, log_scales_C)


def expected_picture(likelihood: Likelihood, decoded_BCHW: Tensor) -> Tensor:
    """Return the picture to show for a decoder's output, (B, C, H, W) in [0, 1].

    It is the mean of the Bernoulli distribution, and the median of the logistic one.
    """
    return decoded_BCHW.sigmoid() if likelihood == "bernoulli" else decoded_BCHW.clamp(0, 1)


def elbo(log_likelihood_B: Tensor, kl_BD: Tensor) -> Tensor:
    """Return the evidence lower bound of each picture, (B,); its mean over samples of z is at most ln p(x)."""
    return log_likelihood_B - kl_BD.sum(1)


def free_bits(kl_BD: Tensor, least: float) -> Tensor:
    """Return Σⱼ max(λ, mean KLⱼ), a scalar: no latent gains from a mean KL below λ, so none is given up (C.8).

    Args:
        kl_BD: KL of each latent of each picture; the mean is over the batch.
        least: λ in nats, ≥ 0; 0 is the plain KL.
    """
    return kl_BD.mean(0).clamp(min=least).sum()


def elbo_loss(log_likelihood_B: Tensor, kl_BD: Tensor, *, beta: float = 1.0, least: float = 0.0) -> Tensor:
    """Return the loss −E ln p(x|z) + β Σⱼ max(λ, mean KLⱼ), a scalar; for β 1 and λ 0 it is the negated mean ELBO.

    Args:
        log_likelihood_B: ln p(x|z) for one sample of z for each picture.
        kl_BD: KL of each latent.
        beta: weight of the KL, ≥ 0; any but 1 is no bound on ln p(x).
        least: λ of `free_bits`, in nats.
    """
    return beta * free_bits(kl_BD, least) - log_likelihood_B.mean()


def log_weight(log_likelihood_B: Tensor, latents_BD: Tensor, mean_BD: Tensor, log_variance_BD: Tensor) -> Tensor:
    """Return ln p(x|z) + ln p(z) − ln q(z|x), (B,), for one sample z of q for each picture (IWAE, section 3).

    Args:
        log_likelihood_B: ln p(x|z).
        latents_BD: z, drawn by `reparameterise`.
        mean_BD: μ of q.
        log_variance_BD: ln σ² of q.
    """
    scaled_BD = (latents_BD - mean_BD).square() * (-log_variance_BD).exp()
    return log_likelihood_B + 0.5 * (scaled_BD + log_variance_BD - latents_BD.square()).sum(1)


def importance_bound(log_weights_SB: Tensor) -> Tensor:
    """Return ln (1/S) Σ wₛ, (B,): its expectation is at most ln p(x) and rises to it with S (IWAE, equation 8).

    Args:
        log_weights_SB: `log_weight` of S independent samples for each picture.
    """
    return log_weights_SB.logsumexp(0) - math.log(len(log_weights_SB))


def bits_per_dimension(likelihood: Likelihood, bound_B: Tensor, images_BCHW: Tensor) -> Tensor:
    """Return the negated bound in bits for each channel of a pixel, (B,).

    Args:
        bound_B: `elbo` or `importance_bound`.
        images_BCHW: the pictures it is of, in [0, 1].

    Raises:
        SettingsError: Bernoulli's likelihood of pictures that are not binary.
    """
    if likelihood == "bernoulli" and not ((images_BCHW == 0) | (images_BCHW == 1)).all():
        raise SettingsError(
            "bits per dimension: the Bernoulli likelihood is a distribution of binary pixels, and these pictures have "
            "grey ones, for which it is a loss without a probability. Train with the likelihood logistic, or give "
            "pictures of black and white alone."
        )
    return -bound_B / (images_BCHW[0].numel() * math.log(2))
