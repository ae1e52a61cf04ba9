"""Messages that count say `1 picture`, not `1 pictures`."""

import re
from dataclasses import replace

import numpy as np
import pytest

from sightsmith.bundle.witnesses import Proof
from sightsmith.core.counts import many
from sightsmith.core.errors import DataError
from sightsmith.core.images import describe
from sightsmith.core.machine import this_machine
from sightsmith.core.records import Sample
from sightsmith.data.source import Source, SourceOptions, build_source
from sightsmith.data.sources.parts.arrays import check_part
from sightsmith.data.splits import Splits
from sightsmith.runtime.proving import Comparison

ONE = Source(format="x", location="x", names=("a",), samples=[Sample("k", b"x", 0, None, None)])

COMPARISON = Comparison(
    metric="accuracy",
    count=1,
    nouns=("picture", "pictures"),
    trained=1.0,
    exported=1.0,
    agreement=1.0,
    alike=1.0,
    tie=0.0,
)


def refusal(call, *arguments, **named):
    with pytest.raises(DataError) as caught:
        call(*arguments, **named)
    return str(caught.value)


def build(keys, group_by):
    samples = [Sample(key, b"x", 0, None, None) for key in keys]
    options = SourceOptions(group_by=group_by)
    return build_source(format="x", location="x", names=["a"], samples=samples, options=options)


def test_a_count_has_its_noun():
    assert [many(1, "class", "classes"), many(0, "file"), many(1200, "file")] == ["1 class", "0 files", "1,200 files"]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (lambda: str(replace(this_machine(), cores=1)), "1 core ("),
        (lambda: describe(b"x"), "1 byte"),
        (lambda: str(Proof(count=1, differences={}, limits={}, same_answers=1.0)), "1 witness reproduced"),
        (lambda: str(COMPARISON), "on 1 picture,"),
        (lambda: refusal(check_part, np.zeros((1, 2, 2), np.uint8), np.zeros(2, int), "x"), "1 picture but 2 labels"),
        (lambda: refusal(Splits({"k": "test", "gone": "test"}).indices, "test", ONE), "1 of 2 samples .* is not in it"),
        (lambda: refusal(build, ["a"], "(b)"), "matches none of 1 picture; "),
        (lambda: build(["a", "b"], "(b)").problems[0].message, "1 of 2 pictures does not fit"),
    ],
)
def test_one_is_singular(message, words):
    text = message()
    assert re.search(words.replace("(", r"\("), text), text
    assert not re.search(r"(?<!of )\b1 \w+[^s]s\b", text), text
