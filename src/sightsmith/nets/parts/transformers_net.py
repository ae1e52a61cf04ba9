"""A detector of transformers (https://github.com/huggingface/transformers, Apache-2.0) as ours.

It trains by the library's own code and losses. It answers by the library's layers, joined here: the library counts the
pictures by `len`, which fixes their number in an exported graph, and checks shapes by an operation that ONNX lacks.

Shapes: B batch, C channels, H W height and width, M objects of a picture, A points of all maps, D features, Q queries,
K candidates; 4 = (centre x, centre y, width, height) in shares of the input inside the library.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.ops import box_convert
from transformers import DFineConfig, DFineForObjectDetection, RTDetrV2Config, RTDetrV2ForObjectDetection

from sightsmith.nets.parts.boxes_in_graph import best_pairs, clip
from sightsmith.nets.parts.detector import DetectorNet, answer_in_float32, in_colour, objects_to_learn

_CLASSES = {
    "d_fine": (DFineConfig, DFineForObjectDetection),
    "rt_detr_v2": (RTDetrV2Config, RTDetrV2ForObjectDetection),
}


class TransformersNet(DetectorNet):
    """A net of transformers, `model`, for grey (C = 1) or colour pictures of one size."""

    suppresses = False

    def __init__(self, kind: str, options: Mapping[str, Any], *, queries: int, height: int, width: int) -> None:
        """Build the library's net with random weights.

        Args:
            kind: the library's name of the architecture, `d_fine` or `rt_detr_v2`.
            options: of the library's configuration.
            queries: most objects of a picture, ≥ 1; of a small input as many as its maps have points.
        """
        super().__init__()
        configuration, architecture = _CLASSES[kind]
        strides = options.get("feat_strides", configuration.feat_strides)
        self.shapes = [(height // stride, width // stride) for stride in strides]
        self.queries = min(queries, sum(rows * columns for rows, columns in self.shapes))
        self.model: Any = architecture(configuration(**options, num_queries=self.queries))
        del self.model.class_embed, self.model.bbox_embed  # the decoder has the same layers
        _fix_constants(self.model)
        net = self.model.model
        anchors_1A4, valid_1A1 = net.generate_anchors(tuple(self.shapes))
        self.register_buffer("anchors_1A4", anchors_1A4.clone(), persistent=False)  # the library keeps one for all
        self.register_buffer("valid_1A1", valid_1A1.float(), persistent=False)
        self.valid_1A1: Tensor
        heads = [*net.decoder.class_embed, *net.decoder.bbox_embed, net.enc_score_head, net.enc_bbox_head]
        for head in [*heads, *([net.decoder.pre_bbox_head] if hasattr(net.decoder, "pre_bbox_head") else [])]:
            answer_in_float32(head)

    def losses(self, images_BCHW: Tensor, targets_BM6: Tensor, step: int) -> dict[str, Tensor]:  # noqa: ARG002 -- one rule for all steps
        if len(images_BCHW) == 1:
            # The last map can have a single position, and batch normalisation needs two values in training
            images_BCHW, targets_BM6 = images_BCHW.repeat(2, 1, 1, 1), targets_BM6.repeat(2, 1, 1)
        truths = [_truth(one_M6, _sides(images_BCHW)) for one_M6 in targets_BM6]
        each = self.model(pixel_values=in_colour(images_BCHW), labels=truths).loss_dict
        losses: dict[str, Tensor] = {}
        for name, loss in each.items():
            # such as loss_giou_aux_0: a kind, for the first decoder layer
            kind = name.split("_")[1]
            losses[kind] = losses[kind] + loss if kind in losses else loss
        return losses

    def detect(self, images_BCHW: Tensor) -> Tensor:
        net, (height, width) = self.model.model, images_BCHW.shape[-2:]
        maps = net.backbone.model(in_colour(images_BCHW)).feature_maps
        levels = net.encoder(_projected(net.encoder_input_proj, maps)).last_hidden_state
        levels = _projected(net.decoder_input_proj, levels)
        points_BAD = torch.cat([one.flatten(2).transpose(1, 2) for one in levels], dim=1)
        seen_BAD = net.enc_output(points_BAD * self.valid_1A1)
        best_BQ = net.enc_score_head(seen_BAD).amax(dim=2).topk(self.queries, dim=1).indices
        found = net.decoder(
            inputs_embeds=_rows(seen_BAD, best_BQ),
            encoder_hidden_states=points_BAD,
            reference_points=_rows(net.enc_bbox_head(seen_BAD) + self.anchors_1A4, best_BQ),
            # Of Python's numbers: the check of a tensor's values would become an operation of the graph
            spatial_shapes=np.array(self.shapes, dtype=object),
            spatial_shapes_list=self.shapes,
        )
        boxes_BQ4 = box_convert(found.intermediate_reference_points[:, -1], "cxcywh", "xyxy")
        boxes_BQ4 = clip(boxes_BQ4 * _sides(images_BCHW), height, width)
        return best_pairs(boxes_BQ4[:, :, None], found.intermediate_logits[:, -1].sigmoid())

    def head_parts(self) -> tuple[str, ...]:
        return tuple(
            f"model.model.{name}" for name in ("decoder.class_embed", "enc_score_head", "denoising_class_embed")
        )

    def published(self) -> nn.Module:
        model: nn.Module = self.model
        return model


def _fix_constants(model: nn.Module) -> None:
    """Replace the parameters that never learn, which are constants of the architecture, by buffers."""
    for module in model.modules():
        for name, one in list(module.named_parameters(recurse=False)):
            if not one.requires_grad:
                delattr(module, name)
                module.register_buffer(name, one.detach())


def _projected(layers: nn.ModuleList, maps: Any) -> list[Tensor]:
    return [layer(one) for layer, one in zip(layers, maps, strict=True)]


def _rows(values_BAD: Tensor, places_BQ: Tensor) -> Tensor:
    return values_BAD.gather(1, places_BQ[..., None].expand(-1, -1, values_BAD.shape[2]))


def _sides(images_BCHW: Tensor) -> Tensor:
    height, width = images_BCHW.shape[-2:]
    return torch.tensor([width, height, width, height], dtype=torch.float32, device=images_BCHW.device)


def _truth(targets_M6: Tensor, sides_4: Tensor) -> dict[str, Tensor]:
    """Return the truth of a picture as the library reads it."""
    used_M6 = objects_to_learn(targets_M6)
    boxes_N4 = box_convert(used_M6[:, :4].float() / sides_4, "xyxy", "cxcywh")
    return {"boxes": boxes_N4, "class_labels": used_M6[:, 4].long()}
