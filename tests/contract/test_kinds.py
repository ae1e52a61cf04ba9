"""What every kind of answer must have: each folder of `kinds/`, as the docstring of `sightsmith.kinds` says."""

import subprocess
import sys

import pytest

from sightsmith.kinds import KINDS, optional_part, part_of
from sightsmith.kinds.parts.answer import Answer

every_kind = pytest.mark.parametrize("name", KINDS.names())

RUNNING = (
    "PREDICTION NOUNS METRIC HUB_TASKS TASKS WHOLE METHOD COLUMNS TOLERANCES EVIDENCE decode differences "
    "same_answers strata pairs truth_text targets translate spread unlike headline calibrate"
)
EXPLAINED = "aspect top score_of strength_of evidence raw_evidence heat"
PARTS = {
    "options": "Options",
    "schema": "ANSWER",
    "figures": "measure save load to_table from_table compare brief text further_text",
    "report": "lead tiles findings sections picks said heats side_by_side",
}
OPTIONAL_PARTS = {"timeline": "levels chosen EXPLAINS tracks runs"}


@every_kind
def test_it_has_the_whole_interface(name):
    kind = KINDS.module(name)
    answered = ["to_json", "to_rows", *(EXPLAINED.split() if kind.METHOD else [])]
    assert [entry for entry in RUNNING.split() if not hasattr(kind, entry)] == []
    assert issubclass(kind.PREDICTION, Answer)
    assert [entry for entry in answered if not hasattr(kind.PREDICTION, entry)] == []
    for part, entries in PARTS.items():
        assert [entry for entry in entries.split() if not hasattr(part_of(name, part), entry)] == []
    for part, entries in OPTIONAL_PARTS.items():
        if found := optional_part(name, part):
            assert [entry for entry in entries.split() if not hasattr(found, entry)] == []


@every_kind
def test_running_its_interface_loads_no_report_and_no_torch(name):
    """A service would start the later for it."""
    heavy = f"{{'torch', 'sklearn', 'sightsmith.kinds.{name}.figures', 'sightsmith.kinds.{name}.report'}}"
    code = (
        "import sys, sightsmith.serving.run; from sightsmith.kinds import KINDS\n"
        f"KINDS.module('{name}'); print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_what_kinds_share_is_no_kind():
    assert "labels" in KINDS
    assert "parts" not in KINDS
