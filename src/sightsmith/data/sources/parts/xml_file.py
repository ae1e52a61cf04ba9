"""Reading small XML files of any origin: no entities, no network, bounded size and depth."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from sightsmith.core.errors import DataError

_MOST_BYTES = 1 << 24
_DEPTH = 32


@dataclass(slots=True)
class Element:
    """An element with its line, its text and the elements in it; attributes are not read."""

    name: str
    line: int
    pieces: list[str] = field(default_factory=list)  # of the text; a text that grows piece by piece takes square time
    inner: list["Element"] = field(default_factory=list)

    def first(self, path: str) -> "Element | None":
        """Return the first element on a path of names with `/`, None if there is none."""
        name, _, rest = path.partition("/")
        for one in self.all(name):
            return one.first(rest) if rest else one
        return None

    def all(self, name: str) -> Iterator["Element"]:
        return (one for one in self.inner if one.name == name)

    def value(self, path: str = "") -> str:
        """Return the text of this or of the first element on a path, no spaces around it; empty if there is none."""
        found = self.first(path) if path else self
        return "" if found is None else "".join(found.pieces).strip()


def read_xml(file: Path) -> Element:
    """Return the root element.

    Raises DataError, which starts with a line number: it is not XML, it declares entities (with which a small text can
        grow without bounds, or name other files), or it is over the bounds of 16 MiB and of depth 32.
    """
    size = file.stat().st_size
    if size > _MOST_BYTES:
        raise DataError(f"1: an annotation may have {_MOST_BYTES:,} bytes, this one has {size:,}")
    parser = expat.ParserCreate()
    parser.buffer_text = True
    top = Element("", 1)
    open_elements = [top]

    def start(name: str, _: dict[str, str]) -> None:
        if len(open_elements) > _DEPTH:
            raise DataError(f"{parser.CurrentLineNumber}: elements may be {_DEPTH} deep, this one is deeper")
        element = Element(name, parser.CurrentLineNumber)
        open_elements[-1].inner.append(element)
        open_elements.append(element)

    def refuse(*_: object) -> None:
        raise DataError(f"{parser.CurrentLineNumber}: it declares an entity, which no annotation needs")

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: open_elements.pop()
    parser.CharacterDataHandler = lambda text: open_elements[-1].pieces.append(text)
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(file.read_bytes(), True)
    except expat.ExpatError as error:
        raise DataError(f"{error.lineno}: not XML ({expat.ErrorString(error.code)})") from error
    return top.inner[0]
