"""An LSTM over a single picture: its rows, from the top, are the steps of a sequence.

    picture (C, H, W) → H rows of C·W numbers → LSTM → state after the last row → dropout → linear → K

Papers: Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation 1997; rows as steps as in Le, Jaitly
and Hinton, "A Simple Way to Initialize Recurrent Networks of Rectified Linear Units", 2015, arXiv:1504.00941, whose
steps are single pixels. The cell's formulas are in `lstm.py`.
A net that reads both ways has the states of both directions side by side, and its head sees each direction's state
after the last row that it reads.

Shapes: B batch, C channels, H W height and width, R = H rows, S numbers of a state (of both directions), K classes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sightsmith.nets.parts.checks import at_least, between
from sightsmith.nets.parts.classifier import ClassifierNet

PAPER = "Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 1997; Le et al., arXiv:1504.00941"
LICENCE = "Apache-2.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Settings of the net."""

    hidden: int = 128
    """Units of each recurrent layer, in each direction. ≥ 1."""
    layers: int = 1
    """Recurrent layers, each reading the states of the one below. ≥ 1."""
    bidirectional: bool = False
    """Also read the rows from the bottom."""
    dropout: float = 0.0
    """Share of the last state, and of the states between layers, that is dropped while training, in [0, 1)."""

    def __post_init__(self) -> None:
        at_least("rowlstm.hidden", self.hidden, 1)
        at_least("rowlstm.layers", self.layers, 1)
        between("rowlstm.dropout", self.dropout)


class RowLstm(ClassifierNet):
    """An LSTM through the rows, and a linear head on its last state.

    In one direction the class map, the head at each row's state alone, is the answer as if the picture ended there.
    """

    def __init__(self, settings: Settings, *, channels: int, classes: int, width: int) -> None:
        super().__init__()
        self.settings = settings
        self.rnn = nn.LSTM(
            channels * width,
            settings.hidden,
            settings.layers,
            batch_first=True,
            bidirectional=settings.bidirectional,
            dropout=settings.dropout if settings.layers > 1 else 0.0,
        )
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(settings.hidden * (2 if settings.bidirectional else 1), classes)

    def features(self, images_BCHW: Tensor) -> Tensor:
        """Return the state at each row, (B, S, R, 1)."""
        rows_BRF = images_BCHW.transpose(1, 2).flatten(2)
        states_BRS, _ = self.rnn(rows_BRF)
        return states_BRS.transpose(1, 2)[..., None]

    def classify(self, features_BSR1: Tensor) -> Tensor:
        units = self.settings.hidden
        last_BS = features_BSR1[:, :, -1, 0]
        if self.settings.bidirectional:
            last_BS = torch.cat([last_BS[:, :units], features_BSR1[:, units:, 0, 0]], dim=1)
        return self.head(self.dropout(last_BS))

    def head_parts(self) -> tuple[str, ...]:
        return ("head",)


def build(settings: Settings, *, channels: int, classes: int, height: int, width: int) -> ClassifierNet:  # noqa: ARG001 -- any number of rows
    """Build the net for pictures of a width in pixels, and of any height."""
    return RowLstm(settings, channels=channels, classes=classes, width=width)
