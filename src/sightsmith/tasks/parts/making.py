"""The shared parts of tasks that make pictures: what they read, how they are deployed, and what validation sees.

In training they read pictures, and their labels are conditions; the trained model makes pictures of a seed. On
validation as many pictures are made as there are real ones, and the features of both are compared.

Shapes: B batch, N pictures, D numbers of noise, F features, C channels, H W height and width.
"""

import hashlib
import zlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sightsmith.core.preprocessing import Preprocessing
from sightsmith.inputs import seed
from sightsmith.inputs.picture import PIXELS
from sightsmith.kinds.pictures.features import features_of
from sightsmith.kinds.pictures.frechet import fd
from sightsmith.kinds.pictures.manifold import nearest
from sightsmith.nets.build import build_net
from sightsmith.tasks.parts.example import Example
from sightsmith.tasks.parts.learner import Batch, Facts, Feeds, Learner

_LOOKED = 512  # pictures among which near ones are sought, at most: a few milliseconds
_FEW = 16  # pictures below which their distances say nothing
_ALIKE = 0.1  # of the distance of real pictures from each other

VARIED = ("flip", "crop_share")
"""Augmentations whose pictures may be made too; a net that learns from turned or erased ones makes such."""
VALIDATED = 2000
"""Validation pictures that an epoch measures, at most: enough to tell epochs apart, and seconds instead of minutes."""

INPUT, READS, KIND, PROGRAMS, OUTPUTS = "seed", "picture", "pictures", ("once",), ("picture",)

AS_THEY_ARE = {"augment": "none", "flip": "none", "contrast": "data"}
"""Settings that are open: whatever pictures are varied by is made too."""


def names(settings: Any, names: tuple[str, ...], kind: str) -> tuple[str, ...]:
    """Return the classes that can be asked for: those of the data, if there are several and `labels` is on."""
    return names if settings.labels and kind == "labels" and len(names) > 1 else ()


def sizes(names: tuple[str, ...], input_settings: Preprocessing | seed.Settings) -> dict[str, Any]:
    """Return the arguments of `build_net`."""
    height, width, channels = input_settings.shape
    return {"channels": channels, "classes": len(names), "height": height, "width": width}


def deployed(read: Preprocessing, names: tuple[str, ...], maker: nn.Module) -> seed.Settings:
    """Return how a seed becomes the arrays of a net that makes pictures."""
    return seed.Settings(numbers=int(maker.noise_size), conditions=len(names), shape=read.shape, resize=read.resize)  # type: ignore[arg-type]


def witnesses(count: int, names: tuple[str, ...]) -> list[seed.Seed]:
    """Return seeds for witnesses, the classes in turn."""
    return [seed.Seed(seed=0, index=at, label=at % max(1, len(names))) for at in range(count)]


class MakingLearner(Learner):
    """A learner of nets of which one makes pictures of noise."""

    def __init__(self, nets: Mapping[str, nn.Module], facts: Facts) -> None:
        super().__init__(nets)
        self.conditional = bool(facts.names)
        self._real: dict[bytes, NDArray[np.float32]] = {}  # features of validation batches, by their SHA-256

    def answer(self, feeds: Feeds) -> Tensor:
        """Return the pictures of seeds, (B, H, W, C)."""
        return self.make(feeds[seed.NOISE], feeds.get(seed.LABEL) if self.conditional else None)

    @abstractmethod
    def make(self, noise_BD: Tensor, labels_B: Tensor | None) -> Tensor:
        """Return pictures in levels 0…255, (B, H, W, C)."""

    def noise_for(self, pixels_BHWC: Tensor, count: int) -> Tensor:
        """Return noise (B, count) that depends on the pixels alone, so that validation repeats."""
        keys = [zlib.crc32(pixels.tobytes()) for pixels in pixels_BHWC.cpu().numpy()]
        return torch.from_numpy(np.stack([seed.noise(key, 0, count) for key in keys])).to(pixels_BHWC.device)

    def conditions(self, targets_B: Tensor) -> Tensor | None:
        """Return the labels of a batch as conditions, None for a model that knows none."""
        return targets_B if self.conditional else None

    def both(self, batch: Batch, count: int) -> Tensor:
        """Return the features of the real pictures and of as many made ones of the same classes, (B, 2·F)."""
        pixels_BHWC = pixels_of(batch[0])
        made_BHWC = self.make(self.noise_for(pixels_BHWC, count), self.conditions(batch[1]))
        made_BHWC = made_BHWC.float().round().clamp(0, 255).byte()
        sides = [self._of_real(pixels_BHWC.cpu().numpy()), features_of(list(made_BHWC.cpu().numpy()))]
        return torch.from_numpy(np.concatenate(sides, axis=1))

    def _of_real(self, pixels_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the features of real pictures, (B, F), computed once for as many pictures as validation sees."""
        key = hashlib.sha256(pixels_BHWC.tobytes()).digest()
        if key not in self._real:
            while self._real and sum(map(len, self._real.values())) + len(pixels_BHWC) > VALIDATED:
                del self._real[next(iter(self._real))]
            self._real[key] = features_of(list(pixels_BHWC))
        return self._real[key]


def distance(answers_NF: NDArray[np.floating]) -> dict[str, float]:
    """Return `fd`, from the features of real pictures and of made ones beside each other."""
    real_NF, made_NF = np.split(answers_NF, 2, axis=1)
    return {"fd": fd(real_NF, made_NF)}


def collapse(answers_NF: NDArray[np.floating], targets_N: NDArray[Any]) -> str:
    """Return a warning if the made pictures hardly differ from each other, as after a mode collapse; else "".

    The rule: half of the made pictures have another one nearer than a tenth of the median distance between a real
    picture and the real one nearest to it, by their features. So few kinds of pictures are found too, and not
    only a single one.
    """
    real_NF, made_NF = (side_NF[:_LOOKED] for side_NF in np.split(answers_NF.astype(np.float64), 2, axis=1))
    if len(real_NF) < _FEW:
        return ""
    made, real = (float(np.median(_apart(side_NF))) for side_NF in (made_NF, real_NF))
    if made >= _ALIKE * real:
        return ""
    return (
        "the made pictures hardly differ from each other (mode collapse): half of them have another one nearer than "
        f"{made / real:.1%} of what separates real ones."
    )


def _apart(points_NF: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance of each point to the nearest other one, (N,)."""
    return nearest(points_NF, points_NF, count=2)[1][:, 1]


def example(rng: np.random.Generator, net: str, families: Mapping[str, str], settings: Any) -> Example:
    """Return a small net that makes pictures, and twelve pictures of two classes: left or right half white."""
    pixels = np.zeros((12, 16, 16, 1), np.uint8)
    pixels[:6, :, :8], pixels[6:, :, 8:] = 255, 255
    order = rng.permutation(12)
    targets_B = torch.from_numpy(np.repeat([0, 1], 6)[order])
    facts = Facts(
        names=("left", "right"),
        input_settings=Preprocessing(height=16, width=16, colour="grey", mean=(0.5,), std=(0.5,)),
        targets=targets_B.numpy(),
    )
    size = sizes(facts.names, facts.input_settings)
    nets = {role: build_net(net, {"width": 8}, role=role, **size).module for role in families}
    return Example(nets, facts, settings, ({PIXELS: torch.from_numpy(pixels[order])}, targets_B))


class MakingGraph(nn.Module):
    """Maps noise, and labels if the model knows classes, to pictures in levels 0…255.

    Attributes:
        ROLE: of the net that makes them.
    """

    ROLE: ClassVar[str]

    def __init__(
        self,
        nets: Mapping[str, nn.Module],
        input_settings: seed.Settings,
        name: str,  # noqa: ARG002 -- there is one graph
        outputs: Sequence[str],  # noqa: ARG002 -- there is one output
        settings: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.net, self.settings = nets[self.ROLE], settings
        self.conditional = bool(input_settings.conditions)
        self.eval()

    @abstractmethod
    def levels(self, made_NCHW: Tensor) -> Tensor:
        """Return the net's output in levels 0…255."""

    def forward(self, noise_ND: Tensor, labels_N: Tensor | None = None) -> tuple[Tensor]:
        """Return pictures (N, H, W, C) float32."""
        made_NCHW = self.net(noise_ND, labels_N if self.conditional else None)
        return (self.levels(made_NCHW.float()).permute(0, 2, 3, 1).contiguous(),)


def pixels_of(feeds: Feeds) -> Tensor:
    return feeds[PIXELS]
