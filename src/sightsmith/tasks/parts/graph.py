"""The graph of a net on pictures, as it is exported and served.

Shapes: N pictures, K outputs of the net, H W C a picture's height, width and channels, h w height and width of the map.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from sightsmith.core.preprocessing import Preprocessing
from sightsmith.nets.parts.classifier import ClassifierNet
from sightsmith.tasks.parts.normalise import Normalise

MAP = "class_map"


def sizes(outputs: int, input_settings: Preprocessing) -> dict[str, Any]:
    """Return the sizes of a net of the family `classifier`, as arguments of `build_net`."""
    height, width, channels = input_settings.shape
    return {"channels": channels, "classes": outputs, "height": height, "width": width}


class PictureGraph(nn.Module):
    """Maps uint8 pictures from `Preprocessing.apply` to the net's outputs and, on request, their class map.

    Args:
        outputs: which to compute; may include `class_map`.
        finish: a module applied to the net's outputs.
        map_scale: factor of the map.
    """

    def __init__(
        self,
        net: ClassifierNet,
        preprocessing: Preprocessing,
        outputs: Sequence[str],
        finish: nn.Module | None = None,
        map_scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.net, self.with_map, self.map_scale = net, MAP in outputs, map_scale
        self.normalise = Normalise(preprocessing)
        self.finish = finish or nn.Identity()

    def forward(self, pixels_NHWC: Tensor) -> tuple[Tensor, ...]:
        """Return the answers (N, K) and the map (N, K, h, w), float32."""
        images_NCHW = self.normalise(pixels_NHWC)
        if not self.with_map:
            return (self.finish(self.net(images_NCHW).float()),)
        answers_NK, map_NKhw = self.net.with_map(images_NCHW)
        map_NKhw = map_NKhw.float()
        return self.finish(answers_NK.float()), map_NKhw if self.map_scale == 1 else map_NKhw * self.map_scale
