"""The graph of one frame, of nets for clips that carry a state from frame to frame.

Shapes: N clips, H W C height, width and channels of a frame, K outputs of the net, S numbers of the net's state.
"""

import math

from torch import Tensor, cat, nn, split

from sightsmith.core.ports import Port, Signature, next_of
from sightsmith.inputs import clip
from sightsmith.nets.parts.clip_classifier import ClipNet
from sightsmith.tasks.parts.normalise import Normalise

GRAPH = "step"
_FRAME, _STATE = "frame", "state"


def signature(net: ClipNet, settings: clip.Settings, output: str) -> Signature:
    """Return the inputs and outputs of the graph: a frame and the state, then the answers and the next state."""
    count = sum(map(math.prod, _shapes(net)))
    ports = {_FRAME: Port("uint8", settings.picture.shape), _STATE: Port("float32", (count,))}
    return ports, (output, next_of(_STATE))


class StepGraph(nn.Module):
    """Maps a frame of each clip and the state before it to the answers and the state after it.

    The tensors of the net's state are joined into one. It is in evaluation mode and shares the net's weights.

    Args:
        outputs: how many of its outputs are asked for, from the first on.
    """

    def __init__(self, net: ClipNet, settings: clip.Settings, outputs: int) -> None:
        super().__init__()
        self.net, self.normalise, self.count = net, Normalise(settings.picture), outputs
        self.shapes = _shapes(net)
        self.eval()

    def forward(self, frame_NHWC: Tensor, state_NS: Tensor) -> tuple[Tensor, ...]:
        """Return the answers (N, K) and the next state (N, S), float32."""
        parts = split(state_NS, list(map(math.prod, self.shapes)), dim=1)
        state = tuple(part.reshape(-1, *shape) for part, shape in zip(parts, self.shapes, strict=True))
        answers_NK, after = self.net.step(self.normalise(frame_NHWC), state)
        next_NS = cat([one.flatten(1) for one in after], dim=1)
        return (answers_NK.float(), next_NS.float())[: self.count]


def _shapes(net: ClipNet) -> list[tuple[int, ...]]:
    """Return the shapes of the tensors of a net's state, without the axis of the batch."""
    return [tuple(one.shape[1:]) for one in net.begin(1)]
