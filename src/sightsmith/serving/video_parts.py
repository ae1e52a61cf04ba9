"""Answering one request by parts of its video along the time, one line of JSON for each.

The file is sent once. Each part is decoded for itself, within the bounds of a clip, and goes through the model's
batches, so that a damaged part spoils no other, and requests of others come in between. One pass over the video would
decode the frames that parts share once instead of twice, but hold a decoder for as long as all parts together.
"""

import asyncio
import json
import math
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from sightsmith.core.counts import many
from sightsmith.core.video import Clip
from sightsmith.runtime.runner import Value
from sightsmith.serving.clip_decoders import clip_bounds
from sightsmith.serving.closing import unless_closed
from sightsmith.serving.failures import RefusalError, refusal_of
from sightsmith.serving.served import ServedModel

LINES = "application/x-ndjson"
"""Content type of the answer."""

_ROUNDING = 1e-6  # of a number of parts; and seconds to which their times are rounded, as they are told


@dataclass(frozen=True, slots=True)
class Cut:
    """How a video is cut into parts."""

    part: float  # seconds of a part, > 0; a shorter video is one part
    every: float  # seconds from the start of a part to that of the next, at most, > 0

    def parts(self, start: float, end: float, most: int) -> list[tuple[float, float]]:
        """Return the start and end of each part, spread evenly: the first starts at `start`, the last ends at `end`.

        Raises RefusalError: 400, there are more than `most`.
        """
        part = min(self.part, end - start)
        steps = math.ceil((end - start - part) / self.every - _ROUNDING)
        if steps >= most:
            least = (end - start - part) / max(1, most - 1)
            way_out = f"Send every={math.ceil(100 * least) / 100:g} or more." if most > 1 else "Send a longer part."
            raise RefusalError(
                400,
                f"every: the service answers at most {many(most, 'part')} of a video, and this one of "
                f"{end - start:.2f} s would have {steps + 1:,}. {way_out}",
            )
        hop = (end - start - part) / steps if steps else 0.0
        starts = [start + hop * index for index in range(steps + 1)]
        return [(round(one, 6), round(min(one + part, end), 6)) for one in starts]


async def answer_by_parts(
    request: Request, model: ServedModel, clip: Clip, cut: Cut, told: Callable[[Value], dict[str, Any]], held: ExitStack
) -> StreamingResponse:
    """Return the answers to the parts of a clip, made as they are sent; they stop when the client leaves.

    Args:
        told: makes the fields of an answer.
        held: what must be held until the last answer is sent.

    Raises:
        PictureError: it is no video that can be decoded, or ends before it starts.
        RefusalError: 400, it would have more parts than allowed; 503, the model has no place free.
    """
    settings = model.settings
    bounds = clip_bounds(settings.max_pixels, settings.decode_seconds)
    at_once = min(model.clips.count, settings.queue)
    held.enter_context(model.place(at_once))
    asking = asyncio.get_running_loop().run_in_executor(model.clips, model.clips.end, clip, bounds)
    end = await unless_closed(request, _awaited(asking))
    parts = cut.parts(clip.start, end, settings.max_parts)
    clips = [replace(clip, start=first, end=last) for first, last in parts]
    held = held.pop_all()
    return _Lines(_lines(request, model, clips, told, at_once, held), held)


class _Lines(StreamingResponse):
    def __init__(self, lines: AsyncGenerator[str], held: ExitStack) -> None:
        super().__init__(lines, media_type=LINES)
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._held:
            await super().__call__(scope, receive, send)


async def _lines(
    request: Request,
    model: ServedModel,
    clips: Sequence[Clip],
    told: Callable[[Value], dict[str, Any]],
    at_once: int,
    held: ExitStack,
) -> AsyncGenerator[str]:
    for index in range(0, len(clips), at_once):
        some = clips[index : index + at_once]
        answers = await asyncio.gather(*map(model.batcher.answer, some), return_exceptions=True)
        for clip, answer in zip(some, answers, strict=True):
            if isinstance(answer, Exception):
                fields: dict[str, Any] = {"error": str(refusal_of(request, answer))}
            elif isinstance(answer, BaseException):
                raise answer
            else:
                fields = told(answer)
            yield json.dumps({"start": clip.start, "end": clip.end, **fields}, ensure_ascii=False) + "\n"
    held.close()  # before the client is told of the end: it may ask again at once


async def _awaited(asking: "asyncio.Future[float]") -> float:
    return await asking
