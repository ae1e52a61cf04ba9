"""A process that decodes clips for `clip_decoders.py`: it reads requests from its input until that ends.

A request is a line of JSON and the bytes of a video; the answer is a line of JSON and, if it names no error, the pixels
that were asked for. At its start it answers once: it is ready, or why not.
"""

import gc
import json
import math
import sys
from functools import lru_cache
from typing import Any, BinaryIO

from sightsmith.core.errors import SightsmithError
from sightsmith.core.machine import reserved_memory
from sightsmith.core.placement import Bounds
from sightsmith.core.ports import Arrays
from sightsmith.core.video import Clip, open_clip
from sightsmith.core.video_files import import_av
from sightsmith.inputs import INPUTS, Reader

_SPARE = 512 * 2**20  # Bytes of address space above the bound on memory, which is looked at between reads


def limit_memory(more: float) -> None:
    """Let this process reserve so many bytes more than it has now, on Linux.

    A header of a few bytes may ask for gigabytes at once, before any read at which the memory is looked at.
    """
    if sys.platform != "linux" or more == math.inf:
        return
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_AS)
    wanted = reserved_memory() + int(more)
    resource.setrlimit(resource.RLIMIT_AS, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most))


def work(requests: BinaryIO, answers: BinaryIO) -> None:
    try:
        import_av("service")
        INPUTS.module("clip")  # now, not within the time of the first clip
    except SightsmithError as error:
        _answer(answers, _failure(error))
        return
    _answer(answers, {})
    while line := requests.readline():
        asked = json.loads(line)
        video = requests.read(asked["size"])
        try:
            facts, arrays = _read(asked, video)
        except (SightsmithError, MemoryError) as error:
            _answer(answers, _failure(error))
        else:
            _answer(answers, facts, *(array.tobytes() for array in arrays.values()))
            del arrays
        # PyAV's objects refer to each other, and hold the last frames until they are collected.
        gc.collect()
        gc.freeze()  # Next time only what is new by then is searched: 0.1 ms instead of 1.5


def _read(asked: dict[str, Any], video: bytes) -> tuple[dict[str, Any], Arrays]:
    """Return the inputs that a clip becomes, or the fact where it ends, if none are wanted."""
    clip, bounds = Clip(video, asked["start"], asked["end"]), Bounds(**asked["bounds"])
    limit_memory(bounds.memory + _SPARE)
    if asked["input"] is None:
        with open_clip(clip, bounds) as reading:
            return {"end": reading.end}, {}
    reader = _reader(asked["input"]["name"], asked["input"]["settings"])
    arrays = reader.feeds(clip, bounds)
    return {}, {name: arrays[name] for name in reader.ports()}


@lru_cache(maxsize=64)  # Reading settings takes a tenth of the time of a small clip
def _reader(name: str, settings: str) -> Reader:
    return Reader(name, INPUTS.module(name).Settings.from_json(json.loads(settings)))


def _failure(error: Exception) -> dict[str, str]:
    return {"error": type(error).__name__, "message": f"{error}"}


def _answer(answers: BinaryIO, facts: dict[str, Any], *arrays: bytes) -> None:
    answers.write(json.dumps(facts).encode() + b"\n")
    answers.writelines(arrays)
    answers.flush()


if __name__ == "__main__":
    work(sys.stdin.buffer, sys.stdout.buffer)
