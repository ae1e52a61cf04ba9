"""The points of a detector, and which of them learn which object, against loops."""

import pytest
import torch

from sightsmith.nets.parts.assignment import Objects, Seen, assign, objects_of
from sightsmith.nets.parts.box_losses import complete_iou
from sightsmith.nets.parts.grid import Grid

SIDE, STRIDES, REACH = 64, (8, 16, 32), 14.99


def grid_of(side=SIDE):
    return Grid(side, side, STRIDES)


def objects(*rows):
    """Objects as (picture, left, top, right, bottom, label)."""
    rows = torch.tensor(rows, dtype=torch.float32).reshape(-1, 6)
    return Objects(rows[:, 0].long(), rows[:, 1:5], rows[:, 5].long())


def answers(grid, pictures=1, classes=2, seed=0, spread=6.0):
    """Random boxes near the points, and random scores."""
    generator = torch.Generator().manual_seed(seed)
    noise = spread * torch.randn(pictures, len(grid), 4, generator=generator)
    boxes = grid.squares(2.0) + noise
    boxes = torch.cat([boxes[..., :2], torch.maximum(boxes[..., 2:], boxes[..., :2] + 1)], dim=2)
    return Seen(boxes, torch.rand(pictures, len(grid), classes, generator=generator))


def test_points_are_the_middles_of_cells_finest_map_first():
    grid = Grid(32, 64, STRIDES)
    expected = [
        ((column + 0.5) * stride, (row + 0.5) * stride)
        for stride in STRIDES
        for row in range(32 // stride)
        for column in range(64 // stride)
    ]
    assert grid.points_A2.tolist() == [list(point) for point in expected]
    assert grid.strides_A.tolist() == [8.0] * 32 + [16.0] * 8 + [32.0] * 2
    assert dict(grid.named_parameters()) == grid.state_dict() == {}


def test_points_inside_boxes_are_those_of_a_loop():
    grid = grid_of()
    boxes = torch.tensor([[0.0, 0, 64, 64], [10, 10, 30, 22], [30, 30, 31, 31], [0, 20, 64, 23], [33, 0, 40, 64]])
    found = grid.inside(boxes, reach=3.0)
    for row, (left, top, right, bottom) in zip(found, boxes.tolist(), strict=True):
        wide, high = (8 if right - left < 8 else 0), (8 if bottom - top < 8 else 0)
        middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
        x_low, x_high = (middle_x - 8, middle_x + 8) if wide else (left, right)
        y_low, y_high = (middle_y - 8, middle_y + 8) if high else (top, bottom)
        for inside, (x, y), stride in zip(row, grid.points_A2.tolist(), grid.strides_A.tolist(), strict=True):
            far = max(x - left, y - top, right - x, bottom - y)
            assert inside == (x_low < x < x_high and y_low < y < y_high and far <= 3 * stride)
    assert found.sum(dim=1).min() >= 1


def ranked_by_loops(grid, wanted, seen, top):
    """The assignment by its definition, slow and plain: {(picture, point): (object, target)}."""
    inside = grid.inside(wanted.boxes_G4, REACH)
    owners, ranks, overlaps = {}, {}, {}
    for at in range(len(wanted)):
        picture, label = int(wanted.pictures_G[at]), int(wanted.labels_G[at])
        for point in inside[at].nonzero()[:, 0].tolist():
            u = max(0.0, complete_iou(seen.boxes_BA4[picture, point][None], wanted.boxes_G4[at][None]).item())
            overlaps[at, point] = u
            ranks[at, point] = seen.scores_BAC[picture, point, label].item() ** 0.5 * u**6
        own = sorted((key for key in ranks if key[0] == at), key=lambda key: -ranks[key])[:top]
        for _, point in own:
            other = owners.get((picture, point))
            if other is None or overlaps[at, point] > overlaps[other, point]:
                owners[picture, point] = at
    found = {}
    for (picture, point), at in owners.items():
        mine = [key for key, owner in owners.items() if owner == at]
        best, best_overlap = max(ranks[at, one] for _, one in mine), max(overlaps[at, one] for _, one in mine)
        found[picture, point] = (at, ranks[at, point] / best * best_overlap)
    return found


def test_assignment_is_that_of_loops():
    grid = grid_of()
    wanted = objects((0, 4, 6, 30, 28, 0), (0, 20, 16, 50, 60, 1), (0, 22, 18, 52, 58, 0), (1, 0, 0, 64, 64, 1))
    seen = answers(grid, pictures=2)
    found = assign(wanted, grid, seen, reach=REACH, top=10)
    rows = zip(found.pictures_P.tolist(), found.points_P.tolist(), found.objects_P.tolist(), strict=True)
    ours = {(picture, point): at for picture, point, at in rows}
    expected = ranked_by_loops(grid, wanted, seen, 10)
    assert ours == {key: at for key, (at, _) in expected.items()}
    targets = [expected[key][1] for key in ours]
    torch.testing.assert_close(found.targets_P, torch.tensor(targets), rtol=1e-3, atol=1e-6)


def test_the_best_point_learns_the_best_overlap_and_no_point_two_objects():
    grid, wanted = grid_of(), objects((0, 8, 8, 40, 40, 0), (0, 16, 8, 48, 40, 1))
    found = assign(wanted, grid, answers(grid), reach=REACH, top=10)
    assert len(set(found.points_P.tolist())) == len(found.points_P)
    for at in (0, 1):
        own = found.objects_P == at
        assert 1 <= own.sum() <= 10
        boxes = answers(grid).boxes_BA4[0, found.points_P[own]]
        best = complete_iou(boxes, wanted.boxes_G4[at].expand_as(boxes)).max()
        torch.testing.assert_close(found.targets_P[own].max(), best)


def test_every_object_learns_at_least_one_point():
    """One pixel, a thin box that no fine map reaches, equal boxes, and a box of the whole input."""
    grid = grid_of(512)
    thin = (0, 17, 0, 25, 512, 0)
    wanted = objects(
        (0, 100, 100, 101, 101, 0), thin, (0, 50, 50, 90, 90, 0), (0, 50, 50, 90, 90, 1), (0, 0, 0, 512, 512, 1)
    )
    found = assign(wanted, grid, answers(grid), reach=REACH, top=10)
    assert sorted(set(found.objects_P.tolist()) | {2, 3}) == [0, 1, 2, 3, 4]
    assert set(found.objects_P.tolist()) & {2, 3}
    assert found.targets_P.isfinite().all()
    assert len(set(found.points_P.tolist())) == len(found.points_P)


def test_an_object_that_loses_all_its_points_gets_its_best_one_back():
    """A small box inside a large one, whose answers overlap the large one more at every point."""
    grid = grid_of()
    wanted = objects((0, 0, 0, 64, 64, 0), (0, 26, 26, 38, 38, 0))
    boxes = wanted.boxes_G4[0].expand(1, len(grid), 4)
    found = assign(wanted, grid, Seen(boxes, torch.ones(1, len(grid), 1)), reach=REACH, top=100)
    assert (found.objects_P == 1).sum() == 1


def test_500_objects_and_none():
    grid, generator = grid_of(416), torch.Generator().manual_seed(1)
    corners = 400 * torch.rand(500, 2, generator=generator)
    boxes = torch.cat([corners, corners + 4 + 12 * torch.rand(500, 2, generator=generator)], dim=1)
    many = Objects(torch.zeros(500, dtype=torch.long), boxes, torch.zeros(500, dtype=torch.long))
    found = assign(many, grid, Seen(grid.squares(2.0)[None], None), reach=REACH)
    assert len(set(found.objects_P.tolist())) > 400
    none = assign(objects(), grid, answers(grid), reach=REACH)
    assert len(none.points_P) == len(none.targets_P) == 0


def test_a_branch_of_one_point_an_object():
    grid, wanted = grid_of(), objects((0, 8, 8, 40, 40, 0), (0, 30, 30, 60, 62, 1))
    found = assign(wanted, grid, answers(grid), reach=REACH, top=7, single=True)
    assert sorted(found.objects_P.tolist()) == [0, 1]
    several = assign(wanted, grid, answers(grid), reach=REACH, top=7)
    for at in (0, 1):
        own = several.objects_P == at
        best = several.points_P[own][several.targets_P[own].argmax()]
        assert found.points_P[found.objects_P == at].item() == best


@pytest.mark.parametrize("ignored", [0, 1])
def test_rows_that_fill_up_are_no_objects_and_ignored_ones_are_apart(ignored):
    targets = torch.tensor([[[0, 0, 5, 5, 1, ignored], [0, 0, 0, 0, -1, 0]], [[0, 0, 0, 0, -1, 0]] * 2]).float()
    learned, left_out = objects_of(targets)
    assert (len(learned), len(left_out)) == ((0, 1) if ignored else (1, 0))
    assert (left_out if ignored else learned).labels_G.tolist() == [1]
