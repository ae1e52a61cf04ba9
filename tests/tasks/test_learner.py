"""A learner that lacks one of its functions says which, to whoever writes a task."""

import pytest

from sightsmith.core.errors import TrainingError
from sightsmith.tasks.parts.learner import Learner


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda learner: learner.answer({}), "Half.answer is missing: it must return the first output"),
        (lambda learner: learner.loss(({}, None), "net"), "Half.loss is missing: .* or have none and give `fit`"),
        (lambda learner: learner.fit({}, None), "Half.fit is missing: .* or name OPTIMISERS and give `loss`"),
    ],
)
def test_what_is_missing_is_named(call, says):
    class Half(Learner):
        pass

    with pytest.raises(TrainingError, match=says):
        call(Half({}))
