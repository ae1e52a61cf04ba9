"""Splits: what must hold for any data and any seed, and the cases of sources with splits of their own."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightsmith.core.errors import DataError, SettingsError
from sightsmith.core.records import Sample
from sightsmith.data.gate import check
from sightsmith.data.source import Source, SourceOptions, open_source
from sightsmith.data.splits import Splits, SplitSettings, assign, fingerprint, k_folds


def source_of(labels, groups=None, splits=None, classes=9):
    count = len(labels)
    rows = zip(labels, groups or [None] * count, splits or [None] * count, strict=True)
    samples = [
        Sample(f"k{place}", np.full((2, 2), place % 256, np.uint8), label, group, split)
        for place, (label, group, split) in enumerate(rows)
    ]
    names = tuple(f"class {n}" for n in range(classes))
    return Source(format="test", location="test", names=names, samples=samples)


def everything(source):
    return np.arange(len(source.samples))


def split_all(source, **options):
    return assign(source, everything(source), SplitSettings(**options))


labels = st.lists(st.integers(0, 8), min_size=1, max_size=120)
fractions = st.sampled_from([0.0, 0.05, 0.15, 0.2, 1 / 3, 0.45])
seeds = st.integers(0, 2**31)


@given(labels, fractions, fractions, seeds)
def test_ungrouped_splits_partition_and_keep_the_shares_of_each_class(labels, val, test, seed):
    source = source_of(labels)
    splits = split_all(source, val_fraction=val, test_fraction=test, seed=seed)
    assert list(splits.of) == [sample.key for sample in source.samples]
    shares = {"train": 1 - val - test, "val": val, "test": test}
    for label in set(labels):
        own = [splits.of[sample.key] for sample in source.samples if sample.target == label]
        assert "train" in own
        for split, share in shares.items():
            assert abs(own.count(split) - share * len(own)) <= 1 + 1e-6
            if share == 0 and split != "train":
                assert split not in own


@given(labels, seeds, st.randoms())
def test_splits_depend_on_the_seed_not_on_the_order(labels, seed, random):
    source = source_of(labels)
    shuffled = list(source.samples)
    random.shuffle(shuffled)
    again = Source(format="test", location="elsewhere", names=source.names, samples=shuffled)
    assert dict(split_all(source, seed=seed).of) == dict(split_all(again, seed=seed).of)
    folds, folds_again = (k_folds(one, everything(one), 2, seed) for one in (source_of([*labels, 0]),) * 2)
    assert [dict(fold.of) for fold in folds] == [dict(fold.of) for fold in folds_again]


@given(
    st.lists(st.tuples(st.integers(0, 8), st.one_of(st.none(), st.integers(0, 12))), min_size=1, max_size=80),
    seeds,
    st.booleans(),
)
def test_no_group_straddles_and_every_class_is_learnt(rows, seed, stratified):
    source = source_of([label for label, _ in rows], [None if g is None else f"g{g}" for _, g in rows])
    splits = split_all(source, seed=seed, stratified=stratified)
    assert len(splits.of) == len(rows)
    of_group = {}
    for sample in source.samples:
        if sample.group is not None:
            assert of_group.setdefault(sample.group, splits.of[sample.key]) == splits.of[sample.key]
    if stratified:
        learnt = {sample.target for sample in source.samples if splits.of[sample.key] == "train"}
        assert learnt == {label for label, _ in rows}


@given(labels, st.lists(st.sampled_from(["train", "val", "test", None]), min_size=120, max_size=120), seeds)
def test_the_sources_own_splits_stay(labels, own, seed):
    source = source_of(labels, splits=own[: len(labels)])
    kept_splits = {sample.split for sample in source.samples}
    if not kept_splits & {"train", None}:
        with pytest.raises(DataError, match="nothing to train on"):
            split_all(source, seed=seed)
        return
    splits = split_all(source, seed=seed)
    for sample in source.samples:
        if sample.split in {"val", "test"}:
            assert splits.of[sample.key] == sample.split
        elif {"val", "test"} <= kept_splits:
            assert splits.of[sample.key] == "train"
        else:
            assert splits.of[sample.key] not in kept_splits & {"val", "test"}


@given(
    st.lists(st.tuples(st.integers(0, 4), st.one_of(st.none(), st.integers(0, 30))), min_size=10, max_size=80),
    st.integers(2, 5),
    seeds,
)
def test_folds_take_each_sample_once_and_keep_groups(rows, k, seed):
    source = source_of([label for label, _ in rows], [None if g is None else f"g{g}" for _, g in rows])
    units = len({sample.group or sample.key for sample in source.samples})
    if units < k:
        with pytest.raises(DataError, match=f"{k} folds need {k} samples or groups, got {units}"):
            k_folds(source, everything(source), k, seed)
        return
    folds = k_folds(source, everything(source), k, seed)
    for sample in source.samples:
        assert sorted(fold.of[sample.key] for fold in folds) == ["train"] * (k - 1) + ["val"]
    for fold in folds:
        of_group = {}
        for sample in source.samples:
            if sample.group is not None:
                assert of_group.setdefault(sample.group, fold.of[sample.key]) == fold.of[sample.key]


def test_folds_are_even_and_stratified():
    source = source_of([place % 3 for place in range(91)])
    for fold in k_folds(source, everything(source), 5, seed=3):
        val = [sample.target for sample in source.samples if fold.of[sample.key] == "val"]
        assert 17 <= len(val) <= 20
        assert all(5 <= val.count(label) <= 8 for label in range(3))


def test_folds_keep_the_sources_test():
    source = source_of([0, 1] * 20, splits=["train"] * 20 + ["val"] * 10 + ["test"] * 10)
    for fold in k_folds(source, everything(source), 5):
        assert [fold.of[f"k{n}"] for n in range(30, 40)] == ["test"] * 10
        assert fold.counts() == {"train": 24, "val": 6, "test": 10}


def test_many_small_classes_still_fill_every_split():
    source = source_of([place // 3 for place in range(300)], classes=100)
    counts = split_all(source).counts()
    assert counts["train"] + counts["val"] + counts["test"] == 300
    assert 40 <= counts["val"] <= 50
    assert 40 <= counts["test"] <= 50


def test_seeds_draw_different_samples():
    source = source_of([0, 1] * 100)
    one, other = split_all(source, seed=1), split_all(source, seed=2)
    assert one.counts() == other.counts() == {"train": 140, "val": 30, "test": 30}
    assert dict(one.of) != dict(other.of)


def test_train_and_test_get_a_val_and_train_and_val_a_test():
    train_test = split_all(source_of([0, 1] * 50, splits=["train"] * 80 + ["test"] * 20))
    assert train_test.counts() == {"train": 68, "val": 12, "test": 20}
    train_val = split_all(source_of([0, 1] * 50, splits=["train"] * 80 + ["val"] * 20), test_fraction=0.1)
    assert train_val.counts() == {"train": 72, "val": 20, "test": 8}
    train_only = split_all(source_of([0, 1] * 50, splits=["train"] * 100), val_fraction=0)
    assert train_only.counts() == {"train": 85, "val": 0, "test": 15}


def test_a_class_with_enough_groups_is_in_every_split(shared_data):
    source = open_source(shared_data("gtsrb_tracks"), SourceOptions(group_by=r"^(\d+/\d+)_"))
    splits = assign(source, everything(source))
    for split in ("train", "val", "test"):
        assert {source.samples[place].target for place in splits.indices(split, source)} == set(range(43))
    assert splits.counts() == {"train": 860, "val": 430, "test": 430}


def test_near_duplicates_can_be_kept_together():
    source = source_of([0, 1] * 50, groups=["g"] * 4 + [None] * 96)
    near = [(0, 10, 20), (20, 30), (40, 50)]
    for seed in range(20):
        splits = assign(source, everything(source), SplitSettings(seed=seed), together=near)
        assert len({splits.of[f"k{n}"] for n in (0, 1, 2, 3, 10, 20, 30)}) == 1
        assert splits.of["k40"] == splits.of["k50"]


def test_only_kept_samples_are_split():
    source = source_of([0, 1] * 20)
    splits = assign(source, np.arange(0, 40, 4))
    assert set(splits.of) == {f"k{n}" for n in range(0, 40, 4)}


def test_a_group_in_two_splits_of_the_source_is_refused():
    source = source_of([0, 1] * 3, groups=["a"] * 6, splits=["train"] * 5 + ["test"])
    with pytest.raises(DataError, match="group 'a' has samples in train and in test"):
        split_all(source)
    with pytest.raises(DataError, match="group 'a'"):
        k_folds(source, everything(source), 2)


def test_indices_are_positions_and_other_data_is_refused():
    source = source_of([0, 1] * 20)
    splits = split_all(source)
    train = splits.indices("train", source)
    assert [splits.of[source.samples[place].key] for place in train] == ["train"] * len(train)
    assert sorted(np.concatenate([splits.indices(split, source) for split in ("train", "val", "test")])) == [*range(40)]
    lost = next(place for place in range(40) if splits.of[f"k{place}"] == "test")
    fewer = Source(
        format="x", location="x", names=source.names, samples=source.samples[:lost] + source.samples[lost + 1 :]
    )
    with pytest.raises(DataError, match=rf"1 of \d+ samples of the test split is not in it, such as 'k{lost}'"):
        splits.indices("test", fewer)


def test_json_round_trip():
    splits = split_all(source_of([0, 1] * 20))
    back = Splits.from_json(json.loads(json.dumps(splits.to_json())))
    assert dict(back.of) == dict(splits.of)
    with pytest.raises(DataError, match="unknown split 'dev'"):
        Splits.from_json({"dev": []})
    with pytest.raises(DataError, match="'a' is in train and in test"):
        Splits.from_json({"train": ["a"], "test": ["a"]})


@pytest.mark.parametrize(
    "wrong", [{"val_fraction": -0.1}, {"test_fraction": 1.0}, {"val_fraction": 0.5, "test_fraction": 0.5}]
)
def test_fractions_out_of_range(wrong):
    with pytest.raises(SettingsError, match="fraction"):
        SplitSettings(**wrong)
    source = source_of([0, 1])
    with pytest.raises(SettingsError, match="at least 2, got 1"):
        k_folds(source, everything(source), 1)


def test_the_fingerprint_is_of_keys_contents_and_labels():
    source = source_of([0, 1, 0, 1])
    whole = fingerprint(source, everything(source))
    assert whole == fingerprint(source, everything(source), check(source, quiet=True).hashes)
    backwards = Source(format="x", location="x", names=source.names, samples=source.samples[::-1])
    assert fingerprint(backwards, everything(backwards)) == whole
    assert fingerprint(source, np.arange(3)) != whole
    assert fingerprint(source_of([0, 1, 0, 0]), everything(source)) != whole
    changed = list(source.samples)
    changed[2] = Sample("k2", np.full((2, 2), 77, np.uint8), 0)
    other = Source(format="x", location="x", names=source.names, samples=changed)
    assert fingerprint(other, everything(other)) != whole


@settings(max_examples=20)
@given(st.integers(0, 255))
def test_the_fingerprint_of_files_is_that_of_their_bytes(value):
    data = bytes([value]) * 10
    source = Source(format="x", location="x", names=("a",), samples=[Sample("a", data, 0)])
    other = Source(format="x", location="x", names=("a",), samples=[Sample("a", data + b"x", 0)])
    assert fingerprint(source, np.arange(1)) != fingerprint(other, np.arange(1))
