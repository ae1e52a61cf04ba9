"""Finding in a request what it is about: the models served, one of them, the parameters a route knows."""

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass

from fastapi import Request
from fastapi.routing import APIRoute

from sightsmith.core.names import did_you_mean, shortened
from sightsmith.serving.failures import RefusalError, refuse_unknown
from sightsmith.serving.served import ServedModel
from sightsmith.serving.settings import ServeSettings
from sightsmith.serving.uploads import Held


@dataclass(frozen=True, slots=True)
class Registry:
    """The models of a service and what they share."""

    models: Mapping[str, ServedModel]
    settings: ServeSettings
    decoders: Executor
    held: Held

    def model(self, name: str) -> ServedModel:
        """Return a model by name.

        Raises:
            RefusalError: 404, with the nearest names.
        """
        if name not in self.models:
            raise RefusalError(404, f"there is no model {shortened(name)!r}. {did_you_mean(name, self.models)}")
        return self.models[name]


def registry_of(request: Request) -> Registry:
    """Return the registry of the app that answers a request."""
    registry: Registry = request.app.state.registry
    return registry


def known_query(request: Request) -> None:
    """Refuse a query parameter that the route does not have, or that is given twice.

    Raises:
        RefusalError: 400, with the nearest names.
    """
    route = request.scope.get("route")
    known = tuple(field.alias for field in route.dependant.query_params) if isinstance(route, APIRoute) else ()
    refuse_unknown(request.query_params, known, "query parameter")
    for name in request.query_params:
        if len(request.query_params.getlist(name)) > 1:
            raise RefusalError(400, f"query parameter {shortened(name)!r} is given more than once.")
