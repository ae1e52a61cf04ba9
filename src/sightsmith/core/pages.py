"""HTML pages of all verbs: templates, line breaks in long names, and embedded pictures."""

import base64
import io
import re
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup
from PIL import Image

_SMALL = 64  # A picture up to this side is stored as PNG and shown enlarged without smoothing
_QUALITY = 82

# characters that separate the words of a name; browsers break lines only after some `/` by themselves
_PARTING = re.compile(r"(?<=[_/\\])(?=\w)|(?<=\w\.)(?=[^\W\d])")


def template(path: Path) -> Template:
    """Return a template that escapes every value, refuses undefined names and has the filter `breakable`."""
    return _environment(path.parent).get_template(path.name)


@cache
def _environment(folder: Path) -> Environment:
    loader = FileSystemLoader(folder)
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters["breakable"] = breakable
    return made


def breakable(text: str) -> Markup:
    """Return a text, escaped, in which names may break between their words."""
    return Markup("<wbr>").join(_PARTING.split(text))


def data_uri(image: Image.Image) -> str:
    """Return an image as a `data:` URI: PNG if it is small, else JPEG."""
    kind, options = ("PNG", {"optimize": True}) if is_small(image) else ("JPEG", {"quality": _QUALITY})
    file = io.BytesIO()
    image.save(file, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def is_small(image: Image.Image) -> bool:
    return max(image.size) <= _SMALL
