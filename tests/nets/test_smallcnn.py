"""The formulas in the docstring of `smallcnn`, as plain loops, against torch's operators."""

import math

import pytest
import torch

from sightsmith.core.errors import SettingsError
from sightsmith.nets import smallcnn
from sightsmith.nets.parts.maps import recipro_masks


def cross_correlation(x, weight, bias):
    outs, channels, _, _ = weight.shape
    height, width = x.shape[1:]

    def at(c, i, j):
        return x[c, i, j].item() if 0 <= i < height and 0 <= j < width else 0.0

    y = torch.zeros(outs, height, width, dtype=x.dtype)
    for o in range(outs):
        for i in range(height):
            for j in range(width):
                y[o, i, j] = bias[o] + sum(
                    weight[o, c, u, v].item() * at(c, i + u - 1, j + v - 1)
                    for c in range(channels)
                    for u in range(3)
                    for v in range(3)
                )
    return y


def pooled(x, of):
    channels, height, width = x.shape
    y = torch.zeros(channels, height // 2, width // 2, dtype=x.dtype)
    for c in range(channels):
        for i in range(height // 2):
            for j in range(width // 2):
                y[c, i, j] = of([x[c, 2 * i + u, 2 * j + v].item() for u in (0, 1) for v in (0, 1)])
    return y


def cross_entropy(logits, target):
    return -math.log(math.exp(logits[target]) / sum(math.exp(z) for z in logits))


@pytest.mark.parametrize("pool", ["max", "avg"])
def test_net_equals_the_formulas_as_plain_loops(pool):
    torch.manual_seed(0)
    settings = smallcnn.Settings(pool=pool, width=2, hidden=3)
    net = smallcnn.build(settings, channels=2, classes=4, height=9, width=8).double().eval()
    image = torch.randn(2, 9, 8, dtype=torch.float64)
    x = image
    for conv in (net.conv1, net.conv2):
        x = cross_correlation(x, conv.weight, conv.bias).clamp(min=0)
        x = pooled(x, max if pool == "max" else lambda four: sum(four) / 4)
    values = [value.item() for value in x.flatten()]
    for layer, rectify in ((net.dense, True), (net.head, False)):
        values = [
            layer.bias[o].item() + sum(w.item() * v for w, v in zip(layer.weight[o], values, strict=True))
            for o in range(len(layer.bias))
        ]
        values = [max(0.0, value) for value in values] if rectify else values
    with torch.no_grad():
        logits = net(image[None])[0]
    torch.testing.assert_close(logits, torch.tensor(values, dtype=torch.float64))


def test_cross_entropy_formula():
    logits = [0.3, -1.2, 2.0]
    for target in range(3):
        expected = torch.nn.functional.cross_entropy(
            torch.tensor([logits], dtype=torch.float64), torch.tensor([target])
        ).item()
        assert cross_entropy(logits, target) == pytest.approx(expected)
        assert -logits[target] + math.log(sum(math.exp(z) for z in logits)) == pytest.approx(expected)


@pytest.mark.parametrize(("height", "width"), [(28, 28), (64, 40)])
def test_class_map_is_recipro_cam(height, width):
    torch.manual_seed(1)
    net = smallcnn.build(smallcnn.Settings(), channels=3, classes=5, height=height, width=width).eval()
    with torch.no_grad():
        features = net.features(torch.randn(2, 3, height, width))
        masked = [net.classify(features * mask) for mask in recipro_masks(*features.shape[2:])]
        expected = torch.stack(masked, dim=2).reshape(2, 5, *features.shape[2:])
        torch.testing.assert_close(net.class_map(features), expected, rtol=1e-4, atol=1e-6)


def test_the_class_map_does_not_repeat_the_dense_layer_for_every_position():
    net = smallcnn.build(smallcnn.Settings(), channels=1, classes=3, height=28, width=28).eval()
    rows = []
    net.dense.register_forward_hook(lambda _, inputs, __: rows.append(len(inputs[0])))
    net.with_map(torch.randn(2, 1, 28, 28))
    assert sum(rows) == 2


@pytest.mark.parametrize("pixels", [(8, 8), (8, 30), (28, 28), (100, 76)])
def test_any_size_from_the_smallest(pixels):
    net = smallcnn.build(smallcnn.Settings(), channels=1, classes=3, height=pixels[0], width=pixels[1])
    logits, class_map = net.with_map(torch.randn(2, 1, *pixels))
    assert logits.shape == (2, 3)
    assert class_map.shape[:2] == (2, 3)


def test_the_dense_layer_does_not_grow_with_large_pictures():
    sizes = {
        side: sum(
            p.numel()
            for p in smallcnn.build(smallcnn.Settings(), channels=3, classes=3, height=side, width=side).parameters()
        )
        for side in (32, 224)
    }
    assert sizes[32] == sizes[224]


def test_too_small_names_the_smallest():
    with pytest.raises(SettingsError, match="at least 8×8 pixels, got 7×9"):
        smallcnn.build(smallcnn.Settings(), channels=1, classes=3, height=9, width=7)


@pytest.mark.parametrize("wrong", [{"width": 0}, {"dropout": 1.0}, {"grid": 0}])
def test_settings_out_of_range(wrong):
    with pytest.raises(SettingsError, match=f"smallcnn.{next(iter(wrong))} must be"):
        smallcnn.Settings(**wrong)
