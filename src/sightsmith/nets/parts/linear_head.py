"""A linear head: one weight for each feature and class.

Shapes: N pictures, D features, K classes.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightsmith.nets.parts.fitted import Head


class LinearHead(Head):
    def __init__(self) -> None:
        super().__init__()
        self.keep(weights_KD=torch.zeros(1, 1), bias_K=torch.zeros(1))
        self.weights_KD: Tensor
        self.bias_K: Tensor

    def take(self, fitted: Any) -> None:
        """Take the coefficients of a linear model of scikit-learn; two classes share one row there, half each here."""
        weights_KD, bias_K = np.atleast_2d(fitted.coef_), np.atleast_1d(fitted.intercept_)
        if len(weights_KD) == 1:
            weights_KD, bias_K = (np.concatenate([-values, values]) / 2 for values in (weights_KD, bias_K))
        self.keep(weights_KD=weights_KD, bias_K=bias_K)

    def forward(self, features_ND: Tensor) -> Tensor:
        return features_ND @ self.weights_KD.T + self.bias_K
