"""The small residual net."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sightsmith.core.errors import SettingsError
from sightsmith.nets import smallresnet


def make(rows=28, columns=28, **values):
    torch.manual_seed(0)
    return smallresnet.build(smallresnet.Settings(**values), channels=1, classes=4, height=rows, width=columns).eval()


@pytest.mark.parametrize(("side", "map_side"), [(4, 4), (8, 4), (16, 4), (28, 7), (32, 8), (64, 16)])
def test_map_keeps_at_least_four_positions_along_a_side(side, map_side):
    _, class_map = make(side, side).with_map(torch.randn(1, 1, side, side))
    assert class_map.shape == (1, 4, map_side, map_side)


def test_class_map_has_the_logits_as_its_mean():
    logits, class_map = make().with_map(torch.randn(3, 1, 28, 28))
    torch.testing.assert_close(class_map.mean((2, 3)), logits)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 3), st.integers(0, 2), st.integers(0, 1), st.booleans(), st.integers(4, 20), st.integers(4, 20))
def test_every_setting_gives_finite_logits(stages, depth, stem_depth, tail, rows, columns):
    net = make(rows, columns, width=4, stages=stages, depth=depth, stem_depth=stem_depth, tail=tail)
    assert net(torch.randn(2, 1, rows, columns)).isfinite().all()
    assert net.head.in_features == 4 * 2**stages


def test_dropout_acts_in_training_only():
    net, image = make(dropout=0.5), torch.randn(1, 1, 28, 28)
    assert torch.equal(net(image), net(image))
    net.dropout.train()
    assert not torch.equal(net(image), net(image))


@pytest.mark.parametrize("wrong", [{"width": 0}, {"stages": 0}, {"depth": -1}, {"dropout": 1.0}, {"smallest_map": 0}])
def test_settings_out_of_range(wrong):
    with pytest.raises(SettingsError, match=f"smallresnet.{next(iter(wrong))} must be"):
        smallresnet.Settings(**wrong)


def test_too_small_names_the_smallest():
    with pytest.raises(SettingsError, match="at least 4×4"):
        make(3, 9)
