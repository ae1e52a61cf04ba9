"""A seed: the random numbers that a generated picture starts from, and the class it is asked for.

The numbers of a picture depend on its seed and its index alone, so they are the same whatever the batch, the count and
the backend. A picture may also start between the numbers of two seeds.

Source: Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011 (Philox, a generator with a counter);
Box and Muller, "A Note on the Generation of Random Normal Deviates", 1958; White, "Sampling Generative Networks", 2016,
arXiv:1609.04468, section 2.1 (spherical interpolation).
Shapes: D numbers of noise.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.errors import SettingsError
from sightsmith.core.placement import UNBOUNDED, Bounds, Placement
from sightsmith.core.ports import Port
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.core.records import Sample
from sightsmith.core.settings import EXACT, from_mapping

NOISE, LABEL = "noise", "label"  # Names of the arrays: (D,) float32, and () int64 if the model knows classes

MOST = 2**63 - 1  # of a seed and of an index
_PARALLEL = 1e-9  # Sine of the angle between two noises below which they span no arc
_SECOND = ("other_seed", "other_index", "share")  # Fields of a second noise


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """What one generated picture starts from."""

    __pydantic_config__: ClassVar[Any] = EXACT
    seed: int  # 0…2⁶³−1
    index: int = 0  # which picture of the seed, 0…2⁶³−1
    label: int = 0  # index of the class that is asked for; without meaning for a model that knows none
    other_seed: int | None = None  # of a second noise, 0…2⁶³−1; None for none
    other_index: int = 0  # which picture of the other seed, 0…2⁶³−1
    share: float = 0.0  # of the way from the first noise to the second, 0…1

    def __post_init__(self) -> None:
        for name in ("seed", "index", "other_seed", "other_index"):
            if not 0 <= (getattr(self, name) or 0) <= MOST:
                raise SettingsError(f"{name} must be in 0…2⁶³−1, got {getattr(self, name)}")
        if not 0 <= self.share <= 1:
            raise SettingsError(f"share must be in 0…1, got {self.share}")
        if self.other_seed is None and (self.share or self.other_index):
            raise SettingsError("share and other_index need other_seed: the seed of the noise at share 1")

    def to_json(self) -> dict[str, Any]:
        """Return the fields; those of a second noise only if there is one."""
        left_out = _SECOND if self.other_seed is None else ()
        return {name: value for name, value in asdict(self).items() if name not in left_out}


Item = Seed | bytes
NOUNS = ("seed", "seeds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a seed becomes arrays, and the pictures that a net makes of it."""

    __pydantic_config__: ClassVar[Any] = EXACT
    numbers: int  # D
    conditions: int  # classes that can be asked for; 0 for a model that knows none
    shape: tuple[int, int, int]  # (H, W, C) of the generated pictures
    resize: Literal["crop", "squash", "letterbox"] = "crop"  # how those of the training were fitted to that shape

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> Self:
        return from_mapping(cls, raw, where="manifest.json: input_settings", strict=True)

    @property
    def real(self) -> Preprocessing:
        """How a real picture becomes pixels like those of the generated ones."""
        height, width, channels = self.shape
        neutral = (0.5,) * channels  # pixels are not normalised
        colour: Literal["grey", "rgb"] = "grey" if channels == 1 else "rgb"
        return Preprocessing(height=height, width=width, colour=colour, resize=self.resize, mean=neutral, std=neutral)


def ports(settings: Settings) -> dict[str, Port]:
    noise = {NOISE: Port("float32", (settings.numbers,))}
    return noise | ({LABEL: Port("int64", ())} if settings.conditions else {})


def feeds(item: Item, settings: Settings, bounds: Bounds = UNBOUNDED) -> dict[str, NDArray[Any]]:  # noqa: ARG001
    """Return the noise (D,) float32 and, if the model knows classes, the label () int64.

    Raises SettingsError: there is no such class, or the item is no seed.
    """
    asked = _decoded(item)
    arrays: dict[str, NDArray[Any]] = {NOISE: _noise_of(asked, settings.numbers)}
    if settings.conditions:
        if not 0 <= asked.label < settings.conditions:
            raise SettingsError(f"label must be in 0…{settings.conditions - 1}, got {asked.label}")
        arrays[LABEL] = np.array(asked.label, dtype=np.int64)
    return arrays


def noise(seed: int, index: int, count: int) -> NDArray[np.float32]:
    """Return numbers of the standard normal distribution, (count,)."""
    pairs = -(-count // 2)
    raw = np.random.Philox(key=np.array([seed, index], dtype=np.uint64)).random_raw(2 * pairs)
    uniform_2P = ((raw >> np.uint64(11)).astype(np.float64) + 0.5).reshape(2, pairs) * 2.0**-53
    radius_P, angle_P = np.sqrt(-2 * np.log(uniform_2P[0])), 2 * np.pi * uniform_2P[1]
    normal = np.concatenate([radius_P * np.cos(angle_P), radius_P * np.sin(angle_P)])
    return normal[:count].astype(np.float32)


def between(first_D: NDArray[np.float32], second_D: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """Return the noise at a share (0…1) of the way along the arc between two, (D,).

    On the straight line between them the numbers would be smaller than those that the net was trained on.
    """
    first, second = first_D.astype(np.float64), second_D.astype(np.float64)
    lengths = np.linalg.norm(first) * np.linalg.norm(second)
    angle = np.arccos(np.clip(first @ second / lengths, -1, 1))
    weights = np.array([1 - share, share])
    if np.sin(angle) > _PARALLEL:
        weights = np.sin(weights * angle) / np.sin(angle)
    return (weights[0] * first + weights[1] * second).astype(np.float32)


def asked(samples: Sequence[Sample], settings: Settings) -> list[Item]:
    """Return what a model is asked beside the samples of data: as many pictures of the same classes, of seed 0."""
    asked_for = [int(sample.target) if settings.conditions else 0 for sample in samples]
    return [Seed(seed=0, index=at, label=label) for at, label in enumerate(asked_for)]


def placement(item: Item, settings: Settings) -> Placement:  # noqa: ARG001 -- as every input
    """Return the whole picture that is made."""
    height, width, _ = settings.shape
    return Placement((width, height), (0.0, 0.0, float(width), float(height)))


def encode(item: Item, settings: Settings) -> bytes:  # noqa: ARG001 -- as every input
    return item if isinstance(item, bytes) else _encoded(item)


def suffix(encoded: bytes) -> str:  # noqa: ARG001 -- as every input
    return ".json"


def describe(settings: Settings) -> str:
    asked = f", one of {settings.conditions} classes" if settings.conditions else ""
    return f"a seed of {settings.numbers} numbers{asked}"


def facts(settings: Settings) -> dict[str, Any]:
    height, width, channels = settings.shape
    return {
        "numbers": settings.numbers,
        "conditions": settings.conditions,
        "height": height,
        "width": width,
        "channels": channels,
    }


def example(rng: np.random.Generator) -> list[Item]:
    """Return seeds, one of them encoded."""
    seeds: list[Item] = [Seed(seed=int(number), index=at) for at, number in enumerate(rng.integers(0, 1000, 3))]
    return [*seeds, _encoded(Seed(seed=7, index=2))]


def example_settings() -> Settings:
    return Settings(numbers=5, conditions=2, shape=(8, 8, 1))


def _encoded(item: Seed) -> bytes:
    return json.dumps(item.to_json()).encode()


def _noise_of(asked: Seed, count: int) -> NDArray[np.float32]:
    first_D = noise(asked.seed, asked.index, count)
    if asked.other_seed is None:
        return first_D
    return between(first_D, noise(asked.other_seed, asked.other_index, count), asked.share)


def _decoded(item: Item) -> Seed:
    """Return a seed from its stored form. Raises SettingsError: the item is something else, such as a picture."""
    if isinstance(item, Seed):
        return item
    try:
        raw = json.loads(item) if isinstance(item, bytes) else None
    except ValueError:
        raw = None
    if not isinstance(raw, dict):
        raise SettingsError(
            "this model makes pictures of a seed and reads none: `sightsmith generate BUNDLE --out FOLDER`, or in "
            "Python `model.generate(16, seed=1)`."
        )
    return from_mapping(Seed, raw, where="seed", strict=True)
