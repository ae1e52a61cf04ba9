"""Exporting a net with its class map and running it by ONNX Runtime, for the tests."""

import numpy as np
import onnxruntime
import torch
from torch import nn


class WithMap(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, images):
        return self.net.with_map(images)


def largest_relative_difference(graph, images, path, *, optimize=True):
    """Export with a dynamic batch, run batches of 1 and 3, and compare all outputs with torch's.

    Without `optimize` the graph keeps its batch norms and constants, and the export of a large one takes half the time.
    """
    program = torch.onnx.export(
        graph,
        (images[:2],),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("N")},),
        optimize=optimize,
        verbose=False,
    )
    program.save(path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    worst = 0.0
    for batch in (1, 3):
        given = {session.get_inputs()[0].name: images[:batch].numpy()}
        with torch.inference_mode():
            expected = graph(images[:batch])
        for ours, theirs in zip(expected, session.run(None, given), strict=True):
            assert ours.shape == theirs.shape
            worst = max(worst, float(np.abs(ours.numpy() - theirs).max() / np.abs(theirs).max()))
    return worst
