"""Ridge regression of +1 for the own class and −1 for the others.

Source: Hoerl and Kennard, "Ridge Regression: Biased Estimation for Nonorthogonal Problems", Technometrics 12 (1970):
w minimises |X·w + b − y|² + α·|w|²; scikit-learn's RidgeClassifier solves it in closed form.

Shapes: N pictures, D features, K classes.
"""

from dataclasses import dataclass

from torch import Tensor

from sightsmith.core.errors import SettingsError
from sightsmith.nets.parts.fitted import Names
from sightsmith.nets.parts.linear_head import LinearHead

PAPER = "Hoerl and Kennard, Ridge Regression, 1970"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    alpha: float = 3.0
    """ridge: α, how strongly large weights are held back, > 0."""

    def __post_init__(self) -> None:
        if not self.alpha > 0:
            raise SettingsError(f"net.alpha must be > 0, got {self.alpha!r}")


class Ridge(LinearHead):
    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.alpha = settings.alpha

    def fit(self, features_ND: Tensor, targets_N: Tensor, names: Names) -> None:  # noqa: ARG002 -- as every head
        from sklearn.linear_model import RidgeClassifier

        self.take(RidgeClassifier(alpha=self.alpha).fit(features_ND.numpy(), targets_N.numpy()))


def build(settings: Settings) -> Ridge:
    return Ridge(settings)
