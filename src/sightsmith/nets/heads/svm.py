"""Support vector machines (SVM), linear or with a radial basis function as the kernel.

Papers: Cortes and Vapnik, "Support-Vector Networks", Machine Learning 20 (1995); one against one with votes as in
LIBSVM (Chang and Lin, TIST 2, 2011). With s the support vectors, α their coefficients:

- kernel:  k(x, s) = exp(−γ · |x − s|²),  |x − s|² = |x|² + |s|² − 2·x·s;
- decision between classes i and j:  d_ij = Σ_s α_s · k(x, s) + b_ij; i gets a vote if d_ij > 0, else j;
- score of a class: its votes + c / (3·(|c| + 1)), c the sum of its decisions. It is scikit-learn's `decision_function`
  of one against the rest, so the best score is its answer with `break_ties=True`.

The linear machine is one against the rest: w·x + b of each class.
Shapes: N pictures, D features, S support vectors, K classes, P pairs of classes.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sightsmith.core.errors import SettingsError
from sightsmith.nets.parts.fitted import Head, Names
from sightsmith.nets.parts.linear_head import LinearHead

PAPER = "Cortes and Vapnik, Support-Vector Networks, 1995"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    kernel: Literal["rbf", "linear"] = "rbf"
    """svm: rbf bends the boundary between classes around the support vectors; linear is faster and smaller."""
    c: float = 10.0
    """svm: C, the cost of a training picture on the wrong side, > 0."""
    gamma: float = 0.0
    """svm: γ of the rbf kernel, > 0; 0 chooses 1 / (features × their variance)."""

    def __post_init__(self) -> None:
        if not self.c > 0:
            raise SettingsError(f"net.c must be > 0, got {self.c!r}")
        if not self.gamma >= 0:
            raise SettingsError(f"net.gamma must be ≥ 0 (0 chooses it), got {self.gamma!r}")


class LinearSvm(LinearHead):
    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.c = settings.c

    def fit(self, features_ND: Tensor, targets_N: Tensor, names: Names) -> None:  # noqa: ARG002 -- as every head
        from sklearn.svm import LinearSVC

        self.take(LinearSVC(C=self.c, random_state=0).fit(features_ND.numpy(), targets_N.numpy()))


class RbfSvm(Head):
    HOLDS = "the features of many training pictures (the support vectors)"

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        one = torch.zeros(1, 1)
        self.keep(support_SD=one, dual_KS=one, intercept_P=one[0], gamma=one[0, 0], counts_K=one[0].long())
        self.support_SD: Tensor  # support vectors, those of a class together
        self.dual_KS: Tensor  # coefficients against each of the K − 1 other classes, in order
        self.intercept_P: Tensor
        self.gamma: Tensor

    def prepare(self) -> None:
        counts = self._parameters.get("counts_K")
        self.counts: list[int] = [] if counts is None else counts.tolist()  # support vectors of each class

    def fit(self, features_ND: Tensor, targets_N: Tensor, names: Names) -> None:
        from sklearn.svm import SVC

        gamma = self.settings.gamma or "scale"
        # float64, as libsvm computes; break_ties, so that the answer is the best score
        found = SVC(C=self.settings.c, gamma=gamma, cache_size=1000, break_ties=True)
        found.fit(features_ND.double().numpy(), targets_N.numpy())
        sign = 1 if len(names.classes) > 2 else -1  # scikit-learn turns the decision of two classes around
        self.keep(
            support_SD=found.support_vectors_,
            dual_KS=sign * found.dual_coef_,
            intercept_P=sign * found.intercept_,
            gamma=float(found._gamma),
            counts_K=found.n_support_,
        )

    def forward(self, features_ND: Tensor) -> Tensor:
        squares_N1 = features_ND.square().sum(dim=1, keepdim=True)
        apart_NS = squares_N1 + self.support_SD.square().sum(dim=1) - 2 * features_ND @ self.support_SD.T
        kernel_NS = torch.exp(-self.gamma * apart_NS.clamp(min=0))
        by_class = zip(*(torch.split(values, self.counts, dim=1) for values in (kernel_NS, self.dual_KS)), strict=True)
        sums_NKk = torch.stack([kernel_Ns @ dual_ks.T for kernel_Ns, dual_ks in by_class], dim=1)
        first, second = torch.triu_indices(len(self.counts), len(self.counts), 1, device=features_ND.device)
        decision_NP = sums_NKk[:, first, second - 1] + sums_NKk[:, second, first] + self.intercept_P
        classes_K = torch.arange(len(self.counts), device=features_ND.device)
        is_first_PK, is_second_PK = (first[:, None] == classes_K).float(), (second[:, None] == classes_K).float()
        for_first_NP = (decision_NP > 0).float()
        votes_NK = for_first_NP @ is_first_PK + (1 - for_first_NP) @ is_second_PK
        sure_NK = decision_NP @ (is_first_PK - is_second_PK)
        return votes_NK + sure_NK / (3 * (sure_NK.abs() + 1))


def build(settings: Settings) -> Head:
    return LinearSvm(settings) if settings.kernel == "linear" else RbfSvm(settings)
