"""Class maps against their definitions, position by position."""

import torch
from torch import nn

from sightsmith.nets.parts.maps import by_masking, by_masking_dense, by_occlusion, by_position, recipro_masks


def pooled_head(depth, classes):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(depth, classes))


def test_by_position_is_the_class_activation_map():
    torch.manual_seed(0)
    head, features = pooled_head(6, 3), torch.randn(2, 6, 4, 5)
    found = by_position(head, features)
    weight, bias = head[2].weight, head[2].bias
    torch.testing.assert_close(found, torch.einsum("bdhw,kd->bkhw", features, weight) + bias[:, None, None])
    torch.testing.assert_close(found.mean((2, 3)), head(features))


def test_masks_are_the_papers_gaussian_cut_at_the_border():
    masks = recipro_masks(3, 4)
    middle = torch.tensor([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
    torch.testing.assert_close(masks[1 * 4 + 1], nn.functional.pad(middle, (0, 1)))
    corner = torch.zeros(3, 4)
    corner[:2, :2] = middle[1:, 1:]
    torch.testing.assert_close(masks[0], corner)


def test_by_masking_applies_the_head_to_each_masked_map():
    torch.manual_seed(0)
    head = nn.Sequential(nn.Flatten(), nn.Linear(5 * 3 * 4, 7), nn.ReLU(), nn.Linear(7, 2))
    features = torch.randn(2, 5, 3, 4)
    found = by_masking(head, features)
    masks = recipro_masks(3, 4)
    for position in range(12):
        expected = head(features * masks[position])
        torch.testing.assert_close(found[:, :, position // 4, position % 4], expected)
    rest = nn.Sequential(head[2], head[3])
    weights = head[1].weight.reshape(7, 5, 3, 4)
    torch.testing.assert_close(by_masking_dense(weights, lambda s: rest(s + head[1].bias), features), found)


def test_by_occlusion_measures_the_fall_of_each_logit():
    head, images = pooled_head(3, 2), torch.randn(2, 3, 9, 6)
    logits = head(images)
    found = by_occlusion(head, images, logits, cells=3)
    hidden = images.clone()
    hidden[:, :, 3:6, 0:2] = 0
    torch.testing.assert_close(found[:, :, 1, 0], logits - head(hidden))
    assert found.shape == (2, 2, 3, 3)
