"""What every program must do: each file of `runtime/programs/`."""

import numpy as np
import pytest

from sightsmith.core.ports import part
from sightsmith.runtime.predictor import Predictor
from sightsmith.runtime.programs import PROGRAMS

every_program = pytest.mark.parametrize("name", PROGRAMS.names())


@pytest.fixture
def runner(name, digits_bundle, moving_bars_bundles):
    """Return a bundle that has the program, opened."""
    opened = (Predictor.open(path, precision="fp32") for path in (digits_bundle, moving_bars_bundles / "carries"))
    return next(one for one in opened if name in one.definition.programs)


@every_program
def test_it_names_a_graph_of_the_bundle(name, runner):
    assert PROGRAMS.module(name).GRAPH in runner.definition.graphs


@every_program
def test_a_stream_of_batches_gives_the_recorded_answers(name, runner):
    witnesses = runner.bundle.witnesses()
    count = len(witnesses.items)
    batches = [part(witnesses.inputs, at, at + 2) for at in range(0, count, 2)]
    streamed = list(PROGRAMS.module(name).stream(runner.sessions, iter(batches), runner.outputs[:1]))
    assert len(streamed) == len(batches)
    (output,) = runner.outputs[:1]
    answers = np.concatenate([arrays[output] for arrays in streamed])
    np.testing.assert_allclose(answers, witnesses.outputs[output], rtol=1e-3, atol=1e-3)


def test_one_pass_at_a_time_answers_as_a_stream(digits_bundle):
    once, runner = PROGRAMS.module("once"), Predictor.open(digits_bundle)
    feeds = part(runner.bundle.witnesses().inputs, 0, 3)
    stepped, state = once.step(runner.sessions, feeds, ())
    (streamed,) = once.stream(runner.sessions, [feeds], ())
    assert state is None
    assert stepped.keys() == streamed.keys()
    for output, array in stepped.items():
        assert len(array) == 3
        np.testing.assert_allclose(array, streamed[output], rtol=1e-3, atol=1e-3)
