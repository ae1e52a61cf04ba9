"""Dependencies of the routes: the served models, and the check of query parameters."""

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import Request
from starlette.datastructures import QueryParams

from sightsmith.core.names import did_you_mean, shortened
from sightsmith.serving.decoders import Decoders
from sightsmith.serving.failures import RefusalError, refuse_unknown
from sightsmith.serving.served import ServedModel
from sightsmith.serving.settings import ServeSettings
from sightsmith.serving.uploads import Held


@dataclass(frozen=True, slots=True)
class Registry:
    """The models of a service with their shared settings and threads."""

    models: Mapping[str, ServedModel]
    settings: ServeSettings
    decoders: Decoders
    held: Held

    def model(self, name: str) -> ServedModel:
        """Return a model by name. Raises RefusalError: 404, with the nearest names."""
        if name not in self.models:
            raise RefusalError(404, f"there is no model {shortened(name)!r}. {did_you_mean(name, self.models)}")
        return self.models[name]


def registry_of(request: Request) -> Registry:
    registry: Registry = request.app.state.registry
    return registry


async def no_query(request: Request) -> None:
    """Refuse any query parameter. Raises RefusalError: 400."""
    # Not a plain function: FastAPI runs those in threads, which it starts while it serves.
    refuse_query(request.query_params, ())


def refuse_query(given: QueryParams, known: tuple[str, ...]) -> None:
    """Refuse query parameters that are not among `known`, or are given twice.

    Raises RefusalError: 400, with the nearest names.
    """
    refuse_unknown(given, known, "query parameter")
    for name in given:
        if len(given.getlist(name)) > 1:
            raise RefusalError(400, f"query parameter {shortened(name)!r} is given more than once.")
