"""Temperature scaling: one number that makes a trained net's probabilities believable, its answers unchanged.

Paper: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, arXiv:1706.04599.
Shapes: N pictures, K classes.
"""

import numpy as np
from numpy.typing import NDArray

_LOW, _HIGH = 0.25, 10.0
_STEPS = 60
_GOLDEN = (5**0.5 - 1) / 2


def fit_temperature(logits_NK: NDArray[np.floating], targets_N: NDArray[np.integer]) -> float:
    """Return the temperature in 0.25…10 under which softmax(logits / T) makes the targets most likely.

    The loss has one minimum in log T (it is convex in 1 / T), which a golden-section search narrows down.
    """
    low, high = np.log(_LOW), np.log(_HIGH)
    for _ in range(_STEPS):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if cross_entropy(logits_NK, targets_N, float(np.exp(left))) < cross_entropy(
            logits_NK, targets_N, float(np.exp(right))
        ):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def cross_entropy(logits_NK: NDArray[np.floating], targets_N: NDArray[np.integer], temperature: float = 1.0) -> float:
    """Return the mean of −log softmax(logits / T) at the targets, in nats."""
    scaled_NK = logits_NK.astype(np.float64) / temperature
    scaled_NK -= scaled_NK.max(axis=1, keepdims=True)
    log_sums_N = np.log(np.exp(scaled_NK).sum(axis=1))
    return float((log_sums_N - scaled_NK[np.arange(len(targets_N)), targets_N]).mean())
