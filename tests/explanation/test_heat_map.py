"""Where evidence lands on the original picture: to the half cell, whatever the crop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightsmith.core.preprocessing import Preprocessing
from sightsmith.explanation.heat_map import blur, project_evidence


@settings(max_examples=60, deadline=None)
@given(
    st.integers(2, 9),
    st.integers(2, 9),
    st.integers(30, 150),
    st.integers(30, 150),
    st.sampled_from(["crop", "squash", "letterbox"]),
    st.data(),
)
def test_one_bright_cell_lands_where_its_pixels_came_from(rows, columns, width, height, resize, data) -> None:
    row, column = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
    raw_hw = np.zeros((rows, columns), np.float32)
    raw_hw[row, column] = 1
    box = Preprocessing(height=64, width=64, resize=resize).box(width, height)
    heat_HW = project_evidence(raw_hw, box, (width, height))
    left, top, right, bottom = box
    cell = np.array([(bottom - top) / rows, (right - left) / columns])
    centre = np.array([top, left]) + cell * (np.array([row, column]) + 0.5)
    inside = (centre > 0).all() and (centre < [height, width]).all()
    if not inside:  # letterbox: the cell shows padding
        return
    assert heat_HW.shape == (height, width)
    assert heat_HW.max() == 1
    peak = np.array(np.unravel_index(heat_HW.argmax(), heat_HW.shape)) + 0.5
    # at the border the edge is continued outwards, so the peak is anywhere from the centre to the edge
    at_edge = np.array([row in {0, rows - 1}, column in {0, columns - 1}])
    assert (np.abs(peak - centre) <= np.where(at_edge, cell / 2 + 1, cell / 5 + 0.5)).all()


def test_outside_the_crop_there_is_nothing() -> None:
    box = Preprocessing(height=32, width=32).box(100, 50)
    heat_HW = project_evidence(np.eye(4, dtype=np.float32) + 0.1, box, (100, 50))
    assert (heat_HW[:, :25] == 0).all()
    assert (heat_HW[:, 75:] == 0).all()
    assert heat_HW[:, 25:75].max() == 1


@pytest.mark.parametrize("level", [-1.0, 0.0, 0.5])
def test_evidence_alike_everywhere_points_nowhere(level: float) -> None:
    assert (project_evidence(np.full((3, 3), level), (0, 0, 9, 9), (9, 9)) == 0).all()


def test_evidence_against_the_class_is_not_shown() -> None:
    raw_hw = np.array([[-5.0, 0.0], [0.0, 2.0]])
    heat_HW = project_evidence(raw_hw, (0, 0, 20, 20), (20, 20))
    assert heat_HW[:8, :8].max() == 0
    assert heat_HW[12:, 12:].min() > 0.5


def test_blur_keeps_a_flat_map_and_the_sum_of_a_point() -> None:
    assert np.allclose(blur(np.full((5, 7), 3.0), 2.0), 3.0)
    point = np.zeros((41, 41))
    point[20, 20] = 1
    spread = blur(point, 2.0)
    assert spread.sum() == pytest.approx(1, abs=1e-5)
    assert spread[20, 20] == pytest.approx(1 / (2 * np.pi * 4), rel=0.02)
    assert np.allclose(spread, spread.T)
