"""What a bundle tells people: the model card and `inspect`."""

import dataclasses
import shlex
import shutil

import pytest

from sightsmith.bundle.card import model_card
from sightsmith.bundle.inspect import inspect_text
from sightsmith.bundle.store import Bundle


def test_the_card_says_what_is_known_and_marks_what_is_not(digits_bundle):
    card = (digits_bundle / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: sightsmith\n")
    assert "| accuracy | 0.97 | 0.95 … 0.98 |" in card
    assert "| data | CC BY 4.0 |" in card
    assert "arXiv:1512.03385" in card
    assert card.count("*To be filled in by whoever publishes this model.*") == 2
    assert "sightsmith serve" in card


def test_settings_are_named_in_words_not_in_keys(exported_bundle):
    card = (exported_bundle / "README.md").read_text(encoding="utf-8")
    assert "| openvino › precisions › fp32 › same answers |" in card
    assert "precisions." not in card
    assert "same_answers" not in card


def test_the_card_invents_nothing(digits_bundle):
    manifest = Bundle.open(digits_bundle).manifest
    bare = dataclasses.replace(manifest, metrics={}, data={}, training={}, versions={})
    card = model_card(bare)
    assert "None were recorded." in card
    assert card.count("*To be filled in") == 3
    assert "| data | not recorded |" in card


def test_names_cannot_break_the_card(digits_bundle):
    manifest = Bundle.open(digits_bundle).manifest
    many = dataclasses.replace(manifest.definition, names=tuple(f"c{n}" for n in range(1000)))
    card = model_card(dataclasses.replace(manifest, name="a|b\n<script>", definition=many))
    assert "# a\\|b &lt;script>" in card
    assert "and 900 more in `manifest.json`" in card


@pytest.mark.parametrize("name", ["猫", "$HOME-x", "two words", "it's"])
def test_the_commands_of_the_card_name_the_model_to_a_shell(digits_bundle, name):
    card = model_card(dataclasses.replace(Bundle.open(digits_bundle).manifest, name=name))
    lines = [line for line in card.splitlines() if line.startswith("sightsmith ")]
    assert [shlex.split(line) for line in lines] == [
        ["sightsmith", "predict", name, "picture.jpg"],
        ["sightsmith", "serve", name],
    ]


def test_inspect_tells_what_is_missing(digits_bundle, tmp_path):
    shutil.copytree(digits_bundle, tmp_path / "cut")
    (tmp_path / "cut" / "splits.json").unlink()
    assert ", 1 of them missing, " in inspect_text(Bundle.open(tmp_path / "cut", verify=False))


def test_inspect_fits_a_page(exported_bundle):
    text = inspect_text(Bundle.open(exported_bundle))
    assert "smallresnet" in text
    assert "test: accuracy 0.97" in text
    assert "16×16 grey, resized by squash" in text
    assert "onnx (fp32)" in text
    assert len(text.splitlines()) < 25


def test_the_card_tells_nobody_where_things_lie_on_this_machine(digits_bundle):
    with Bundle.open(digits_bundle) as bundle:
        data = {**bundle.manifest.data, "location": "/home/anna/secret project/photos"}
        training = {"settings": {"data": "/home/anna/secret project/photos", "out": "/home/anna/out"}}
        card = model_card(dataclasses.replace(bundle.manifest, data=data, training=training))
    assert "anna" not in card
    assert "| location | photos |" in card
