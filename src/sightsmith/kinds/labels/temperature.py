"""Temperature scaling: one number that calibrates a net's probabilities without changing its answers.

Paper: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, arXiv:1706.04599.
Shapes: N pictures, K classes.
"""

import numpy as np
from numpy.typing import NDArray

_LOW, _HIGH = 0.1, 10.0
_STEPS = 60
_GOLDEN = (5**0.5 - 1) / 2


def fit_temperature(logits_NK: NDArray[np.floating], targets_N: NDArray[np.integer]) -> float:
    """Return the temperature in 0.1…10 under which softmax(logits / T) makes the targets most likely.

    The loss has one minimum in log T (it is convex in 1 / T), which a golden-section search narrows down. The targets
    are smoothed by 1 / (N + 2), as in Platt (1999): without a mistake on N pictures, confidence is limited to about
    that much.
    """
    low, high = np.log(_LOW), np.log(_HIGH)
    for _ in range(_STEPS):
        left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
        if _smoothed(logits_NK, targets_N, float(np.exp(left))) < _smoothed(logits_NK, targets_N, float(np.exp(right))):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))


def _smoothed(logits_NK: NDArray[np.floating], targets_N: NDArray[np.integer], temperature: float) -> float:
    """Return the cross entropy with one target in N + 2 spread over the other classes."""
    logs_NK = _log_softmax(logits_NK, temperature)
    count, classes = logs_NK.shape
    own_N = logs_NK[np.arange(count), targets_N]
    others_N = (logs_NK.sum(axis=1) - own_N) / max(1, classes - 1)
    spread = 1 / (count + 2)
    return float(-((1 - spread) * own_N + spread * others_N).mean())


def cross_entropy(logits_NK: NDArray[np.floating], targets_N: NDArray[np.integer], temperature: float = 1.0) -> float:
    """Return the mean of −log softmax(logits / T) at the targets, in nats."""
    logs_NK = _log_softmax(logits_NK, temperature)
    return float(-logs_NK[np.arange(len(targets_N)), targets_N].mean())


def softmax(logits_NK: NDArray[np.floating], temperature: float = 1.0) -> NDArray[np.float64]:
    """Return the probabilities (N, K) of logits divided by T; log-probabilities do as well as logits."""
    raised_NK: NDArray[np.float64] = np.exp(_log_softmax(logits_NK, temperature))
    return raised_NK


def _log_softmax(logits_NK: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    scaled_NK = logits_NK.astype(np.float64) / temperature
    scaled_NK -= scaled_NK.max(axis=1, keepdims=True)
    return scaled_NK - np.log(np.exp(scaled_NK).sum(axis=1, keepdims=True))
