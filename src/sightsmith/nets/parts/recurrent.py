"""Nets that read a clip frame by frame: a picture net describes each frame, a recurrent net goes through them in order.

    frame (C, H, W) → picture net without its classifier, and means of its last map in a grid → D features
                    → recurrent net → last step, or attention → K

Paper: Donahue et al., "Long-term Recurrent Convolutional Networks for Visual Recognition and Description", CVPR 2015,
arXiv:1411.4389.
Their picture net ends in dense layers that know where things are. Most later ones end in a mean over all positions,
which does not, so the means of a few parts of the last map are features too. Without them `smallresnet` told apart 76 %
of digits that move to the left, right, up or down (`benchmarks/video.py`), with them all.
Deviations: theirs answers at every frame and averages the answers; here the head sees the state after the last frame,
or a mean of all states under weights that are learned (attention, after Lin et al., "A Structured Self-attentive
Sentence Embedding", ICLR 2017, arXiv:1703.03130, with one linear score):

    s[t] = w · h[t],     a[t] = e^s[t] / Σ_r e^s[r],     pooled = Σ_t a[t] · h[t]

A net that reads both ways has the states of both directions side by side; its last step is the state of each direction
after the last frame that it reads. All clips of a batch have as many frames, so nothing is packed.

Shapes: B batch, T frames, C channels, H W height and width of a frame, D features, S numbers of a state (of both
directions), L layers, U units of a layer, K classes.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from sightsmith.nets.parts.checks import at_least, between
from sightsmith.nets.parts.classifier import ClassifierNet
from sightsmith.nets.parts.clip_classifier import ClipNet, State
from sightsmith.nets.parts.frame_features import Cells, each_frame, without_head

CLIP_HEAD = "clip_head"  # No picture net has a part of this name, by which weights of the whole net are told


@dataclass(frozen=True, slots=True, kw_only=True)
class RecurrentSettings:
    backbone: str = "auto"
    """The net that describes each frame: any net for pictures, ours or timm's. auto: smallresnet for frames up to 64
    pixels, resnet18 for larger ones."""
    grid: int = 2
    """Cells a side of a grid over the backbone's last map, whose means are described too, so that the net knows where
    things are. 0: only what a classifier of pictures is given. ≥ 0."""
    hidden: int = 128
    """Units of each recurrent layer, in each direction. ≥ 1."""
    layers: int = 1
    """Recurrent layers, each reading the states of the one below. ≥ 1."""
    bidirectional: bool = False
    """Also read the clip from its end; such a net cannot answer frame by frame."""
    pooling: Literal["last", "attention"] = "last"
    """What the head sees: the state after the last frame, or a mean of all states under learned weights."""
    dropout: float = 0.0
    """Share of the pooled state, and of the states between layers, that is dropped while training, in [0, 1)."""

    def __post_init__(self) -> None:
        at_least("net.grid", self.grid, 0)
        at_least("net.hidden", self.hidden, 1)
        at_least("net.layers", self.layers, 1)
        between("net.dropout", self.dropout)


class RecurrentNet(ClipNet):
    """A picture net under a recurrent net of a subclass's cell.

    Attributes:
        state_parts: how many tensors the state of the cell has.

    Raises SettingsError: the picture net gives no vector of features.
    """

    cell: type[nn.LSTM] | type[nn.GRU]
    state_parts: int

    def __init__(
        self,
        settings: RecurrentSettings,
        backbone: ClassifierNet,
        *,
        channels: int,
        classes: int,
        height: int,
        width: int,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.streams = not settings.bidirectional and settings.pooling == "last"
        self.backbone = backbone
        states = settings.hidden * (2 if settings.bidirectional else 1)
        count, last = without_head(backbone, channels=channels, height=height, width=width)
        self.cells = Cells(settings.grid, *last[1:]) if last and settings.grid else None
        self.rnn = self.cell(
            count + (last[0] * settings.grid**2 if self.cells else 0),
            settings.hidden,
            settings.layers,
            batch_first=True,
            bidirectional=settings.bidirectional,
            dropout=settings.dropout if settings.layers > 1 else 0.0,
        )
        self.score = nn.Linear(states, 1, bias=False) if settings.pooling == "attention" else None
        self.dropout = nn.Dropout(settings.dropout)
        self.clip_head = nn.Linear(states, classes)

    def forward(self, frames_BTCHW: Tensor) -> Tensor:
        return self.classify(self.features(frames_BTCHW))

    def features(self, frames_BTCHW: Tensor) -> Tensor:
        """Return what describes each frame, (B, T, D)."""
        return each_frame(self._describe, frames_BTCHW)

    def _describe(self, images_NCHW: Tensor) -> Tensor:
        features = self.backbone.features(images_NCHW)
        vector_ND = self.backbone.classify(features)
        if self.cells is None:
            return vector_ND
        return torch.cat([vector_ND, self.cells(self.backbone.as_map(features))], dim=1)

    def classify(self, features_BTD: Tensor) -> Tensor:
        states_BTS, _ = self.rnn(features_BTD)
        return self.clip_head(self.dropout(self._pool(states_BTS)))

    def learned(self, features_BTD: Tensor) -> tuple[Tensor, Tensor]:
        """Return the answer after each frame if the net can give it; a later one has a larger share of the loss.

        Ng et al., "Beyond Short Snippets", CVPR 2015, arXiv:1503.08909, with shares that grow by the same step.
        """
        if not self.streams:
            return super().learned(features_BTD)
        states_BTS, _ = self.rnn(features_BTD)
        logits_BTK = self.clip_head(self.dropout(states_BTS))
        gains_T = torch.arange(1, logits_BTK.shape[1] + 1, device=logits_BTK.device, dtype=torch.float32)
        return logits_BTK, gains_T / gains_T.sum()

    def begin(self, batch: int) -> State:
        if not self.streams:
            return super().begin(batch)
        settings, like = self.settings, self.clip_head.weight
        zeros_BLU = like.new_zeros(batch, settings.layers, settings.hidden)
        return (zeros_BLU,) * self.state_parts

    def step(self, images_BCHW: Tensor, state: State) -> tuple[Tensor, State]:
        if not self.streams:
            return super().step(images_BCHW, state)
        features_B1D = self._describe(images_BCHW)[:, None]
        # The layers are torch's first axis, and the clips ours
        before = tuple(one_BLU.transpose(0, 1).contiguous() for one_BLU in state)
        states_B1S, after = self.rnn(features_B1D, before if self.state_parts > 1 else before[0])
        logits_BK = self.clip_head(self.dropout(states_B1S[:, 0]))
        return logits_BK, tuple(one_LBU.transpose(0, 1) for one_LBU in (after if self.state_parts > 1 else (after,)))

    def head_parts(self) -> tuple[str, ...]:
        return ("rnn", CLIP_HEAD) if self.score is None else ("rnn", "score", CLIP_HEAD)

    def class_parts(self) -> tuple[str, ...]:
        return (CLIP_HEAD,)

    def _pool(self, states_BTS: Tensor) -> Tensor:
        if self.score is not None:
            weights_BT1 = torch.softmax(self.score(states_BTS), dim=1)
            return (weights_BT1 * states_BTS).sum(dim=1)
        if not self.settings.bidirectional:
            return states_BTS[:, -1]
        units = self.settings.hidden
        return torch.cat([states_BTS[:, -1, :units], states_BTS[:, 0, units:]], dim=1)
