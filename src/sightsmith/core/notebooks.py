"""HTML of results in notebooks: tables, pictures and text; every value is escaped."""

import base64
from collections.abc import Sequence

from markupsafe import Markup, escape
from PIL import Image

from sightsmith.core.pages import data_uri


def table(rows: Sequence[Sequence[str]], header: Sequence[str] = ()) -> str:
    """Return a table of rows; without a header the first cell of each row is its heading."""
    head = Markup("<thead><tr>{}</tr></thead>").format(_cells("th", header)) if header else ""
    body = Markup("").join(
        Markup("<tr>{}{}</tr>").format(_cells("td" if header else "th", row[:1]), _cells("td", row[1:])) for row in rows
    )
    return str(Markup("<table>{}<tbody>{}</tbody></table>").format(head, body))


def _cells(tag: str, cells: Sequence[str]) -> Markup:
    return Markup("").join(Markup("<{0}>{1}</{0}>").format(Markup(tag), escape(cell)) for cell in cells)  # noqa: S704


def picture(image: Image.Image, caption: str) -> str:
    """Return an image with a line below it."""
    return str(Markup('<figure><img src="{}"><figcaption>{}</figcaption></figure>').format(data_uri(image), caption))


def drawing(svg: str) -> str:
    """Return an SVG file as an image, so that its style sheet holds for itself alone."""
    encoded = base64.b64encode(svg.encode()).decode()
    return str(Markup('<img src="data:image/svg+xml;base64,{}">').format(encoded))


def text(lines: str) -> str:
    """Return lines in a fixed-width font, as on a terminal."""
    return str(Markup("<pre>{}</pre>").format(lines))
