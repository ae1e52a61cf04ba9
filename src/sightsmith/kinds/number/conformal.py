"""Prediction intervals by split conformal prediction.

Papers: Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random World", 2005; Lei et al., "Distribution-Free
Predictive Inference for Regression", JASA 113 (2018), arXiv:1604.04173, algorithm 2. The score is the absolute residual
of the paper. The samples must not have been used to train the model or to select its epoch.

Shapes: N samples.
"""

import math

import numpy as np
from numpy.typing import NDArray


def reach(values_N: NDArray[np.floating], truths_N: NDArray[np.floating], coverage: float) -> float | None:
    """Return the half-width of an interval that contains a new truth with at least this probability.

    The probability is over the calibration samples and the new one, all from one distribution.

    Returns:
        In the unit of the numbers, ≥ 0; None if the samples are too few: below coverage / (1 - coverage).
    """
    rank = math.ceil((len(truths_N) + 1) * coverage)
    if rank > len(truths_N):
        return None
    return float(np.sort(np.abs(np.asarray(truths_N, np.float64) - values_N))[rank - 1])
