"""The service as an ASGI app."""

import hashlib
import mimetypes
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI, Request, Response
from starlette.types import ASGIApp

from sightsmith.serving import image_routes, model_routes, prediction_routes
from sightsmith.serving.failures import handle_failures
from sightsmith.serving.guard import guarded
from sightsmith.serving.served import Registry

_STATIC = Path(__file__).parent / "static"
_PAGES = {"/": _STATIC / "index.html", "/docs": _STATIC / "docs.html"}
_ABOUT = (
    "Send a picture or a clip, get its classes; or a seed, and get pictures. Every answer of status 400 and above is "
    '`{"error": message}`, under `/v1/images` in OpenAI\'s form, and the message says what to do. An unknown parameter '
    "or field is an error, never ignored."
)


def create_app(registry: Registry, leaving: Callable[[], bool] = bool) -> ASGIApp:
    """Return the app that serves the models of a registry, which the caller starts and stops.

    Args:
        leaving: whether to close each connection after its answer.
    """
    app = FastAPI(title="Sightsmith", version=version("sightsmith"), description=_ABOUT, docs_url=None, redoc_url=None)
    app.state.registry = registry
    handle_failures(app)
    forms = {model.form.noun: model.form for model in registry.models.values()}
    predictions = prediction_routes.documented([*forms.values()])
    for router in (predictions, image_routes.router, model_routes.router, model_routes.health_router):
        app.include_router(router)
    for path, file in (_PAGES | {f"/static/{file.name}": file for file in _STATIC.iterdir()}).items():
        app.add_route(path, _page(file), methods=["GET", "HEAD"], include_in_schema=False)
    # Wrapped around the app, so that the response to a crash gets the headers too.
    return guarded(prediction_routes.direct(app), registry.settings, leaving)


def _page(file: Path) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint for a file's content, read now, because reading it later needs a thread."""
    content, kind = file.read_bytes(), mimetypes.guess_type(file)[0] or "application/octet-stream"
    headers = {"Cache-Control": "no-cache", "ETag": f'"{hashlib.sha256(content).hexdigest()[:32]}"'}

    async def page(request: Request) -> Response:
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=kind, headers=headers)

    return page
