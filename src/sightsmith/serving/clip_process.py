"""A process that decodes clips for `clip_decoders.py`: it reads requests from its input until that ends.

A request is a line of JSON and the bytes of a video; the answer is a line of JSON and, if it names no error, the
pixels. At its start it answers once: it is ready, or why not.
"""

import json
import sys
from typing import Any, BinaryIO

from sightsmith.core.errors import SightsmithError
from sightsmith.core.placement import Bounds
from sightsmith.core.ports import Arrays
from sightsmith.core.video import Clip
from sightsmith.core.video_files import import_av
from sightsmith.inputs import INPUTS

_MEMORY = 4 << 30  # Bytes that a process may use: some headers of a few bytes ask for more


def bound_memory() -> None:
    """Bound the memory of this process on Linux: a request for more is an error in it."""
    if sys.platform != "linux":
        return
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY if most == resource.RLIM_INFINITY else min(_MEMORY, most), most))


def work(requests: BinaryIO, answers: BinaryIO) -> None:
    try:
        import_av("service")
    except SightsmithError as error:
        _answer(answers, _failure(error))
        return
    _answer(answers, {})
    while line := requests.readline():
        asked = json.loads(line)
        video = requests.read(asked["size"])
        try:
            arrays = _feeds(asked, video)
        except (SightsmithError, MemoryError) as error:
            _answer(answers, _failure(error))
        else:
            _answer(answers, {}, *(array.tobytes() for array in arrays.values()))


def _feeds(asked: dict[str, Any], video: bytes) -> Arrays:
    file = INPUTS.module(asked["input"])
    settings = file.Settings.from_json(asked["settings"])
    clip = Clip(video, asked["start"], asked["end"])
    arrays: Arrays = file.feeds(clip, settings, Bounds(asked["max_pixels"], asked["seconds"]))
    return {name: arrays[name] for name in file.ports(settings)}


def _failure(error: Exception) -> dict[str, str]:
    return {"error": type(error).__name__, "message": f"{error}"}


def _answer(answers: BinaryIO, facts: dict[str, str], *arrays: bytes) -> None:
    answers.write(json.dumps(facts).encode() + b"\n")
    answers.writelines(arrays)
    answers.flush()


if __name__ == "__main__":
    bound_memory()
    work(sys.stdin.buffer, sys.stdout.buffer)
