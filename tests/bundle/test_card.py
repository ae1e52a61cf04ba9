"""What a bundle tells people: the model card and `inspect`."""

import dataclasses
import shlex
import shutil

import pytest
import yaml

from processes import sightsmith
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
    body = card.split("---\n", 2)[2]
    assert "| openvino | fp32 | 8 | probabilities" in body
    assert "›" not in body
    assert "same_answers" not in body


def test_the_front_matter_is_what_model_hubs_read(digits_bundle):
    card = model_card(dataclasses.replace(Bundle.open(digits_bundle).manifest, papers={"licence": "Apache-2.0"}))
    front = yaml.safe_load(card.split("---\n", 2)[1])
    assert front["library_name"] == "sightsmith"
    assert front["pipeline_tag"] == "image-classification"
    assert front["license"] == "apache-2.0"
    assert front["metrics"] == ["accuracy"]
    (result,) = front["model-index"][0]["results"]
    assert {"type": "accuracy", "value": 0.97} in result["metrics"]
    assert result["dataset"]["split"] == "test"


def test_its_makers_fill_the_card_in(digits_bundle, tmp_path):
    shutil.copytree(digits_bundle, tmp_path / "model")
    (tmp_path / "papers.toml").write_text('intended_use = "Reading **forms**."\nlimits = "No handwriting in ink."\n')
    told = sightsmith("card", "model", "--from", "papers.toml", "--licence", "MIT", cwd=tmp_path).succeeded().out
    assert "## Intended use\n\nReading **forms**.\n" in told
    assert "No handwriting in ink." in told
    assert "| this model | MIT |" in told
    sightsmith("card", "model", "--limits", "", cwd=tmp_path).succeeded()
    again = sightsmith("card", "model", cwd=tmp_path).succeeded().out
    assert "Reading **forms**." in again
    assert again.count("*To be filled in") == 1
    assert again == (tmp_path / "model/README.md").read_text(encoding="utf-8")
    sightsmith("verify", "model", cwd=tmp_path).succeeded()
    (tmp_path / "papers.toml").write_text("intended_us = 'x'\n")
    sightsmith("card", "model", "--from", "papers.toml", cwd=tmp_path).refused(2, "Did you mean 'intended_use'")


def test_the_card_invents_nothing(digits_bundle):
    manifest = Bundle.open(digits_bundle).manifest
    bare = dataclasses.replace(manifest, metrics={}, data={}, training={}, versions={})
    card = model_card(bare)
    assert "None were recorded." in card
    assert card.count("*To be filled in") == 3
    assert "| data | not recorded |" in card


def test_records_that_lack_an_entry_leave_its_cell_empty(digits_bundle):
    manifest = Bundle.open(digits_bundle).manifest
    training = {"seconds": 2.0, "plan": {"batch|size": {"value": 32}, "rate": {"why": "usual"}}}
    backends = {"openvino": {"precisions": {"fp32": {}}}}
    card = model_card(dataclasses.replace(manifest, training=training, backends=backends))
    assert "| batch\\|size | 32 |  |" in card
    assert "| rate | None | usual |" in card
    assert "| openvino | fp32 |  |  |  |" in card


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
    assert "| name | photos |" in card
