"""What every program must do: each file of `runtime/programs/`."""

import numpy as np
import pytest

from sightsmith.bundle.store import Bundle
from sightsmith.runtime.predictor import Predictor
from sightsmith.runtime.programs import PROGRAMS

every_program = pytest.mark.parametrize("name", PROGRAMS.names())


@every_program
def test_steps_and_streams_answer_alike(name, digits_bundle):

    program = PROGRAMS.module(name)
    runner = Predictor.open(digits_bundle)
    feeds = Bundle.open(digits_bundle).witnesses().inputs
    batches = [{port: array[at : at + 3] for port, array in feeds.items()} for at in (0, 3)]
    state, stepped = None, []
    for batch in batches:
        arrays, state = program.step(runner.sessions, batch, (), state)
        stepped.append(arrays)
    streamed = list(program.stream(runner.sessions, iter(batches), ()))
    assert len(streamed) == len(batches)
    for one, other in zip(stepped, streamed, strict=True):
        assert one.keys() == other.keys()
        for output in one:
            assert len(one[output]) == 3
            np.testing.assert_allclose(one[output], other[output], rtol=1e-3, atol=1e-3)
