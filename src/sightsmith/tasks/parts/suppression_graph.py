"""A graph that ends with non-maximum suppression, for use without Sightsmith. Imports onnx.

Shapes: N pictures, K candidates, C names, S objects of all pictures; 4 = (left, top, right, bottom) in pixels of the
input; 6 = (left, top, right, bottom, score, label) of a candidate.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from sightsmith.kinds.boxes.value import OUTPUT, decode

OUTPUTS = {
    "boxes": TensorProto.FLOAT,  # (S, 4)
    "scores": TensorProto.FLOAT,  # (S,), best first
    "labels": TensorProto.INT64,  # (S,), index of the name
    "pictures": TensorProto.INT64,  # (S,), which picture of the batch
}
"""Types of the outputs, which have a row for each object."""

_MOST = 1000


def append(
    model: onnx.ModelProto, names: Sequence[str], calibrated: Mapping[str, Any], size: tuple[int, int]
) -> onnx.ModelProto:
    """Return a graph with the output `detections` as one with `OUTPUTS`, by the operator NonMaxSuppression.

    The thresholds and the overlap are the calibrated ones, and cannot be changed.

    Args:
        size: (width, height) of the input in pixels.
    """
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    nodes, constants = _steps(names, calibrated, size)
    whole.graph.node.extend(nodes)
    whole.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in constants.items())
    del whole.graph.output[:]
    for name, dtype in OUTPUTS.items():
        shape: list[str | int] = ["objects", 4] if name == "boxes" else ["objects"]
        whole.graph.output.append(helper.make_tensor_value_info(name, dtype, shape))
    onnx.checker.check_model(whole)
    return whole


def _steps(
    names: Sequence[str], calibrated: Mapping[str, Any], size: tuple[int, int]
) -> tuple[list[onnx.NodeProto], dict[str, NDArray[Any]]]:
    """Return the operators and their constants."""
    empty = decode({OUTPUT: np.zeros((1, 0, 6), np.float32)}, names, calibrated)[0]
    constants: dict[str, NDArray[Any]] = {
        "nms_sides": np.array([*size, *size], np.float32),
        "nms_names": np.arange(len(names), dtype=np.float32),
        "nms_thresholds": empty.thresholds_C,
        "nms_overlap": np.array([empty.overlap], np.float32),
        "nms_most": np.array([_MOST], np.int64),
        "nms_nothing": np.array(0, np.float32),
        "nms_least": np.zeros(1, np.float32),
        "nms_parts": np.array([4, 1, 1], np.int64),
        "nms_first": np.array(0, np.int64),
        "nms_second": np.array(1, np.int64),
        "nms_owner": np.array([0, 2], np.int64),
    }
    node, limits = helper.make_node, ("nms_most", "nms_overlap", "nms_least")
    nodes = [
        node("Split", [OUTPUT, "nms_parts"], ["nms_shares", "nms_score", "nms_label"], axis=2),
        node("Mul", ["nms_shares", "nms_sides"], ["nms_boxes"]),
        node("Equal", ["nms_label", "nms_names"], ["nms_own"]),
        node("GreaterOrEqual", ["nms_score", "nms_thresholds"], ["nms_sure"]),
        node("And", ["nms_own", "nms_sure"], ["nms_counts"]),
        node("Where", ["nms_counts", "nms_score", "nms_nothing"], ["nms_scores_NKC"]),
        node("Transpose", ["nms_scores_NKC"], ["nms_scores_NCK"], perm=[0, 2, 1]),
        # Corners in any order will do, so x may be first. Without a least score, scores of 0 would be kept too
        node("NonMaxSuppression", ["nms_boxes", "nms_scores_NCK", *limits], ["nms_found_S3"]),
        node("GatherND", ["nms_scores_NCK", "nms_found_S3"], ["nms_scores_S"]),
        node("Shape", ["nms_scores_S"], ["nms_count"]),
        node("TopK", ["nms_scores_S", "nms_count"], ["scores", "nms_order"], axis=0),
        node("Gather", ["nms_found_S3", "nms_order"], ["nms_sorted_S3"], axis=0),
        node("Gather", ["nms_sorted_S3", "nms_first"], ["pictures"], axis=1),
        node("Gather", ["nms_sorted_S3", "nms_second"], ["labels"], axis=1),
        node("Gather", ["nms_sorted_S3", "nms_owner"], ["nms_owner_S2"], axis=1),
        node("GatherND", ["nms_boxes", "nms_owner_S2"], ["boxes"]),
    ]
    return nodes, constants


def difference(
    whole: Mapping[str, NDArray[Any]],
    outputs: Mapping[str, NDArray[Any]],
    names: Sequence[str],
    calibrated: Mapping[str, Any],
    size: tuple[int, int],
) -> str:
    """Return how the objects of a whole graph differ from the answers to the graph without it; empty if they are equal.

    Args:
        whole: `OUTPUTS` of the whole graph.
        outputs: of the graph that it was made of, for the same N pictures, in the same runtime.
    """
    for at, answer in enumerate(decode(outputs, names, calibrated)):
        mine_S, kept = whole["pictures"] == at, answer.kept(most=_MOST)
        if mine_S.sum() != len(kept):
            return f"picture {at}: {mine_S.sum()} objects instead of {len(kept)}"
        boxes_S4 = answer.boxes_K4[kept] * np.array([*size, *size], np.float32)
        if (whole["labels"][mine_S] != answer.labels_K[kept]).any():
            return f"picture {at}: other names"
        if not np.allclose(whole["scores"][mine_S], answer.scores_K[kept], atol=1e-5):
            return f"picture {at}: other scores"
        if not np.allclose(whole["boxes"][mine_S], boxes_S4, atol=1e-2):
            return f"picture {at}: other boxes"
    return ""
