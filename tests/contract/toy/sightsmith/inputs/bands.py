"""The mean brightness of a picture's upright bands."""

import io
from dataclasses import asdict, dataclass

import numpy as np
from PIL import Image

from sightsmith.core.images import decode, picture_size
from sightsmith.core.placement import UNBOUNDED, Placement
from sightsmith.core.ports import Port
from sightsmith.core.settings import from_mapping
from sightsmith.inputs.parts.survey import Survey


@dataclass(frozen=True, kw_only=True)
class Settings:
    count: int = 4

    def to_json(self):
        return asdict(self)

    @classmethod
    def from_json(cls, raw):
        return from_mapping(cls, raw, where="bands", strict=True)


def ports(settings):
    return {"bands": Port("float32", (settings.count,))}


def feeds(item, settings, bounds=UNBOUNDED):
    image = decode(item, max_pixels=bounds.max_pixels, seconds=bounds.seconds).convert("L")
    bands = np.array_split(np.asarray(image) / 255, settings.count, axis=1)
    return {"bands": np.array([band.mean() for band in bands], dtype=np.float32)}


def placement(item, settings):
    width, height = picture_size(item)
    return Placement((width, height), (0.0, 0.0, float(width), float(height)))


def encode(item):
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(decode(item))).save(buffer, "PNG")
    return buffer.getvalue()


def suffix(encoded):
    return ".png"


def describe(settings):
    return f"brightness of {settings.count} bands"


def facts(settings):
    return {"bands": settings.count}


def survey(items):
    return Survey(count=len(items), side=16, grey=True, in_memory=False, varied=False)


def choose(wanted, items):
    return Settings()


def example(rng):
    return [rng.integers(0, 256, (16, 16), dtype=np.uint8), rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)]
