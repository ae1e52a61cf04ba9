"""The drawing of answers along a video."""

import re

from sightsmith.core.drawing import colour_of
from sightsmith.kinds.parts.strips import Stretch, draw_strips, key

NAMES = ("run", "rest", "fall")


def _stretch(start: float, end: float, name: str, truth: str = "", score: float = 0.9) -> Stretch:
    return Stretch(start=start, end=end, name=name, score=score, truth=truth)


def _rects(drawing: str, mark: str) -> list[tuple[float, float]]:
    """Return left and width, in per cent, of the rectangles with an attribute, from left to right."""
    found = re.findall(r'<rect x="([\d.]+)%" y="[\d.]+" width="([\d.]+)%" height="[\d.]+" ' + re.escape(mark), drawing)
    return sorted((float(left), float(width)) for left, width in found)


def test_parts_are_drawn_at_their_times_and_the_wrong_ones_marked() -> None:
    parts = [_stretch(5, 10, "rest", "run"), _stretch(0, 5, "run", "run", score=0.6), _stretch(10, 20, "rest", "rest")]
    drawing = draw_strips(parts, NAMES, "a video")
    assert _rects(drawing, f'fill="{colour_of(0)}"') == [(0, 25), (0, 50)]  # answered for 5 s, right for 10 s
    assert _rects(drawing, f'fill="{colour_of(1)}"') == [(25, 75), (50, 50)]
    assert _rects(drawing, 'class="wrong"') == [(25, 25)]
    assert "5 s to 10 s: rest 90.0%, is run" in drawing
    assert [text for text in ("Truth</", "Answer</", "Certainty<", "0</", "20 s</") if f">{text}" not in drawing] == []


def test_without_a_truth_there_are_only_answers() -> None:
    drawing = draw_strips([_stretch(0, 1, "run"), _stretch(1, 2, "fall")], NAMES, "a video")
    assert "Truth" not in drawing
    assert 'class="wrong"' not in drawing


def test_a_part_that_overlaps_the_next_is_drawn_up_to_its_start() -> None:
    parts = [_stretch(start, start + 4, "run" if start else "fall") for start in (0, 2, 4)]
    drawing = draw_strips(parts, NAMES, "a video")
    assert _rects(drawing, f'fill="{colour_of(2)}"') == [(0, 25)]
    assert _rects(drawing, f'fill="{colour_of(0)}"') == [(25, 75)]


def test_of_very_many_parts_the_wrong_ones_are_drawn() -> None:
    parts = [_stretch(at, at + 1, "rest" if at == 3333 else "run", "run") for at in range(5000)]
    drawing = draw_strips(parts, NAMES, "a video")
    assert drawing.count("<rect") < 700
    [(left, width)] = _rects(drawing, 'class="wrong"')
    assert left <= 3333 / 50 <= left + width


def test_names_are_written_where_they_fit_and_escaped() -> None:
    names = ("<i>run", "rest")
    drawing = draw_strips([_stretch(0, 99, "<i>run"), _stretch(99, 100, "rest")], names, "a & b")
    assert "&lt;i&gt;run</text>" in drawing
    assert ">rest</text>" not in drawing
    assert "<title>a &amp; b</title>" in drawing
    assert "<i>" not in drawing + key(names, ["<i>run"])


def test_a_key_names_what_is_used_in_the_order_of_the_model() -> None:
    html = key(NAMES, ["fall", "run", "fall"])
    assert re.findall(r"■</span> (\w+)", html) == ["run", "fall"]
    assert key([f"n{at}" for at in range(20)], [f"n{at}" for at in range(20)]).count("■") == 12
