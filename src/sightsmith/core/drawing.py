"""Drawings of an answer: names with bars under a picture, and rectangles with names over it."""

from collections.abc import Sequence
from functools import cache, lru_cache
from statistics import median
from typing import NamedTuple

from PIL import Image, ImageColor, ImageDraw, ImageFont

_PAPER, _INK, _BAR, _TRACK, _PALE = "#ffffff", "#212529", "#2f6fed", "#e9ecef", "#98a2b3"
_WIDE_FONTS = ("NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "msyh.ttc", "PingFang.ttc", "DejaVuSans.ttf")
"""Fonts of common systems with more than Latin letters; non-ASCII names use the first one found."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Row = tuple[str, str, float | None, float | None, bool]
"""Name, value as text, bar length and tick position (each in 0…1 or None), and whether to draw it in full colour."""
_ACROSS = 4  # Pictures of a sheet side by side
_HUE, _TURN = 215.0, 137.508  # First hue, and the step to the next in degrees: the golden angle, which never comes near
_COVER = 0.8  # Opacity of lines over a picture
_WHITE_FROM = 0.36  # Luminance below which white letters are easier to read than black ones


class Outline(NamedTuple):
    """A rectangle over a picture."""

    box: tuple[float, ...]  # (left, top, right, bottom) in pixels of the picture
    text: str  # on a plate at its corner; empty for none
    colour: str  # `rgb(…)`
    bold: bool = True  # else a thin line


def colour_of(index: int) -> str:
    """Return the colour of a name by its number: neighbours differ most. The page computes the same in CSS."""
    lightness = (46, 38, 56)[index % 3]
    red, green, blue = ImageColor.getrgb(f"hsl({(_HUE + _TURN * index) % 360:.0f}, 85%, {lightness}%)")[:3]
    return f"rgb({red},{green},{blue})"


def outlined(image: Image.Image, outlines: Sequence[Outline]) -> Image.Image:
    """Return a copy of an RGB picture with rectangles drawn over it; the first lies on top.

    Line and letters grow with the picture, but many small rectangles in a large one stay visible. A white line around
    each keeps it visible on dark and busy places.
    """
    paper = image.copy()
    draw = ImageDraw.Draw(paper)
    shorter = [min(right - left, bottom - top) for left, top, right, bottom in (one.box for one in outlines)]
    usual = median(shorter) if shorter else 0
    line = max(1, round(min(max(image.size) / 320, usual / 40)))
    letters = max(13, round(min(40, max(image.size) / 42, usual / 6)))
    for one in reversed(outlines):
        _draw_line(draw, one, line * (2 if one.bold else 1))
    for one in reversed(outlines):
        if one.text:
            _draw_plate(draw, image.size, one, letters)
    return paper


def _draw_line(draw: ImageDraw.ImageDraw, one: Outline, width: int) -> None:
    left, top, right, bottom = one.box
    right, bottom = max(left, right - 1), max(top, bottom - 1)  # the edge of a box is the far side of its last pixel
    halo = max(1, width // 3)
    draw.rectangle((left - halo, top - halo, right + halo, bottom + halo), outline="#ffffff", width=width + 2 * halo)
    draw.rectangle((left, top, right, bottom), outline=one.colour, width=width)


def _draw_plate(draw: ImageDraw.ImageDraw, size: tuple[int, int], one: Outline, letters: int) -> None:
    """Write the words above the rectangle, or inside it if there is no place above; never outside the picture."""
    words = _fit(draw, one.text, _font(one.text.isascii(), letters), size[0] - letters)
    font = _font(words.isascii(), letters)
    wide, high = draw.textlength(words, font=font) + letters * 0.6, letters * 1.35
    left = min(max(0.0, one.box[0]), max(0.0, size[0] - wide))
    top = one.box[1] - high if one.box[1] >= high else min(max(0.0, one.box[1]), max(0.0, size[1] - high))
    draw.rectangle((left, top, left + wide, top + high), fill=one.colour)
    draw.text((left + letters * 0.3, top + high / 2), words, fill=letters_on(one.colour), font=font, anchor="lm")


def letters_on(colour: str) -> str:
    """Return white or black: which can be read on a colour, by its relative luminance (WCAG 2)."""
    linear = [(part / 255 / 12.92) if part <= 10 else ((part / 255 + 0.055) / 1.055) ** 2.4 for part in _rgb(colour)]
    luminance = sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "#ffffff" if luminance < _WHITE_FROM else "#000000"


def _rgb(colour: str) -> tuple[int, ...]:
    return ImageColor.getrgb(colour)[:3]


def rows_below(image: Image.Image, rows: list[Row]) -> Image.Image:
    """Return an RGB picture at least 240 pixels wide with a line for each row below it."""
    scale = max(1.0, 240 / image.width)
    shown = image.resize((round(image.width * scale), max(1, round(image.height * scale))), Image.Resampling.LANCZOS)
    line = max(18, min(48, shown.width // 18))
    paper = Image.new("RGB", (shown.width, shown.height + line * len(rows) + line // 3), _PAPER)
    paper.paste(shown, (0, 0))
    draw = ImageDraw.Draw(paper)
    for place, row in enumerate(rows):
        _draw_row(draw, shown.height + line // 4 + place * line, shown.width, line, row)
    return paper


def rows_over(image: Image.Image, rows: list[Row]) -> Image.Image:
    """Return a copy of an RGB picture with lines for the first rows over its lower third, for at least one."""
    panel = _panel(tuple(rows), *image.size)
    corner = (0, image.height - panel.height)
    paper = image.copy()
    paper.paste(Image.blend(image.crop((*corner, *image.size)), panel, _COVER), corner)
    return paper


@lru_cache(maxsize=8)
def _panel(rows: tuple[Row, ...], width: int, height: int) -> Image.Image:
    """Return the lines as a picture of this width; the frames of a video share it while the answer stays."""
    wide = max(240, width)
    line = max(18, min(48, wide // 24))
    shown = rows[: max(1, round(height * wide / width / 3) // line)]
    panel = Image.new("RGB", (wide, line * len(shown) + line // 3), _PAPER)
    draw = ImageDraw.Draw(panel)
    for place, row in enumerate(shown):
        _draw_row(draw, line // 4 + place * line, wide, line, row)
    fitted = min(height, max(1, round(panel.height * width / wide)))
    return panel if wide == width and fitted == panel.height else panel.resize((width, fitted))


def sheet(images: Sequence[Image.Image], rows: Sequence[Row]) -> tuple[Image.Image, list[tuple[int, int]]]:
    """Return pictures of one size side by side, each with its row below it, and their places, (left, top) in pixels.

    Four fit across. A row shows its name, its value, and below these its bar.
    """
    width, height = images[0].size
    line, gap = max(14, width // 12), max(4, width // 40)
    across, step = min(_ACROSS, len(images)), (width + gap, height + 2 * line + gap)
    size = across * step[0] + gap, -(-len(images) // across) * step[1] + gap
    paper = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(paper)
    places = [(at % across * step[0] + gap, at // across * step[1] + gap) for at in range(len(images))]
    for image, row, (left, top) in zip(images, rows, places, strict=True):
        paper.paste(image, (left, top))
        _draw_below(draw, left, top + height, width, line, row)
    return paper, places


def _draw_below(draw: ImageDraw.ImageDraw, left: int, top: int, width: int, line: int, row: Row) -> None:
    name, text, share, _, counts = row
    font = _font(True, line * 3 // 4)
    draw.text((left, top + line / 2), name, fill=_INK, font=font, anchor="lm")
    draw.text((left + width, top + line / 2), text, fill=_INK if counts else _PALE, font=font, anchor="rm")
    low, high = top + line, top + line + line // 2
    draw.rectangle((left, low, left + width - 1, high), fill=_TRACK)
    if share:
        draw.rectangle((left, low, left + max(1, round(width * share)) - 1, high), fill=_BAR if counts else _PALE)


def _draw_row(draw: ImageDraw.ImageDraw, top: int, width: int, line: int, row: Row) -> None:
    name, text, share, mark, counts = row
    ink, filled = (_INK, _BAR) if counts else (_PALE, _PALE)
    margin, middle = line // 4, width * 9 // 20
    font = _font(name.isascii(), line * 5 // 8)
    draw.text((margin, top), _fit(draw, name, font, middle - 2 * margin), fill=ink, font=font)
    if share is None:
        words = _fit(draw, text, font, width - middle - margin)
        draw.text((middle, top), words, fill=_INK, font=_font(words.isascii(), line * 5 // 8))
        return
    end = width - margin - round(draw.textlength("100.0%", font=font)) - margin
    low, high = top + line // 6, top + line * 2 // 3
    draw.rectangle((middle, low, end, high), fill=_TRACK)
    draw.rectangle((middle, low, middle + round((end - middle) * min(1.0, max(0.0, share))), high), fill=filled)
    if mark is not None:
        tick = middle + round((end - middle) * min(1.0, max(0.0, mark)))
        draw.line((tick, low - 2, tick, high + 2), fill=_INK, width=max(1, line // 18))
    draw.text((end + margin, top), text, fill=ink, font=font)


def _fit(draw: ImageDraw.ImageDraw, name: str, font: Font, width: int) -> str:
    shown = name.replace("\n", " ")
    if draw.textlength(shown, font=font) <= width:
        return shown
    while shown and draw.textlength(shown + "…", font=font) > width:
        shown = shown[:-1]
    return shown + "…"


@cache
def _font(plain: bool, size: int) -> Font:
    for name in () if plain else _WIDE_FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)
