"""A detector of torchvision (https://github.com/pytorch/vision, BSD-3-Clause) as ours.

It trains by the library's own code and losses. It answers by our own decoding, which has fixed shapes and takes any
number of pictures (`boxes_in_graph.py`, `region_pooling.py`): the library's graph is right for one picture alone.
The library's resizing and normalisation are left out, because the input is already sized and normalised.

Shapes: B batch, C channels, H W height and width, M objects of a picture, A anchors, N of one map, R regions,
K candidates; 4 = (left, top, right, bottom) in pixels of the input. Class 0 is the background of the library.
"""

import math
from abc import abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList

from sightsmith.nets.parts.boxes_in_graph import best_pairs, clip, decode, larger_than, unsuppressed
from sightsmith.nets.parts.detector import DetectorNet, answer_in_float32, in_colour, objects_to_learn
from sightsmith.nets.parts.region_pooling import pool_regions

_FILLING = 1e4  # Less than any logit is minus this
_LEAST_REGION, _LEAST_OBJECT = 1e-3, 1e-2  # Sides in pixels below which the library drops regions and objects


class TorchvisionNet(DetectorNet):
    """A net of torchvision, `model`, for grey (C = 1) or colour pictures."""

    def __init__(self, model: Any, heads: tuple[nn.Module, ...]) -> None:
        super().__init__()
        model.transform = _Ready()
        self.model = model
        for head in heads:
            answer_in_float32(head)

    def losses(self, images_BCHW: Tensor, targets_BM6: Tensor, step: int) -> dict[str, Tensor]:  # noqa: ARG002 -- one rule for all steps
        if len(images_BCHW) == 1:
            # The last map can have a single position, and batch normalisation needs two values in training
            images_BCHW, targets_BM6 = images_BCHW.repeat(2, 1, 1, 1), targets_BM6.repeat(2, 1, 1)
        losses: dict[str, Tensor] = self.model(in_colour(images_BCHW), [_truth(one_M6) for one_M6 in targets_BM6])
        return losses

    def detect(self, images_BCHW: Tensor) -> Tensor:
        maps: dict[str, Tensor] = self.model.backbone(in_colour(images_BCHW))
        height, width = images_BCHW.shape[-2:]
        boxes_BNS4, scores_BNC = self._answers(maps, images_BCHW)
        boxes_BNS4 = clip(boxes_BNS4, height, width)
        return best_pairs(boxes_BNS4, scores_BNC * larger_than(boxes_BNS4, _LEAST_OBJECT))

    @abstractmethod
    def _answers(self, maps: dict[str, Tensor], images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return boxes (B, N, 1 or classes, 4) and their scores (B, N, classes) without the background."""

    def published(self) -> nn.Module:
        model: nn.Module = self.model
        return model

    def feature_net(self) -> nn.Module | None:
        return getattr(self.model.backbone, "body", None)


class OneStage(TorchvisionNet):
    """SSD and RetinaNet, which classify and move each of many anchors."""

    def __init__(self, model: Any, *, softmax: bool, head: str) -> None:
        super().__init__(model, (model.head,))
        self._softmax, self._head = softmax, head

    def head_parts(self) -> tuple[str, ...]:
        return (f"model.{self._head}",)

    def _answers(self, maps: dict[str, Tensor], images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        model, levels = self.model, list(maps.values())
        found = model.head(levels)
        anchors_A4 = model.anchor_generator(_listed(images_BCHW, 1), levels)[0]
        boxes_BA4 = decode(found["bbox_regression"], anchors_A4, model.box_coder.weights)
        logits_BAC = found["cls_logits"]
        scores_BAC = logits_BAC.softmax(dim=2) if self._softmax else logits_BAC.sigmoid()
        return boxes_BA4[:, :, None], scores_BAC[:, :, 1:]


class TwoStage(TorchvisionNet):
    """Faster R-CNN: the first stage proposes regions, the second classifies and moves them."""

    def __init__(self, model: Any) -> None:
        super().__init__(model, (model.rpn.head, model.roi_heads.box_predictor))

    def head_parts(self) -> tuple[str, ...]:
        return ("model.roi_heads.box_predictor",)

    def _answers(self, maps: dict[str, Tensor], images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        regions_BR4, real_BR = self._regions(list(maps.values()), images_BCHW)
        # `len` would fix the number of pictures in an exported graph
        heads, batch = self.model.roi_heads, images_BCHW.shape[0]
        pyramid = [maps[name] for name in heads.box_roi_pool.featmap_names if name in maps]
        strides = [2 ** round(math.log2(images_BCHW.shape[2] / one.shape[2])) for one in pyramid]
        pooled = pool_regions(
            pyramid,
            regions_BR4,
            strides,
            side=heads.box_roi_pool.output_size[0],
            samples=heads.box_roi_pool.sampling_ratio,
        )
        logits, deltas = heads.box_predictor(heads.box_head(pooled))
        scores_BRC = logits.softmax(dim=1).unflatten(0, (batch, -1)) * real_BR[..., None]
        deltas_BRC4 = deltas.unflatten(0, (batch, -1)).unflatten(2, (-1, 4))
        boxes_BRC4 = decode(deltas_BRC4, regions_BR4[:, :, None], heads.box_coder.weights)
        return boxes_BRC4[:, :, 1:], scores_BRC[:, :, 1:]

    def _regions(self, levels: list[Tensor], images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return the regions that the first stage proposes, (B, R, 4), and 1 for a real one, 0 for filling, (B, R)."""
        rpn, (height, width) = self.model.rpn, images_BCHW.shape[-2:]
        objectness, deltas = rpn.head(levels)
        sizes = [one.shape[1] * one.shape[2] * one.shape[3] for one in objectness]
        anchors = rpn.anchor_generator(_listed(images_BCHW, 1), levels)[0].split(sizes)
        boxes, scores = [], []
        for logits_BAhw, deltas_BFhw, anchors_N4 in zip(objectness, deltas, anchors, strict=True):
            logits_BN = logits_BAhw.permute(0, 2, 3, 1).flatten(1)
            best_BR, places_BR = logits_BN.topk(min(rpn.pre_nms_top_n(), len(anchors_N4)), dim=1)
            deltas_BN4 = deltas_BFhw.unflatten(1, (-1, 4)).permute(0, 3, 4, 1, 2).flatten(1, 3)
            chosen_BR4 = deltas_BN4.gather(1, places_BR[..., None].expand(-1, -1, 4))
            boxes_BR4 = clip(decode(chosen_BR4, anchors_N4[places_BR], rpn.box_coder.weights), height, width)
            real_BR = larger_than(boxes_BR4, _LEAST_REGION) * unsuppressed(boxes_BR4, rpn.nms_thresh)
            boxes.append(boxes_BR4)
            # Ranked by the logit: sigmoids near 1 are equal, and runtimes order equal numbers differently
            scores.append(best_BR * real_BR - _FILLING * (1 - real_BR))
        scores_BR = torch.cat(scores, dim=1)
        best_BR, places_BR = scores_BR.topk(min(rpn.post_nms_top_n(), scores_BR.shape[1]), dim=1)
        regions_BR4 = torch.cat(boxes, dim=1).gather(1, places_BR[..., None].expand(-1, -1, 4))
        return regions_BR4, (best_BR > -_FILLING).to(best_BR.dtype)


class _Ready(nn.Module):
    """Takes the place of the library's resizing and normalisation for pictures that are ready."""

    def forward(self, images_BCHW: Tensor, targets: Any = None) -> tuple[ImageList, Any]:
        return _listed(images_BCHW, len(images_BCHW)), targets

    def postprocess(self, detections: Any, sizes: Any, originals: Any) -> Any:  # noqa: ARG002 -- as the library calls it
        return detections


def _listed(images_BCHW: Tensor, count: int) -> ImageList:
    """Return pictures as the library has them, with as many sizes; of one, anchors are made only once."""
    height, width = images_BCHW.shape[-2:]
    return ImageList(images_BCHW, [(height, width)] * count)


def _truth(targets_M6: Tensor) -> dict[str, Tensor]:
    """Return the truth of a picture as the library reads it."""
    used_M6 = objects_to_learn(targets_M6)
    return {"boxes": used_M6[:, :4].float(), "labels": used_M6[:, 4].long() + 1}
