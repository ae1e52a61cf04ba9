"""`GET /v1/models`, `GET /v1/models/{name}` and its examples."""

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import create_model

from sightsmith.inputs import INPUTS
from sightsmith.serving.card import to_html
from sightsmith.serving.dependencies import known_query, registry_of
from sightsmith.serving.failures import RefusalError
from sightsmith.serving.schemas import Failure, Limits, Load, ModelFacts, ModelLine, ModelList, option_fields
from sightsmith.serving.served import ServedModel

_UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"model": Failure, "description": "No such model."}}

router = APIRouter(prefix="/v1/models", tags=["Models"], dependencies=[Depends(known_query)])


@router.get("", summary="List the models")
async def models(request: Request) -> ModelList:
    """Answer with the served models and the limits of a request."""
    registry = registry_of(request)
    limits = Limits(bytes=registry.settings.max_upload, pixels=registry.settings.max_pixels)
    return ModelList(models=[_line(model) for model in registry.models.values()], limits=limits)


@router.get("/{name}", summary="Show a model", responses=_UNKNOWN)
async def model(request: Request, name: str) -> ModelFacts:
    """Answer with a model's facts and its card."""
    return _facts(registry_of(request).model(name))


@router.get("/{name}/examples/{index}", summary="Fetch a picture to try", response_class=Response, responses=_UNKNOWN)
async def example(request: Request, name: str, index: int) -> Response:
    """Answer with one of the model's example pictures, if the service offers them."""
    pictures = registry_of(request).model(name).examples
    if not 0 <= index < len(pictures):
        raise RefusalError(404, f"model {name!r} offers {len(pictures)} examples here; there is no number {index}.")
    return Response(pictures[index].content, media_type=pictures[index].kind)


def _line(model: ServedModel) -> ModelLine:
    return ModelLine(
        name=model.name,
        ready=model.health.ready,
        kind=model.kind,
        explains=model.explains,
        **{noun: len(names) for noun, names in model.names.items()},
    )


def _facts(model: ServedModel) -> ModelFacts:
    manifest, load = model.manifest, model.batcher.load
    source, shown = INPUTS.module(manifest.definition.input), manifest.definition.input_settings
    return ModelFacts(
        name=model.name,
        ready=model.health.ready,
        reason=model.health.reason,
        checked=model.health.checked,
        task=manifest.task.name,
        kind=model.kind,
        net=manifest.net.name,
        input=source.facts(shown),
        sees=source.describe(shown),
        explains=model.explains,
        options=create_model("Options", **option_fields(model.kind)).model_json_schema()["properties"],
        backend=model.predictor.why,
        created=manifest.created,
        definition=manifest.definition_digest,
        metrics=dict(manifest.metrics),
        licences={
            "net": manifest.net.licence,
            "weights": manifest.net.weights.licence,
            "data": manifest.data.get("licence"),
        },
        load=Load(pictures=load.pictures, runs=load.runs, largest=load.largest),
        examples=len(model.examples),
        card=model.card,
        card_html=to_html(model.card),
        **{noun: list(names) for noun, names in model.names.items()},
    )
