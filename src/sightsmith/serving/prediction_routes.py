"""`POST /v1/models/{name}/predict`."""

import asyncio
import re
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache, partial, reduce
from operator import or_
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field, ValidationError, create_model
from starlette.types import ASGIApp, Receive, Scope, Send

from sightsmith.core.names import did_you_mean, shortened
from sightsmith.core.video import Clip
from sightsmith.runtime.runner import Value
from sightsmith.runtime.tiles import Tiling, tiling_of
from sightsmith.serving.closing import unless_closed
from sightsmith.serving.failures import RefusalError, answer_to, refuse_query
from sightsmith.serving.forms import Form
from sightsmith.serving.heat import explanation
from sightsmith.serving.schemas import ANSWERS, EXPLAINED, Failure, option_fields, query_fields
from sightsmith.serving.served import GENERATIONS, ServedModel, registry_of
from sightsmith.serving.tiled import answer_by_tiles
from sightsmith.serving.uploads import Sent, read_file
from sightsmith.serving.video_parts import LINES, Cut, answer_by_parts

_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Failure, "description": "A parameter, field or form is wrong."},
    404: {"model": Failure, "description": "No such model; the message names the nearest."},
    408: {"model": Failure, "description": "The request took too long to arrive."},
    413: {"model": Failure, "description": "The request has more bytes than allowed."},
    415: {"model": Failure, "description": "The content type is not that of the item, a form or JSON."},
    422: {"model": Failure, "description": "The file cannot be decoded, takes too long, or has too many pixels."},
    500: {"model": Failure, "description": "The model or the service failed; its log has the details."},
    503: {"model": Failure, "description": "Not ready or too busy; see Retry-After."},
}

_PARTS: dict[int | str, dict[str, Any]] = {
    200: {"content": {LINES: {"schema": {"type": "string", "description": "With part: a line of JSON for each part."}}}}
}


class PredictQuery(BaseModel):
    """The query parameters of a prediction; the options of the model's kind of answer are further ones."""

    explain: bool = Field(default=False, description="Add the evidence for the answer by position; see Explained.")
    shapes: bool = Field(default=False, description="Add the shapes that the page draws.")
    label: str | None = Field(default=None, description="With explain: the class to explain; the best by default.")


_FILE = {"type": "string", "format": "binary"}
_ADDRESS = re.compile(r"/v1/models/([^/]+)/predict")


@cache
def query_of(kind: str, form: Form) -> type[PredictQuery]:
    """Return the query parameters of a prediction, by kind of answer and form of the item."""
    return create_model(f"Query{kind.title()}", __base__=PredictQuery, **query_fields(kind, form))


def documented(forms: Sequence[Form]) -> APIRouter:
    """Return the route as it is documented for models that are asked with items of these forms."""
    fields = {name: field for form in forms for kind in ANSWERS for name, field in query_fields(kind, form).items()}
    query_type = create_model("PredictQuery", __base__=PredictQuery, **fields)

    async def endpoint(request: Request, name: str, query: Annotated[query_type, Query()]) -> Response:  # type: ignore[valid-type]
        return await predict(request, name, query)

    router = APIRouter(prefix="/v1/models", tags=["Prediction"])
    router.add_api_route(
        "/{name}/predict",
        endpoint,
        methods=["POST"],
        name="predict",
        summary=f"Answer one {' or '.join(form.noun for form in forms)}",
        description=predict.__doc__,
        response_model=reduce(or_, [*ANSWERS.values(), *EXPLAINED.values()]),
        responses=_REFUSALS | (_PARTS if any(form.cut for form in forms) else {}),
        openapi_extra={"requestBody": _body(forms, query_type)},
    )
    return router


def _body(forms: Sequence[Form], query: type[PredictQuery]) -> dict[str, Any]:
    models = [model for form in forms for model in (form.part, form.cut) if model]
    parts = {name: schema for model in models for name, schema in _properties(model).items()}
    base64 = {
        form.field: {"type": "string", "format": "byte", "description": f"The {form.noun}'s file in base64."}
        for form in forms
    }
    content: dict[str, Any] = {
        "multipart/form-data": {"type": "object", "required": ["file"], "properties": {"file": _FILE, **parts}},
        **dict.fromkeys((kind for form in forms for kind in form.types), _FILE),
        "application/json": {
            "type": "object",
            "anyOf": [{"required": [form.field]} for form in forms],
            "properties": base64 | _properties(query),
        },
    }
    one = "; ".join(f"one {form.noun}: {form.formats}" for form in forms)
    return {
        "required": True,
        "description": f"{one[0].upper()}{one[1:]}. Query parameters may also be fields of the JSON.",
        "content": {kind: {"schema": schema} for kind, schema in content.items()},
    }


def _properties(model: type[BaseModel]) -> dict[str, Any]:
    properties: dict[str, Any] = model.model_json_schema()["properties"]
    return properties


async def predict(request: Request, name: str, query: PredictQuery) -> Response:
    """Answer as the model's kind does, or with an object (Explained) if `explain=true` or `shapes=true`.

    With `part`, answer each part of a video in a line of JSON: `{"start", "end"}` in seconds and the answer under its
    kind's name, or an `error`. Closing the connection stops the work.
    """
    registry = registry_of(request)
    model = registry.model(name)
    _check(model, query)
    model.refuse_busy()  # before the picture is sent, if that is known already
    with ExitStack() as held:
        add = held.enter_context(registry.held.share())
        known = query_of(model.kind, model.form)
        sent = await read_file(
            request, model.form, registry.settings, add, registry.decoders, tuple(known.model_fields)
        )
        if sent.fields:
            query = _with_fields(query, known, sent)
            _check(model, query)
        item = model.form.item(sent.content, query)
        # Only now: who is slow to send must not keep a place from those who have sent.
        if tiling := _tiling(query):
            work = answer_by_tiles(registry, model, sent.content, tiling)
            return JSONResponse(_told(model, query, await unless_closed(request, work)))
        if isinstance(item, Clip) and (cut := _cut(query)):
            return await answer_by_parts(request, model, item, cut, partial(_named, model, query), held)
        with model.place():
            work = model.batcher.answer(item, whole=query.explain)
            # A picture takes milliseconds, so that one is answered even if nobody waits for it.
            prediction = await (unless_closed(request, work) if model.watches else work)
            told = _told(model, query, prediction)
            if query.explain:
                aspect = prediction.aspect(query.label)
                told |= await asyncio.get_running_loop().run_in_executor(
                    registry.decoders, explanation, model.predictor, prediction, aspect, sent.content
                )
            return JSONResponse(told)


def _tiling(query: PredictQuery) -> Tiling | None:
    asked = query.model_dump(include={"tiles", "tile_overlap"})  # of some kinds alone
    return tiling_of(**asked) if asked else None


def _cut(query: PredictQuery) -> Cut | None:
    """Return how a video is cut, None if it is answered whole. Raises RefusalError: 400."""
    asked = query.model_dump(include={"part", "every"})  # of clips alone
    part, every = asked.get("part"), asked.get("every")
    if part is None:
        if every is not None:
            raise RefusalError(400, "parameter 'every' says how far apart parts start; it needs part=SECONDS.")
        return None
    if query.explain:
        raise RefusalError(400, "parameter 'explain' is for one part alone: ask with its start and end, without part.")
    return Cut(part, part if every is None else every)


def _named(model: ServedModel, query: PredictQuery, prediction: Value) -> dict[str, Any]:
    """Return an answer under the name of its kind, with what else was asked for."""
    told = _told(model, query, prediction)
    return told if query.shapes else {model.kind: told}


def _told(model: ServedModel, query: PredictQuery, prediction: Value) -> Any:
    """Return the JSON of an answer: as its kind has it, or with what else was asked for, in an object."""
    options = {name: getattr(query, name) for name in option_fields(model.kind)}
    answer = prediction.to_json(**options)
    if not (query.explain or query.shapes):
        return answer
    shapes = {"shapes": [shape.to_json() for shape in prediction.shapes(**options)]} if query.shapes else {}
    return {model.kind: answer, **shapes}


def direct(app: FastAPI) -> ASGIApp:
    """Call `predict` ahead of FastAPI, which documents it and whose routing costs more than a run of a small model."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        address = _ADDRESS.fullmatch(scope["path"]) if scope["method"] == "POST" else None
        if address is None:
            await app(scope, receive, send)
            return
        scope["app"] = app
        request = Request(scope, receive, send)
        try:
            model = registry_of(request).model(address[1])
            response = await predict(request, address[1], _query(request, query_of(model.kind, model.form)))
        except Exception as error:  # noqa: BLE001 - whatever it is becomes an answer, as FastAPI's handlers would make it
            response = answer_to(request, error)
        await response(scope, receive, send)

    return answer


def _query(request: Request, known: type[PredictQuery]) -> PredictQuery:
    if not request.scope["query_string"]:
        return known()
    refuse_query(request.query_params, tuple(known.model_fields))
    try:
        return known.model_validate(dict(request.query_params))
    except ValidationError as error:
        raise _invalid(error, "query") from None


def _with_fields(query: PredictQuery, known: type[PredictQuery], sent: Sent) -> PredictQuery:
    """Return the query with the fields of the request's body."""
    if twice := query.model_fields_set & sent.fields.keys():
        raise RefusalError(400, f"{min(twice)!r} is given in the query and in the {sent.place}. Give it once.")
    given = {**query.model_dump(exclude_unset=True), **sent.fields}
    try:
        return known.model_validate(given, strict=sent.place == "JSON")
    except ValidationError as error:
        raise _invalid(error, sent.place) from None


def _invalid(error: ValidationError, place: str) -> RequestValidationError:
    return RequestValidationError([{**found, "loc": (place, *found["loc"])} for found in error.errors()])


def _check(model: ServedModel, query: PredictQuery) -> None:
    explain, label = query.explain, query.label
    if model.generates:
        raise RefusalError(400, f"model {model.name!r} makes pictures and takes none: POST a seed to {GENERATIONS}.")
    if explain and not model.explains:
        raise RefusalError(400, f"model {model.name!r} gives no evidence, so it cannot explain. {_way_out(model)}")
    if label is not None and not explain:
        raise RefusalError(400, "query parameter 'label' says which class to explain; it needs explain=true.")
    names = model.manifest.definition.names
    if label is not None and label not in names:
        raise RefusalError(400, f"model {model.name!r} has no class {shortened(label)!r}. {did_you_mean(label, names)}")


def _way_out(model: ServedModel) -> str:
    """Return what to do instead; the verb has methods that need no evidence from the graph."""
    if model.predictor.kind.METHOD is None:
        return "Leave explain out."
    return "Leave explain out, and ask `sightsmith explain`, which can do without."
