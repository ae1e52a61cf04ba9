"""`POST /v1/images/generations`: pictures from a seed, in the form of OpenAI's images API.

Source: https://developers.openai.com/api/reference/resources/images/methods/generate
"""

import asyncio
import base64
import secrets
import time
from collections.abc import Sequence
from typing import Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sightsmith.core.names import did_you_mean, shortened
from sightsmith.inputs.seed import MOST, Seed
from sightsmith.runtime.generation import label_of, marked_png
from sightsmith.runtime.runner import Value
from sightsmith.serving.closing import unless_closed
from sightsmith.serving.failures import RefusalError, no_query, refuse_unknown
from sightsmith.serving.served import GENERATIONS, Registry, ServedModel, registry_of
from sightsmith.serving.uploads import read_fields

_RANDOM = 2**32  # Seeds that are drawn: short enough to retype, and exact in JavaScript


class GenerationRequest(BaseModel):
    """What to make; null means the default. Descriptions of fields with one value say why there is no other."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        json_schema_extra={"examples": [{"model": "MODEL", "prompt": "", "n": 4, "seed": 1}]},
    )

    model: str | None = Field(default=None, description="Name of a generator; may be left out if one is served.")
    prompt: str = Field(default="", description="Empty, or the name of a class; it is not read as text.")
    n: int = Field(default=1, ge=1, description="Pictures; the service's limit is in `GET /v1/models`.")
    size: str = Field(default="auto", description="`auto`, or the model's own size as `WIDTHxHEIGHT`.")
    label: str | None = Field(
        default=None, description="Class of all pictures; without it the classes take turns by index."
    )
    seed: int | None = Field(
        default=None, ge=0, le=MOST, description="Same seed, same pictures. By default drawn, and in the answer."
    )
    index: int = Field(default=0, ge=0, le=MOST, description="Index of the first picture among those of the seed.")
    other_seed: int | None = Field(
        default=None, ge=0, le=MOST, description="Seed of second pictures, to make those between the first and these."
    )
    other_index: int = Field(default=0, ge=0, le=MOST, description="With `other_seed`: index of its first picture.")
    share: float = Field(
        default=0.0, ge=0, le=1, description="With `other_seed`: 0 is the first picture, 1 the other, .5 midway."
    )
    user: str = Field(default="", description="Not used.")
    safety_identifier: str = Field(default="", description="Not used.")
    response_format: Literal["b64_json"] = Field(
        default="b64_json", description="Pictures come in the answer; none is kept for a link to point to."
    )
    output_format: Literal["png"] = Field(
        default="png", description="PNG is exact and says inside that the picture was generated."
    )
    output_compression: Literal[100] = Field(default=100, description="PNG loses nothing.")
    quality: Literal["auto", "standard"] = Field(default="auto", description="A model has one quality.")
    style: Literal["vivid"] = Field(default="vivid", description="A model has one style, that of its data.")
    background: Literal["auto", "opaque"] = Field(default="auto", description="Pictures have no transparency.")
    moderation: Literal["auto"] = Field(default="auto", description="Nothing is filtered: there is no text.")
    stream: Literal[False] = Field(default=False, description="Pictures are made in one step, so none is partial.")
    partial_images: Literal[0] = Field(default=0, description="Pictures are made in one step, so none is partial.")


class GeneratedPicture(BaseModel):
    """One picture."""

    b64_json: str = Field(description="PNG in base64; it says inside that it was generated, by which model and seed.")
    index: int = Field(description="Its index among the pictures of the seed.")
    label: str | None = Field(description="Its class; null if the model knows none.")


class Generation(BaseModel):
    """Pictures from a seed."""

    created: int = Field(description="When, in seconds since 1970.")
    data: list[GeneratedPicture]
    model: str
    seed: int = Field(description="With it the same pictures are made again.")
    size: str = Field(description="`WIDTHxHEIGHT`.")
    output_format: Literal["png"]


class GenerationError(BaseModel):
    """What went wrong, in OpenAI's form."""

    message: str = Field(description="What is wrong and what to do about it.")
    type: Literal["invalid_request_error", "server_error"]
    param: str | None = Field(description="The field at fault.")
    code: str | None


class GenerationFailure(BaseModel):
    """Every answer of this route of status 400 and above."""

    error: GenerationError


_REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": GenerationFailure, "description": description}
    for status, description in {
        400: "A field is wrong, or asks for what the model cannot make.",
        404: "No such model; the message names the nearest.",
        408: "The request took too long to arrive.",
        413: "The request has more than 10,000 bytes.",
        415: "The content type is not JSON.",
        500: "The model or the service failed; its log has the details. Has `x-should-retry: false`.",
        503: "Not ready or too busy; see Retry-After.",
    }.items()
}
_BODY = {"required": True, "content": {"application/json": {"schema": GenerationRequest.model_json_schema()}}}

router = APIRouter(tags=["Generation"], dependencies=[Depends(no_query)])


@router.post(
    GENERATIONS,
    summary="Make pictures from a seed",
    response_model=Generation,
    responses=_REFUSALS,
    openapi_extra={"requestBody": _BODY},
)
async def generations(request: Request) -> JSONResponse:
    """Answer with pictures, those of `sightsmith generate` with the same seed, as OpenAI's `images.generate` expects.

    Closing the connection stops the work.
    """
    registry = registry_of(request)
    with registry.held.share() as add:
        asked = _checked(await read_fields(request, registry.settings, add))
    model = _generator(registry, asked.model)
    drawn = secrets.randbelow(_RANDOM) if asked.seed is None else asked.seed
    seeds = _seeds(registry, model, asked, drawn)
    pictures = await unless_closed(request, _made(registry, model, seeds))
    answer = Generation(
        created=int(time.time()),
        data=pictures,
        model=model.name,
        seed=drawn,
        size=_size(model),
        output_format="png",
    )
    return JSONResponse(answer.model_dump())


def _checked(fields: dict[str, Any]) -> GenerationRequest:
    """Return the fields of a request. Raises RefusalError: 400, one is unknown or has a value that it may not have."""
    refuse_unknown(fields, tuple(GenerationRequest.model_fields), "JSON field")
    try:
        return GenerationRequest(**{name: value for name, value in fields.items() if value is not None})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0])
        reason = f"{first['msg'][0].lower()}{first['msg'][1:]}, got {shortened(repr(fields[name]))}"
        why = f". {GenerationRequest.model_fields[name].description}" if first["type"] == "literal_error" else ""
        raise _wrong(name, f"JSON field {name!r}: {reason}{why}") from None


def _wrong(param: str, message: str) -> RefusalError:
    return RefusalError(400, message, param=param, code="invalid_value")


def _generator(registry: Registry, name: str | None) -> ServedModel:
    """Return the generator that is asked for, or the only one. Raises RefusalError: 400 or 404."""
    generators = [model.name for model in registry.models.values() if model.generates]
    if name is None:
        if len(generators) == 1:
            return registry.models[generators[0]]
        told = f"say which: {', '.join(generators)}" if generators else "none is served here"
        raise _wrong("model", f"JSON field 'model' is missing; it may be left out if one generator is served: {told}.")
    model = registry.model(name)
    if not model.generates:
        takes = model.manifest.definition.input
        raise _wrong(
            "model",
            f"model {name!r} makes no pictures: it takes a {takes}. POST it to /v1/models/{name}/predict.",
        )
    return model


def _seeds(registry: Registry, model: ServedModel, asked: GenerationRequest, seed: int) -> list[Seed]:
    """Return what the pictures start from. Raises RefusalError: 400, the model cannot make them."""
    _check_amount(registry, model, asked)
    if asked.size not in {"auto", _size(model)}:
        message = f"JSON field 'size': model {model.name!r} makes pictures of {_size(model)} alone, got "
        raise _wrong("size", f"{message}{shortened(repr(asked.size))}. Leave it out, or send 'auto'.")
    if asked.other_seed is None and {"other_index", "share"} & asked.model_fields_set:
        raise _wrong(
            "other_seed", "JSON fields 'other_index' and 'share' need 'other_seed', the seed of the other end."
        )
    names, label = model.manifest.definition.names, _label(model, asked)
    return [
        Seed(
            seed=seed,
            index=asked.index + at,
            label=label_of(asked.index + at, label, names),
            other_seed=asked.other_seed,
            other_index=asked.other_index + at if asked.other_seed is not None else 0,
            share=asked.share,
        )
        for at in range(asked.n)
    ]


def _check_amount(registry: Registry, model: ServedModel, asked: GenerationRequest) -> None:
    settings, size = registry.settings, model.manifest.definition.input_settings.shape
    most = max(1, min(settings.max_pictures, settings.max_pixels // (size[0] * size[1])))
    if asked.n > most:
        raise _wrong("n", f"JSON field 'n' must be in 1…{most} for model {model.name!r}, got {asked.n}.")
    for name, index in (("index", asked.index), ("other_index", asked.other_index)):
        if index > MOST - asked.n + 1:
            raise _wrong(name, f"JSON field {name!r}: the last picture's index must be in 0…2⁶³−1. Ask for fewer.")


def _label(model: ServedModel, asked: GenerationRequest) -> str | None:
    """Return the name of the class that is asked for. Raises RefusalError: 400, it is no class of the model."""
    names = model.manifest.definition.names
    if asked.prompt and asked.prompt not in names:
        rule = f"model {model.name!r} takes a class by 'label', not text" if names else "the model takes no text"
        near = did_you_mean(asked.prompt, names) if names else "It was trained without labels."
        raise _wrong("prompt", f"{rule}, got the prompt {shortened(repr(asked.prompt))}. {near} Or send ''.")
    if asked.label is not None and asked.label not in names:
        near = did_you_mean(asked.label, names) if names else "It was trained without labels: leave 'label' out."
        raise _wrong("label", f"model {model.name!r} knows no class {shortened(repr(asked.label))}. {near}")
    if asked.prompt and asked.label not in {None, asked.prompt}:
        raise _wrong("prompt", f"the prompt asks for {asked.prompt!r}, 'label' for {asked.label!r}. Send one of them.")
    return asked.label or asked.prompt or None


def _size(model: ServedModel) -> str:
    height, width, _ = model.manifest.definition.input_settings.shape
    return f"{width}x{height}"


async def _made(registry: Registry, model: ServedModel, seeds: Sequence[Seed]) -> list[GeneratedPicture]:
    """Make pictures, at most a batch of them at once, so that other requests come in between."""
    loop, made = asyncio.get_running_loop(), []
    at_once = min(len(seeds), registry.settings.batch, registry.settings.queue)
    with model.place(at_once):
        for start in range(0, len(seeds), at_once):
            some = seeds[start : start + at_once]
            answers = await asyncio.gather(*map(model.batcher.answer, some))
            made += await loop.run_in_executor(registry.decoders, _encoded, model, some, answers)
    return made


def _encoded(model: ServedModel, seeds: Sequence[Seed], answers: Sequence[Value]) -> list[GeneratedPicture]:
    names = model.manifest.definition.names
    return [
        GeneratedPicture(
            b64_json=base64.b64encode(marked_png(model.manifest, seed, answer)).decode(),
            index=seed.index,
            label=names[seed.label] if names else None,
        )
        for seed, answer in zip(seeds, answers, strict=True)
    ]
