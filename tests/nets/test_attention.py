"""The formulas in the docstring of `attention`, as plain loops, against the net."""

import math

import pytest
import torch

from sightsmith.core.errors import SettingsError
from sightsmith.nets import attention


def times(matrix, vector):
    return [sum(w.item() * v for w, v in zip(row, vector, strict=True)) for row in matrix]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def small(score, classes=3):
    torch.manual_seed(3)
    settings = attention.Settings(score=score, width=2)
    return attention.build(settings, channels=3, classes=classes, height=8, width=12).double().eval()


@pytest.mark.parametrize("score", ["dot", "general"])
def test_net_equals_the_formulas_as_plain_loops(score):
    net = small(score)
    images = torch.randn(1, 3, 8, 12, dtype=torch.float64)
    with torch.no_grad():
        features = net.features(images)[0].flatten(1).T.tolist()
        logits, class_map = net.with_map(images)
        weights = net.attention(images)
    depth, count = len(features[0]), len(features)
    mean = [sum(f[d] for f in features) / count for d in range(depth)]
    query = times(net.query.weight, mean)
    keys = [times(net.key.weight, f) for f in features]
    values = [times(net.value.weight, f) for f in features]
    met = keys if score == "dot" else [times(net.general.weight, key) for key in keys]
    scores = [dot(query, key) / math.sqrt(depth) for key in met]
    total = sum(math.exp(s) for s in scores)
    a = [math.exp(s) / total for s in scores]
    context = [sum(a[p] * values[p][d] for p in range(count)) for d in range(depth)]
    bias = net.head.bias.tolist()
    expected = [z + b for z, b in zip(times(net.head.weight, context), bias, strict=True)]
    expected_map = [
        [count * a[p] * z + b for z, b in zip(times(net.head.weight, values[p]), bias, strict=True)]
        for p in range(count)
    ]
    assert weights.flatten().tolist() == pytest.approx(a)
    assert logits[0].tolist() == pytest.approx(expected)
    torch.testing.assert_close(class_map[0].flatten(1).T, torch.tensor(expected_map, dtype=torch.float64))


@pytest.mark.parametrize("score", ["dot", "general"])
def test_weights_are_a_distribution_over_positions(score):
    weights = small(score).attention(torch.randn(4, 3, 8, 12, dtype=torch.float64))
    assert weights.shape == (4, 2, 3)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum((1, 2)), torch.ones(4, dtype=torch.float64))


def test_class_map_has_the_logits_as_its_mean():
    logits, class_map = small("general").with_map(torch.randn(4, 3, 8, 12, dtype=torch.float64))
    torch.testing.assert_close(class_map.mean((2, 3)), logits)


def test_only_the_general_score_has_a_matrix():
    assert len(list(small("general").parameters())) == len(list(small("dot").parameters())) + 1


def test_too_small_names_the_smallest():
    with pytest.raises(SettingsError, match="at least 8×8 pixels, got 7×7"):
        attention.build(attention.Settings(), channels=1, classes=3, height=7, width=7)
