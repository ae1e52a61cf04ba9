"""Witnesses: a few real pictures and the outputs that the trained model gave for them.

Every export, and every start of a service, replays them: a model that answers otherwise is not the model that was
evaluated.

Shapes: N witnesses, H, W, C height, width and channels of the net's input.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from sightsmith.core.counts import many
from sightsmith.core.errors import BundleError, ProofError
from sightsmith.core.files import readable
from sightsmith.core.images import Picture, decode
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.predictions import KINDS

MAX_COUNT = 64
_ARRAYS = "arrays.safetensors"
_MAX_BYTES = 1_000_000
_MAX_SIDE = 1024
_PIXELS_LIMIT = 1.0
"""Largest mean difference of a witness's pixels, in levels of 0…255: decoders of JPEG may round differently."""
_SUFFIXES = ((b"\xff\xd8", ".jpg"), (b"\x89PNG", ".png"), (b"RIFF", ".webp"), (b"BM", ".bmp"), (b"P", ".ppm"))


@dataclass(frozen=True, slots=True, eq=False)
class Witnesses:
    """Pictures, the inputs they became and the outputs they must give.

    Attributes:
        pictures: N encoded pictures.
        pixels_NHWC: (N, H, W, C) uint8, the net's inputs.
        outputs: every output of the graph by name, float32, first axis N.
    """

    pictures: tuple[bytes, ...]
    pixels_NHWC: NDArray[np.uint8]
    outputs: dict[str, NDArray[np.float32]]

    def __post_init__(self) -> None:
        count = len(self.pictures)
        if not 1 <= count <= MAX_COUNT:
            raise BundleError(f"witnesses: a bundle needs 1…{MAX_COUNT} witnesses, got {count}")
        if self.pixels_NHWC.ndim != 4 or self.pixels_NHWC.dtype != np.uint8:
            raise BundleError(f"witnesses: pixels must be (N, H, W, C) uint8, got shape {self.pixels_NHWC.shape}")
        if {len(self.pixels_NHWC), *(len(array) for array in self.outputs.values())} != {count}:
            raise BundleError(f"witnesses: every output needs one row for each of the {count} pictures")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What came of replaying witnesses.

    Attributes:
        count: how many were replayed.
        differences: by output, the largest difference found; its measure is that of the kind of prediction.
        limits: by output, the largest difference allowed.
        same_answers: share of witnesses with the same answer, ties within the limit counting as the same, in 0…1.
        pixels: largest mean difference of a witness's decoded pixels, in levels of 0…255; None where not compared.
    """

    count: int
    differences: dict[str, float]
    limits: dict[str, float]
    same_answers: float
    pixels: float | None = None

    @property
    def ok(self) -> bool:
        """Whether everything is within the limits."""
        return not self.problems()

    def problems(self) -> list[str]:
        """Return what is beyond its limit, in words."""
        found = [
            f"{name} differs by {self.differences[name]:.3g}, allowed is {limit:.3g}"
            for name, limit in self.limits.items()
            if not self.differences[name] <= limit
        ]
        if self.same_answers < 1:
            changed = round((1 - self.same_answers) * self.count)
            of_all = f"of {self.count} answers"
            found.append(many(changed, f"{of_all} is another", f"{of_all} are different ones"))
        if self.pixels is not None and not self.pixels <= _PIXELS_LIMIT:
            found.append(
                f"the pictures decode to other pixels (by {self.pixels:.3g} of 255, allowed {_PIXELS_LIMIT:g})"
            )
        return found

    def __str__(self) -> str:
        apart = ", ".join(f"{name} within {value:.2g}" for name, value in self.differences.items())
        told = f"{many(self.count, 'witness', 'witnesses')} answered alike ({apart})"
        return told if self.ok else "; ".join(self.problems())

    def require(self, what: str) -> None:
        """Raise ProofError, naming `what` was replayed, where something is beyond its limit."""
        if not self.ok:
            raise ProofError(f"{what}: the model does not answer as it did when trained: {'; '.join(self.problems())}.")

    def to_json(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "witnesses": self.count,
            "differences": {name: float(f"{value:.3g}") for name, value in self.differences.items()},
            "limits": dict(self.limits),
            "same_answers": round(self.same_answers, 6),
            **({} if self.pixels is None else {"pixels": float(f"{self.pixels:.3g}")}),
        }


def compare_outputs(
    expected: Mapping[str, NDArray[Any]],
    got: Mapping[str, NDArray[Any]],
    tolerance: Mapping[str, float],
    *,
    kind: str = "labels",
    pixels: float | None = None,
) -> Proof:
    """Compare outputs with those that were recorded.

    Args:
        expected: the recorded outputs by name.
        got: the outputs to judge; those not asked for may be missing.
        tolerance: largest allowed difference of each output, in the measure of the kind of prediction.
        kind: kind of prediction, a file's name in predictions/.
        pixels: what `pixel_difference` found, to be judged along.

    Raises:
        BundleError: an output has another shape than recorded.
    """
    for name, array in got.items():
        if name not in expected or array.shape != expected[name].shape:
            shape = expected[name].shape if name in expected else "none"
            raise BundleError(f"witnesses: output {name!r} has shape {array.shape}, recorded is {shape}")
    module = KINDS.module(kind)
    finite = all(np.isfinite(array).all() for array in got.values())
    differences = module.differences(expected, got) if finite else dict.fromkeys(got, float("inf"))
    first = next(iter(expected))
    return Proof(
        count=len(expected[first]),
        differences=differences,
        limits={name: tolerance[name] for name in got},
        same_answers=module.same_answers(expected, got, tolerance[first]) if finite else 0.0,
        pixels=pixels,
    )


def worst(proofs: Sequence[Proof]) -> Proof:
    """Return what holds for the same witnesses replayed in several ways: the largest of each difference."""
    names = dict.fromkeys(name for proof in proofs for name in proof.differences)
    return replace(
        proofs[0],
        differences={name: max(proof.differences.get(name, 0.0) for proof in proofs) for name in names},
        same_answers=min(proof.same_answers for proof in proofs),
    )


def pixel_difference(witnesses: Witnesses, preprocessing: Preprocessing) -> float:
    """Decode the pictures again and return the largest mean difference from the recorded pixels, in 0…255."""
    again = np.stack([preprocessing.apply(picture) for picture in witnesses.pictures]).astype(np.int16)
    return float(np.abs(again - witnesses.pixels_NHWC).mean(axis=(1, 2, 3)).max())


def encode(picture: Picture) -> bytes:
    """Return a picture as bytes to store: as it is where it is encoded already and under 1 MB, else as a small PNG."""
    if isinstance(picture, (str, Path)):
        picture = Path(picture).read_bytes()
    if isinstance(picture, bytes) and len(picture) <= _MAX_BYTES:
        return picture
    image = decode(picture)
    image.thumbnail((_MAX_SIDE, _MAX_SIDE))
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(image)).save(buffer, "PNG")
    return buffer.getvalue()


def encode_inputs(
    pictures: Sequence[Picture], preprocessing: Preprocessing
) -> tuple[tuple[bytes, ...], NDArray[np.uint8]]:
    """Return (encoded pictures, their pixels (N, H, W, C)): what a trained model must be run on to make witnesses."""
    encoded = tuple(encode(picture) for picture in pictures)
    return encoded, np.stack([preprocessing.apply(picture) for picture in encoded])


def save(witnesses: Witnesses, folder: Path) -> None:
    """Write witnesses into a folder, which is made."""
    folder.mkdir(parents=True)
    for n, picture in enumerate(witnesses.pictures):
        (folder / f"{n:02}{_suffix(picture)}").write_bytes(picture)
    arrays = {f"output.{name}": np.asarray(array, np.float32, order="C") for name, array in witnesses.outputs.items()}
    save_file({"pixels": np.ascontiguousarray(witnesses.pixels_NHWC), **arrays}, folder / _ARRAYS)
    readable(folder / _ARRAYS)


def load(folder: Path) -> Witnesses:
    """Read witnesses back.

    Raises:
        BundleError: they are missing or cannot be read.
    """
    try:
        arrays = load_file(folder / _ARRAYS)
        shown = (path for path in sorted(folder.iterdir()) if not path.name.startswith("."))  # .DS_Store and the like
        pictures = tuple(path.read_bytes() for path in shown if path.name != _ARRAYS)
        outputs = {key.removeprefix("output."): array for key, array in arrays.items() if key.startswith("output.")}
        return Witnesses(pictures, arrays["pixels"], outputs)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise BundleError(f"{folder}: the witnesses cannot be read ({error}). Copy the bundle again.") from error


def _suffix(picture: bytes) -> str:
    return next((suffix for magic, suffix in _SUFFIXES if picture.startswith(magic)), ".tif")
