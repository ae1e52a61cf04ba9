"""The points of a detector without anchors: the middles of the cells of its maps.

Shapes: A points of all maps, finest map first and each map row by row; G boxes; h w rows and columns of a map.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

_SMALL, _WIDENED = 8.0, 16.0  # A side below 8 pixels is taken for 16: a narrow box could lie between all points


class Grid(nn.Module):
    """Points of maps with some strides over an input of one size; it has no weights.

    Attributes:
        points_A2: (x, y) of each point, in pixels of the input.
        strides_A: pixels between two points of its map.
    """

    points_A2: Tensor
    strides_A: Tensor

    def __init__(self, height: int, width: int, strides: Sequence[int]) -> None:
        super().__init__()
        self.levels = tuple((height // stride, width // stride, stride) for stride in strides)
        points, sizes = [], []
        for rows, columns, stride in self.levels:
            y_hw, x_hw = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
            points.append(torch.stack([x_hw, y_hw], dim=2).reshape(-1, 2) * stride)
            sizes.append(torch.full((rows * columns,), float(stride)))
        self.register_buffer("points_A2", torch.cat(points), persistent=False)
        self.register_buffer("strides_A", torch.cat(sizes), persistent=False)

    def __len__(self) -> int:
        return len(self.strides_A)

    def squares(self, side: float) -> Tensor:
        """Return the squares around the points, (A, 4), with sides of `side` strides."""
        half_A1 = self.strides_A[:, None] * side / 2
        return torch.cat([self.points_A2 - half_A1, self.points_A2 + half_A1], dim=1)

    def inside(self, boxes_G4: Tensor, reach: float) -> Tensor:
        """Return which points are inside which boxes, (G, A), no edge of which is further away than `reach` strides."""
        sides_G2 = boxes_G4[:, 2:] - boxes_G4[:, :2]
        more_G2 = torch.where(sides_G2 < _SMALL, (_WIDENED - sides_G2) / 2, 0.0)
        low_G2, high_G2 = boxes_G4[:, :2] - more_G2, boxes_G4[:, 2:] + more_G2
        found = []
        for rows, columns, stride in self.levels:
            axes = []
            for axis, count in ((1, rows), (0, columns)):
                at_h = (torch.arange(count, device=boxes_G4.device) + 0.5) * stride
                inside_Gh = (at_h > low_G2[:, axis, None]) & (at_h < high_G2[:, axis, None])
                far_Gh = torch.maximum(at_h - boxes_G4[:, axis, None], boxes_G4[:, axis + 2, None] - at_h)
                axes.append(inside_Gh & (far_Gh <= reach * stride))
            found.append((axes[0][:, :, None] & axes[1][:, None, :]).flatten(1))
        return torch.cat(found, dim=1)

    def nearest(self, boxes_G4: Tensor, reach: float) -> Tensor:
        """Return the point nearest to the middle of each box, (G,), of the finest map that reaches its edges."""
        middle_G2 = (boxes_G4[:, :2] + boxes_G4[:, 2:]) / 2
        needed_G = (boxes_G4[:, 2:] - boxes_G4[:, :2]).amax(dim=1) / 2
        gap_GA = torch.cdist(middle_G2, self.points_A2)
        coarsest = max(stride for _, _, stride in self.levels)
        short_GA = (needed_G[:, None] > (reach - 0.5) * self.strides_A) & (self.strides_A < coarsest)
        return (gap_GA + self.strides_A + short_GA * 1e6).argmin(dim=1)
