"""One served model: its predictor, its batches, its health; and all models of a service."""

import asyncio
import io
import json
import logging
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from fastapi import Request

from sightsmith.core.errors import ProofError, SightsmithError
from sightsmith.core.images import EXTENSIONS, decode, printable, sniff
from sightsmith.core.names import did_you_mean, shortened
from sightsmith.core.placement import Bounds
from sightsmith.core.ports import stack
from sightsmith.core.video import Clip
from sightsmith.inputs import Reader
from sightsmith.inputs.clip import as_clip
from sightsmith.runtime.predictor import Predictor
from sightsmith.runtime.runner import Placed, Value
from sightsmith.serving.batching import Batcher, Item
from sightsmith.serving.clip_decoders import SPARE, clip_bounds
from sightsmith.serving.decoders import Decoders
from sightsmith.serving.example_clips import video_of
from sightsmith.serving.failures import RefusalError, busy
from sightsmith.serving.forms import CLIP, PICTURE, form_of
from sightsmith.serving.schemas import ReadyLine
from sightsmith.serving.settings import ServeSettings
from sightsmith.serving.uploads import Held

log = logging.getLogger("sightsmith.serving")

GENERATIONS = "/v1/images/generations"  # Address that makes pictures
_PATIENCE = 30.0  # Seconds that a replay of the witnesses, or every decoder, may be overdue before it counts as hanging
_NOT_SHOWN = ("image/tiff", "image/x-portable-anymap")  # Media types that some browser does not show


class ServedModel:
    def __init__(self, name: str, predictor: Predictor, decoders: Decoders, settings: ServeSettings) -> None:
        self.name, self.predictor, self.settings = name, predictor, settings
        self.manifest = predictor.bundle.manifest
        definition = self.manifest.definition
        self.form = form_of(definition.input)
        self._reader = Reader(definition.input, definition.input_settings)
        self.card = predictor.bundle.file("README.md").read_text(encoding="utf-8")
        # Kept in memory: the bundle on disk may be replaced while this one is still served.
        self._witnesses = predictor.bundle.witnesses()
        offered = settings.examples and not self.generates
        show = for_browsers if self.form is PICTURE else clip_for_browsers
        self.examples = [*map(show, self._witnesses.items)] if offered else []
        self._health = ReadyLine(False, "its witnesses have not been replayed yet", None)
        self._checked = time.monotonic()
        self.under_way = 0
        self.tiling = asyncio.Lock()
        self.clips = decoders.clips
        self._decoders = self.clips if self.watches else decoders
        self.batcher = Batcher(
            self._decode,
            self._run,
            self._decoders,
            batch=settings.batch,
            wait=settings.batch_wait / 1000,
            limit=settings.decode_seconds + (SPARE if self.watches else 0),
        )
        self._checks: asyncio.Task[None] | None = None

    @property
    def generates(self) -> bool:
        """It makes pictures from seeds."""
        return self.manifest.definition.input == "seed"

    @property
    def watches(self) -> bool:
        """It is asked with clips."""
        return self.form is CLIP

    def command(self, address: str) -> str:
        """Return a command line that asks the model at the service's address."""
        if self.generates:
            fields = shlex.quote(json.dumps({"model": self.name, "prompt": "", "n": 4, "seed": 1}))
            return f"curl -H 'Content-Type: application/json' -d {fields} {address}{GENERATIONS}"
        sample = shlex.quote(printable(str(self._sample())))
        return f"curl -F file=@{sample} {address}/v1/models/{self.name}/predict"

    def _sample(self) -> Path:
        """Return a picture's file: a witness, if the bundle is a folder; of clips a name."""
        bundle = self.predictor.bundle
        pictures = (bundle.folder / name for name in bundle.manifest.files if name.startswith("witnesses/"))
        found = next((path for path in pictures if path.suffix in EXTENSIONS), None)
        return Path(self.form.sample) if bundle.zipped or found is None else found

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
    def health(self) -> ReadyLine:
        """Whether it is ready; an overdue check or decoding counts as hanging, so not ready."""
        stuck, silent, reason = self._decoders.stuck(), time.monotonic() - self._checked, ""
        if stuck > self.settings.decode_seconds + _PATIENCE:
            reason = f"none of the threads that decode has come free for {stuck:.0f} s"
        elif silent > self.settings.recheck + _PATIENCE:
            reason = f"its witnesses have not been answered for {silent:.0f} s"
        return replace(self._health, ready=False, reason=reason) if self._health.ready and reason else self._health

    async def start(self) -> None:
        """Begin to work in the running event loop: replay the witnesses, then go on replaying them.

        Raises:
            ProofError: the model does not give the answers that its bundle promises.
            SettingsError: it is asked with clips, and PyAV is not installed.
        """
        if self.watches:
            self.clips.start()
        self.batcher.start()
        await self.check()
        if not self.health.ready:
            raise ProofError(f"model {self.name!r} is not served: {self.health.reason}")
        self._checks = asyncio.create_task(self._keep_checking(), name=f"health of {self.name}")

    def stop(self) -> None:
        if self._checks is not None:
            self._checks.cancel()
        self.batcher.stop()

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
        self._health = ReadyLine(not reason, reason, datetime.now(UTC).isoformat(timespec="seconds"))
        self._checked = time.monotonic()
        if was and reason:
            log.error("model %s is not ready any more: %s", self.name, reason)

    def refuse_busy(self, count: int = 1) -> None:
        """Refuse a request of `count` pictures at once that the model could not take now.

        Raises RefusalError: 503, the model is not ready or has not so many places free.
        """
        health = self.health
        if not health.ready:
            raise busy(f"model {self.name!r} is not ready: {health.reason}", max(1, round(self.settings.recheck)))
        if self.under_way + count > self.settings.queue:
            taken = (
                f"model {self.name!r} has {self.under_way} {self.form.noun}s under way of the {self.settings.queue} "
                "it takes"
            )
            raise busy(f"{taken}. Send it again later.")

    @contextmanager
    def place(self, count: int = 1) -> Iterator[None]:
        """Hold places of the model while pictures are under way. Raises RefusalError: 503, as `refuse_busy`."""
        self.refuse_busy(count)
        self.under_way += count
        try:
            yield
        finally:
            self.under_way -= count

    async def _keep_checking(self) -> None:
        while True:
            await asyncio.sleep(self.settings.recheck)
            await self.check()

    def _decode(self, item: Item) -> Placed:
        bounds = self.settings.max_pixels, self.settings.decode_seconds
        if isinstance(item, Clip):
            return self.clips.feeds(item, self._reader, clip_bounds(*bounds)), None
        return self.predictor.placed(item() if callable(item) else item, Bounds(*bounds))

    def _run(self, placed: list[Placed], whole: bool) -> list[Value]:
        # the evidence of some nets costs many times as much as their scores
        outputs = self.predictor.outputs if whole else self.predictor.outputs[:1]
        answers = self.predictor.decode(self.predictor.run(stack([feeds for feeds, _ in placed]), outputs))
        return [
            self.predictor.to_original(answer, placement)
            for answer, (_, placement) in zip(answers, placed, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Registry:
    """The models of a service with their shared settings and threads."""

    models: Mapping[str, ServedModel]
    settings: ServeSettings
    decoders: Decoders
    held: Held

    def model(self, name: str) -> ServedModel:
        """Return a model by name. Raises RefusalError: 404, with the nearest names."""
        if name not in self.models:
            message = f"there is no model {shortened(name)!r}. {did_you_mean(name, self.models)}"
            raise RefusalError(404, message, param="model", code="model_not_found")
        return self.models[name]


def registry_of(request: Request) -> Registry:
    registry: Registry = request.app.state.registry
    return registry


def clip_for_browsers(stored: bytes) -> tuple[bytes, str]:
    """Return a stored clip as a video that every browser plays, and its media type."""
    return video_of(as_clip(stored)), "video/mp4"


def for_browsers(picture: bytes) -> tuple[bytes, str]:
    """Return an encoded picture and its media type: as it is if every browser can show it, else (TIFF, PPM) as PNG."""
    known = sniff(picture)
    if known and known[1] not in _NOT_SHOWN:
        return picture, known[1]
    written = io.BytesIO()
    decode(picture).save(written, "PNG")
    return written.getvalue(), "image/png"
