"""What every data format must do: each file of `data/sources/`."""

import pytest

import box_data
from sightsmith.core.errors import SightsmithError
from sightsmith.data.converting import write
from sightsmith.data.settings import SourceOptions
from sightsmith.data.source import CATALOGUE, known_names, open_source
from sightsmith.kinds import KINDS

every_format = pytest.mark.parametrize("name", CATALOGUE.names())


@every_format
def test_it_has_the_interface(name):
    file = CATALOGUE.module(name)
    assert file.__doc__
    assert callable(file.open_source)
    assert hasattr(file, "detect") or file.NAMES, "a format is found by looking, or by its names"
    assert set(getattr(file, "NAMES", ())) <= set(known_names())


@every_format
def test_it_is_not_found_in_a_folder_of_something_else(name, tmp_path):
    (tmp_path / "notes.txt").write_text("nothing to see")
    file = CATALOGUE.module(name)
    if hasattr(file, "detect") and not getattr(file, "GENERAL", False):
        assert not file.detect(tmp_path)
        assert not file.detect(tmp_path / "notes.txt")


@every_format
def test_what_is_no_data_of_it_is_a_named_error(name, tmp_path):
    (tmp_path / "notes.txt").write_text("nothing to see")
    with pytest.raises(SightsmithError, match=r"\w"):
        open_source(tmp_path, SourceOptions(format=name))


def test_samples_have_keys_of_their_own_and_truths_of_the_kind():
    source = open_source("digits")
    kind = KINDS.module(source.kind)
    assert len({sample.key for sample in source.samples}) == len(source.samples)
    assert (source.strata() >= 0).all()
    assert all(kind.truth_text(sample.target, source.names) for sample in source.samples[:20])


@pytest.mark.parametrize("name", box_data.WRITERS)
def test_every_format_of_boxes_writes_what_it_reads(name, tmp_path):
    """What is written in a format and read again is the same truth, with the same splits."""
    box_data.WRITERS["coco"](tmp_path / "data")
    source = open_source(tmp_path / "data")
    write(source, tmp_path / "out", name)
    again = open_source(tmp_path / "out")
    assert again.format == name
    assert box_data.objects_of(again) == box_data.objects_of(source)
    assert [sample.split for sample in again.samples] == [sample.split for sample in source.samples]
