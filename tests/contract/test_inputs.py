"""What every input must do: each file of `inputs/`, as the docstring of `sightsmith.inputs` says."""

import json
import pickle

import numpy as np
import pytest

from sightsmith.core.errors import PictureError, SettingsError, TooManyPixelsError
from sightsmith.core.placement import Bounds
from sightsmith.core.ports import check_feeds, stack
from sightsmith.core.records import Sample
from sightsmith.inputs import INPUTS, Reader, from_files
from sightsmith.inputs.parts.survey import Wanted

every_input = pytest.mark.parametrize("name", INPUTS.names())
every_read_input = pytest.mark.parametrize("name", [*filter(from_files, INPUTS.names())])
every_made_input = pytest.mark.parametrize("name", [name for name in INPUTS.names() if not from_files(name)])


def items_of(name):
    return INPUTS.module(name).example(np.random.default_rng(0))


def reader_of(name):
    if not from_files(name):
        return Reader(name, INPUTS.module(name).example_settings())
    wanted = Wanted(side=16, colour="grey", resize="crop")
    return Reader(name, INPUTS.module(name).choose(wanted, items_of(name)))


@every_input
def test_items_become_what_the_ports_say(name):
    read = reader_of(name)
    batch = stack([read.feeds(item) for item in items_of(name)])
    check_feeds(read.ports(), batch)
    again = stack([read.feeds(item, Bounds(max_pixels=1_000_000, seconds=60)) for item in items_of(name)])
    assert all(np.array_equal(batch[port], again[port]) for port in batch)


@every_input
def test_settings_survive_json_and_refuse_what_they_do_not_know(name):
    settings = reader_of(name).settings
    raw = json.loads(json.dumps(settings.to_json()))
    assert type(settings).from_json(raw) == settings
    with pytest.raises(Exception, match="unheard_of"):
        type(settings).from_json({**raw, "unheard_of": 1})


@every_input
def test_a_stored_item_is_read_as_the_item_itself(name):
    read = reader_of(name)
    for item in items_of(name):
        encoded = read.file.encode(item, read.settings)
        assert read.file.suffix(encoded).startswith(".")
        assert read.file.encode(encoded, read.settings) == encoded
        for port, array in read.feeds(item).items():
            np.testing.assert_array_equal(read.feeds(encoded)[port], array)


@every_input
def test_the_placement_lies_on_the_item(name):
    read = reader_of(name)
    for item in items_of(name):
        shown = read.file.placement(item, read.settings)
        left, top, right, bottom = shown.box
        assert left < right
        assert top < bottom
        assert min(shown.size) > 0


@every_input
def test_parts_of_an_item_that_is_read_once_are_items(name):
    read = reader_of(name)
    if not hasattr(read.file, "crop"):
        assert not hasattr(read.file, "read")
        return
    for item in items_of(name):
        width, height = read.file.placement(item, read.settings).size
        held = read.file.read(item, Bounds(max_pixels=1_000_000, seconds=60))
        whole, part = (read.file.crop(held, (0, 0, right, height)) for right in (width, width // 2))
        for port, array in read.feeds(item).items():
            np.testing.assert_array_equal(read.feeds(whole)[port], array)
        assert read.file.placement(part, read.settings).size == (width // 2, height)
        with pytest.raises(PictureError, match="may have 1e-06 million pixels"):
            read.file.read(read.file.encode(item, read.settings), Bounds(max_pixels=1))


@every_input
def test_it_is_told_to_people_and_clients(name):
    read = reader_of(name)
    assert read.file.describe(read.settings)
    facts = read.file.facts(read.settings)
    assert json.loads(json.dumps(facts)) == facts


@every_made_input
def test_as_many_items_are_made_as_there_are_samples_and_others_are_refused(name):
    read = reader_of(name)
    samples = [Sample(key=f"{at}", item=b"", target=at % 2) for at in range(5)]
    made = read.file.asked(samples, read.settings)
    check_feeds(read.ports(), stack([read.feeds(item) for item in made]))
    assert len({read.file.encode(item, read.settings) for item in made}) == 5
    for wrong in ("pic.png", b"", b"\x89PNG", b"[1]", np.zeros((8, 8), np.uint8), None):
        with pytest.raises(SettingsError, match=r"reads none: `sightsmith \w+"):
            read.feeds(wrong)


@every_read_input
def test_a_survey_counts_its_items(name):
    seen = INPUTS.module(name).survey(items_of(name))
    assert seen.count == len(items_of(name))
    assert seen.side > 0


@pytest.mark.parametrize("name", [name for name in INPUTS.names() if hasattr(INPUTS.module(name), "VARIED")])
def test_training_draws_what_the_ports_say_and_the_draws_alone_decide(name):
    read = reader_of(name)
    for share in (1.0, 0.3):
        batches = [
            stack([read.drawn(item, np.random.default_rng(7), share) for item in items_of(name)]) for _ in range(2)
        ]
        check_feeds(read.ports(), batches[0])
        assert all(np.array_equal(batches[0][port], batches[1][port]) for port in batches[0])


@every_read_input
def test_an_item_has_a_face(name):
    for item in items_of(name):
        face = INPUTS.module(name).face(item, near=8, max_pixels=10_000)
        assert face.mode in {"L", "RGB"}
        assert min(face.size) >= 8
        if isinstance(item, bytes):
            with pytest.raises(TooManyPixelsError):
                INPUTS.module(name).face(item, max_pixels=10)


@pytest.mark.parametrize("name", [name for name in INPUTS.names() if hasattr(INPUTS.module(name), "look")])
def test_the_check_of_data_looks_at_an_item(name):
    source = INPUTS.module(name)
    for item in items_of(name):
        seen = source.look(item, near=32, max_pixels=10_000)
        assert seen.digest == source.digest(item)
        assert len(seen.digest) == 32
        assert min(seen.header.width, seen.header.height) > 0
        np.testing.assert_array_equal(np.asarray(seen.face), np.asarray(source.face(item, near=32)))
    assert len({source.digest(item) for item in items_of(name)}) == len(items_of(name))


@every_input
def test_its_reader_goes_to_other_processes(name):
    read = reader_of(name)
    assert pickle.loads(pickle.dumps(read)) == read
