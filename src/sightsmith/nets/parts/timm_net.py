"""A net of timm (https://github.com/huggingface/pytorch-image-models, Apache-2.0) with a class map.

The class map depends on the form of a net's last features (shapes: B batch, D features, T tokens, P prefix tokens):

- a map, (B, D, h, w) or (B, h, w, D): the head applied at every position;
- tokens, (B, P + h·w, D): the head applied to every patch token, as if the whole picture were that patch;
- a map whose head needs all of it (VGG's 7×7 convolution, attention pooling with positions): Recipro-CAM's masking;
- anything else (several scales, one class token alone): occlusion of 4×4 cells of the picture, 16 more passes.
"""

import math
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from timm.layers.attention import Attention
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from sightsmith.nets.parts.classifier import ClassifierNet
from sightsmith.nets.parts.maps import by_masking, by_occlusion, by_position

CANNOT = (AssertionError, RuntimeError, ValueError, TypeError, IndexError, KeyError, ZeroDivisionError, AttributeError)
"""Exceptions of timm's nets for an input that they cannot take."""
Method = Literal["position", "masking", "occlusion"]
"""A class map by the head at every position, by Recipro-CAM's masking, or by occlusion of the picture."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The form of a net's last features, and how its class map is made of them."""

    method: Method
    kind: Literal["map", "last", "tokens"] = "map"  # "map" (B, D, h, w), "last" (B, h, w, D) or "tokens" (B, T, D)
    prefix: int = 0  # with tokens, how many come before the patches'
    grid: tuple[int, int] = (1, 1)  # with tokens, the rows and columns of patches


class TimmNet(ClassifierNet):
    def __init__(self, net: Any, layout: Layout) -> None:
        super().__init__()
        self.net: Any = net
        self.layout = layout

    def features(self, images_BCHW: Tensor) -> Tensor:
        return self.net.forward_features(images_BCHW)

    def classify(self, features: Tensor) -> Tensor:
        return self.net.forward_head(features)

    def with_map(self, images_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        if self.layout.method == "occlusion":
            logits_BK = self(images_BCHW)
            return logits_BK, by_occlusion(self, images_BCHW, logits_BK)
        return super().with_map(images_BCHW)

    def class_map(self, features: Tensor) -> Tensor:
        method = by_masking if self.layout.method == "masking" else by_position
        return method(self._classify_map, self.as_map(features))

    def attention(self, images_BCHW: Tensor) -> Tensor | None:
        """Return the attention of a vision transformer's class token in the last block, (B, h, w), sum 1.

        It is the mean over the heads; None for nets without a class token or with another form of attention.
        """
        attention = _last_attention(self.net)
        if attention is None or self.layout.kind != "tokens":
            return None
        seen: list[Tensor] = []
        with attention.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0])):
            self.features(images_BCHW)
        weights_BT = _class_attention(attention, seen[0])[:, self.layout.prefix :]
        return (weights_BT / weights_BT.sum(dim=1, keepdim=True)).reshape(-1, *self.layout.grid)

    def published(self) -> nn.Module:
        return self.net

    def head_parts(self) -> tuple[str, ...]:
        return tuple(f"net.{name}" for name in names_of(self.net.pretrained_cfg.get("classifier")))

    def as_map(self, features: Tensor) -> Tensor:
        if self.layout.kind == "last":
            return features.permute(0, 3, 1, 2)
        if self.layout.kind == "tokens":
            return features[:, self.layout.prefix :].transpose(1, 2).reshape(features.shape[0], -1, *self.layout.grid)
        return features

    def _classify_map(self, features_BDhw: Tensor) -> Tensor:
        if self.layout.kind == "last":
            return self.classify(features_BDhw.permute(0, 2, 3, 1))
        if self.layout.kind == "tokens":
            patch_B1D = features_BDhw.flatten(2).transpose(1, 2)
            return self.classify(patch_B1D.expand(-1, self.layout.prefix + 1, -1))
        return self.classify(features_BDhw)


def _last_attention(net: Any) -> nn.Module | None:
    """Return the attention of a plain vision transformer's last block, if its first token is the class token."""
    plain = isinstance(net, VisionTransformer) and net.has_class_token
    attention = getattr(net.blocks[-1], "attn", None) if plain else None
    return attention if type(attention) is Attention else None


def _class_attention(attention: Any, tokens_BTD: Tensor) -> Tensor:
    """Return the attention of the first token to every token, mean over the heads, (B, T)."""
    batch, tokens, _ = tokens_BTD.shape
    qkv = attention.qkv(tokens_BTD).reshape(batch, tokens, 3, attention.num_heads, -1)
    query, key, _ = qkv.permute(2, 0, 3, 1, 4).unbind(0)
    query, key = attention.q_norm(query[:, :, :1]), attention.k_norm(key)
    return torch.softmax(query @ key.transpose(-2, -1) * attention.scale, dim=-1).mean(dim=1)[:, 0]


def find_layout(net: Any, channels: int, height: int, width: int) -> Layout:
    """Run the net once on an empty picture to find the form of its features and the class map they allow."""
    # patches that do not fill the picture would silently ignore its right or lower border
    patch = getattr(getattr(net, "patch_embed", None), "patch_size", None)
    if isinstance(patch, tuple) and len(patch) == 2 and (height % patch[0] or width % patch[1]):
        raise ValueError(f"its patches are {patch[1]}×{patch[0]} and do not fill the picture")
    training = net.training
    net.eval()
    images = torch.zeros(1, channels, height, width, device=next(net.parameters()).device)
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        features = net.forward_features(images)
        net.forward_head(features)
        found = _first_that_works(net, features, height, width)
    net.train(training)
    return found


def _first_that_works(net: Any, features: Any, height: int, width: int) -> Layout:
    shape = _shape(net, features, height, width)
    if shape is None:
        return Layout("occlusion")
    # a head that begins with a convolution larger than 1×1 (VGG) needs the whole map
    whole = getattr(getattr(net, "pre_logits", None), "input_kernel_size", 1) > 1
    methods: tuple[Method, ...] = ("masking",) if whole else ("position", "masking")
    for method in methods:
        layout = replace(shape, method=method)
        try:
            found = TimmNet(net, layout).class_map(features)
        except CANNOT:
            continue
        if found.ndim == 4 and len(found) == 1:
            return layout
    return Layout("occlusion")


def _shape(net: Any, features: Any, height: int, width: int) -> Layout | None:
    if not isinstance(features, Tensor) or features.ndim not in (3, 4):
        return None
    if features.ndim == 4:
        last = getattr(net, "output_fmt", None) == "NHWC" or features.shape[1] != net.num_features == features.shape[-1]
        return Layout("position", "last" if last else "map")
    known = getattr(net, "num_prefix_tokens", None)
    for prefix in (0, 1, 2) if known is None else (known,):
        grid = _grid(features.shape[1] - prefix, height, width)
        if grid is not None and grid != (1, 1):
            return Layout("position", "tokens", prefix, grid)
    return None


def _grid(patches: int, height: int, width: int) -> tuple[int, int] | None:
    """Return the rows and columns of that many square patches over a picture, None if they do not fit."""
    if patches < 1:
        return None
    rows = round(math.sqrt(patches * height / width))
    columns = patches // rows if rows else 0
    fits = rows * columns == patches and abs(rows * width - columns * height) <= max(height, width)
    return (rows, columns) if fits else None


def names_of(one_or_more: str | tuple[str, ...] | list[str] | None) -> tuple[str, ...]:
    """Return a tuple of names from a field of timm's configurations with one, several or no names."""
    return (one_or_more,) if isinstance(one_or_more, str) else tuple(one_or_more or ())
