"""Small drawings under a picture: names with bars."""

from functools import cache

from PIL import Image, ImageDraw, ImageFont

_PAPER, _INK, _BAR, _TRACK, _PALE = "#ffffff", "#212529", "#2f6fed", "#e9ecef", "#98a2b3"
_WIDE_FONTS = ("NotoSansCJK-Regular.ttc", "wqy-microhei.ttc", "msyh.ttc", "PingFang.ttc", "DejaVuSans.ttf")
"""Fonts of common systems with more than Latin letters; non-ASCII names use the first one found."""

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Row = tuple[str, str, float | None, float | None, bool]
"""Name, value as text, bar length and tick position (each in 0…1 or None), and whether to draw it in full colour."""


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
