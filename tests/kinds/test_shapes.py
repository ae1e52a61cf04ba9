"""Boxes drawn over a picture: at their places, in the colours of their names, readable, and never outside."""

import numpy as np
import pytest
from PIL import Image, ImageColor

from sightsmith.core.drawing import colour_of
from sightsmith.kinds.parts.shapes import Shape, draw

GREY_HWC = np.full((400, 600, 3), 128, np.uint8)


def box(*edges: float, index: int = 0, **changes) -> Shape:
    return Shape(shape="box", name="cat", text="90%", share=0.9, box=edges, index=index, **changes)


def pixels_of(drawn: Image.Image, index: int) -> np.ndarray:
    """Return the rows and columns of the pixels in a name's colour."""
    return np.argwhere((np.asarray(drawn) == ImageColor.getrgb(colour_of(index))).all(axis=2))


def test_a_box_is_drawn_where_it_is():
    drawn = draw(GREY_HWC, [box(100, 150, 300, 250, on=False)])
    assert drawn.size == (600, 400)
    places = pixels_of(drawn, 0)
    assert places.min(axis=0).tolist() == [150, 100]
    assert places.max(axis=0).tolist() == [249, 299]  # the last pixel inside the edges


def test_it_moves_with_the_size_of_the_drawing():
    drawn = draw(GREY_HWC, [box(100, 150, 300, 250, on=False)], most=1200)
    assert drawn.size == (1200, 800)
    assert np.abs(pixels_of(drawn, 0).min(axis=0) - [300, 200]).max() <= 1


def test_a_small_picture_is_enlarged_until_names_can_be_read():
    assert draw(GREY_HWC[:40, :60], [box(1, 1, 20, 20)]).size == (320, 213)


@pytest.mark.parametrize("edges", [(0, 0, 9, 9), (560, 0, 600, 20), (0, 390, 600, 400), (0, 0, 600, 400)])
def test_a_name_stays_inside_the_picture(edges):
    named, bare = (pixels_of(draw(GREY_HWC, [box(*edges, on=on)]), 0) for on in (None, False))
    assert len(named) > len(bare) + 300  # the whole plate, about 60 × 19 pixels


def test_small_objects_in_a_large_picture_are_not_buried():
    tops = range(100, 1400, 100)
    drawn = draw(np.full((1440, 2560, 3), 128, np.uint8), [box(100, top, 140, top + 40) for top in tops])
    pixels_HWC = np.asarray(drawn)
    for top in tops:
        assert (pixels_HWC[top + 5 : top + 35, 105:135] == 128).all(), "all but the edge of an object is seen"
    assert len(pixels_of(drawn, 0)) > 300 * len(tops), "and its name"


@pytest.mark.parametrize("level", [0, 255])
def test_it_is_seen_on_dark_and_on_bright_pictures(level):
    drawn = np.asarray(draw(np.full((400, 600, 3), level, np.uint8), [box(100, 100, 200, 200, on=False)])).astype(int)
    assert np.abs(drawn[150, 95:205] - level).sum(axis=1).max() > 200


def test_names_have_their_own_colours():
    colours = {colour_of(index) for index in range(80)}
    assert len(colours) == 80


def test_other_shapes_stay_below_the_picture():
    bar = Shape(shape="bar", name="cat", text="90%", share=0.9)
    assert draw(GREY_HWC, [box(0, 0, 9, 9), bar]).height > draw(GREY_HWC, [box(0, 0, 9, 9)]).height == 400
