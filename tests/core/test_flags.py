"""Flags made of settings dataclasses."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from sightsmith.core.flags import flags_of, given
from sightsmith.core.settings import field_docs


@dataclass(frozen=True, kw_only=True)
class Colours:
    """Settings to make flags of."""

    name: str = "red"
    """What it is called."""
    table: dict[str, Any] = field(default_factory=dict)
    """Open
    settings."""


def test_the_text_below_a_field_is_its_help():
    assert field_docs(Colours) == {"name": "What it is called.", "table": "Open settings."}


def test_what_is_not_given_is_not_there():
    flags = flags_of(Colours)
    assert given(flags()) == {}
    assert given(flags(name="12")) == {"name": "12"}
    assert not hasattr(flags_of(Colours, leave_out=("table",))(), "table")


@pytest.mark.parametrize(
    ("word", "read"),
    [
        ("12", 12),
        ("0.5", 0.5),
        ("1e-3", 0.001),
        ("true", True),
        ("dot", "dot"),
        ("2020-01-01", "2020-01-01"),
        ("[1]", "[1]"),
        ("'12'", "'12'"),
        ("1\nother = 2", "1\nother = 2"),
        ("", ""),
    ],
)
def test_words_of_a_table_are_read_as_toml_reads_them(word, read):
    found = given(flags_of(Colours)(table={"a": word, "b-b": {"c": word}}))["table"]
    assert found == {"a": read, "b_b": {"c": read}}
    assert type(found["a"]) is type(read)
