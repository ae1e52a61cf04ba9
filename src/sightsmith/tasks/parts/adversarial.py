"""The losses of a generative adversarial net, as functions of the discriminator's logits, and its gradient penalty.

Paper: Goodfellow et al., "Generative Adversarial Nets", NeurIPS 2014, arXiv:1406.2661. With D(x) the logit that x is
real, σ(D) the paper's discriminator and softplus(a) = ln(1 + eᵃ) = −ln σ(−a):

    L_D = E softplus(−D(x)) + E softplus(D(G(z)))    equation 1, with the opposite sign
    L_G = E softplus(−D(G(z)))                       section 3, the loss that does not saturate

The generator of equation 1 would lower −E softplus(D(G(z))), whose gradient −σ(D) vanishes as soon as the discriminator
knows a made picture (D ≪ 0), just when the generator has most to learn; that of L_G is −σ(−D), close to −1 there.

The penalty R₁ = γ/2 E ‖∇D(x)‖² on real pictures keeps both nets from circling around the solution: Mescheder et al.,
"Which Training Methods for GANs do actually Converge?", ICML 2018, arXiv:1801.04406, equation 9.

Shapes: B batch, C channels, H W height and width.
"""

import torch
from torch import Tensor
from torch.nn.functional import softplus


def discriminator_loss(real_logits_B: Tensor, fake_logits_B: Tensor) -> Tensor:
    """Return the cross-entropy of telling real pictures from made ones, in nats; 2 ln 2 if it cannot tell.

    Args:
        real_logits_B: D(x) of real pictures, float32.
        fake_logits_B: D(G(z)) of as many made ones, without a gradient to the generator.
    """
    return softplus(-real_logits_B).mean() + softplus(fake_logits_B).mean()


def generator_loss(fake_logits_B: Tensor) -> Tensor:
    """Return how far the made pictures are from being taken for real, in nats; ln 2 if nobody can tell.

    Args:
        fake_logits_B: D(G(z)) of made pictures, float32, with a gradient to the generator.
    """
    return softplus(-fake_logits_B).mean()


def gradient_penalty(real_logits_B: Tensor, real_BCHW: Tensor) -> Tensor:
    """Return ½ E ‖∇D(x)‖², a scalar that can be differentiated again.

    Args:
        real_logits_B: D(x), each from its own picture alone.
        real_BCHW: x, with a gradient.
    """
    (slopes_BCHW,) = torch.autograd.grad(real_logits_B.sum(), real_BCHW, create_graph=True)
    return 0.5 * slopes_BCHW.float().square().sum(dim=(1, 2, 3)).mean()
