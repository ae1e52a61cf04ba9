"""The learning-rate finder: train briefly with a rising rate, and take the rate at which the loss falls fastest.

Paper: Smith, "Cyclical Learning Rates for Training Neural Networks", WACV 2017, arXiv:1506.01186.
"""

import copy
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count, islice
from typing import Any

import torch
from torch import Tensor, nn

from sightsmith.core.counts import many
from sightsmith.core.errors import TrainingError
from sightsmith.kinds.parts.charts import Series, line_chart, standalone

_LOWEST, _HIGHEST = 1e-6, 1.0
_STEPS = 100
_SMOOTH = 0.9
_DIVERGED = 4.0  # The sweep ends when the smoothed loss is this many times the best
_LEAST = 10


@dataclass(frozen=True, slots=True)
class Sweep:
    """The result of the sweep."""

    rates: tuple[float, ...]  # the learning rates tried, rising
    losses: tuple[float, ...]  # the smoothed loss at each
    suggestion: float  # rate at which the loss fell fastest per decade

    def to_csv(self) -> str:
        rows = zip(self.rates, self.losses, strict=True)
        return "".join(["lr,loss\n", *(f"{rate},{loss}\n" for rate, loss in rows)])

    def to_svg(self) -> str:
        """Return the curve as a drawing, over the logarithm of the learning rate."""
        points = [(math.log10(rate), loss) for rate, loss in zip(self.rates, self.losses, strict=True)]
        low, high = min(self.losses), max(self.losses)
        chosen = math.log10(self.suggestion)
        series = [
            Series(name="loss (smoothed)", points=points),
            Series(name=f"learning rate {self.suggestion:.2g}", points=[(chosen, low), (chosen, high)], css="b"),
        ]
        return standalone(line_chart(series, "learning rate, power of ten", "loss"))


def find_lr(
    module: nn.Module,
    loss_of: Callable[[Any], Tensor],
    batches: Iterable[Any],
    optimizer: torch.optim.Optimizer,
    seed: int,
    *,
    clip: float,
) -> Sweep:
    """Sweep the learning rate; the module's weights are put back afterwards.

    Args:
        loss_of: the module's loss on a batch, in the precision of the training.
        batches: training batches; repeated if there are too few.
        optimizer: of the module's parameters; its groups have a `scale`.
        clip: largest norm of the gradient, as in training; 0 for any.

    Raises TrainingError: the loss is not finite before a rate can be suggested.
    """
    before = copy.deepcopy(module.state_dict())
    module.train()
    torch.manual_seed(seed)
    rates: list[float] = []
    losses: list[float] = []
    average = 0.0
    again = (batch for _ in count() for batch in batches)  # keeps none, unlike itertools.cycle
    for step, batch in enumerate(islice(again, _STEPS)):
        rate = _LOWEST * (_HIGHEST / _LOWEST) ** (step / (_STEPS - 1))
        for group in optimizer.param_groups:
            group["lr"] = rate * group["scale"]
        loss = loss_of(batch)
        average = _SMOOTH * average + (1 - _SMOOTH) * float(loss.detach())
        smooth = average / (1 - _SMOOTH ** (step + 1))
        if not math.isfinite(smooth) or (losses and smooth > _DIVERGED * min(losses)):
            break
        rates.append(rate)
        losses.append(smooth)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if clip:
            nn.utils.clip_grad_norm_(module.parameters(), clip)
        optimizer.step()
    module.load_state_dict(before)
    if len(losses) < _LEAST:
        raise TrainingError(
            f"lr=find: the loss diverged after {many(len(losses), 'step')}, already at a learning rate of "
            f"{rates[-1] if rates else _LOWEST:.2g}. Check the data, or give --lr yourself."
        )
    return Sweep(tuple(rates), tuple(losses), float(f"{_steepest(rates, losses):.2g}"))


def _steepest(rates: list[float], losses: list[float]) -> float:
    """Return the rate at which the smoothed loss falls fastest, ends left out, before its lowest point."""
    lowest = max(losses.index(min(losses)), _LEAST - 1)
    slopes = [losses[i + 1] - losses[i - 1] for i in range(1, lowest)]
    return rates[1 + slopes.index(min(slopes))]
