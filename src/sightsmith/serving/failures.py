"""Refusals of the service, and how any failure becomes `{"error": message}`.

Under `/v1/images` it becomes `{"error": {"message", "type", "param", "code"}}`, as OpenAI's clients read it. Those send
a request again after 408, 409, 429 and 5xx; a fault of the service tells them not to, since it would come again.
"""

import logging
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from sightsmith.core.errors import SightsmithError
from sightsmith.core.names import did_you_mean, shortened

log = logging.getLogger("sightsmith.serving")

_ENVELOPED = "/v1/images/"  # Routes of OpenAI's form


class RefusalError(SightsmithError):
    """The service refuses the request; `status` and the message say why, `param` names the field at fault."""

    def __init__(
        self,
        status: int,
        message: str,
        headers: Mapping[str, str] | None = None,
        *,
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.param, self.code = status, param, code
        self.headers = dict(headers or {})


def busy(message: str, seconds: int = 1) -> RefusalError:
    """Return the refusal of a request that may succeed when it is sent again later."""
    return RefusalError(503, message, {"Retry-After": str(seconds)})


def refuse_unknown(given: Mapping[str, object], known: tuple[str, ...], noun: str) -> None:
    """Refuse unknown keys. Raises RefusalError: 400, with the nearest known keys."""
    for key in given:
        if key not in known:
            message = f"unknown {noun} {shortened(key)!r}. {did_you_mean(key, known)}"
            raise RefusalError(400, message, param=shortened(key), code="unknown_parameter")


def refuse_query(given: QueryParams, known: tuple[str, ...]) -> None:
    """Refuse query parameters that are not among `known`, or are given twice.

    Raises RefusalError: 400, with the nearest names.
    """
    refuse_unknown(given, known, "query parameter")
    for name in given:
        if len(given.getlist(name)) > 1:
            raise RefusalError(400, f"query parameter {shortened(name)!r} is given more than once.")


async def no_query(request: Request) -> None:
    """Refuse any query parameter. Raises RefusalError: 400."""
    # Not a plain function: FastAPI runs those in threads, which it starts while it serves.
    refuse_query(request.query_params, ())


def handle_failures(app: FastAPI) -> None:
    """Make every failure of the app a JSON answer with an `error`."""

    async def handle(request: Request, error: Exception) -> JSONResponse:
        return answer_to(request, error)

    # A crash is logged by the server; FastAPI gives it to this handler and then raises it again.
    async def handle_crash(request: Request, _error: Exception) -> JSONResponse:
        return error_answer(request.url.path, _crash())

    for failure in (SightsmithError, ClientDisconnect, HTTPException, RequestValidationError, MemoryError):
        app.add_exception_handler(failure, handle)
    app.add_exception_handler(Exception, handle_crash)


def answer_to(request: Request, error: Exception) -> JSONResponse:
    """Return the answer to a request that failed; a fault of the service is logged."""
    return error_answer(request.url.path, refusal_of(request, error))


def refusal_of(request: Request, error: Exception) -> RefusalError:
    """Return what a request that failed is told; a fault of the service is logged."""
    if _lacks_memory(error):
        log.error("a request was refused: the service has no memory left for it")
        return busy("the service has no memory left for this picture. Send it again later, or a smaller one.")
    if isinstance(error, RefusalError):
        return error
    if isinstance(error, SightsmithError):
        if error.status >= 500:
            log.error("a request failed by no fault of its own: %s", error)
        return RefusalError(error.status, str(error))  # `str` names settings like parameters, not like flags
    if isinstance(error, ClientDisconnect):  # not an error of the service
        return RefusalError(400, "the connection was closed before the request was whole.")
    if isinstance(error, HTTPException):
        return RefusalError(error.status_code, _reason(request, error), error.headers)
    if isinstance(error, RequestValidationError):
        return RefusalError(400, _first_of(error))
    log.error("a request met a fault of the service", exc_info=error)
    return _crash()


def _lacks_memory(error: Exception) -> bool:
    """Tell whether memory ran out, also if a decoder reports it as damage to the picture."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, MemoryError) or "out of memory error" in str(cause):
            return True
        cause = cause.__cause__
    return False


def error_answer(path: str, refusal: RefusalError) -> JSONResponse:
    """Return the answer to a refused request, in the form of its path."""
    message, headers = f"{refusal}", dict(refusal.headers)
    if not path.startswith(_ENVELOPED):
        return JSONResponse({"error": message}, refusal.status, headers)
    envelope = {
        "message": message,
        "type": "invalid_request_error" if refusal.status < 500 else "server_error",
        "param": refusal.param,
        "code": refusal.code,
    }
    if refusal.status == 500:
        headers["x-should-retry"] = "false"
    return JSONResponse({"error": envelope}, refusal.status, headers)


def _crash() -> RefusalError:
    return RefusalError(500, "a fault of the service, not of your request; its log has the details.")


def _reason(request: Request, error: HTTPException) -> str:
    path = shortened(request.url.path)
    if error.status_code == 404:
        return f"there is no {path!r} here. / is the page, /docs lists the rest."
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "another method")
        return f"{shortened(request.method)} is not for {path!r}; use {allowed}."
    return str(error.detail)


def _first_of(error: RequestValidationError) -> str:
    first = error.errors()[0]
    place, name = str(first["loc"][0]), ".".join(str(part) for part in first["loc"][1:])
    reason, given = str(first["msg"]), shortened(repr(first.get("input")))
    return f"{place} parameter {name!r}: {reason[0].lower()}{reason[1:]}, got {given}"
