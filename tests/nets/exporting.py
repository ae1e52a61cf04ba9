"""Exporting a net and running it by ONNX Runtime or OpenVINO, for the tests."""

import numpy as np
import onnxruntime
import torch
from torch import nn

from sightsmith.bundle.definition import Graph
from sightsmith.core.ports import Port
from sightsmith.runtime.backends import openvino
from sightsmith.runtime.onnx_graph import exported


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


def converted(module, inputs, outputs, folder, precision="fp32"):
    """Export a module as a bundle's graph is, and return it converted to OpenVINO, on one thread.

    Args:
        inputs: its inputs by name, in order, each a `Port`.
        outputs: names of its outputs.
    """
    exported(module, inputs, outputs).save(folder / "main.onnx")
    openvino.compile(folder / "main.onnx", folder)
    return opened(inputs, outputs, folder, precision)


def opened(inputs, outputs, folder, precision):
    model = openvino._core().read_model(folder / "main.xml")
    return openvino.OpenVinoSession(model, Graph(inputs=dict(inputs), outputs=tuple(outputs)), precision, 1)


def ports(tensors, free=()):
    """Return the ports of tensors of a batch by name."""
    return {
        name: Port(str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape[1:]), free)
        for name, tensor in tensors.items()
    }


def largest_difference(module, inputs, outputs, folder):
    """Return the largest difference of OpenVINO from torch, for batches of 1 and of all inputs.

    Args:
        inputs: by name, tensors of one batch.
        outputs: names of the module's outputs.
    """
    session = converted(module, ports(inputs), outputs, folder)
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


class ClipGraph(nn.Module):
    """A net for clips with the scaling of its frames, from (B, T, H, W, C) uint8 to the logits, as a task has it."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, frames):
        return self.net(frames.permute(0, 1, 4, 2, 3).float() / 127.5 - 1)


def clip_differences(net, folder, sizes, *, example=4, side=16, channels=3):
    """Export a net for clips, and return its largest difference from torch for clips of any number and length.

    Args:
        sizes: pairs (number of clips, number of frames).
        example: the number of frames of the graph's port.

    Returns:
        By backend and precision: "onnx", "fp32" and "bf16" of OpenVINO.
    """
    graph = ClipGraph(net).eval()
    inputs = {"frames": Port("uint8", (example, side, side, channels), free=(0,))}
    sessions = {"fp32": converted(graph, inputs, ("logits",), folder)}
    sessions["bf16"] = opened(inputs, ("logits",), folder, "bf16")
    session = onnxruntime.InferenceSession(folder / "main.onnx", providers=["CPUExecutionProvider"])
    worst = {"onnx": 0.0, "fp32": 0.0, "bf16": 0.0}
    for clips, frames in sizes:
        given = {"frames": torch.randint(0, 256, (clips, frames, side, side, channels), dtype=torch.uint8).numpy()}
        with torch.inference_mode():
            expected = graph(torch.from_numpy(given["frames"])).numpy()
        answers = {name: one.run(given)["logits"] for name, one in sessions.items()}
        answers["onnx"] = session.run(None, given)[0]
        for name, found in answers.items():
            assert found.shape == expected.shape
            worst[name] = max(worst[name], float(np.abs(found - expected).max()))
    return worst
