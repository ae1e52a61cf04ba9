"""The service as an ASGI app."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import FastAPI
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp

from sightsmith.serving import health_routes, model_routes, prediction_routes
from sightsmith.serving.draining import Draining
from sightsmith.serving.failures import handle_failures
from sightsmith.serving.lookup import Registry
from sightsmith.serving.security import SecurityHeaders

STATIC = Path(__file__).parent / "static"
_PAGES = {"/": "index.html", "/docs": "docs.html"}
_ABOUT = (
    'Send a picture, get its classes. Every answer of status 400 and above is `{"error": message}`, and the message '
    "says what to do. An unknown parameter or field is an error, never ignored."
)


def create_app(registry: Registry, version: str) -> ASGIApp:
    """Return the app that serves the models of a registry, which somebody else starts and stops."""
    app = FastAPI(title="Sightsmith", version=version, description=_ABOUT, docs_url=None, redoc_url=None)
    app.state.registry = registry
    handle_failures(app)
    for routes in (prediction_routes, model_routes, health_routes):
        app.include_router(routes.router)
    for path, file in _PAGES.items():
        app.add_api_route(path, _page(STATIC / file), methods=["GET", "HEAD"], include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC))
    # Around the app, not layers of its own: an answer to a crash gets the headers too.
    return SecurityHeaders(Draining(app))


def _page(file: Path) -> Callable[[], Awaitable[FileResponse]]:
    async def page() -> FileResponse:
        return FileResponse(file, media_type="text/html; charset=utf-8", headers={"Cache-Control": "no-cache"})

    return page
