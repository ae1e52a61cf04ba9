"""One kind of input is one file: from an item (a path, encoded bytes, an array …) to named arrays, and back.

An input's file has:

- `ITEMS`, optional: the input whose items it reads too (its own name), as an input that computes something else of
  pictures does; else `NOUNS`: an item, singular and plural, for messages;
- `Settings`: the frozen settings that are hashed into the bundle's definition, with `to_json` and `from_json`;
- `ports(settings) -> dict[str, Port]`: the arrays that a graph takes, by name;
- `feeds(item, settings, bounds) -> dict[str, NDArray]`: the arrays of one item, without the batch's axis;
- `drawn(item, settings, rng, share) -> arrays`, if it has `VARIED`: as `feeds`, of a random part of the item with
  at least this share of its area; a function of the item and of `rng` alone;
- `reduced(item, settings) -> item` and `reduced_bytes(item, settings) -> int`, optional: the item decoded and little
  larger than `drawn` needs it, for training that keeps its items in memory; and how many bytes that takes;
- `face(item, near=None, max_pixels=…) -> PIL image`, if training can read it: one upright picture that stands for the
  item, RGB or grey, reduced to no less than `near` pixels a side;
- `FILE`, optional: the name of a file with an item, for examples, if it is not `picture.jpg`; `EXTRA`, optional: the
  extra of the package that reads it;
- `RATE`, optional: the unit of the speed of training, if it is not the plural of `NOUNS` a second;
- `SHEET`, optional: True if a face is a sheet of several pictures, which pages show large;
- `digest(item) -> bytes` and `look(item, near, max_pixels) -> Look` (`parts/look.py`), if data has such items: the hash
  of an item's content, and what the check of data wants to know of it;
- `placement(item, settings) -> Placement`: which part of the item they show; separate, because few answers need it;
- `read(item, bounds) -> item` and `crop(item, window) -> item`, optional, for answers by tiles: an item that is read
  once and held in memory, and a part of such an item;
- `encode(item, settings) -> bytes` and `suffix(bytes) -> str`: the stored form of a witness, of which `feeds` makes the
  same arrays; encoded bytes are also an item;
- `describe(settings) -> str`: in a few words, for people; `facts(settings) -> dict`: for the service's clients;
- `VARIED`, optional: the array of pixels, (H, W, C) or (T, H, W, C) uint8, that augmentation varies;
- `shown(item, settings, near=None) -> [(s, PIL image)]`, if that array has a time: the upright frames behind it, each
  with its moment; folders then give videos, and folders of frames, as items;
- `span(item) -> Span | None`, optional: the part of a longer video that an item is, for timelines in reports;
- `example(rng) -> list[Item]`: a few small items for the contract tests;
- either, if training can read it, `survey(items) -> Survey` and `choose(wanted, items) -> Settings`
  (`parts/survey.py`);
- or, if it is no part of any data, `asked(samples, settings) -> list[Item]`: the items that a model is asked beside as
  many samples of data; and `example_settings() -> Settings` for the contract tests. A task whose model takes such an
  input reads another one in training (`READS` of `sightsmith.tasks`). `feeds` of an item from elsewhere, such as a
  file, raises SettingsError and names the verb that makes the items.

NumPy and Pillow; no torch.
"""

from dataclasses import dataclass
from importlib import import_module
from pkgutil import extend_path
from types import ModuleType
from typing import Any

import numpy as np

from sightsmith.core.catalogue import Catalogue
from sightsmith.core.placement import UNBOUNDED, Bounds
from sightsmith.core.ports import Arrays, Port

__path__ = extend_path(__path__, __name__)

INPUTS = Catalogue("sightsmith.inputs", "input")


def from_files(name: str) -> bool:
    """Tell whether the items of an input are files or their content; others are made, as seeds are."""
    return not hasattr(INPUTS.module(name), "asked")


def items_of(name: str) -> str:
    """Return the input that has the items of an input: itself, unless it reads those of another one."""
    return getattr(INPUTS.module(name), "ITEMS", name)


def nouns_of(name: str) -> tuple[str, str]:
    """Return a sample of a model with this input, singular and plural.

    An input whose items are made, such as seeds, has pictures as its data.
    """
    named: tuple[str, str] = INPUTS.module(items_of(name) if from_files(name) else "picture").NOUNS
    return named


@dataclass(frozen=True, slots=True)
class Reader:
    """An input with its settings: how an item becomes arrays. It can be pickled, for worker processes."""

    name: str
    settings: Any

    @property
    def file(self) -> ModuleType:
        return import_module(f"{__name__}.{self.name}")

    def ports(self) -> dict[str, Port]:
        return self.file.ports(self.settings)

    def feeds(self, item: Any, bounds: Bounds = UNBOUNDED) -> Arrays:
        return self.file.feeds(item, self.settings, bounds)

    def drawn(self, item: Any, rng: np.random.Generator, share: float) -> Arrays:
        return self.file.drawn(item, self.settings, rng, share)
