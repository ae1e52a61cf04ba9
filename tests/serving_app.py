"""The service's app in this process, so that a test can reach into the live model."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from sightsmith.runtime.predictor import Predictor
from sightsmith.serving.app import create_app
from sightsmith.serving.decoders import Decoders
from sightsmith.serving.served import Registry, ServedModel
from sightsmith.serving.settings import ServeSettings
from sightsmith.serving.uploads import Held

_DEFAULTS = ServeSettings()


@asynccontextmanager
async def running(
    bundle: Path, settings: ServeSettings = _DEFAULTS
) -> AsyncIterator[tuple[ServedModel, httpx.AsyncClient]]:
    """Give the model `digits`, started, and a client of its app."""
    with Decoders(2) as decoders:
        model = ServedModel("digits", Predictor.open(bundle), decoders, settings)
        await model.start()
        app = create_app(Registry({"digits": model}, settings, decoders, Held(settings)))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            yield model, client
        model.stop()
