"""A learner: the nets of a task by role, and how they are trained. The training package has the loops."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from numpy.typing import NDArray
from torch import Tensor, nn

from sightsmith.core.errors import TrainingError
from sightsmith.nets.parts.headed import HeadedNet

Feeds = Mapping[str, Tensor]  # Inputs by name, as the ports of the task's input describe them, first axis B
Batch = tuple[Feeds, Tensor]  # Inputs and their targets, first axis B
FEATURES = "features"
"""Name of the feed that replaces the inputs: what the frozen parts of the nets make of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Facts of the training data for a learner."""

    names: tuple[str, ...]  # of the classes or tags, in the order of the outputs
    input_settings: Any  # how an item becomes the net's input
    targets: NDArray[Any] | None = None  # the targets of the training items; None for a net that only answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Which samples calibrate the trained model, and how."""

    share: float = 0.0
    """Share of the samples without a split of their own, cut from those for training, that only calibrate."""
    held_out: bool = False  # never calibrate on the validation split, even if no sample is held out
    options: Mapping[str, Any] = field(default_factory=dict)  # further arguments of the kind's `calibrate`


class Learner(nn.Module):
    """The nets of a task, trained by gradient descent or fitted in one step.

    A task's learner gives `answer`, and either `loss` (gradient descent, for each of its optimisers in turn) or `fit`.
    The feeds of `answer` are those of the trained model; in all else they are those that training reads.

    Attributes:
        OPTIMISERS: the roles of the nets that each optimiser updates; empty for a learner that is fitted in one step.
        PREPARED_BY: items of training that `prepare` is given, at most; with 0 it is not called.
        BETAS: β₁ and β₂ of AdamW: the decay of its averages of the gradient and of its square.
        nets: by role.
    """

    OPTIMISERS: ClassVar[Mapping[str, tuple[str, ...]]] = {"net": ("net",)}
    PREPARED_BY: ClassVar[int] = 0
    BETAS: ClassVar[tuple[float, float]] = (0.9, 0.999)

    def __init__(self, nets: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.nets = nn.ModuleDict(nets)

    @property
    def graph_settings(self) -> dict[str, Any]:
        """Settings of the exported graph, such as the scale of its answers; kept in the bundle."""
        return {}

    def answer(self, feeds: Feeds) -> Tensor:  # noqa: ARG002 -- learners override it
        """Return the first output of the graph, first axis B, for the feeds of the trained model."""
        raise self._missing("answer", "return the first output of its graph")

    @property
    def keeps_features(self) -> bool:
        """Whether `answer` and `loss` take the features of a frozen backbone for the inputs."""
        return False

    def features(self, feeds: Feeds) -> Any:  # noqa: ARG002 -- learners override it
        """Return what the backbone makes of the inputs, first axis B; it can be kept if it is one tensor."""
        raise self._missing("features", "return the features of its backbone")

    def measured(self, batch: Batch) -> Tensor:
        """Return what validation measures of a batch, first axis B: the answers, unless a learner says otherwise."""
        return self.answer(batch[0])

    def prepare(self, batches: Iterable[Batch]) -> None:
        """Fit buffers that follow from the weights, to items of training: before each validation, in evaluation mode.

        So validation measures the model as it is kept, whose weights are saved after it, and a training that was
        resumed needs nothing else. The same weights and batches must give the same buffers.
        """

    def loss(self, batch: Batch, optimiser: str) -> Tensor:  # noqa: ARG002 -- learners override it
        """Return the loss that an optimiser lowers, a scalar; random numbers come from torch's global generator."""
        raise self._missing("loss", "return a loss for each of its OPTIMISERS, or have none and give `fit`")

    def fit(self, feeds: Feeds, targets: Tensor) -> None:  # noqa: ARG002 -- learners override it
        """Fit the nets to all training items in one step, without augmentation."""
        raise self._missing("fit", "fit its nets, or name OPTIMISERS and give `loss`")

    def require_memory(self, count: int) -> None:
        """Raise SettingsError if `fit` would take more memory than is free for so many items."""

    def _missing(self, name: str, way_out: str) -> TrainingError:
        return TrainingError(f"{type(self).__name__}.{name} is missing: it must {way_out}.")

    def sentences(self) -> list[str]:
        """Return what was fitted in words, for people to read; empty if it cannot be read."""
        return []

    def nets_of(self, optimiser: str) -> list[nn.Module]:
        return [self.nets[role] for role in self.OPTIMISERS[optimiser]]

    @contextmanager
    def only(self, optimiser: str) -> Iterator[None]:
        """Compute no gradients for the nets of other optimisers as long as the block runs, which saves their time."""
        own = {id(parameter) for net in self.nets_of(optimiser) for parameter in net.parameters()}
        resting = [one for one in self.parameters() if one.requires_grad and id(one) not in own]
        for parameter in resting:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in resting:
                parameter.requires_grad_(True)

    def head_parameters(self, optimiser: str) -> Iterator[nn.Parameter]:
        """Yield the parameters of the heads, which fine-tuning trains while the rest is frozen."""
        for net in self.nets_of(optimiser):
            if isinstance(net, HeadedNet):
                yield from net.head_parameters()

    def freeze(self, *, frozen: bool) -> None:
        """Let the heads alone learn, the rest in evaluation mode, or all again."""
        for parameter in self.backbone_parameters():
            parameter.requires_grad_(not frozen)
        for net in self.nets.values():
            if isinstance(net, HeadedNet):
                for module in net.resting_modules():
                    module.train(not frozen)

    def backbone_parameters(self) -> Iterator[nn.Parameter]:
        """Yield the parameters outside the head, of the nets that have a head."""
        for net in self.nets.values():
            if isinstance(net, HeadedNet):
                yield from net.backbone_parameters()
