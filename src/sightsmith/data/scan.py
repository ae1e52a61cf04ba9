"""The scan of each picture or clip: whether it decodes, its size and mode, its content hash, its thumbnail.

Each is decoded once: files in threads (the decoders leave Python's lock), arrays of one shape together.

Shapes: N samples, B of them at once, H height, W width, C channels, T = 16 the side of a thumbnail.
"""

import hashlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.errors import PictureError, TooManyPixelsError
from sightsmith.core.images import Header, decode, describe
from sightsmith.core.progress import track
from sightsmith.core.records import Sample
from sightsmith.data.duplicates import SIDE, thumbnail, thumbnails
from sightsmith.inputs import INPUTS

_NEAR = 4 * SIDE  # JPEGs are decoded at no less than this, which the thumbnail is then averaged from
_FILES_AT_ONCE = 16
_ARRAYS_AT_ONCE = 1024
_BYTES_AT_ONCE = 1 << 24  # Of arrays looked at together; as floats they take up to four times this
_GREY = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # Luma of ITU-R BT.601, as Pillow's mode L


@dataclass(slots=True)
class Scan:
    """Facts of N pictures or clips; 318 bytes each."""

    widths: NDArray[np.int32]  # pixels, upright; 0 if the picture cannot be used
    heights: NDArray[np.int32]  # pixels, upright; 0 if the picture cannot be used
    modes: NDArray[np.uint8]  # position in `mode_names`
    hashes: NDArray[np.uint8]  # (N, 32) SHA-256 of each picture's content; zeros if it cannot be read
    thumbnails: NDArray[np.uint8]  # (N, T, T) grey
    formats: NDArray[np.uint8]  # position in `format_names`
    sizes: NDArray[np.int64]  # bytes of the file; 0 for arrays
    quantisations: NDArray[np.int32]  # sum of a JPEG's luma table; 0 for others
    frames: NDArray[np.int32]  # of a clip; of a picture the pages in its file, of which the first is used
    mode_names: list[str] = field(default_factory=list)  # modes as stored (RGB, L, RGBA, P, CMYK, I;16 …)
    format_names: list[str] = field(default_factory=list)  # of the files, such as PNG; empty for arrays
    failures: dict[int, tuple[str, str]] = field(default_factory=dict)  # (code, reason) of unusable ones, by position
    faults: dict[int, dict[str, str]] = field(default_factory=dict)  # notes by code of usable ones, by position
    input: str = "picture"  # that reads the items

    @property
    def decoded(self) -> NDArray[np.int64]:
        return np.flatnonzero(self.widths)

    def note(self, places: int | slice, header: Header) -> None:
        """Write down the headers of pictures."""
        self.widths[places], self.heights[places] = header.width, header.height
        self.modes[places] = _position(self.mode_names, header.mode)
        self.formats[places] = _position(self.format_names, header.format)
        self.quantisations[places], self.frames[places] = header.quantisation, header.frames


def _position(names: list[str], name: str) -> int:
    if name not in names:
        names.append(name)
    return names.index(name)


def scan_items(
    samples: Sequence[Sample],
    *,
    input: str = "picture",  # noqa: A002 - as in Source
    max_pixels: int,
    threads: int,
    quiet: bool = False,
) -> Scan:
    """Look at every item of an input once; `max_pixels` bounds width × height."""
    count = len(samples)
    scan = Scan(
        widths=np.zeros(count, dtype=np.int32),
        heights=np.zeros(count, dtype=np.int32),
        modes=np.zeros(count, dtype=np.uint8),
        hashes=np.zeros((count, 32), dtype=np.uint8),
        thumbnails=np.zeros((count, SIDE, SIDE), dtype=np.uint8),
        formats=np.zeros(count, dtype=np.uint8),
        sizes=np.zeros(count, dtype=np.int64),
        quantisations=np.zeros(count, dtype=np.int32),
        frames=np.zeros(count, dtype=np.int32),
        input=input,
    )
    for _ in track(
        _work(samples, scan, max_pixels, threads), f"Checking {INPUTS.module(input).NOUNS[1]}", count, quiet=quiet
    ):
        pass
    return scan


def _work(samples: Sequence[Sample], scan: Scan, max_pixels: int, threads: int) -> Iterator[int]:
    """Do all of the work, yielding each position when it is done."""
    with ThreadPoolExecutor(threads) as pool:
        running: deque[Future[range]] = deque()
        for places in _runs(samples):
            arrays = isinstance(samples[places[0]].item, np.ndarray)
            running.append(pool.submit(_scan_arrays if arrays else _scan_files, samples, places, scan, max_pixels))
            if len(running) > 2 * threads:
                yield from running.popleft().result()
        while running:
            yield from running.popleft().result()


def _runs(samples: Sequence[Sample]) -> Iterator[range]:
    """Yield runs of positions: arrays of one shape and type, or a few files."""
    start = 0
    for _, run in groupby(samples, _array_type):
        stop = start + sum(1 for _ in run)
        picture = samples[start].item
        most = _FILES_AT_ONCE
        if isinstance(picture, np.ndarray):
            most = max(1, min(_ARRAYS_AT_ONCE, _BYTES_AT_ONCE // max(1, picture.nbytes)))
        yield from (range(first, min(first + most, stop)) for first in range(start, stop, most))
        start = stop


def _array_type(sample: Sample) -> tuple[object, ...] | None:
    picture = sample.item
    return (picture.shape, picture.dtype) if isinstance(picture, np.ndarray) else None


def _scan_files(samples: Sequence[Sample], places: range, scan: Scan, max_pixels: int) -> range:
    for place in places:
        try:
            _scan_file(samples[place], place, scan, max_pixels)
        except PictureError as error:
            scan.failures[place] = _failure(error)
        except OSError as error:
            scan.failures[place] = ("unreadable", f"cannot be read ({error.strerror or error}).")
    return places


def _scan_file(sample: Sample, place: int, scan: Scan, max_pixels: int) -> None:
    seen = INPUTS.module(scan.input).look(sample.item, _NEAR, max_pixels)
    scan.hashes[place] = np.frombuffer(seen.digest, dtype=np.uint8)
    scan.thumbnails[place] = thumbnail(seen.face)
    scan.sizes[place] = seen.size
    scan.note(place, seen.header)
    if seen.faults:
        scan.faults[place] = dict(seen.faults)


def _failure(error: PictureError) -> tuple[str, str]:
    """Return the code and the reason without the name, which the report gives beside it."""
    code = "too-many-pixels" if isinstance(error, TooManyPixelsError) else "unreadable"
    return code, f"{error}".partition(": ")[2] or f"{error}"


def _scan_arrays(samples: Sequence[Sample], places: range, scan: Scan, max_pixels: int) -> range:
    first = samples[places[0]].item
    try:
        decode(first)  # one shape and type: if the first can be decoded, all can
        height, width = first.shape[:2]
        if height * width > max_pixels:
            raise TooManyPixelsError(f"{describe(first)}: over the bound of {max_pixels:,} pixels. Make it smaller.")
    except PictureError as error:
        scan.failures.update(dict.fromkeys(places, _failure(error)))
        return places
    stack = np.stack([samples[place].item for place in places])
    part = slice(places.start, places.stop)
    head = f"{stack.dtype.str}{stack.shape[1:]}".encode()
    digests = b"".join(hashlib.sha256(head + array.tobytes()).digest() for array in stack)
    scan.hashes[part] = np.frombuffer(digests, dtype=np.uint8).reshape(-1, 32)
    scan.thumbnails[part] = thumbnails(_grey(stack))
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[stack.shape[3] if stack.ndim == 4 else 1]
    scan.note(part, Header(width, height, f"{mode};16" if stack.dtype == np.uint16 else mode))
    return places


def _grey(stack: NDArray[np.generic]) -> NDArray[np.floating]:
    """Return (B, H, W) in 0…255, transparency laid over white."""
    levels = (stack.astype(np.uint16) >> 8 if stack.dtype == np.uint16 else stack).astype(np.float32)
    channels = levels.shape[3] if levels.ndim == 4 else 1
    if channels == 1:
        return levels.reshape(levels.shape[:3])
    luma = levels[..., :3] @ _GREY
    alpha = levels[..., 3] / np.float32(255) if channels == 4 else np.float32(1)
    return luma * alpha + 255 * (1 - alpha)
