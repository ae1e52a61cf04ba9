"""What the HTML pages of all verbs have in common: how a template is read, and where a name may break."""

import re
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

# the characters that part the words of a name; a browser alone breaks behind none of them but some `/`
_PARTING = re.compile(r"(?<=[_/\\])(?=\w)|(?<=\w\.)(?=[^\W\d])")


def template(path: Path) -> Template:
    """Return a template that escapes every value, refuses unknown ones and knows the filter `breakable`."""
    return _environment(path.parent).get_template(path.name)


@cache
def _environment(folder: Path) -> Environment:
    made = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["breakable"] = breakable
    return made


def breakable(text: str) -> Markup:
    """Return a text, escaped, in which names may break between their words."""
    return Markup("<wbr>").join(_PARTING.split(text))
