"""The 3D Swin transformer of torchvision (BSD-3-Clause) without decisions that depend on the number of frames.

Paper: Liu et al., "Video Swin Transformer", CVPR 2022, arXiv:2106.13230.
The library shrinks the window of a short clip to the clip's length and leaves out the shift. An exported graph keeps
the choice that was made for its example, and is wrong for other lengths. Here a window has all its positions: those
after the end of a clip of one window get no attention, and the shift is a tensor, which is 0 there. The numbers are the
library's (`tests/nets/test_torchvision_clips.py`), and so are the names of the weights.

Shapes: B batch, T H W frames, height and width of a map, C channels, P Q R its padded lengths, V windows of a clip,
N positions of a window, M heads, D numbers of a head.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 -- the field's own name for it
from torchvision.models import get_model
from torchvision.models.swin_transformer import SwinTransformerBlock
from torchvision.models.video.swin_transformer import PatchEmbed3d, ShiftedWindowAttention3d

_SEPARATE = -100.0  # What the library adds to the scores between regions that a shift brings side by side
_ABSENT = -1e4  # Added to the scores of absent positions: their share is 0 after softmax


def swin3d(name: str, outputs: int) -> nn.Module:
    """Build a net of torchvision, such as `swin3d_t`, with random weights."""
    net: nn.Module = get_model(name, weights=None, num_classes=outputs, block=_block, patch_embed=_Patches)
    return net


def _block(*arguments: Any, attn_layer: type, **options: Any) -> nn.Module:  # noqa: ARG001 -- replaced by ours
    return SwinTransformerBlock(*arguments, attn_layer=_WindowAttention, **options)


class _Patches(PatchEmbed3d):
    """Cuts a clip into patches; an incomplete one is filled with zeros."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the map (B, T, H, W, C) of a clip (B, 3, frames, rows, columns)."""
        frames, rows, columns = self.tuple_patch_size
        # One frame less than a patch is always added: the convolution ignores an incomplete patch at the end
        padded = F.pad(x, (0, -x.shape[4] % columns, 0, -x.shape[3] % rows, 0, frames - 1))
        patches: Tensor = self.norm(self.proj(padded).permute(0, 2, 3, 4, 1))
        return patches


@dataclass(frozen=True, slots=True)
class _Axis:
    """One axis of a map, padded to whole windows and shifted."""

    window: int
    order_P: Tensor  # of each place after the shift, its place before; the map's length stands for padding
    back: Tensor  # of each place of the map, its place after the shift
    region_P: Tensor  # 0, 1 or 2; only positions of one region attend to each other

    @property
    def windows(self) -> int:
        return self.order_P.shape[0] // self.window


class _WindowAttention(ShiftedWindowAttention3d):
    """Attention inside each window; every second block shifts the windows by half a window."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the map (B, T, H, W, C) of one of the same shape."""
        length, *sides = x.shape[1:4]
        places_P = torch.arange(_whole_windows(length, self.window_size[0]), device=x.device)
        several_1 = places_P[-1:] >= self.window_size[0]  # windows along the time
        absent_P = (places_P >= length) & ~several_1
        axes = [_axis(length, self.window_size[0], self.shift_size[0] * several_1.long(), places_P)]
        for side, window, shift in zip(sides, self.window_size[1:], self.shift_size[1:], strict=True):
            least = min(window, side)
            places = torch.arange(_whole_windows(side, least), device=x.device)
            axes.append(_axis(side, least, shift if side > window else 0, places))
        masks = self._masks(axes, absent_P, x.dtype)
        inside = self._attend(_windows(_shifted(x, axes), axes), masks, [axis.window for axis in axes])
        joined = _joined(inside, axes)
        for number, axis in enumerate(axes, 1):
            joined = joined.index_select(number, axis.back)
        return joined

    def _masks(self, axes: list[_Axis], absent_P: Tensor, dtype: torch.dtype) -> Tensor:
        """Return what is added to the scores of each window, (V, 1, N or 1, N)."""
        time, rows, columns = (axis.region_P for axis in axes)
        absent_1VN1 = _windows(absent_P[None, :, None, None, None].expand(-1, -1, *map(len, (rows, columns)), -1), axes)
        mask = absent_1VN1[0, :, None, None, :, 0].to(dtype) * _ABSENT
        if not any(self.shift_size):
            return mask
        region_PQR = time[:, None, None] * 9 + rows[:, None] * 3 + columns
        region_VN = _windows(region_PQR[None, ..., None], axes)[0, ..., 0]
        different_VNN = region_VN[:, :, None] != region_VN[:, None]
        return mask + different_VNN[:, None].to(dtype) * _SEPARATE

    def _attend(self, x_BVNC: Tensor, masks: Tensor, window: list[int]) -> Tensor:
        qkv = self.qkv(x_BVNC).unflatten(-1, (3, self.num_heads, -1))
        q_BVMND, k_BVMND, v_BVMND = qkv.permute(3, 0, 1, 4, 2, 5).unbind(0)
        scores_BVMNN = (q_BVMND * q_BVMND.shape[-1] ** -0.5) @ k_BVMND.transpose(-2, -1)
        scores_BVMNN = scores_BVMNN + self.get_relative_position_bias(window) + masks
        shares_BVMNN = F.dropout(scores_BVMNN.softmax(dim=-1), self.attention_dropout, self.training)
        pooled_BVNC = (shares_BVMNN @ v_BVMND).transpose(2, 3).flatten(3)
        return F.dropout(self.proj(pooled_BVNC), self.dropout, self.training)


def _whole_windows(length: int, window: int) -> int:
    # Never `-(-length // window)`: ONNX rounds a quotient towards 0, not down
    return (length + window - 1) // window * window


def _axis(length: int, window: int, shift: int | Tensor, places_P: Tensor) -> _Axis:
    padded = places_P.shape[0]
    # Sums for remainders: the exporter to ONNX takes no length as a divisor
    order_P = places_P + shift
    order_P = order_P - padded * (order_P >= padded).long()
    back = torch.arange(length, device=places_P.device) - shift
    return _Axis(
        window=window,
        order_P=(order_P - length).clamp(max=0) + length,
        back=back + padded * (back < 0).long(),
        # Without a shift the border of the first two regions is that of two windows, so that nothing is separated
        region_P=(places_P >= padded - window).long() + (places_P >= padded - shift).long(),
    )


def _shifted(x_BTHWC: Tensor, axes: Sequence[_Axis]) -> Tensor:
    """Return a map padded to whole windows, and shifted."""
    x = F.pad(x_BTHWC, (0, 0, 0, 1, 0, 1, 0, 1))
    for number, axis in enumerate(axes, 1):
        x = x.index_select(number, axis.order_P)
    return x


def _windows(x_BPQRC: Tensor, axes: Sequence[_Axis]) -> Tensor:
    """Return the windows of a padded map, (B, V, N, C)."""
    batch, *_, channels = x_BPQRC.shape
    cut = [size for axis in axes for size in (axis.windows, axis.window)]
    return x_BPQRC.reshape(batch, *cut, channels).permute(0, 1, 3, 5, 2, 4, 6, 7).flatten(4, 6).flatten(1, 3)


def _joined(x_BVNC: Tensor, axes: Sequence[_Axis]) -> Tensor:
    """Return the padded map of its windows, (B, P, Q, R, C)."""
    batch, *_, channels = x_BVNC.shape
    cut = (*(axis.windows for axis in axes), *(axis.window for axis in axes))
    x = x_BVNC.reshape(batch, *cut, channels).permute(0, 1, 4, 2, 5, 3, 6, 7)
    return x.flatten(5, 6).flatten(3, 4).flatten(1, 2)
