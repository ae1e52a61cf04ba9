"""A Faster R-CNN of torchvision with a backbone of five convolutions, which tests train and export in seconds."""

from dataclasses import dataclass

from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.ops import MultiScaleRoIAlign

from sightsmith.nets.parts.detector import DETECTOR
from sightsmith.nets.parts.torchvision_net import TwoStage

PAPER, LICENCE, FAMILY = "Ren et al., Faster R-CNN, arXiv:1506.01497", "Apache-2.0", DETECTOR
_WIDTH, _POOLED = 32, 4


@dataclass(frozen=True, kw_only=True)
class Settings:
    proposals: int = 8


class Backbone(nn.Module):
    """Maps of the strides 8 and 16."""

    out_channels = _WIDTH

    def __init__(self) -> None:
        super().__init__()
        self.fine = nn.Sequential(_block(3, 16), _block(16, _WIDTH), _block(_WIDTH, _WIDTH))
        self.coarse = _block(_WIDTH, _WIDTH)

    def forward(self, images_BCHW: Tensor) -> dict[str, Tensor]:
        fine = self.fine(images_BCHW)
        return {"0": fine, "1": self.coarse(fine)}


def build(settings: Settings, *, channels: int, classes: int, height: int, width: int) -> nn.Module:
    model = FasterRCNN(
        Backbone(),
        rpn_anchor_generator=AnchorGenerator(((16,), (28,)), ((0.5, 1.0, 2.0),) * 2),
        rpn_pre_nms_top_n_train=100,
        rpn_post_nms_top_n_train=40,
        rpn_pre_nms_top_n_test=settings.proposals,
        rpn_post_nms_top_n_test=settings.proposals,
        rpn_batch_size_per_image=64,
        box_batch_size_per_image=32,
        box_roi_pool=MultiScaleRoIAlign(["0", "1"], _POOLED, 2),
        box_head=TwoMLPHead(_WIDTH * _POOLED**2, 64),
        box_predictor=FastRCNNPredictor(64, classes + 1),
    )
    return TwoStage(model)


def _block(before: int, after: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(before, after, 3, 2, 1), nn.GroupNorm(4, after), nn.ReLU())
