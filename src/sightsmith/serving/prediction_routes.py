"""`POST /v1/models/{name}/predict`."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse

from sightsmith.core.names import did_you_mean, shortened
from sightsmith.serving.answers import Explained, Failure, LabelScore
from sightsmith.serving.failures import RefusalError
from sightsmith.serving.heat import explanation
from sightsmith.serving.lookup import known_query, registry_of
from sightsmith.serving.served import ServedModel
from sightsmith.serving.uploads import RAW, read_picture

_FILE = {"type": "string", "format": "binary"}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "One picture: JPEG, PNG, WebP, BMP or TIFF.",
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "required": ["file"], "properties": {"file": _FILE}},
            },
            **{kind: {"schema": _FILE} for kind in RAW},
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {"image": {"type": "string", "format": "byte", "description": "The file in base64."}},
                }
            },
        },
    }
}
_REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Failure, "description": "A parameter, field or form is wrong."},
    404: {"model": Failure, "description": "No such model; the message names the nearest."},
    408: {"model": Failure, "description": "The request took too long to arrive."},
    413: {"model": Failure, "description": "The request has more bytes than allowed."},
    415: {"model": Failure, "description": "The content type is not a picture, form or JSON."},
    422: {"model": Failure, "description": "The picture cannot be decoded or has more pixels than allowed."},
    500: {"model": Failure, "description": "The model or the service failed; its log has the details."},
    503: {"model": Failure, "description": "Not ready or too busy; see Retry-After."},
}

router = APIRouter(prefix="/v1/models", tags=["Prediction"], dependencies=[Depends(known_query)])


@router.post(
    "/{name}/predict",
    summary="Classify one picture",
    response_model=list[LabelScore] | Explained,
    responses=_REFUSALS,
    openapi_extra=_BODY,
)
async def predict(
    request: Request,
    name: str,
    top: Annotated[int, Query(ge=1, description="How many classes, best first.")] = 5,
    explain: Annotated[bool, Query(description="Add where the evidence for a class lies; see Explained.")] = False,
    label: Annotated[str | None, Query(description="With explain: the class to explain; the best by default.")] = None,
) -> JSONResponse:
    """Answer with a list of `{label, score}`, or with an object (Explained) where `explain=true`."""
    registry = registry_of(request)
    model = registry.model(name)
    _check(model, explain, label)
    model.refuse_busy()  # before the picture is sent, where that is known already
    with registry.held.share() as add:
        picture = await read_picture(request, registry.settings, add)
        # Only now: who is slow to send must not keep a place from those who have sent.
        with model.place():
            prediction = await model.predict(picture)
            labels = prediction.to_json(top=top)
            if not explain:
                return JSONResponse(labels)
            added = await asyncio.get_running_loop().run_in_executor(
                registry.decoders, explanation, prediction, label or prediction.label, picture, model.preprocessing
            )
            return JSONResponse({"labels": labels, **added})


def _check(model: ServedModel, explain: bool, label: str | None) -> None:
    if explain and not model.explains:
        raise RefusalError(400, f"model {model.name!r} has no class map, so it cannot explain. Leave explain out.")
    if label is not None and not explain:
        raise RefusalError(400, "query parameter 'label' says which class to explain; it needs explain=true.")
    if label is not None and label not in model.classes:
        raise RefusalError(
            400, f"model {model.name!r} has no class {shortened(label)!r}. {did_you_mean(label, model.classes)}"
        )
