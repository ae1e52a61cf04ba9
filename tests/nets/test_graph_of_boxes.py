"""Operations on boxes with fixed shapes, against the library's own for one picture at a time."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn
from torchvision.models.detection._utils import BoxCoder
from torchvision.ops import MultiScaleRoIAlign, nms

from sightsmith.nets.parts.boxes_in_graph import best_pairs, decode, unsuppressed
from sightsmith.nets.parts.region_pooling import pool_regions


def random_boxes(count: int, *, width: float = 96, height: float = 64, least: float = 0) -> torch.Tensor:
    corners = torch.rand(count, 2, 2) * torch.tensor([width - least, height - least])
    low, high = corners.amin(dim=1), corners.amax(dim=1) + least
    return torch.cat([low, high], dim=1)


@pytest.mark.parametrize("overlap", [0.3, 0.5, 0.7])
def test_suppression_is_that_of_the_library_for_every_picture(overlap):
    torch.manual_seed(3)
    crowded_B = torch.stack([random_boxes(150), random_boxes(150, least=30), random_boxes(1).repeat(150, 1)])
    stays_BN = unsuppressed(crowded_B, overlap)
    scores_N = torch.linspace(1, 0.1, 150)  # they are sorted
    for boxes_N4, stays_N in zip(crowded_B, stays_BN, strict=True):
        assert stays_N.nonzero()[:, 0].tolist() == sorted(nms(boxes_N4, scores_N, overlap).tolist())
    assert stays_BN[2].sum() == 1


def test_decoding_is_that_of_the_library():
    torch.manual_seed(4)
    weights, anchors_N4, deltas_BN4 = (10.0, 10.0, 5.0, 5.0), random_boxes(40, least=2), torch.randn(2, 40, 4) * 9
    expected = [BoxCoder(weights).decode_single(one, anchors_N4) for one in deltas_BN4]
    torch.testing.assert_close(decode(deltas_BN4, anchors_N4, weights), torch.stack(expected), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("own_boxes", [True, False])
def test_the_best_pairs_are_those_of_a_loop(own_boxes):
    torch.manual_seed(5)
    scores_BNC = torch.rand(2, 7, 3)
    boxes_BNS4 = torch.rand(2, 7, 3 if own_boxes else 1, 4)
    found_BK6 = best_pairs(boxes_BNS4, scores_BNC)
    assert found_BK6.shape == (2, 21, 6)
    for boxes, scores, found in zip(boxes_BNS4, scores_BNC, found_BK6, strict=True):
        pairs = sorted(((scores[n, c], n, c) for n in range(7) for c in range(3)), reverse=True)
        expected = [[*boxes[n, c if own_boxes else 0], score, float(c)] for score, n, c in pairs]
        torch.testing.assert_close(found, torch.tensor(expected))


class Pooling(nn.Module):
    def forward(self, fine, coarse, regions_BR4):
        return pool_regions([fine, coarse], regions_BR4, [8, 16], side=7, samples=2)


def test_regions_are_pooled_as_the_library_does_and_in_a_graph_of_any_batch(tmp_path):
    torch.manual_seed(6)
    maps = {"0": torch.randn(3, 4, 40, 48), "1": torch.randn(3, 4, 20, 24)}
    corners = torch.tensor([[[0.0, 0, 384, 320], [300, 250, 384, 320], [0, 290, 384, 320], [8, 8, 8, 8]]])
    regions = torch.stack([random_boxes(30, width=384, height=320, least=20) for _ in range(3)])
    regions_BR4 = torch.cat([regions, corners.repeat(3, 1, 1)], dim=1)
    library = MultiScaleRoIAlign(["0", "1"], 7, 2)
    expected = library(maps, list(regions_BR4), [(320, 384)] * 3)
    torch.testing.assert_close(Pooling()(*maps.values(), regions_BR4), expected, rtol=1e-4, atol=1e-5)
    batch = torch.export.Dim("batch", min=1, max=64)
    two = (*(one[:2] for one in maps.values()), regions_BR4[:2])
    torch.onnx.export(Pooling(), two, tmp_path / "p.onnx", dynamo=True, dynamic_shapes=({0: batch},) * 3, verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "p.onnx")
    feeds = zip((one.name for one in session.get_inputs()), (*maps.values(), regions_BR4), strict=True)
    (got,) = session.run(None, {name: array.numpy() for name, array in feeds})
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
