"""`/livez` and `/readyz`."""

from typing import Any

from fastapi import APIRouter, Depends, Request, Response

from sightsmith.serving.dependencies import known_query, registry_of
from sightsmith.serving.schemas import Live, Ready, ReadyLine

_NOT_READY: dict[int | str, dict[str, Any]] = {503: {"model": Ready, "description": "Some model is not ready."}}

router = APIRouter(tags=["Health"], dependencies=[Depends(known_query)])


@router.get("/livez", summary="Does the process answer?")
async def livez() -> Live:
    """Answer whenever the process can."""
    return Live(live=True)


@router.get("/readyz", summary="Does every model answer right?", responses=_NOT_READY, response_model_exclude_none=True)
async def readyz(request: Request, response: Response) -> Ready:
    """Answer 200 when the live models give the outputs that their bundles promise, else 503 with the reason."""
    health = {name: model.health for name, model in registry_of(request).models.items()}
    wrong = [f"model {name!r}: {state.reason}" for name, state in health.items() if not state.ready]
    if wrong:
        response.status_code = 503
        response.headers["Retry-After"] = "5"
    return Ready(
        ready=not wrong,
        models={
            name: ReadyLine(ready=state.ready, reason=state.reason, checked=state.checked)
            for name, state in health.items()
        },
        error="; ".join(wrong) or None,
    )
