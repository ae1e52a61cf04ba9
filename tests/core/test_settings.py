"""Settings: read, refused with a suggestion, written back, turned into flags."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightsmith.core import flags, settings
from sightsmith.core.errors import SettingsError
from sightsmith.core.settings import from_mapping, read_toml, to_mapping, to_toml


@dataclass(frozen=True, kw_only=True)
class Inner:
    width: int = 32


@dataclass(frozen=True, kw_only=True)
class Example:
    data: str
    """Where the pictures are."""
    epochs: int | Literal["auto"] = "auto"
    """Passes over
    the data."""
    rate: float = 0.1
    out: Path | None = None
    names: tuple[str, ...] = ()
    flip: bool = True
    """Mirror pictures."""
    net: dict[str, str | int | float | bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.rate <= 0:
            raise SettingsError(f"rate must be > 0, got {self.rate!r}")


@given(
    settings=st.builds(
        Example,
        data=st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"))),
        epochs=st.one_of(st.just("auto"), st.integers(-(2**60), 2**60)),
        rate=st.floats(1e-9, 1e9),
        names=st.lists(st.text("abcé/ \"'\\", max_size=8)).map(tuple),
        flip=st.booleans(),
        net=st.dictionaries(st.text("abc_", min_size=1), st.one_of(st.integers(-9, 9), st.booleans(), st.text("xyz"))),
    )
)
def test_settings_written_as_toml_read_back_equal(settings, tmp_path_factory):
    path = tmp_path_factory.mktemp("toml") / "run.toml"
    path.write_text(to_toml(settings), encoding="utf-8")
    assert from_mapping(Example, read_toml(path), where="run.toml") == settings


def test_strings_of_a_command_line_are_converted():
    made = from_mapping(Example, {"data": "x", "epochs": "3", "rate": "0.5", "flip": "no", "out": "a/b"}, where="flags")
    assert (made.epochs, made.rate, made.flip, made.out) == (3, 0.5, False, Path("a/b"))


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ({"data": "x", "epoch": 3}, r"run.toml: unknown key 'epoch'. Did you mean 'epochs'\?"),
        ({"data": "x", "rate": "fast"}, "run.toml: rate: .*number.*'fast'"),
        ({"data": "x", "rate": -1}, "rate must be > 0, got -1"),
        ({}, "run.toml: data must be given"),
    ],
)
def test_what_is_wrong_is_named(raw, says):
    with pytest.raises(SettingsError, match=says):
        from_mapping(Example, raw, where="run.toml")


def test_none_is_left_out_and_paths_become_text():
    assert to_mapping(Example(data="x", out=Path("o")))["out"] == "o"
    assert "out" not in to_mapping(Example(data="x"))


def test_a_missing_or_broken_toml_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match="no such file"):
        read_toml(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("a = ")
    with pytest.raises(SettingsError, match=r"bad.toml: not valid TOML: Invalid value"):
        read_toml(tmp_path / "bad.toml")


def test_field_docstrings_become_help():
    assert settings.field_docs(Example) == {
        "data": "Where the pictures are.",
        "epochs": "Passes over the data.",
        "flip": "Mirror pictures.",
    }


def test_flags_hold_only_what_was_given():
    made = flags.flags_of(Example, leave_out=("data",))
    assert flags.given(made(rate=0.5, flip=False)) == {"rate": 0.5, "flip": False}
    assert flags.given(made()) == {}


def test_merging_keeps_other_keys_of_a_table():
    assert flags.merged({"a": 1, "net": {"x": 1, "y": 2}}, {"net": {"y": 3}}) == {"a": 1, "net": {"x": 1, "y": 3}}


def test_a_toml_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(SettingsError, match=rf"{tmp_path}: cannot be read \(Is a directory\)\. Name a TOML file"):
        read_toml(tmp_path)
    (tmp_path / "loop.toml").symlink_to(tmp_path / "loop.toml")
    with pytest.raises(SettingsError, match=r"loop\.toml: cannot be read \(Too many levels of symbolic links\)"):
        read_toml(tmp_path / "loop.toml")
