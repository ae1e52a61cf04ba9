"""A real bundle of a detector whose weights are set by hand: it finds red, green and blue rectangles on black.

The brighter a rectangle, the surer it is. Beside each it finds two worse boxes: one that overlaps it by 90 %, which
non-maximum suppression takes away, and its left half, which stays unless less overlap is allowed.
"""

import io
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from sightsmith.bundle.definition import Definition, Graph
from sightsmith.bundle.manifest import Manifest, NetRecord, OriginRecord, TaskRecord, versions
from sightsmith.bundle.store import add_files, write_bundle
from sightsmith.bundle.witnesses import Witnesses, encode_items
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.inputs import picture

NAMES = ("red", "green", "blue")
SIDE = 64
PARTS = ((1.0, 1.0), (0.9, 0.9), (0.5, 0.8))
"""Of each box found: its width and its score, as shares of the rectangle's."""


def graph():
    """Return the OpenVINO graph, from uint8 pictures (N, H, W, 3) to candidates (N, 9, 6) in shares of the input."""
    import openvino
    from openvino import opset13 as ops

    def with_names(node, name: str):
        node.output(0).get_tensor().set_names({name})
        return node

    pixels_NHWC = with_names(ops.parameter([-1, SIDE, SIDE, 3], np.uint8), "pixels")
    images_NHWC = ops.divide(ops.convert(pixels_NHWC, "f32"), np.float32(255))
    first_NHWC, second_NHWC = (ops.gather(images_NHWC, np.array(order), 3) for order in ([1, 0, 0], [2, 2, 1]))
    others_NHWC = ops.maximum(first_NHWC, second_NHWC)
    seen_NHWC = ops.greater(images_NHWC, ops.add(others_NHWC, np.float32(0.08)))
    column_W, row_H1 = (np.arange(SIDE, dtype=np.float32).reshape(shape) for shape in ((SIDE, 1), (SIDE, 1, 1)))
    edges = []
    for place in (column_W, row_H1):
        low = ops.reduce_min(ops.select(seen_NHWC, place, np.float32(SIDE)), np.array([1, 2]))
        high = ops.reduce_max(ops.select(seen_NHWC, place + 1, np.float32(0)), np.array([1, 2]))
        edges += [ops.divide(one, np.float32(SIDE)) for one in (low, high)]
    left_NC, right_NC, top_NC, bottom_NC = edges
    wide_NC = ops.subtract(right_NC, left_NC)
    score_NC = ops.reduce_max(ops.select(seen_NHWC, images_NHWC, np.float32(0)), np.array([1, 2]))
    label_NC = ops.add(ops.multiply(score_NC, np.float32(0)), np.arange(3, dtype=np.float32))
    found = []
    for share, part in PARTS:
        right = ops.add(left_NC, ops.multiply(wide_NC, np.float32(share)))
        columns = [left_NC, top_NC, right, bottom_NC, ops.multiply(score_NC, np.float32(part)), label_NC]
        found.append(ops.concat([ops.unsqueeze(column, np.array(2)) for column in columns], 2))
    return openvino.Model([with_names(ops.concat(found, 1), "detections")], [pixels_NHWC], "colours")


def scene(*rectangles: tuple[int, int, int, int, int, int], size: tuple[int, int] = (SIDE, SIDE)) -> np.ndarray:
    """Return a black picture with rectangles, each (left, top, right, bottom, channel, brightness)."""
    pixels_HWC = np.zeros((size[1], size[0], 3), np.uint8)
    for left, top, right, bottom, channel, brightness in rectangles:
        pixels_HWC[top:bottom, left:right, channel] = brightness
    return pixels_HWC


def png(pixels_HWC: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels_HWC).save(file, "PNG", **options)
    return file.getvalue()


def write_detector(path: Path, *, thresholds=(0.5, 0.25, 0.25), resize: str = "letterbox"):
    """Write the bundle, exported to OpenVINO."""
    import openvino

    settings = Preprocessing(height=SIDE, width=SIDE, resize=resize, mean=(0.0,) * 3, std=(1.0,) * 3, fill=0)
    definition = Definition(
        input="picture",
        input_settings=settings,
        kind="boxes",
        names=NAMES,
        calibrated={"thresholds": list(thresholds), "overlap": 0.65},
        programs=("once",),
        graphs={"model": Graph(inputs=picture.ports(settings), outputs=("detections",))},
    )
    scenes = [scene((8, 8, 40, 40, at % 3, 200), (44, 20, 60, 50, (at + 1) % 3, 90)) for at in range(3)]
    encoded, inputs = encode_items(scenes, definition)
    model = graph()
    outputs = {"detections": openvino.compile_model(model, "CPU")(inputs["pixels"])["detections"]}
    origin = OriginRecord(origin="set by hand", licence="Apache-2.0")
    manifest = Manifest(
        name="colours",
        created="2026-01-02T03:04:05+00:00",
        task=TaskRecord(name="detect"),
        nets={"net": NetRecord(name="colours", settings={}, paper="", licence="Apache-2.0", weights=origin)},
        definition=definition,
        definition_digest=definition.digest(),
        versions=versions(),
    )
    weights, splits = {"net": {"none": np.zeros(1, np.float32)}}, {"train": [], "val": [], "test": []}
    witnesses = Witnesses(encoded, inputs, outputs)
    bundle = write_bundle(path, manifest, weights=weights, witnesses=witnesses, splits=splits, files={})
    with TemporaryDirectory() as folder:
        openvino.save_model(model, Path(folder, "model.xml"), compress_to_fp16=False)
        files = {f"backends/openvino/{file.name}": file for file in sorted(Path(folder).iterdir())}
        return add_files(bundle, files, backends={"openvino": {"processor": "", "precisions": {"fp32": {}}}})
