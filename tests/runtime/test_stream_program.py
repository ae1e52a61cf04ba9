"""The program that reads clips frame by frame: equal answers in every backend, and a proof that covers it."""

import numpy as np
import pytest

from moving_clips import FRAMES
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.inputs import Reader, clip
from sightsmith.nets.build import build_net
from sightsmith.runtime.predictor import Predictor
from sightsmith.runtime.programs import PROGRAMS
from sightsmith.runtime.runner import Runner
from sightsmith.runtime.session import Session
from sightsmith.tasks import classify_clips
from sightsmith.training.finalize import graphs_of, programs_of


@pytest.mark.parametrize("backend", ["torch", "openvino", "onnx"])
def test_the_last_answer_of_a_stream_is_that_to_the_clip_in_each_backend(moving_bars_bundles, backend):
    once, stream = PROGRAMS.module("once"), PROGRAMS.module("stream")
    with Predictor.open(moving_bars_bundles / "carries", backend, "fp32") as predictor:
        sessions = predictor.sessions
        for count, length in ((1, 1), (1, FRAMES), (2, 3), (3, 17)):
            shape = (count, length, *predictor.definition.input_settings.picture.shape)
            feeds = {clip.FRAMES: np.random.default_rng(length).integers(0, 256, shape, dtype=np.uint8)}
            whole = once.step(sessions, feeds)[0]["logits"]
            (stepped,) = stream.stream(sessions, [feeds])
            assert stepped.keys() == {"logits"}
            assert np.abs(stepped["logits"] - whole).max() <= 1e-5


class Wrong(Session):
    """A step whose state is lost."""

    def __init__(self, right: Session) -> None:
        super().__init__(right.precision, right.ports, right.outputs)
        self._right = right

    def describe(self) -> str:
        return self._right.describe()

    def _run(self, feeds, outputs):
        arrays = self._right.run(feeds, outputs)
        return {name: array * 0 if name.startswith("next_") else array for name, array in arrays.items()}


def test_the_proof_of_a_bundle_covers_its_steps(moving_bars_bundles):
    with Predictor.open(moving_bars_bundles / "carries", "openvino", "fp32") as predictor:
        assert predictor.replay().ok
        wrong = Runner(predictor.definition, {**predictor.sessions, "step": Wrong(predictor.sessions["step"])})
        assert not wrong.replay(predictor.bundle.witnesses()).ok


def test_only_a_net_that_carries_its_state_has_the_program(moving_bars_bundles):
    for name, programs in (("carries", ("once", "stream")), ("window", ("once",))):
        with Predictor.open(moving_bars_bundles / name) as predictor:
            assert predictor.definition.programs == programs
            assert len(predictor.definition.graphs) == len(programs)


@pytest.mark.parametrize(
    ("net", "sampling", "graphs"),
    [
        ({}, {"sampling": "dense", "spacing": 0.1}, ["step"]),
        ({"layers": 2}, {"sampling": "dense", "spacing": 0.1}, ["step"]),
        ({}, {"sampling": "uniform"}, []),
        ({"bidirectional": True}, {"sampling": "dense", "spacing": 0.1}, []),
        ({"pooling": "attention"}, {"sampling": "dense", "spacing": 0.1}, []),
    ],
)
def test_a_graph_of_one_frame_needs_a_fixed_spacing_and_a_state_that_can_be_carried(net, sampling, graphs):
    settings = clip.Settings(frames=3, picture=Preprocessing(height=8, width=8), **sampling)
    built = build_net("gru", net, **classify_clips.sizes(("a", "b"), settings))
    assert list(classify_clips.further({"net": built.module}, settings)) == graphs


def test_training_writes_both_graphs_into_the_definition():
    settings = clip.Settings(frames=3, picture=Preprocessing(height=8, width=8), sampling="dense", spacing=0.1)
    nets = {"net": build_net("gru", {}, **classify_clips.sizes(("a", "b"), settings))}
    graphs = graphs_of(classify_clips, nets, Reader("clip", settings), {})
    assert list(graphs) == ["model", "step"]
    assert graphs["step"].outputs == ("logits", "next_state")
    assert programs_of(classify_clips, graphs) == ("once", "stream")
    assert programs_of(classify_clips, {"model": graphs["model"]}) == ("once",)
