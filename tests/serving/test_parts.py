"""The small parts of the service that need no process: names, settings, the card's HTML, the heat map."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from drafts import define
from sightsmith.core.errors import SettingsError
from sightsmith.core.names import did_you_mean, shortened
from sightsmith.core.overlay import overlay
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.kinds.labels.value import Labels
from sightsmith.kinds.parts.answer import Aspect
from sightsmith.runtime.runner import Runner
from sightsmith.serving.failures import RefusalError
from sightsmith.serving.heat import explanation
from sightsmith.serving.model_routes import card_html
from sightsmith.serving.run import asked_names, check_name
from sightsmith.serving.settings import ServeSettings
from sightsmith.serving.video_parts import Cut


def test_names_come_from_a_mapping_or_from_text(tmp_path):
    plain = [(None, tmp_path / "a"), ("b", tmp_path / "c")]
    assert asked_names([tmp_path / "a", f"b={tmp_path / 'c'}"]) == plain
    assert asked_names({"b": tmp_path / "c"}) == plain[1:]
    assert asked_names(str(tmp_path / "a")) == plain[:1]


def test_a_path_with_an_equals_sign_that_exists_is_a_path(tmp_path):
    path = tmp_path / "lr=0.1"
    path.mkdir()
    assert asked_names([path]) == [(None, path)]


@pytest.mark.parametrize("name", ["", "a b", "a/b", "..", "-a", "é", "a" * 101, "a\n"])
def test_names_that_cannot_stand_in_an_address(tmp_path, name):
    with pytest.raises(SettingsError, match="cannot stand in an address"):
        check_name(name, tmp_path, {})


@pytest.mark.parametrize("field", ["port", "threads", "max_upload", "max_pixels", "queue", "batch", "recheck", "drain"])
def test_settings_out_of_range_are_named(field):
    with pytest.raises(SettingsError, match=f"serve: {field} must be in "):
        ServeSettings(**{field: -1})


def test_a_card_cannot_bring_code_or_pictures_from_elsewhere():
    html = card_html(
        "# A\n\n<script>alert(1)</script>\n\n[x](javascript:alert(1)) ![y](https://a.b/c.png)\n\n|a|b|\n|-|-|\n|1|2|\n"
    )
    assert "<script" not in html
    assert "<img" not in html
    assert 'href="javascript' not in html
    assert "<table>" in html


def test_a_card_without_its_header():
    assert card_html("---\ntags: [a]\n---\n\n# A\n") == "<h1>A</h1>\n"
    assert "<hr" in card_html("---\nno end\n")


def test_the_heat_map_laid_over_the_picture_is_the_overlay_that_explain_draws():
    """One colouring: what the page composes from the PNG is what `sightsmith explain` writes."""
    rng = np.random.default_rng(0)
    pixels_HWC = rng.integers(0, 256, (300, 300, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels_HWC).save(file, "PNG")
    preprocessing = Preprocessing(height=64, width=64)
    map_Khw = rng.normal(size=(3, 5, 5)).astype(np.float32)
    prediction = Labels(("a", "b", "c"), np.array([0.2, 0.5, 0.3], np.float32), map_Khw)
    runner = Runner(define(preprocessing, "abc"), {}, {"probabilities": 1.0})
    added = explanation(runner, prediction, Aspect(2, "c", 0.3), file.getvalue())
    layer = Image.open(io.BytesIO(base64.b64decode(added["heatmap"]))).convert("RGBA")
    laid = Image.alpha_composite(Image.fromarray(pixels_HWC).convert("RGBA"), layer).convert("RGB")
    expected = overlay(pixels_HWC, prediction.heat(2, preprocessing, (300, 300)), alpha=1.0)
    difference = np.abs(np.asarray(laid, np.int16) - np.asarray(expected, np.int16))
    assert difference.mean() < 1.5
    assert np.allclose(added["map"]["values"], map_Khw[2], atol=1e-4)


def test_a_very_long_name_is_compared_and_repeated_in_part():
    assert did_you_mean("digits" + "x" * 10_000_000, ["digits"]) == "The choices are: digits."
    assert shortened("x" * 10_000) == "x" * 100 + "…"
    assert shortened("x" * 100) == "x" * 100


def test_nothing_to_explain_with():
    prediction = Labels(("a",), np.array([1.0], np.float32))
    runner = Runner(define(Preprocessing(height=8, width=8), "a"), {}, {"probabilities": 1.0})
    with pytest.raises(SettingsError, match="no class map"):
        explanation(runner, prediction, Aspect(0, "a", 1.0), b"")


def test_a_video_is_cut_into_parts_from_its_start_to_its_end():
    assert Cut(1.0, 1.0).parts(0, 3, 9) == [(0, 1), (1, 2), (2, 3)]
    assert Cut(1.0, 1.0).parts(0, 2.5, 9) == [(0, 1), (0.75, 1.75), (1.5, 2.5)], "none is shorter, and nothing is left"
    assert Cut(2.0, 0.5).parts(1, 4, 9) == [(1, 3), (1.5, 3.5), (2, 4)]
    assert Cut(5.0, 1.0).parts(0.5, 1.5, 9) == [(0.5, 1.5)]
    thirds = Cut(0.1, 0.1).parts(0, 0.1 * 3, 3)
    assert [end for _, end in thirds] == pytest.approx([0.1, 0.2, 0.3])


def test_the_least_distance_of_parts_that_a_refusal_names_will_do():
    with pytest.raises(RefusalError, match="would have 480. Send every=0.02 or more"):
        Cut(0.01, 0.01).parts(0, 4.8, 256)
    assert len(Cut(0.01, 0.02).parts(0, 4.8, 256)) == 241
    with pytest.raises(RefusalError, match="at most 1 part .* Send a longer part"):
        Cut(0.01, 0.01).parts(0, 4.8, 1)
