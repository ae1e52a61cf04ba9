"""An export proves itself, or writes nothing."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from sightsmith.bundle.store import Bundle, add_files, verify
from sightsmith.bundle.witnesses import Proof, Witnesses, compare_answers
from sightsmith.core.errors import BundleError, ProofError, SettingsError
from sightsmith.core.files import sha256
from sightsmith.kinds.labels import value as labels
from sightsmith.runtime.backends import BACKENDS
from sightsmith.runtime.export import export
from sightsmith.runtime.predictor import Predictor
from sightsmith.runtime.proving import Comparison
from small_bundle import digit_pictures

PICTURES, TARGETS = digit_pictures()


@pytest.fixture
def copy(digits_bundle, tmp_path):
    path = tmp_path / "digits"
    shutil.copytree(digits_bundle, path)
    return path


def contents(path):
    return {file: sha256(file) for file in sorted(path.rglob("*")) if file.is_file()}


def test_an_export_is_proved_on_labelled_pictures_and_written_down(copy, capsys):
    held_out = list(zip(PICTURES[1397:], TARGETS[1397:], strict=True))
    report = export(Bundle.open(copy), ("openvino", "onnx"), prove=held_out, quiet=True)
    assert {(one.backend, one.precision) for one in report.proved} >= {("openvino", "fp32"), ("onnx", "fp32")}
    for one in report.proved:
        assert one.proof.ok
        assert one.comparison.count == 400
        assert one.comparison.trained > 0.9
        assert abs(one.comparison.exported - one.comparison.trained) <= 0.005
        assert one.rate > 0
        assert f"{one.backend} {one.precision}: 8 witnesses" in str(report)
    json.dumps(report.to_json())
    assert verify(report.bundle) == []
    entry = Bundle.open(copy).manifest.backends["openvino"]["precisions"]["fp32"]
    assert entry["limits"] == {"probabilities": 1e-3, "class_map": 1e-2}
    assert 0.99 <= entry["data"]["agreement"] <= entry["data"]["alike"]
    assert entry["data"]["tie"] == 1e-4
    assert "| openvino | fp32 |" in (copy / "README.md").read_text()
    out, err = capsys.readouterr()
    assert (out, err) == ("", "")


def test_exporting_again_replaces(exported_bundle, tmp_path):
    path = tmp_path / "digits"
    shutil.copytree(exported_bundle, path)
    before = Bundle.open(path).manifest
    after = export(Bundle.open(path), ("onnx",), quiet=True).bundle.manifest
    assert after.files.keys() == before.files.keys()
    assert after.backends.keys() == before.backends.keys()


def test_an_export_that_answers_otherwise_is_refused_and_nothing_is_written(copy):
    bundle = Bundle.open(copy)
    other = bundle.witnesses()
    wrong = {**other.outputs, "logits": np.roll(other.outputs["logits"], 1, axis=1)}
    lying = with_witnesses(bundle, Witnesses(other.items, other.inputs, wrong))
    before = contents(copy)
    with pytest.raises(
        ProofError, match=r"export to openvino in \w+.*: the model does not answer as it did when trained"
    ):
        export(lying, quiet=True)
    assert contents(copy) == before
    assert list(copy.parent.iterdir()) == [copy]


def with_witnesses(bundle: Bundle, witnesses: Witnesses) -> Bundle:
    """Return the bundle with other witnesses, as a bundle made by hand would have them."""
    from sightsmith.bundle import witnesses as module

    shutil.rmtree(bundle.folder / "witnesses")
    module.save(witnesses, bundle.folder / "witnesses", bundle.manifest.definition)
    bundle.manifest.files["witnesses/arrays.safetensors"] = sha256(bundle.folder / "witnesses" / "arrays.safetensors")
    (bundle.folder / "manifest.json").write_text(bundle.manifest.to_text(), encoding="utf-8")
    return add_files(bundle, {})


def test_ties_are_not_told_as_the_same_answers():
    found = Comparison(
        metric="accuracy",
        count=500,
        nouns=("picture", "pictures"),
        trained=0.9,
        exported=0.902,
        agreement=0.998,
        alike=1.0,
        tie=0.005,
    )
    assert str(found).endswith("on 500 pictures, 99.80% the same answers (100.00% with ties within 0.005)")
    assert str(replace(found, agreement=1.0)).endswith("100.00% the same answers")


def test_a_drop_beyond_the_allowed_one_is_refused(copy, monkeypatch):
    labelled = [(picture, target) for picture, target in zip(PICTURES[:64], TARGETS[:64], strict=True)]
    before = contents(copy)
    usual = labels.METRIC
    for change, says in (({"least_alike": 1.01}, "of the answers must stay"), ({"most_drop": -1}, "may fall by -1")):
        monkeypatch.setattr(labels, "METRIC", replace(usual, **change))
        with pytest.raises(ProofError, match=says):
            export(Bundle.open(copy), ("onnx",), prove=labelled, quiet=True)
    assert contents(copy) == before


def test_one_precision_can_be_asked_for(copy):
    report = export(Bundle.open(copy), precision="fp32", quiet=True)
    assert [one.precision for one in report.proved] == ["fp32"]


def test_a_precision_that_answers_otherwise_is_left_out_unless_asked_for(copy, monkeypatch):
    if "bf16" not in BACKENDS.module("openvino").precisions():
        pytest.skip("this machine computes in fp32 alone")
    monkeypatch.setitem(labels.TOLERANCES["bf16"], "probabilities", 0.0)
    report = export(Bundle.open(copy), quiet=True)
    assert [one.precision for one in report.proved] == ["fp32"]
    ((backend, precision, why),) = report.left_out
    assert (backend, precision) == ("openvino", "bf16")
    assert "allowed is 0" in why
    assert "openvino bf16: left out, probabilities differs by" in str(report)
    assert list(report.bundle.manifest.backends["openvino"]["precisions"]) == ["fp32"]
    with pytest.raises(ProofError, match=r"Nothing was written\. precision='fp32' exports without it\."):
        export(Bundle.open(copy), precision="bf16", quiet=True)


@pytest.mark.parametrize(
    ("to", "precision", "says"),
    [
        (("openvin",), "auto", "Did you mean 'openvino'"),
        (("torch",), "auto", "needs no export"),
        ((), "auto", "name a backend"),
        (("onnx",), "int4", "computes in fp32 on this machine, not in 'int4'"),
    ],
)
def test_what_cannot_be_exported_is_said(copy, to, precision, says):
    with pytest.raises(SettingsError, match=says):
        export(Bundle.open(copy), to, precision=precision, quiet=True)


def answers(*rows):
    return labels.decode({"probabilities": np.array(rows, np.float32)}, "abc"[: len(rows[0])], {})


def compared(expected, got, limit):
    return compare_answers(expected, got, {"probabilities": limit}, labels)


def test_a_proof_counts_ties_within_the_limit_as_the_same():
    close = compared(answers([0.501, 0.499]), answers([0.499, 0.501]), 0.05)
    assert close.ok
    far = compared(answers([0.6, 0.4]), answers([0.4, 0.6]), 0.5)
    assert far.ok
    changed = compared(answers([0.6, 0.4], [0.9, 0.1]), answers([0.56, 0.44], [0.1, 0.9]), 0.05)
    assert changed.same_answers == 0.5
    assert changed.problems() == ["probabilities differs by 0.8, allowed is 0.05", "1 of 2 answers differs"]


def test_answers_that_are_no_numbers_fail():
    proof = compared(answers([0.6, 0.4]), answers([np.nan, np.nan]), 0.5)
    assert not proof.ok
    assert proof.differences == {"probabilities": float("inf")}
    assert proof.same_answers == 0
    with pytest.raises(ProofError, match="start of the service"):
        proof.require("start of the service")


def test_pixels_count_too():
    same = Proof(count=1, differences={}, limits={}, same_answers=1.0, pixels=0.9)
    assert same.ok
    assert not Proof(count=1, differences={}, limits={}, same_answers=1.0, pixels=1.1).ok


def test_another_shape_is_an_error(copy):
    with Predictor.open(copy, backend="torch", precision="fp32") as predictor:
        witnesses = predictor.bundle.witnesses()
        cut = {name: array[:, :9] for name, array in witnesses.outputs.items()}
        with pytest.raises(BundleError, match=r"'logits' has shape \(8, 10\), recorded is \(8, 9\)"):
            predictor.replay(replace(witnesses, outputs=cut))
