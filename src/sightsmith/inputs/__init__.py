"""One kind of input is one file: from an item (a path, encoded bytes, an array …) to named arrays, and back.

An input's file has:

- `Settings`: the frozen settings that are hashed into the bundle's definition, with `to_json` and `from_json`;
- `ports(settings) -> dict[str, Port]`: the arrays that a graph takes, by name;
- `feeds(item, settings, bounds) -> dict[str, NDArray]`: the arrays of one item, without the batch's axis;
- `placement(item, settings) -> Placement`: which part of the item they show; apart, because most answers need none;
- `encode(item) -> bytes` and `suffix(bytes) -> str`: an item as a witness stores it; encoded bytes are an item too;
- `describe(settings) -> str`: in a few words, for people.

NumPy and Pillow; no torch.
"""

from pkgutil import extend_path

from sightsmith.core.catalogue import Catalogue

__path__ = extend_path(__path__, __name__)

INPUTS = Catalogue("sightsmith.inputs", "input")
