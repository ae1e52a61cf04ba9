"""The shapes of the service's answers, as its documentation shows them."""

from dataclasses import dataclass, fields
from functools import cache
from typing import Any, get_type_hints

from pydantic import BaseModel, Field, create_model

from sightsmith.core.settings import field_docs
from sightsmith.kinds import FIRST, KINDS, optional_part, part_of
from sightsmith.runtime.tiles import MOST_OVERLAP, OVERLAP, SIDES
from sightsmith.serving.forms import Form


@cache
def option_fields(kind: str) -> dict[str, Any]:
    """Return the options of a kind's answers as fields of a pydantic model."""
    options = part_of(kind, "options").Options
    hints, docs = get_type_hints(options), field_docs(options)
    return {
        one.name: (hints[one.name], Field(default=one.default, description=docs.get(one.name), **one.metadata))
        for one in fields(options)
    }


class _TilingFields(BaseModel):
    """How a picture is cut; the page has a control for the first alone."""

    tiles: int | None = Field(
        default=None,
        ge=SIDES[0],
        le=SIDES[1],
        description="Cut a larger picture into overlapping tiles of this many pixels a side and merge their answers, "
        f"{SIDES[0]}…{SIDES[1]:,}.",
    )
    tile_overlap: float = Field(
        default=OVERLAP,
        ge=0,
        le=MOST_OVERLAP,
        json_schema_extra={"page": OVERLAP},
        description=f"With tiles: least overlap of neighbours, a share of the side, 0…{MOST_OVERLAP}.",
    )


def query_fields(kind: str, form: Form) -> dict[str, Any]:
    """Return the fields of a request, as `option_fields`.

    They are the options, tiles if answers to them can be merged, and the part of the item if it may have parts.
    """
    tiling = _TilingFields.model_fields if optional_part(kind, "tiles") else {}
    return {
        **option_fields(kind),
        **{name: (field.annotation, field) for name, field in tiling.items()},
        **form.part_fields,
    }


class Failure(BaseModel):
    """Every answer of status 400 and above."""

    error: str = Field(description="What is wrong and what to do about it.")


class Evidence(BaseModel):
    """The evidence for a part of the answer, by position."""

    label: str = Field(description="The explained label, tag or number.")
    box: list[float] = Field(
        description="[left, top, right, bottom] of the part that the model saw, in pixels of the upright picture."
    )
    values: list[list[float]] = Field(
        description="Evidence over that box, rows from the top, in the unit of the answer."
    )


class ShapeFields(BaseModel):
    """One thing to draw: a bar or words beside the picture, or a box over it."""

    shape: str = Field(description="bar, text or box.")
    name: str = Field(description="Label, tag or quantity.")
    text: str = Field(description="The number or the words.")
    share: float | None = Field(description="Length of the bar, or the score of a box, 0…1; null for text.")
    mark: float | None = Field(default=None, description="Place of a tick on the bar, 0…1, such as a threshold.")
    on: bool | None = Field(default=None, description="Whether it belongs to the answer; null if it always does.")
    box: list[float] | None = Field(
        default=None, description="[left, top, right, bottom] of a box, in pixels of the upright picture."
    )
    index: int = Field(default=0, description="Number of the name, which chooses the colour of a box.")


class ExplainedAnswer(BaseModel):
    """The answer to `?explain=true` or `?shapes=true`."""

    shapes: list[ShapeFields] | None = Field(default=None, description="With shapes=true: the drawing of the answer.")
    heatmap: str | None = Field(
        default=None,
        description="With explain=true: PNG with transparency in base64, to lay over the upright picture; longest side "
        "256…512 pixels.",
    )
    map: Evidence | None = Field(default=None, description="With explain=true: the evidence itself.")


ANSWERS: dict[str, Any] = {kind: part_of(kind, "schema").ANSWER for kind in KINDS.names()}
"""The JSON of an answer, by kind."""


def _explained(kind: str, answer: Any) -> type[BaseModel]:
    """Return the JSON of an explained answer: the answer under the kind's name."""
    named: dict[str, Any] = {kind: (answer, Field(description="The answer."))}
    name = "Explained" if kind == FIRST else f"Explained{kind.title()}"
    return create_model(name, __base__=ExplainedAnswer, __doc__=ExplainedAnswer.__doc__, **named)


EXPLAINED = {kind: _explained(kind, answer) for kind, answer in ANSWERS.items()}


class ModelLine(BaseModel, extra="allow"):
    """A model in the list; also its number of names, under their plural noun (`classes`)."""

    name: str
    ready: bool = Field(description="Its witnesses are answered right by the live model.")
    takes: str = Field(description="What it is asked with: picture, clip or seed.")
    kind: str = Field(description="Kind of answer, such as labels.")
    explains: bool = Field(description="It takes ?explain=true.")


class Limits(BaseModel):
    """Limits of a request."""

    bytes: int = Field(description="Of one request's picture or video.")
    pixels: int = Field(
        description="Width × height of one picture or frame; of all pictures of a request to a generator."
    )
    generated_pictures: int = Field(description="Pictures of a request to a generator.")
    tiles: int = Field(description="Tiles that a request may have its picture cut into.")
    parts: int = Field(description="Parts that a request may have its video cut into.")


class ModelList(BaseModel):
    """Every model served here."""

    models: list[ModelLine]
    limits: Limits


class Load(BaseModel):
    """The work of the model since the service started; a clip counts like a picture."""

    pictures: int = Field(description="Pictures answered.")
    runs: int = Field(description="Runs of the model; fewer than pictures if requests came together.")
    largest: int = Field(description="Most pictures in one run.")


class ModelFacts(BaseModel, extra="allow"):
    """One model; also its names, under their plural noun (`classes`)."""

    name: str
    ready: bool
    reason: str = Field(description="Why it is not ready; empty if it is.")
    checked: str | None = Field(description="When its witnesses were last replayed, UTC.")
    task: str
    takes: str = Field(description="What it is asked with: picture, clip or seed.")
    kind: str
    net: str
    input: dict[str, int | float | str | None] = Field(description="How an item becomes the net's input.")
    sees: str = Field(description="The same in words.")
    explains: bool
    options: dict[str, Any] = Field(description="Options of its answers: JSON schemas by query parameter.")
    backend: str = Field(description="Backend and precision, and why they were chosen.")
    created: str
    definition: str = Field(description="SHA-256 of all that fixes the answers besides the weights.")
    metrics: dict[str, Any]
    licences: dict[str, str | None]
    load: Load
    examples: int = Field(description="Pictures or clips to try at /v1/models/{name}/examples/0, 1, …")
    card: str = Field(description="The model card, Markdown.")
    card_html: str = Field(description="The model card, HTML.")


@dataclass(frozen=True, slots=True)
class ReadyLine:
    """Whether one model is ready."""

    ready: bool
    reason: str
    checked: str | None


class Ready(BaseModel):
    """Whether the service is ready."""

    ready: bool
    models: dict[str, ReadyLine]
    error: str | None = Field(default=None, description="Which models are not ready and why.")


class Live(BaseModel):
    """The process answers."""

    live: bool
