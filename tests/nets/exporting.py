"""Exporting a net and running it by ONNX Runtime or OpenVINO, for the tests."""

import numpy as np
import onnxruntime
import torch
from torch import nn

from sightsmith.bundle.definition import Graph
from sightsmith.core.ports import Port
from sightsmith.runtime.backends import openvino


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


def converted(module, examples, outputs, folder):
    """Export a module as `onnx_graph.to_onnx` does, and return it converted to OpenVINO, in fp32 on one thread.

    Args:
        examples: its inputs by name, tensors of a batch of 2, in order; the batch's axis is free in the graph.
        outputs: names of its outputs.
    """
    torch.onnx.export(
        module,
        tuple(examples.values()),
        folder / "main.onnx",
        dynamo=True,
        dynamic_shapes=tuple({0: torch.export.Dim("batch", min=1, max=65536)} for _ in examples),
        input_names=list(examples),
        output_names=list(outputs),
        external_data=False,
        verbose=False,
    )
    openvino.compile(folder / "main.onnx", folder)
    ports = {
        name: Port(str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape[1:]))
        for name, tensor in examples.items()
    }
    model = openvino._core().read_model(folder / "main.xml")
    return openvino.OpenVinoSession(model, Graph(inputs=ports, outputs=tuple(outputs)), "fp32", 1)


def largest_difference(module, inputs, outputs, folder):
    """Return the largest difference of OpenVINO from torch, for batches of 1 and of all inputs.

    Args:
        inputs: by name, tensors of one batch.
        outputs: names of the module's outputs.
    """
    session = converted(module, {name: tensor[:2] for name, tensor in inputs.items()}, outputs, folder)
    worst = 0.0
    for batch in (1, len(next(iter(inputs.values())))):
        given = {name: tensor[:batch] for name, tensor in inputs.items()}
        with torch.inference_mode():
            expected = module(*given.values())
        found = session.run({name: tensor.numpy() for name, tensor in given.items()})
        for name, ours in zip(outputs, [expected] if len(outputs) == 1 else expected, strict=True):
            assert found[name].shape == tuple(ours.shape)
            worst = max(worst, float(np.abs(found[name] - ours.numpy()).max()))
    return worst
