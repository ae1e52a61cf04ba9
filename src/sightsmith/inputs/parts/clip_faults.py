"""Faults of a clip that can be decoded, by code: what the check of data names."""

from pathlib import Path

from sightsmith.core.video import Clip, Reading

_SHORT_FRAMES, _SHORT_SHARE = 2, 0.05  # A video that ends sooner than it says by more than both is cut off


def clip_faults(reading: Reading, count: int) -> dict[str, str]:
    """Return the faults of a clip, each with a note, after all of its `count` frames were decoded."""
    header, faults = reading.header, {}
    missing = header.declared - header.seconds
    if missing > max(_SHORT_FRAMES / header.rate, _SHORT_SHARE * header.declared):
        faults["cut-off"] = f"{header.seconds:.2f} of {header.declared:.2f} s are there"
    elif reading.damaged:
        faults["damaged-frames"] = f"{reading.damaged:,} in {count:,} frames"
    if count == 1:
        faults["one-frame"] = f"{reading.seconds:.2f} s"
    if header.ignored_rotation:
        faults["odd-rotation"] = header.ignored_rotation
    if header.variable:
        faults["variable-rate"] = f"{header.rate:.1f} frames a second on average"
    return faults


def size_of(clip: Clip) -> int:
    """Return the bytes of the files of a clip, 0 for arrays. Raises OSError: one is not there."""
    files = clip.video if isinstance(clip.video, tuple) else (clip.video,)
    return sum(_bytes(file) for file in files)


def _bytes(file: object) -> int:
    if isinstance(file, bytes):
        return len(file)
    return Path(file).stat().st_size if isinstance(file, (str, Path)) else 0
