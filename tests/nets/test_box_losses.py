"""Losses of boxes: torchvision and plain loops say the same."""

import math

import torch
from torchvision.ops import complete_box_iou, complete_box_iou_loss

from sightsmith.nets.parts.box_losses import complete_iou, distribution_loss


def random_boxes(count, seed):
    corners = 100 * torch.rand(count, 2, 2, generator=torch.Generator().manual_seed(seed))
    return torch.cat([corners.amin(dim=1), corners.amax(dim=1) + 0.5], dim=1)


def test_complete_iou_is_torchvisions():
    ours, theirs = random_boxes(200, 0), random_boxes(200, 1)
    ours[:50] = theirs[:50] + torch.randn(50, 4, generator=torch.Generator().manual_seed(2))
    found = complete_iou(ours, theirs)
    torch.testing.assert_close(found, complete_box_iou(ours, theirs).diagonal(), rtol=1e-4, atol=1e-5)
    assert found.min() < -0.2 < 0.5 < found.max()


def test_the_gradient_of_complete_iou_is_torchvisions():
    ours, theirs = random_boxes(50, 3), random_boxes(50, 4)
    mine, other = ours.clone().requires_grad_(True), ours.clone().requires_grad_(True)
    (1 - complete_iou(mine, theirs)).sum().backward()
    complete_box_iou_loss(other, theirs, reduction="sum").backward()
    torch.testing.assert_close(mine.grad, other.grad, rtol=1e-3, atol=1e-5)


def test_complete_iou_by_hand():
    equal = torch.tensor([[0.0, 0, 10, 20]])
    assert math.isclose(complete_iou(equal, equal).item(), 1, abs_tol=1e-6)
    apart = complete_iou(torch.tensor([[0.0, 0, 2, 2]]), torch.tensor([[2.0, 0, 4, 2]])).item()
    assert math.isclose(apart, -4 / 20, abs_tol=1e-6)  # IoU 0, middles 2 apart, diagonal² 4² + 2²


def test_distribution_loss_is_that_of_a_loop():
    torch.manual_seed(5)
    logits, wanted = torch.randn(3, 4, 16), 15 * torch.rand(3, 4)
    wanted[0, 0], wanted[0, 1], wanted[0, 2] = 0.0, 14.995, 40.0
    loops = []
    for pair, distances in zip(logits, wanted.tolist(), strict=True):
        sides = []
        for side, distance in zip(pair, distances, strict=True):
            y = min(distance, 14.99)
            low, logs = int(y), side.log_softmax(0)
            sides.append(-((low + 1 - y) * logs[low] + (y - low) * logs[low + 1]).item())
        loops.append(sum(sides) / 4)
    torch.testing.assert_close(distribution_loss(logits, wanted), torch.tensor(loops))


def test_distribution_loss_is_least_for_the_two_bins_around():
    logits = torch.full((1, 4, 16), -20.0)
    logits[:, :, 3], logits[:, :, 4] = math.log(0.75), math.log(0.25)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    near = distribution_loss(logits, torch.full((1, 4), 3.25)).item()
    assert math.isclose(near, entropy, rel_tol=1e-3)
    assert distribution_loss(logits, torch.full((1, 4), 9.0)).item() > 10
