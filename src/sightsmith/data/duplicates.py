"""Finding duplicates and near duplicates: content hashes, perceptual hashes, thumbnails.

Near duplicates (a picture saved again, made smaller, a neighbouring frame) are found by a 64-bit perceptual hash:
the signs of the lowest 8×8 frequencies of the 16×16 grey thumbnail about their median. Two hashes that differ in at
most 7 bits agree in at least one of their 8 bytes, so pictures are sorted by each byte in turn, and inside a byte
by mean brightness, which near duplicates share. Thumbnails confirm pairs with similar hashes: 28×28 clothing and
8×8 digits have many different pictures with similar hashes.

Shapes: N pictures, U different thumbnails, P pairs, T = 16 the side of a thumbnail.
"""

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Ints = NDArray[np.int64]

SIDE = 16  # Side of a thumbnail in pixels

_REDUCED = 8 * SIDE  # Sides of a large picture are averaged over whole pixels to no less than this first
_MAX_BITS = 7
"""Bits in which the hashes of near duplicates may differ; with 8 bytes, up to 7 are always found."""
_MAX_MEAN = 4.0
"""Mean difference of near duplicates' thumbnails, in grey levels 0…255. Measured on 7,000 CIFAR and 500 ImageNet
pictures: JPEG at quality 50 or half the size gives below 4.2 in 99 of 100."""
_MAX_PIXEL = 16
"""Largest difference of one pixel. The nearest two of 1,797 digits have 48; 0.2 % of Fashion-MNIST is within."""
_MAX_SHARE = 0.1  # Mean difference as a share of the contrast (mean distance from the mean)
_LEAST_CONTRAST = 10.0  # Contrast counts as no less than this, so that nearly flat pictures can be near duplicates
_PAIRS_AT_ONCE = 1 << 18
_ROWS_AT_ONCE = 8192


def thumbnail(image: Image.Image) -> NDArray[np.uint8]:
    """Return (T, T) grey, each pixel the mean of the area it covers."""
    grey = image.convert("L")
    shrink = min(grey.size) // _REDUCED
    if shrink > 1:
        grey = grey.reduce(shrink)
    return thumbnails(np.asarray(grey, dtype=np.float32)[None])[0]


def thumbnails(grey_NHW: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return (N, T, T) grey of pictures of one size, each pixel the mean of the area it covers."""
    down = _area_weights(grey_NHW.shape[1])
    across = _area_weights(grey_NHW.shape[2])
    return np.rint(down @ grey_NHW @ across.T).astype(np.uint8)


def same(hashes_N32: NDArray[np.uint8], among: NDArray[np.integer]) -> list[list[int]]:
    """Return the groups, of 2 or more, of positions in `among` whose hashes are equal, in order."""
    return _groups(np.unique(_as_items(hashes_N32[among]), return_inverse=True)[1], among)


def near(thumbnails_NTT: NDArray[np.uint8], among: NDArray[np.integer]) -> list[list[int]]:
    """Return the groups, of 2 or more, of positions in `among` whose pictures look nearly the same.

    A group is connected by pairs of near duplicates, so two of its members may differ by more.
    """
    rows = thumbnails_NTT[among].reshape(len(among), SIDE * SIDE)
    _, first, inverse = np.unique(_as_items(rows), return_index=True, return_inverse=True)
    return _groups(_near_roots(rows[first])[inverse], among)


def _groups(numbers: NDArray[np.integer], among: NDArray[np.integer]) -> list[list[int]]:
    """Return the positions in `among` that have the same number, for each that occurs more than once."""
    repeated = np.flatnonzero(np.bincount(numbers)[numbers] > 1)
    order = repeated[np.argsort(numbers[repeated], kind="stable")]
    cuts = np.flatnonzero(np.diff(numbers[order])) + 1
    return sorted(among[part].tolist() for part in np.split(order, cuts) if len(part))


def _perceptual_hashes(thumbnails_UTT: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Return (U,) 64 bits each; near duplicates differ in few."""
    places = np.arange(SIDE)
    waves = np.cos(math.pi / SIDE * np.outer(np.arange(8), places + 0.5)).astype(np.float32)
    hashes = np.empty(len(thumbnails_UTT), dtype=np.uint64)
    for part in _parts(len(hashes)):
        levels_U64 = (waves @ thumbnails_UTT[part].astype(np.float32) @ waves.T).reshape(-1, 64)
        levels_U64[:, 0] = 0  # the mean says nothing about the content
        bits_U64 = levels_U64 > np.median(levels_U64, axis=1, keepdims=True)
        hashes[part] = np.packbits(bits_U64, axis=1).view(np.uint64)[:, 0]
    return hashes


def _parts(count: int) -> Iterator[slice]:
    """Yield slices of so many rows: working on all at once would take many times their memory."""
    return (slice(start, start + _ROWS_AT_ONCE) for start in range(0, count, _ROWS_AT_ONCE))


@lru_cache(maxsize=4096)
def _area_weights(side: int) -> NDArray[np.float32]:
    """Return (T, side): the share of each pixel in each cell of the thumbnail; a row adds up to 1."""
    edges = np.arange(SIDE + 1) * (side / SIDE)
    pixels = np.arange(side)
    overlap = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    weights = np.clip(overlap, 0, None)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def _as_items(rows: NDArray[np.uint8]) -> NDArray[np.void]:
    return np.ascontiguousarray(rows).view(np.dtype((np.void, rows.shape[1])))[:, 0]


def _near_roots(rows_U256: NDArray[np.uint8]) -> Ints:
    """Return (U,) the lowest position in the group of near duplicates of each different thumbnail."""
    hashes = _perceptual_hashes(rows_U256.reshape(-1, SIDE, SIDE))
    means = rows_U256.mean(axis=1, dtype=np.float32)
    contrasts_U = np.empty(len(means), dtype=np.float32)
    for part in _parts(len(means)):
        contrasts_U[part] = np.abs(rows_U256[part] - means[part, None]).mean(axis=1)
    bytes_U8 = hashes.view(np.uint8).reshape(-1, 8)
    root_U = np.arange(len(rows_U256))
    for column in range(8):
        order = np.lexsort((means, bytes_U8[:, column]))
        for left, right in _windows(bytes_U8[order, column], means[order]):
            alike = np.bitwise_count(hashes[order[left]] ^ hashes[order[right]]) <= _MAX_BITS
            pairs_P2 = np.stack([order[left[alike]], order[right[alike]]], axis=1)
            # Joined immediately and not stored: pictures of one scene give a quadratic number of pairs.
            for part in _parts(len(pairs_P2)):
                some_P2 = pairs_P2[part]
                apart = some_P2[root_U[some_P2[:, 0]] != root_U[some_P2[:, 1]]]
                _join(root_U, _confirmed(apart, rows_U256, contrasts_U))
    return root_U


def _join(root_U: Ints, pairs_P2: Ints) -> None:
    """Join, in place, the groups of the pairs; before and after, every entry of `root_U` is the lowest of its group."""
    roots_P2 = root_U[pairs_P2]
    while len(roots_P2 := roots_P2[roots_P2[:, 0] != roots_P2[:, 1]]):
        np.minimum.at(root_U, roots_P2.max(axis=1), roots_P2.min(axis=1))
        # A root may now point to one that points further: each step halves the way.
        while (root_U[root_U] != root_U).any():
            root_U[:] = root_U[root_U]
        roots_P2 = root_U[roots_P2]


def _windows(values: NDArray[np.uint8], means: NDArray[np.float32]) -> Iterator[tuple[Ints, Ints]]:
    """Yield the positions of all pairs of one value whose means differ by at most the bound, a share at a time.

    Values are sorted, and means among equal values.
    """
    place = values.astype(np.float64) * 1024 + means  # a mean is below 256, so values stay apart
    counts = np.searchsorted(place, place + _MAX_MEAN, side="right") - np.arange(len(place)) - 1
    before = np.concatenate([[0], np.cumsum(counts)])
    start = 0
    while start < len(counts):
        stop = max(start + 1, int(np.searchsorted(before, before[start] + _PAIRS_AT_ONCE, side="right")) - 1)
        share = counts[start:stop]
        left = np.repeat(np.arange(start, stop), share)
        step = np.arange(len(left)) - np.repeat(before[start:stop] - before[start], share)
        yield left, left + 1 + step
        start = stop


def _confirmed(pairs_P2: Ints, rows_U256: NDArray[np.uint8], contrasts_U: NDArray[np.floating]) -> Ints:
    one, other = rows_U256[pairs_P2[:, 0]], rows_U256[pairs_P2[:, 1]]
    gaps = np.maximum(one, other) - np.minimum(one, other)
    mean = gaps.mean(axis=1, dtype=np.float32)
    contrast = np.maximum(contrasts_U[pairs_P2].min(axis=1), _LEAST_CONTRAST)
    return pairs_P2[(mean <= _MAX_MEAN) & (gaps.max(axis=1) <= _MAX_PIXEL) & (mean <= _MAX_SHARE * contrast)]
