"""Computed features against plain loops over the formulas in their files."""

import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sightsmith.core.errors import SettingsError
from sightsmith.nets.features import FEATURES, colour, hog, lbp, measure, pixel, template

EVERY = pytest.mark.parametrize("name", FEATURES.names())


def pictures(count, channels, height, width, seed=0):
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(seed))


def hog_by_loops(x_CHW, settings):
    cell, count, block = settings.cell, settings.orientations, settings.block
    between = (2 if settings.signed else 1) * math.pi / count
    rows, columns = x_CHW.shape[1] // cell, x_CHW.shape[2] // cell
    height, width = rows * cell, columns * cell
    cells = np.zeros((rows, columns, count))
    for i in range(height):
        for j in range(width):
            gradients = [
                (
                    x[i, j + 1] - x[i, j - 1] if 0 < j < width - 1 else 0.0,
                    x[i + 1, j] - x[i - 1, j] if 0 < i < height - 1 else 0.0,
                )
                for x in x_CHW
            ]
            u, v = max(gradients, key=lambda pair: pair[0] ** 2 + pair[1] ** 2)
            place = math.atan2(v, u) / between
            for row in range(rows):
                for column in range(columns):
                    near_y = 1 - abs(i - (row * cell + (cell - 1) / 2)) / cell
                    near_x = 1 - abs(j - (column * cell + (cell - 1) / 2)) / cell
                    if near_y <= 0 or near_x <= 0:
                        continue
                    for k in range(count):
                        apart = (place - k) % count
                        near = 1 - min(apart, count - apart)
                        cells[row, column, k] += math.hypot(u, v) * near_y * near_x * max(0.0, near)
    found = np.zeros((rows - block + 1, columns - block + 1, block * block * count))
    for row in range(rows - block + 1):
        for column in range(columns - block + 1):
            values = cells[row : row + block, column : column + block].reshape(-1)
            values = np.minimum(values / math.sqrt((values**2).sum() + 1e-10), 0.2)
            found[row, column] = values / math.sqrt((values**2).sum() + 1e-10)
    return found.transpose(2, 0, 1).reshape(-1)


@pytest.mark.parametrize(
    ("settings", "channels", "height", "width"),
    [
        (hog.Settings(), 1, 16, 16),
        (hog.Settings(cell=3, orientations=9, signed=False), 1, 13, 11),
        (hog.Settings(cell=5, orientations=8, block=1), 3, 16, 12),
        (hog.Settings(cell=4, orientations=6, block=3), 3, 19, 14),
    ],
)
def test_hog_is_the_papers(settings, channels, height, width):
    images = pictures(2, channels, height, width)
    built = hog.build(settings, channels=channels, height=height, width=width)
    for got, image in zip(built(images).numpy(), images.double().numpy(), strict=True):
        np.testing.assert_allclose(got, hog_by_loops(image, settings), atol=1e-5)


@given(v=st.floats(-2, 2, width=32), u=st.floats(-2, 2, width=32))
def test_the_angle_is_that_of_atan2(v, u):
    found = float(hog.angle(torch.tensor([v]), torch.tensor([u])))
    if math.hypot(u, v) > 1e-9:
        assert math.cos(found - math.atan2(v, u)) == pytest.approx(1, abs=1e-6)


def test_an_edge_votes_for_its_direction_and_its_place():
    image = torch.zeros(1, 1, 16, 16)
    image[..., 8:] = 1  # from dark on the left to light on the right: a gradient of angle 0
    cells = hog.build(hog.Settings(), channels=1, height=16, width=16).histograms(image)[0]
    assert cells.sum((1, 2)).argmax() == 0
    assert cells[0].sum(0)[[1, 2]].sum() > 0.7 * cells.sum(), "most in the two columns beside the edge"
    mirrored = hog.build(hog.Settings(), channels=1, height=16, width=16).histograms(image.flip(3))[0]
    assert mirrored.sum((1, 2)).argmax() == 6, "half a turn further if signed"


def test_lbp_is_the_papers():
    images = torch.randint(0, 256, (2, 1, 9, 8), generator=torch.Generator().manual_seed(0)) / 255
    found = lbp.build(lbp.Settings(cells=1), channels=1, height=9, width=8)(images)
    ring = ((0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0))
    uniform = [code for code in range(256) if sum((code >> p & 1) != (code >> (p + 1) % 8 & 1) for p in range(8)) <= 2]
    assert len(uniform) == 58
    for got, x in zip(found.numpy(), images[:, 0].numpy(), strict=True):
        counts = np.zeros(59)
        for i in range(1, 8):
            for j in range(1, 7):
                code = sum(2**p for p, (y, z) in enumerate(ring) if x[i - 1 + y, j - 1 + z] >= x[i, j])
                counts[uniform.index(code) if code in uniform else 58] += 1
        np.testing.assert_allclose(got, np.sqrt(counts / counts.sum()), atol=1e-6)


def test_colours_are_shares_of_the_pixels():
    images = pictures(2, 3, 6, 4)
    found = colour.build(colour.Settings(bins=3, parts=1), channels=3, height=6, width=4)(images)
    expected = np.zeros((2, 27))
    for n, image in enumerate(images.numpy()):
        for i in range(6):
            for j in range(4):
                near = [[max(0.0, 1 - abs(image[c, i, j] * 2 - b)) for b in range(3)] for c in range(3)]
                expected[n] += np.einsum("r,g,b->rgb", *map(np.array, near)).reshape(-1) / 24
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-6)


def test_a_picture_is_most_alike_to_the_template_of_its_class():
    means = pictures(3, 1, 8, 8)
    images = torch.cat([means + 0.1 * pictures(3, 1, 8, 8, seed) for seed in range(1, 5)])
    built = template.build(template.Settings(), channels=1, height=8, width=8)
    built.fit(images, torch.arange(3).repeat(4), 3)
    found = built(0.5 * images + 0.2)
    assert found.argmax(1).tolist() == [0, 1, 2] * 4, "contrast and brightness do not matter"
    own = np.corrcoef(images[0].flatten(), images[torch.arange(12) % 3 == 0].mean(0).flatten())[0, 1]
    assert float(found[0, 0]) == pytest.approx(own, abs=1e-5)


def test_pixels_are_averaged_down():
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert pixel.build(pixel.Settings(grid=2), channels=1, height=4, width=4)(image).tolist() == [
        [2.5, 4.5, 10.5, 12.5]
    ]


@EVERY
@pytest.mark.parametrize("channels", [1, 3])
def test_features_of_a_picture_do_not_depend_on_its_batch(name, channels):
    file = FEATURES.module(name)
    built = file.build(file.Settings(), channels=channels, height=17, width=21)
    images = pictures(5, channels, 17, 21)
    built.fit(images, torch.arange(5), 5)
    whole = built(images)
    assert whole.ndim == 2
    assert whole.isfinite().all()
    for n in range(5):
        torch.testing.assert_close(built(images[n : n + 1])[0], whole[n], rtol=1e-4, atol=1e-6)


@EVERY
def test_one_colour_gives_no_nan(name):
    file = FEATURES.module(name)
    built = file.build(file.Settings(), channels=3, height=16, width=16)
    images = torch.full((2, 3, 16, 16), 0.5)
    built.fit(images, torch.arange(2), 2)
    assert built(images).isfinite().all()


def test_a_picture_smaller_than_a_block_is_refused():
    with pytest.raises(SettingsError, match="at least 16×16 pixels, got 12×20"):
        hog.build(hog.Settings(cell=8), channels=1, height=20, width=12)


def test_measures_are_what_their_names_say():
    images = torch.zeros(3, 3, 8, 8)
    images[0, 0] = 0.9  # red
    images[1, :, :, ::2] = 1.0  # upright stripes
    images[2, :, :4] = 1.0  # the upper half is white
    built = measure.build(measure.Settings(), channels=3, height=8, width=8)
    found = [dict(zip(measure.Measures.NAMES, row, strict=True)) for row in built(images).tolist()]
    assert found[0]["red"] > 0.98
    assert found[0]["colourfulness"] == pytest.approx(0.9)
    assert found[0]["edges"] == 0
    assert found[1]["brightness"] == found[2]["brightness"] == 0.5
    assert found[1]["contrast"] == 0.5
    assert found[1]["edges"] == 0.5, "every neighbour beside, none below"
    assert found[1]["upright_edges"] == 1
    assert found[2]["upright_edges"] == 0
    assert found[2]["top"] == 1
    assert found[2]["green"] == pytest.approx(1 / 3, abs=1e-3)


def named(built, images, classes=()):
    """Return the features of one picture by name."""
    names, (values,) = list(built.names(classes)), built(images)
    assert len(set(names)) == len(names) == len(values)
    return dict(zip(names, values.tolist(), strict=True))


@EVERY
@pytest.mark.parametrize("channels", [1, 3])
def test_features_have_a_name_each_or_none(name, channels):
    file = FEATURES.module(name)
    built = file.build(file.Settings(), channels=channels, height=16, width=20)
    images = pictures(3, channels, 16, 20)
    built.fit(images, torch.arange(3), 3)
    names = list(built.names(("cat", "dog", "owl")))
    assert len(set(names)) == len(names)
    assert len(names) in (0, built(images).shape[1])
    assert isinstance(built.note(), str)


@pytest.mark.parametrize(
    "settings", [hog.Settings(), hog.Settings(block=1, orientations=8), hog.Settings(signed=False, block=3)]
)
def test_the_name_of_a_hog_feature_tells_its_cell_and_its_direction(settings):
    image = torch.zeros(1, 1, 20, 24)
    image[..., 8:12, 14:] = 1  # an edge in the third row and fourth column of cells, brighter to the right
    for turned, turn in ((image, 0), (image.flip(3), 180 if settings.signed else 0)):
        found = named(hog.build(settings, channels=1, height=20, width=24), turned)
        cells, directions = {}, {}
        for name, value in found.items():
            row, column, degrees = re.match(r"HOG at row (\d+), column (\d+), direction ([\d.]+)°", name).groups()
            cells[int(row), int(column)] = cells.get((int(row), int(column)), 0) + value
            directions[float(degrees)] = directions.get(float(degrees), 0) + value
        strength = {degrees: value for degrees, value in directions.items() if degrees % 180 == 0}
        assert max(strength, key=strength.get) == turn
        best = max(cells, key=cells.get)
        assert best == (3, 4) if turned is image else best == (3, 3)


def test_a_direction_of_90_degrees_is_brighter_below():
    image = torch.zeros(1, 1, 16, 16)
    image[..., 8:, :] = 1
    found = named(hog.build(hog.Settings(), channels=1, height=16, width=16), image)
    assert "direction 90°" in max(found, key=found.get)


def test_the_name_of_a_pixel_tells_its_place_and_its_colour():
    image = torch.zeros(1, 3, 4, 5)
    image[0, 1, 1, 2] = 1
    found = named(pixel.build(pixel.Settings(), channels=3, height=4, width=5), image)
    assert [name for name, value in found.items() if value] == ["green at row 2, column 3"]


def test_the_name_of_a_colour_is_that_colour():
    image = torch.zeros(1, 3, 6, 6)
    image[0, :, :3, 3:] = torch.tensor([1.0, 1 / 3, 0])[:, None, None]
    found = named(colour.build(colour.Settings(), channels=3, height=6, width=6), image)
    assert found["colour #ff5500 at row 1, column 2"] == pytest.approx(1)
    assert found["colour #000000 at row 2, column 1"] == pytest.approx(1)
    grey = named(colour.build(colour.Settings(bins=3, parts=1), channels=1, height=6, width=6), image[:, :1] * 0.5)
    assert set(grey) == {f"colour #{level * 3} at row 1, column 1" for level in ("00", "80", "ff")}


def test_the_name_of_a_pattern_has_the_neighbours_clockwise():
    image = torch.arange(8.0).expand(1, 1, 8, 8) / 8  # brighter to the right
    found = named(lbp.build(lbp.Settings(cells=2), channels=1, height=8, width=8), image)
    assert {name for name, value in found.items() if value} == {
        f"pattern 01111100 at row {row}, column {column}" for row in (1, 2) for column in (1, 2)
    }


def test_likeness_is_to_the_mean_of_the_class_in_its_name():
    means = pictures(3, 1, 8, 8)
    built = template.build(template.Settings(), channels=1, height=8, width=8)
    built.fit(means, torch.arange(3), 3)
    found = named(built, means[1:2], ("cat", "dog", "owl"))
    assert max(found, key=found.get) == "likeness to the mean dog"
