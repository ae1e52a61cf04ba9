"""`GET /v1/models`, `GET /v1/models/{name}` and its examples; `/livez` and `/readyz`."""

from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from markdown_it import MarkdownIt
from pydantic import create_model

from sightsmith.inputs import INPUTS
from sightsmith.serving import schemas
from sightsmith.serving.failures import RefusalError, no_query
from sightsmith.serving.served import registry_of

_UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"model": schemas.Failure, "description": "No such model."}}
_NOT_READY: dict[int | str, dict[str, Any]] = {503: {"model": schemas.Ready, "description": "Some model is not ready."}}
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")

router = APIRouter(prefix="/v1/models", tags=["Models"], dependencies=[Depends(no_query)])
health_router = APIRouter(tags=["Health"], dependencies=[Depends(no_query)])


@router.get("", summary="List the models")
async def models(request: Request) -> schemas.ModelList:
    """Answer with the served models and the limits of a request."""
    registry = registry_of(request)
    lines = [
        schemas.ModelLine(
            name=model.name,
            ready=model.health.ready,
            takes=model.manifest.definition.input,
            kind=model.kind,
            explains=model.explains,
            **{noun: len(names) for noun, names in model.names.items()},
        )
        for model in registry.models.values()
    ]
    settings = registry.settings
    limits = schemas.Limits(
        bytes=settings.max_upload,
        pixels=settings.max_pixels,
        generated_pictures=settings.max_pictures,
        tiles=settings.max_tiles,
        parts=settings.max_parts,
    )
    return schemas.ModelList(models=lines, limits=limits)


@router.get("/{name}", summary="Show a model", responses=_UNKNOWN)
async def model(request: Request, name: str) -> schemas.ModelFacts:
    """Answer with a model's facts and its card."""
    model = registry_of(request).model(name)
    manifest, health = model.manifest, model.health
    source, shown = INPUTS.module(manifest.definition.input), manifest.definition.input_settings
    return schemas.ModelFacts(
        name=model.name,
        ready=health.ready,
        reason=health.reason,
        checked=health.checked,
        task=manifest.task.name,
        takes=manifest.definition.input,
        kind=model.kind,
        net=manifest.net.name,
        input=source.facts(shown),
        sees=source.describe(shown),
        explains=model.explains,
        options=create_model("Options", **schemas.query_fields(model.kind, model.form)).model_json_schema()[
            "properties"
        ],
        backend=model.predictor.why,
        created=manifest.created,
        definition=manifest.definition_digest,
        metrics=dict(manifest.metrics),
        licences={
            "net": manifest.net.licence,
            "weights": manifest.net.weights.licence,
            "data": manifest.data.get("licence"),
        },
        load=model.batcher.load,
        examples=len(model.examples),
        card=model.card,
        card_html=card_html(model.card),
        **{noun: list(names) for noun, names in model.names.items()},
    )


@router.get("/{name}/examples/{index}", summary="Fetch an example to try", response_class=Response, responses=_UNKNOWN)
async def example(request: Request, name: str, index: int) -> Response:
    """Answer with one of the model's example pictures or clips, if the service offers them."""
    examples = registry_of(request).model(name).examples
    if not 0 <= index < len(examples):
        raise RefusalError(404, f"model {name!r} offers {len(examples)} examples here; there is no number {index}.")
    content, media_type = examples[index]
    return Response(content, media_type=media_type)


@health_router.get("/livez", summary="Does the process answer?")
async def livez() -> schemas.Live:
    """Answer whenever the process can."""
    return schemas.Live(live=True)


@health_router.get(
    "/readyz", summary="Does every model answer right?", responses=_NOT_READY, response_model_exclude_none=True
)
async def readyz(request: Request, response: Response) -> schemas.Ready:
    """Answer 200 when the live models give the outputs that their bundles promise, else 503 with the reason."""
    health = {name: model.health for name, model in registry_of(request).models.items()}
    wrong = [f"model {name!r}: {state.reason}" for name, state in health.items() if not state.ready]
    if wrong:
        response.status_code = 503
        response.headers["Retry-After"] = "5"
    return schemas.Ready(ready=not wrong, models=health, error="; ".join(wrong) or None)


def card_html(card: str) -> str:
    """Return a model card as HTML for the page, without the YAML header that model hubs read.

    Raw HTML in it stays text, and no picture is loaded from elsewhere.
    """
    if card.startswith("---\n"):
        _, end, body = card[4:].partition("\n---\n")
        card = body if end else card
    return _MARKDOWN.render(card)
