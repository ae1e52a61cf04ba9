"""The formulas of docs/algorithms.md as plain loops, against the operators and heads that the nets are made of.

The layers of `smallcnn`, the net `attention` and HOG are compared with loops in their own tests; here are the general
forms, the invariants, and the learners.
"""

import math
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from torch.nn import functional as F  # noqa: N812 -- the field's own name for it

from sightsmith.kinds.labels.temperature import cross_entropy
from sightsmith.nets import attention, smallcnn
from sightsmith.nets.features import hog
from sightsmith.nets.heads import svm, tree
from sightsmith.nets.parts.fitted import Names
from sightsmith.nets.parts.tree_head import stepped

DIGITS, TARGETS = load_digits(return_X_y=True)
FEATURES = torch.from_numpy(DIGITS / 16).float()[:200]
LABELS = torch.from_numpy(TARGETS)[:200]
LOGITS = st.lists(st.floats(-50, 50, width=32), min_size=2, max_size=6)


def names(classes):
    return Names(tuple(f"feature {at}" for at in range(64)), tuple("0123456789"[:classes]))


def of_classes(count):
    """Return the features and labels of the digits below `count`."""
    chosen = LABELS.lt(count)
    return FEATURES[chosen], LABELS[chosen]


@given(
    height=st.integers(3, 9),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
    seed=st.integers(0, 99),
)
def test_convolution_is_a_cross_correlation_of_the_printed_size(height, kernel, stride, padding, dilation, seed):
    reach = dilation * (kernel - 1) + 1
    if reach > height + 2 * padding:
        return
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(2, height, height)), rng.normal(size=(2, 2, kernel, kernel))
    b = rng.normal(size=2)
    side = math.floor((height + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1
    y = np.zeros((2, side, side))
    for o, i, j in np.ndindex(y.shape):
        y[o, i, j] = b[o]
        for c, u, v in np.ndindex(w.shape[1:]):
            row, column = i * stride + u * dilation - padding, j * stride + v * dilation - padding
            if 0 <= row < height and 0 <= column < height:
                y[o, i, j] += w[o, c, u, v] * x[c, row, column]
    found = F.conv2d(*map(torch.from_numpy, (x[None], w, b)), stride=stride, padding=padding, dilation=dilation)
    np.testing.assert_allclose(found[0].numpy(), y, atol=1e-10)


@given(size=st.integers(1, 3), stride=st.integers(1, 3), seed=st.integers(0, 99))
def test_pooling_is_the_maximum_or_mean_of_each_window(size, stride, seed):
    x = np.random.default_rng(seed).normal(size=(2, 7, 7))
    side = (7 - size) // stride + 1
    highest, mean = np.zeros((2, side, side)), np.zeros((2, side, side))
    for c, i, j in np.ndindex(highest.shape):
        window = [x[c, i * stride + u, j * stride + v] for u in range(size) for v in range(size)]
        highest[c, i, j], mean[c, i, j] = max(window), sum(window) / size**2
    images = torch.from_numpy(x)[None]
    np.testing.assert_allclose(F.max_pool2d(images, size, stride)[0].numpy(), highest)
    np.testing.assert_allclose(F.avg_pool2d(images, size, stride)[0].numpy(), mean, atol=1e-12)


@pytest.mark.parametrize("pool", ["max", "avg"])
def test_pooling_follows_a_shift_by_its_stride_alone(pool):
    net = smallcnn.build(smallcnn.Settings(pool=pool), channels=1, classes=2, height=8, width=8)
    digit = F.pad(FEATURES[0].reshape(1, 1, 8, 8), (4, 4, 4, 4))
    pooled = net.pool(digit)
    assert torch.equal(net.pool(digit.roll(2, dims=3)), pooled.roll(1, dims=3))
    assert not torch.isclose(net.pool(digit.roll(1, dims=3)).sort()[0], pooled.sort()[0]).all()


@given(logits=LOGITS, shift=st.floats(-1e4, 1e4, width=32))
def test_cross_entropy_does_not_change_if_all_logits_rise(logits, shift):
    z = np.array([logits])
    for target in range(len(logits)):
        highest = max(logits)
        expected = highest + math.log(sum(math.exp(value - highest) for value in logits)) - logits[target]
        assert cross_entropy(z, np.array([target])) == pytest.approx(expected, abs=1e-9)
        assert cross_entropy(z + shift, np.array([target])) == pytest.approx(expected, abs=1e-6)


def test_cross_entropy_is_a_mean_and_smoothing_spreads_a_share():
    logits_NK, targets_N = torch.randn(5, 4, dtype=torch.float64), torch.tensor([0, 3, 1, 1, 2])
    losses = [
        [-math.log(math.exp(z[k]) / sum(math.exp(value) for value in z)) for k in range(4)] for z in logits_NK.tolist()
    ]
    plain = sum(loss[t] for loss, t in zip(losses, targets_N.tolist(), strict=True)) / 5
    spread = sum(sum(loss) / 4 for loss in losses) / 5
    assert cross_entropy(logits_NK.numpy(), targets_N.numpy()) == pytest.approx(plain)
    assert torch.tensor([88.0, 89.0]).exp().isfinite().tolist() == [True, False], "why the largest is taken out first"
    smoothed = F.cross_entropy(logits_NK, targets_N, label_smoothing=0.1).item()
    assert smoothed == pytest.approx(0.9 * plain + 0.1 * spread)


@cache
def attending(score):
    """Return a net with attention and a feature map (1, D, h, w) of it."""
    torch.manual_seed(0)
    settings = attention.Settings(score=score, width=2)
    net = attention.build(settings, channels=1, classes=3, height=8, width=12).double().eval()
    return net, torch.randn(1, 8, 2, 3, dtype=torch.float64)


@pytest.mark.parametrize("score", ["dot", "general"])
@given(order=st.permutations(range(6)))
def test_attention_does_not_know_the_order_of_positions(score, order):
    net, features_1Dhw = attending(score)
    moved_1Dhw = features_1Dhw.flatten(2)[..., list(order)].reshape(1, 8, 2, 3)
    with torch.no_grad():
        weights_1P, _ = net._attend(features_1Dhw)
        moved_1P, _ = net._attend(moved_1Dhw)
        torch.testing.assert_close(moved_1P, weights_1P[:, list(order)])
        torch.testing.assert_close(net.classify(moved_1Dhw), net.classify(features_1Dhw))


def test_the_dot_score_is_the_general_one_with_the_identity():
    torch.manual_seed(0)
    sizes = {"channels": 1, "classes": 3, "height": 8, "width": 12}
    dot = attention.build(attention.Settings(score="dot", width=2), **sizes).eval()
    general = attention.build(attention.Settings(score="general", width=2), **sizes).eval()
    general.load_state_dict(dot.state_dict() | {"general.weight": torch.eye(8)})
    images = torch.randn(2, 1, 8, 12)
    with torch.no_grad():
        torch.testing.assert_close(general(images), dot(images))


@given(contrast=st.floats(0.2, 1))
def test_the_blocks_of_hog_do_not_know_the_contrast(contrast):
    image = FEATURES[0].reshape(1, 1, 8, 8).repeat_interleave(2, 2).repeat_interleave(2, 3)
    built = hog.build(hog.Settings(), channels=1, height=16, width=16)
    torch.testing.assert_close(built(image * contrast), built(image), atol=1e-3, rtol=0)
    torch.testing.assert_close(built.histograms(image * contrast), built.histograms(image) * contrast)


def test_two_directions_share_a_vote():
    shares = []
    for degrees in (14.9, 15.1):
        y, x = np.mgrid[:24, :24]
        ramp = (math.cos(math.radians(degrees)) * x + math.sin(math.radians(degrees)) * y) / 48
        image = torch.from_numpy(ramp).float()[None, None]
        cell_K = hog.build(hog.Settings(), channels=1, height=24, width=24).histograms(image)[0, :, 3, 3]
        shares.append(cell_K / cell_K.sum())
        assert int(cell_K.argmax()) == (0 if degrees < 15 else 1)
    assert float((shares[0] - shares[1]).abs().max()) == pytest.approx(0.2 / 30, abs=1e-4)


def test_a_linear_machine_minimises_the_printed_sum():
    features, labels = of_classes(3)
    head = svm.build(svm.Settings(kernel="linear", c=0.5))
    head.fit(features, labels, names(3))

    def cost(w, b, y):
        hinge = [
            max(0.0, 1 - sign * (sum(map(float.__mul__, w, x)) + b)) ** 2
            for sign, x in zip(y, features.tolist(), strict=True)
        ]
        return (sum(value**2 for value in w) + b**2) / 2 + 0.5 * sum(hinge)

    rng = np.random.default_rng(0)
    for k in range(3):
        y = [1 if label == k else -1 for label in labels.tolist()]
        w, b = head.weights_KD[k].tolist(), float(head.bias_K[k])
        least = cost(w, b, y)
        for step in (1e-1, 1e-2):
            for _ in range(4):
                moved = (np.array(w) + step * rng.normal(size=len(w))).tolist()
                assert cost(moved, b + step * rng.normal(), y) > least


def test_a_machine_with_a_kernel_meets_the_printed_conditions():
    features, labels = of_classes(2)
    head = svm.build(svm.Settings(c=0.3, gamma=0.1))
    head.fit(features, labels, names(2))
    support, coefficients = head.support_SD.tolist(), head.dual_KS[0].tolist()
    held = {tuple(s): coefficient for s, coefficient in zip(support, coefficients, strict=True)}
    on_the_margin = 0
    assert sum(coefficients) == pytest.approx(0, abs=1e-4)
    for x, label in zip(features.tolist(), labels.tolist(), strict=True):
        d = float(head.intercept_P[0]) + sum(
            coefficient * math.exp(-0.1 * sum((a - b) ** 2 for a, b in zip(x, s, strict=True)))
            for s, coefficient in zip(support, coefficients, strict=True)
        )
        y = 1 if label == 0 else -1  # the first class of a pair is the positive one
        alpha = held.get(tuple(x), 0.0) * y
        assert 0 <= alpha <= 0.3 + 1e-6
        if alpha == 0:
            assert y * d >= 1 - 2e-3
        elif alpha > 0.3 - 1e-6:
            assert y * d <= 1 + 2e-3
        else:
            on_the_margin += 1
            assert y * d == pytest.approx(1, abs=2e-3)
        score = head(torch.tensor([x]))[0]
        assert int(score.argmax()) == (0 if d > 0 else 1)
    assert on_the_margin > 0


def gini(labels):
    return 1 - sum((labels.count(k) / len(labels)) ** 2 for k in set(labels))


def least_impurity(rows, leaf):
    """Return the lowest weighted impurity of all questions about (features, label) rows, None if there is none."""
    found = []
    for feature in range(len(rows[0][0])):
        values = sorted({x[feature] for x, _ in rows})
        for low, high in pairwise(values):
            left = [label for x, label in rows if x[feature] <= (low + high) / 2]
            right = [label for x, label in rows if x[feature] > (low + high) / 2]
            if min(len(left), len(right)) >= leaf:
                found.append((len(left) * gini(left) + len(right) * gini(right)) / len(rows))
    return min(found, default=None)


def test_each_question_of_a_tree_leaves_the_least_impurity():
    features, labels = FEATURES[:90, 18:46:3], LABELS[:90]
    head = tree.build(tree.Settings(depth=3, leaf=3))
    head.fit(features, labels, names(10))
    questions = 0

    def descend(node, rows, depth):
        nonlocal questions
        counts = [label for _, label in rows]
        assert head.share_TMK[0, node].tolist() == pytest.approx([counts.count(k) / len(counts) for k in range(10)])
        left, right = int(head.left_TM[0, node]), int(head.right_TM[0, node])
        if left == node:
            assert depth == 3 or gini(counts) == 0 or least_impurity(rows, 3) is None
            return
        feature, threshold = int(head.feature_TM[0, node]), float(head.threshold_TM[0, node])
        groups = (
            [row for row in rows if row[0][feature] <= threshold],
            [row for row in rows if row[0][feature] > threshold],
        )
        impurity = sum(len(group) * gini([label for _, label in group]) for group in groups) / len(rows)
        assert impurity == pytest.approx(least_impurity(rows, 3))
        questions += 1
        for child, group in zip((left, right), groups, strict=True):
            descend(child, group, depth + 1)

    descend(0, list(zip(stepped(features).tolist(), labels.tolist(), strict=True)), 0)
    assert questions >= 5
