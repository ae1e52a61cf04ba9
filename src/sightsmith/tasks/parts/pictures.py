"""The shared parts of tasks whose one net answers with K numbers for pictures, or for clips of them.

Shapes: B batch, N pictures, K outputs of the net, h w height and width of the map.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn

from sightsmith.core.preprocessing import Preprocessing
from sightsmith.inputs import clip
from sightsmith.inputs.picture import PIXELS
from sightsmith.nets.parts.classifier import ClassifierNet
from sightsmith.nets.parts.clip_classifier import ClipNet
from sightsmith.nets.parts.fitted import FittedNet
from sightsmith.tasks.parts.learner import FEATURES, Facts, Feeds, Learner
from sightsmith.tasks.parts.normalise import Normalise


def seen(input_settings: Preprocessing | clip.Settings) -> tuple[str, Preprocessing]:
    """Return the name of the array of pixels, and how each picture in it was made."""
    if isinstance(input_settings, clip.Settings):
        return clip.FRAMES, input_settings.picture
    return PIXELS, input_settings


def picture_sizes(names: tuple[str, ...], input_settings: Preprocessing | clip.Settings) -> dict[str, Any]:
    """Return the arguments of `build_net` for one output a name, or a single output without names."""
    height, width, channels = seen(input_settings)[1].shape
    return {"channels": channels, "classes": max(1, len(names)), "height": height, "width": width}


class PictureLearner(Learner):
    """Normalises pictures as the exported graph does, and answers with the net's outputs."""

    def __init__(self, nets: Mapping[str, nn.Module], facts: Facts, settings: Any) -> None:
        super().__init__(nets)
        self.settings, self.classes = settings, facts.names
        self._array, preprocessing = seen(facts.input_settings)
        self.normalise = Normalise(preprocessing)

    def images(self, feeds: Feeds) -> Tensor:
        """Return the normalised pictures, (B, C, H, W), or clips (B, T, C, H, W)."""
        images: Tensor = self.normalise(feeds[self._array])
        return images

    @property
    def keeps_features(self) -> bool:
        return isinstance(self.nets["net"], ClassifierNet | ClipNet)

    def features(self, feeds: Feeds) -> Any:
        """Return the net's last features."""
        net: Any = self.nets["net"]
        return net.features(self.images(feeds))

    def answer(self, feeds: Feeds) -> Tensor:
        """Return the net's outputs, (B, K) float32."""
        net: Any = self.nets["net"]
        answers_BK: Tensor = net.classify(feeds[FEATURES]) if FEATURES in feeds else net(self.images(feeds))
        return answers_BK.float()


class FittedPictureLearner(PictureLearner):
    """Fits a net of the classical line to all pictures at once."""

    OPTIMISERS: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    def require_memory(self, count: int) -> None:
        self._net.require_memory(count)

    def fit(self, feeds: Feeds, targets: Tensor) -> None:
        self._net.fit(self.images(feeds), targets, self.classes)

    def sentences(self) -> list[str]:
        return self._net.sentences(self.classes)

    @property
    def _net(self) -> FittedNet:
        net = self.nets["net"]
        if not isinstance(net, FittedNet):
            raise TypeError(f"{type(net).__name__} is not fitted in one step")
        return net


class PictureGraph(nn.Module):
    """Maps uint8 pictures, or clips of them, to the answers and, if `outputs` names it, the class map.

    It is in evaluation mode and shares the net's weights.

    Args:
        settings: of the graph, as the learner's `graph_settings` gave them.
    """

    def __init__(
        self,
        nets: Mapping[str, ClassifierNet],
        input_settings: Preprocessing | clip.Settings,
        name: str,  # noqa: ARG002 -- there is one graph
        outputs: Sequence[str],
        settings: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.net, self.outputs, self.settings = nets["net"], outputs, settings
        self.normalise = Normalise(seen(input_settings)[1])
        self.eval()

    def finish(self, answers_NK: Tensor) -> Tensor:
        """Return the answers of the net's outputs."""
        return answers_NK

    def finish_map(self, map_NKhw: Tensor) -> Tensor:
        """Return the map in the unit of the answers."""
        return map_NKhw

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Return the answers (N, K) and the map (N, K, h, w), float32, of pixels (N, …, H, W, C)."""
        images = self.normalise(pixels)
        if "class_map" not in self.outputs:
            return (self.finish(self.net(images).float()),)
        answers_NK, map_NKhw = self.net.with_map(images)
        return self.finish(answers_NK.float()), self.finish_map(map_NKhw.float())
