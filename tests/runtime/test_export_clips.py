"""An export of a net for clips is proved at other lengths than its example's."""

import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

import sightsmith.nets
from moving_clips import FRAMES, write_bars_bundle
from sightsmith.bundle.store import Bundle
from sightsmith.core.errors import ProofError
from sightsmith.runtime.backends import onnx, openvino
from sightsmith.runtime.export import export
from sightsmith.runtime.predictor import Predictor
from sightsmith.runtime.proving import at_other_lengths, replay_all
from sightsmith.runtime.runner import Runner
from sightsmith.runtime.torch_session import graph_module, rebuild


def test_the_other_lengths_are_one_frame_and_more_than_twice_the_usual(moving_bars_bundles):
    with Bundle.open(moving_bars_bundles / "window") as bundle, Predictor.open(bundle, "torch", "fp32") as trained:
        short, long = at_other_lengths(bundle)
        assert [len(one.items) for one in (short, long)] == [3, 3]
        assert [one.inputs["frames"].shape[1] for one in (short, long)] == [1, 2 * FRAMES + 1]
        usual = bundle.witnesses().inputs["frames"]
        np.testing.assert_array_equal(long.inputs["frames"][:, FRAMES : 2 * FRAMES], usual[:3])
        np.testing.assert_array_equal(long.outputs["logits"], trained.run(long.inputs)["logits"])


def test_a_model_of_pictures_has_no_other_lengths(digits_bundle):
    with Bundle.open(digits_bundle) as bundle:
        assert at_other_lengths(bundle) == []


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_a_graph_that_is_right_for_the_length_of_its_example_alone_is_refused(backend, tmp_path, monkeypatch):
    added = str(Path(__file__).parent / "added_nets")
    monkeypatch.setattr(sightsmith.nets, "__path__", [*sightsmith.nets.__path__, added])
    bundle = write_bars_bundle(tmp_path / "m", carries=False, net="counts_missing_frames")
    with pytest.raises(ProofError, match=rf"export to {backend} in \w+: .* for frames of the shape \(1, 16, 16, 3\)"):
        export(bundle, (backend,), quiet=True)
    assert not Bundle.open(tmp_path / "m").manifest.backends


@pytest.fixture(scope="module")
def fixed_graph(moving_bars_bundles, tmp_path_factory):
    """Return a folder with the graph of a bundle as `model.onnx`, for clips of the usual number of frames alone."""
    folder = tmp_path_factory.mktemp("fixed")
    with Bundle.open(moving_bars_bundles / "window") as bundle:
        module = graph_module("classify_clips", rebuild(bundle), bundle.manifest.definition, "model")
        example = torch.from_numpy(bundle.witnesses().inputs["frames"][:2])
    names = {"input_names": ["frames"], "output_names": ["logits"]}
    batch = ({0: torch.export.Dim("batch", min=1)},)
    with warnings.catch_warnings(action="ignore"):
        program = torch.onnx.export(module, (example,), dynamic_shapes=batch, dynamo=True, verbose=False, **names)
    program.save(folder / "model.onnx")
    return folder


def fixed_session(backend, folder, graph):
    if backend == "onnx":
        loaded = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
        return onnx.OnnxSession(loaded, graph, "fp32")
    return openvino.OpenVinoSession(openvino._core().read_model(folder / "model.onnx"), graph, "fp32", 1)


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_a_graph_that_takes_the_length_of_its_example_alone_is_refused(backend, fixed_graph, moving_bars_bundles):
    with Bundle.open(moving_bars_bundles / "window") as bundle:
        definition, witnesses = bundle.manifest.definition, bundle.witnesses()
        runner = Runner(definition, {"model": fixed_session(backend, fixed_graph, definition.graph)})
        assert replay_all(runner, witnesses, []) == (runner.replay(witnesses, reread=False), "")
        _, why = replay_all(runner, witnesses, at_other_lengths(bundle))
        assert why.startswith(f"for frames of the shape (1, 16, 16, 3) it fails: {backend}: the model failed")
