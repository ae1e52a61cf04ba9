"""Messages name flags on the command line and arguments in Python."""

import dataclasses
from typing import get_type_hints

import pytest

from sightsmith.bundle.settings import CardSettings
from sightsmith.core import errors
from sightsmith.core.errors import DataError, with_arguments
from sightsmith.evaluation.settings import EvaluateSettings
from sightsmith.explanation.settings import ExplainSettings
from sightsmith.runtime.settings import ExportSettings, LoadSettings, PredictSettings
from sightsmith.serving.settings import ServeSettings
from sightsmith.training.settings import TrainSettings

EVERY = (
    CardSettings, EvaluateSettings, ExplainSettings, ExportSettings, LoadSettings, PredictSettings, ServeSettings,
    TrainSettings,
)  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "arguments"),
    [
        ("Allow it: --missing-ok.", "Allow it: missing_ok=True."),
        ("go on with --resume and --lr 0.01, or", "go on with resume=True and lr=0.01, or"),
        ("fewer of them: --workers 3.", "fewer of them: workers=3."),
        ("Say which with --format 'folder'.", "Say which with format='folder'."),
        ("Turn it off: --no-near-duplicates.", "Turn it off: near_duplicates=False."),
        ("name it .csv, or say which with --as.", "name it .csv, or say which with form."),
        ("Leave --task.top-k out.", 'Leave task["top_k"] out.'),
        ("Run `sightsmith evaluate x --data y` first.", "Run `sightsmith evaluate x --data y` first."),
        ("a -- b, and x--y", "a -- b, and x--y"),
        ("Upgrade: `pip install --upgrade sightsmith`.", "Upgrade: `pip install --upgrade sightsmith`."),
        ("Name it: --data '/tmp/my data/x'.", "Name it: data='/tmp/my data/x'."),
    ],
)
def test_flags_become_arguments(flags, arguments):
    assert with_arguments(flags) == arguments


def test_python_sees_arguments_and_other_messages_keep_the_flags():
    error = DataError("photos: too few. Give --val-fraction 0.2.")
    assert str(error) == "photos: too few. Give val_fraction=0.2."
    assert f"{error}" == "photos: too few. Give --val-fraction 0.2."
    assert str(DataError(f"again: {error}")) == "again: photos: too few. Give val_fraction=0.2."


def test_every_setting_that_is_on_or_off_is_known():
    switches = {
        field.name
        for settings in EVERY
        for field in dataclasses.fields(settings)
        if get_type_hints(settings)[field.name] in (bool, bool | None)
    }
    assert switches == set(errors._SWITCHES) - {"strict"}, "strict is an argument of check alone"
