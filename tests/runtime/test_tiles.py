"""Large pictures by tiles: an object anywhere comes exactly once, with its box."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import ndimage

from coloured_boxes import png
from sightsmith.bundle.definition import Definition, Graph
from sightsmith.core.errors import SettingsError
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.inputs import picture
from sightsmith.kinds.boxes.geometry import iou
from sightsmith.runtime.runner import Runner
from sightsmith.runtime.session import Session
from sightsmith.runtime.tiles import Tiling, predict_tiled

SIDE = 64
TILING = Tiling(side=SIDE, overlap=0.25)
WIDTH, HEIGHT = 230, 170


class BrightAreas(Session):
    """A detector in NumPy: each bright area is an object of the name `area`, the surer the brighter it is."""

    def describe(self) -> str:
        return "bright areas"

    def _run(self, feeds, outputs):
        batches = [self._found(pixels_HW3[..., 0] / 255) for pixels_HW3 in feeds["pixels"]]
        candidates_NK6 = np.zeros((len(batches), 400, 6), np.float32)
        for rows_K6, areas in zip(candidates_NK6, batches, strict=True):
            rows_K6[: len(areas)] = np.reshape(areas, (-1, 6))
        return {"detections": candidates_NK6}

    def _found(self, light_HW):
        numbered_HW, _ = ndimage.label(light_HW > 0.35)
        return [
            (
                across.start / SIDE,
                down.start / SIDE,
                across.stop / SIDE,
                down.stop / SIDE,
                light_HW[down, across].max(),
                0,
            )
            for down, across in ndimage.find_objects(numbered_HW)
        ]


def runner(kind: str = "boxes") -> Runner:
    how = Preprocessing(height=SIDE, width=SIDE, resize="letterbox", mean=(0.0,) * 3, std=(1.0,) * 3, fill=0)
    graph = Graph(inputs=picture.ports(how), outputs=("detections",))
    definition = Definition(
        input="picture", input_settings=how, kind=kind, names=("area",), programs=("once",), graphs={"model": graph}
    )
    return Runner(definition, {"model": BrightAreas("fp32", graph.inputs, graph.outputs)})


def page(*objects: tuple[int, int, int, int], brightness: int = 230) -> np.ndarray:
    pixels_HWC = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for left, top, right, bottom in objects:
        pixels_HWC[top:bottom, left:right] = brightness
    return pixels_HWC


def found(pixels_HWC, tiling: Tiling = TILING) -> np.ndarray:
    (outcome,) = predict_tiled(runner(), [pixels_HWC], tiling)
    answer = outcome.prediction
    return answer.boxes_K4[answer.kept(threshold=0.05)]


def test_tiles_cover_a_picture_evenly_and_overlap():
    windows = np.array(TILING.windows((WIDTH, HEIGHT)))
    assert windows.min(axis=0).tolist() == [0, 0, SIDE, SIDE]
    assert windows.max(axis=0)[2:].tolist() == [WIDTH, HEIGHT]
    assert (windows[:, 2:] - windows[:, :2] == SIDE).all()
    for axis in (0, 1):
        steps = np.diff(np.unique(windows[:, axis]))
        assert steps.max() <= SIDE - TILING.shared
        assert steps.max() - steps.min() <= 1
    assert TILING.windows((SIDE, 20)) == [(0, 0, SIDE, 20)]
    assert len(TILING.windows((SIDE + 1, 20))) == 2
    for width in range(SIDE, WIDTH):
        assert TILING.count((width, HEIGHT)) == len(TILING.windows((width, HEIGHT)))


EDGES = st.tuples(st.integers(0, WIDTH - 5), st.integers(0, HEIGHT - 5), st.integers(5, WIDTH), st.integers(5, HEIGHT))


@settings(max_examples=25)
@given(EDGES)
@example((0, 0, 5, 36))  # a row of it reaches into the next tile
@example((40, 40, 16, 16))  # over the corner of four tiles
@example((0, 60, WIDTH, 30))  # across the whole picture
@example((55, 5, 150, 160))  # larger than a tile both ways
def test_an_object_anywhere_comes_exactly_once(edges):
    left, top, wide, high = edges
    truth = (left, top, min(WIDTH, left + wide), min(HEIGHT, top + high))
    boxes_K4 = found(page(truth))
    assert len(boxes_K4) == 1, boxes_K4
    whole_in_a_tile = max(truth[2] - left, truth[3] - top) <= TILING.shared
    assert iou(boxes_K4, np.array([truth]))[0, 0] > (0.99 if whole_in_a_tile else 0.5)


def test_many_small_objects_come_once_each_with_their_boxes():
    objects = [(left, top, left + 9, top + 7) for left in range(3, WIDTH - 9, 14) for top in range(2, HEIGHT - 7, 12)]
    boxes_K4 = found(page(*objects))
    assert len(boxes_K4) == len(objects)
    assert iou(np.array(objects, float), boxes_K4).max(axis=1).min() == pytest.approx(1)


def test_a_picture_of_one_tile_is_answered_as_without_tiles():
    pixels_HWC = page((5, 5, 30, 40))[:60, :SIDE]
    (outcome,) = predict_tiled(runner(), [pixels_HWC], TILING)
    assert outcome.prediction.to_json() == runner().predict_one(pixels_HWC).to_json()


def test_neighbours_of_one_name_stay_apart():
    """Two objects side by side, each across the same edges of tiles."""
    objects = [(30, 20, 90, 50), (30, 62, 90, 92)]
    assert len(found(page(*objects))) == 2


def test_options_still_count_and_an_unreadable_picture_does_not_stop_the_rest():
    pictures = [png(page((50, 50, 70, 70))), b"no picture", page((50, 50, 70, 70), brightness=100)]
    first, bad, last = predict_tiled(runner(), pictures, TILING)
    assert first.prediction.to_json(threshold=0.95) == []
    assert len(first.prediction.to_json(threshold=0.85)) == 1
    assert bad.prediction is None
    assert "not a picture" in str(bad.error)
    assert len(last.prediction.to_json(threshold=0.05)) == 1


@pytest.mark.parametrize(
    ("side", "overlap", "said"),
    [(31, 0.2, "tiles must be 32…65,535 pixels, got 31"), (64, 0.95, "tile-overlap must be 0…0.9"), (64, -1, "0…0.9")],
)
def test_settings_out_of_range(side, overlap, said):
    with pytest.raises(SettingsError, match=said):
        Tiling(side=side, overlap=overlap)


def test_an_overlap_without_tiles_is_refused(coloured_bundle):
    from sightsmith.model import load

    with (
        load(coloured_bundle) as model,
        pytest.raises(SettingsError, match="tile_overlap=0.3 is for tiles, and none are asked for"),
    ):
        model.predict(page(), tile_overlap=0.3)


def test_answers_without_places_are_refused(exported_bundle):
    from sightsmith.model import load

    with load(exported_bundle) as model, pytest.raises(SettingsError, match="no places in the picture"):
        model.predict(np.zeros((90, 90), np.uint8), tiles=64)
