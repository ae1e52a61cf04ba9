"""One served model: its predictor, its batches, its health."""

import asyncio
import logging
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sightsmith.core.errors import ProofError, SightsmithError
from sightsmith.core.images import EXTENSIONS
from sightsmith.core.placement import Bounds
from sightsmith.core.ports import Arrays, stack
from sightsmith.runtime.predictor import Predictor
from sightsmith.serving.batching import Batcher
from sightsmith.serving.decoders import Decoders
from sightsmith.serving.examples import for_browsers
from sightsmith.serving.failures import busy
from sightsmith.serving.settings import ServeSettings

log = logging.getLogger("sightsmith.serving")

Prediction = Any
_PATIENCE = 30.0  # Seconds that a replay of the witnesses, or every decoder, may be overdue before it counts as hanging


_TINY_PIXELS = 65_536
_TINY_BYTES = 16_384


def is_tiny(picture: bytes) -> bool:
    """Tell whether decoding costs less than handing over to another thread: a PNG of few bytes and few pixels."""
    if not 24 <= len(picture) <= _TINY_BYTES or not picture.startswith(b"\x89PNG\r\n\x1a\n"):
        return False
    width, height = struct.unpack_from(">II", picture, 16)
    return bool(0 < width * height <= _TINY_PIXELS)


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a model reproduces its witnesses, and when that was last checked."""

    ready: bool
    reason: str
    checked: str | None


class ServedModel:
    def __init__(self, name: str, predictor: Predictor, decoders: Decoders, settings: ServeSettings) -> None:
        self.name, self.predictor, self.settings = name, predictor, settings
        self.manifest = predictor.bundle.manifest
        self.card = predictor.bundle.file("README.md").read_text(encoding="utf-8")
        # Kept in memory: the bundle on disk may be replaced while this one is still served.
        self._witnesses = predictor.bundle.witnesses()
        self.examples = for_browsers(self._witnesses.items) if settings.examples else ()
        self._health = Health(False, "its witnesses have not been replayed yet", None)
        self._checked = time.monotonic()
        self.under_way = 0
        self._decoders = decoders
        self.batcher: Batcher[Arrays, Prediction] = Batcher(
            self._decode,
            self._run,
            decoders,
            batch=settings.batch,
            wait=settings.batch_wait / 1000,
            limit=settings.decode_seconds,
            tiny=is_tiny,
        )
        self._checks: asyncio.Task[None] | None = None

    @property
    def sample(self) -> Path:
        """A picture's file for the example command: a witness, if the bundle is a folder."""
        bundle = self.predictor.bundle
        pictures = (bundle.folder / name for name in bundle.manifest.files if name.startswith("witnesses/"))
        found = next((path for path in pictures if path.suffix in EXTENSIONS), None)
        return Path("picture.jpg") if bundle.zipped or found is None else found

    @property
    def kind(self) -> str:
        """The name of its kind of answer."""
        return self.manifest.definition.kind

    @property
    def explains(self) -> bool:
        """The graph gives evidence for its answers."""
        return self.predictor.kind.EVIDENCE in self.predictor.outputs

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """Its names, under their plural noun, such as classes."""
        names = self.manifest.definition.names
        return {self.predictor.kind.NOUNS[1]: names} if names else {}

    @property
    def health(self) -> Health:
        """Whether it is ready; an overdue check or decoding counts as hanging, so not ready."""
        stuck = self._decoders.stuck()
        if self._health.ready and stuck > self.settings.decode_seconds + _PATIENCE:
            return Health(
                False, f"none of the threads that decode has come free for {stuck:.0f} s", self._health.checked
            )
        silent = time.monotonic() - self._checked
        if self._health.ready and silent > self.settings.recheck + _PATIENCE:
            return Health(False, f"its witnesses have not been answered for {silent:.0f} s", self._health.checked)
        return self._health

    async def start(self) -> None:
        """Begin to work in the running event loop: replay the witnesses, then go on replaying them.

        Raises ProofError: the model does not give the answers that its bundle promises.
        """
        self.batcher.start()
        await self.check()
        if not self.health.ready:
            raise ProofError(f"model {self.name!r} is not served: {self.health.reason}")
        self._checks = asyncio.create_task(self._keep_checking(), name=f"health of {self.name}")

    async def stop(self) -> None:
        if self._checks is not None:
            self._checks.cancel()
            await asyncio.gather(self._checks, return_exceptions=True)
        await self.batcher.stop()

    async def check(self) -> None:
        """Replay the witnesses in the live model and record the result, without waiting for decoders.

        If the model hangs this never ends, and an overdue check means not ready.
        """
        was = self._health.ready
        try:
            proof = await self.batcher.in_model_thread(lambda: self.predictor.replay(self._witnesses))
            reason = "" if proof.ok else f"it does not answer as it did when trained: {'; '.join(proof.problems())}"
        except Exception as error:  # a check that cannot be made means not ready, whatever stopped it
            reason = f"its witnesses cannot be replayed: {error}"
            if not isinstance(error, SightsmithError):
                log.exception("replaying the witnesses of %s failed", self.name)
        self._health = Health(not reason, reason, datetime.now(UTC).isoformat(timespec="seconds"))
        self._checked = time.monotonic()
        if was and reason:
            log.error("model %s is not ready any more: %s", self.name, reason)

    def refuse_busy(self) -> None:
        """Refuse a request that the model could not take now.

        Raises RefusalError: 503, the model is not ready or has no place free.
        """
        health = self.health
        if not health.ready:
            raise busy(
                f"model {self.name!r} is not ready: {health.reason}", seconds=max(1, round(self.settings.recheck))
            )
        if self.under_way >= self.settings.queue:
            raise busy(
                f"model {self.name!r} has {self.under_way} pictures under way, all it takes. Send it again later."
            )

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold one of the model's places while a picture is under way. Raises RefusalError: 503, as `refuse_busy`."""
        self.refuse_busy()
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1

    async def predict(self, picture: bytes, *, explain: bool = False) -> Prediction:
        """Return the prediction of one encoded picture, with its class map if it is to be explained.

        Raises PictureError: it cannot be decoded or is too large.
        """
        return await self.batcher.answer(picture, whole=explain)

    async def _keep_checking(self) -> None:
        while True:
            await asyncio.sleep(self.settings.recheck)
            await self.check()

    def _decode(self, picture: bytes) -> Arrays:
        return self.predictor.feeds(picture, Bounds(self.settings.max_pixels, self.settings.decode_seconds))

    def _run(self, feeds: list[Arrays], whole: bool) -> list[Prediction]:
        # the evidence of some nets costs many times as much as their scores
        outputs = self.predictor.outputs if whole else self.predictor.outputs[:1]
        return self.predictor.decode(self.predictor.run(stack(feeds), outputs))
