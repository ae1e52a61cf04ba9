"""Temperature scaling: the known temperature is found, and certainty has a limit."""

import numpy as np
import pytest

from sightsmith.kinds.labels.temperature import cross_entropy, fit_temperature


def drawn(count: int, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Return logits that are `scale` times too sure of targets drawn from their softmax."""
    rng = np.random.default_rng(0)
    logits_NK = rng.normal(0, 2, (count, 5))
    probabilities_NK = np.exp(logits_NK) / np.exp(logits_NK).sum(axis=1, keepdims=True)
    targets_N = np.array([rng.choice(5, p=row) for row in probabilities_NK])
    return logits_NK * scale, targets_N


@pytest.mark.parametrize("scale", [0.5, 1.0, 3.0])
def test_the_scale_of_the_logits_is_found(scale):
    assert fit_temperature(*drawn(4000, scale)) == pytest.approx(scale, rel=0.08)


def test_a_net_without_mistakes_is_not_made_sure_without_limit():
    targets_N = np.arange(180) % 10
    logits_NK = 8.0 * np.eye(10)[targets_N]
    temperature = fit_temperature(logits_NK, targets_N)
    sure = np.exp(-cross_entropy(logits_NK, targets_N, temperature))
    assert sure == pytest.approx(1 - 1 / 182, abs=1e-3)


def test_cross_entropy_by_hand():
    logits_NK = np.log([[0.7, 0.2, 0.1]])
    assert cross_entropy(logits_NK, np.array([1])) == pytest.approx(-np.log(0.2))
