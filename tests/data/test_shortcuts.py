"""Shortcuts: properties of the files that tell the class, planted and not."""

import io
import time

import numpy as np
import pytest
from PIL import Image

from sightsmith.core.records import Sample
from sightsmith.data.gate import check
from sightsmith.data.gate_page import gate_html
from sightsmith.data.rules.shortcuts import Property, find_shortcuts
from sightsmith.data.source import Source, SourceOptions, open_source

COUNT = 80


def encoded(side, format_, seed, mode="RGB", levels=256, **options):
    pixels = np.random.default_rng(seed).integers(0, levels, (side, side, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, format_, **options)
    return buffer.getvalue()


def report_of(make, groups=None):
    """Check pictures of two classes in turn; `make` gets the class, a coin that knows nothing of it, and a seed."""
    coins = np.random.default_rng(0).integers(0, 2, COUNT).tolist()
    samples = tuple(
        Sample(f"{place:03d}", make(place % 2, coins[place], place), place % 2, groups and groups(place))
        for place in range(COUNT)
    )
    return check(Source(format="test", location="test", names=("no", "yes"), samples=samples), quiet=True)


def message_of(report):
    return next((problem.message for problem in report.warnings if problem.code == "shortcut"), "")


PLANTED = {
    "format": lambda which, seed: encoded(24, ("PNG", "JPEG")[which], seed),
    "width": lambda which, seed: encoded(round((20 + seed // 2 % 3) * (1, 1.2)[which]), "PNG", seed),
    "mode": lambda which, seed: encoded(24, "PNG", seed, ("L", "RGB")[which]),
    "JPEG compression": lambda which, seed: encoded(24, "JPEG", seed, quality=(75, 92)[which]),
    "bytes per pixel": lambda which, seed: encoded(24, "PNG", seed, levels=4, compress_level=(0, 9)[which]),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_property_that_tells_the_class_is_a_warning_and_the_same_mix_in_both_is_not(name):
    make = PLANTED[name]
    assert name in message_of(report_of(lambda target, coin, seed: make(target, seed)))
    assert message_of(report_of(lambda target, coin, seed: make(coin, seed))) == ""


def test_pictures_of_few_groups_prove_nothing():
    """40 pictures of a class from four cameras are four measurements, not 40."""
    make = PLANTED["format"]
    few = report_of(lambda target, coin, seed: make(target, seed), lambda place: f"{place % 2}-{place % 8 // 2}")
    many = report_of(lambda target, coin, seed: make(target, seed), lambda place: f"{place % 2}-{place % 40 // 2}")
    assert message_of(few) == ""
    assert "format" in message_of(many)


def test_the_page_and_the_json_show_the_properties_by_class():
    report = report_of(lambda target, coin, seed: PLANTED["format"](target, seed))
    assert report.to_json()["by_class"]["format"] == {"no": "PNG 100%", "yes": "JPEG 100%"}
    page = gate_html(report, Source(format="test", location="test", names=("no", "yes"), samples=()))
    assert "Files by class" in page
    assert '<td class="told">JPEG 100%</td>' in page


def test_what_only_several_properties_together_tell_is_found():
    """Each alone tells little, all five together much."""
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, 2_000)
    flips = rng.random((5, 2_000)) < 0.44
    properties = [Property(f"p{place}", np.where(flip, 1 - targets, targets)) for place, flip in enumerate(flips)]
    assert find_shortcuts(properties[:1], targets, np.arange(2_000)) == []
    assert [each.name for each in find_shortcuts(properties, targets, np.arange(2_000))] == ["all together"]


def test_properties_that_know_nothing_of_the_class_hardly_ever_raise_an_alarm():
    """Whatever the number of classes, their imbalance and the size of the groups; chance alone allows a few alarms."""
    rng, alarms = np.random.default_rng(0), 0
    for _ in range(300):
        classes, count, skew = rng.integers(2, 13), rng.integers(20, 301), rng.uniform(0.2, 5)
        targets = (rng.random(count) ** skew * classes).astype(np.int64)
        groups = rng.integers(0, count, count)
        values = [rng.normal(size=count)[groups], rng.integers(0, 3, count), rng.integers(0, 2, count)[groups]]
        properties = [Property(str(place), each) for place, each in enumerate(values)]
        alarms += bool(find_shortcuts(properties, targets, groups))
    assert alarms <= 3


def test_sixty_thousand_pictures_of_a_hundred_classes_take_little_time():
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 100, 60_000)
    properties = [Property(str(place), rng.normal(size=60_000)) for place in range(8)]
    start = time.process_time()
    assert find_shortcuts(properties, targets, np.arange(60_000)) == []
    assert time.process_time() - start < 30  # about one second; the bound is for slow machines


@pytest.mark.parametrize("name", ["cifar10_subset", "gtsrb_tracks", "orl_faces"])
def test_real_sets_have_no_shortcut(shared_data, name):
    report = check(open_source(str(shared_data(name)), SourceOptions()), quiet=True)
    assert message_of(report) == ""
