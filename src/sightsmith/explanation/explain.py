"""Explaining one answer of a model by any method.

Shapes: H and W the picture's height and width, h and w the evidence's.
"""

from pathlib import Path
from types import ModuleType

import numpy as np

from sightsmith.core.catalogue import Catalogue
from sightsmith.core.errors import BackendError, SettingsError
from sightsmith.core.images import Picture
from sightsmith.core.ports import stack
from sightsmith.explanation import sanity as checks
from sightsmith.explanation.heat_map import project_evidence
from sightsmith.explanation.reasons import explain_reason
from sightsmith.explanation.record import Explanation
from sightsmith.explanation.subject import Subject
from sightsmith.inputs.picture import PIXELS
from sightsmith.runtime.predictor import Predictor

METHODS = Catalogue("sightsmith.explanation.methods", "explanation method")
"""The methods: `explanation/methods/NAME.py`.

A method's file has `NEEDS` ("any" backend or "torch"), `UNIT` (of its values; `{kind.STRENGTH}` in it is replaced by
that of the kind of answer), optionally `GRAIN` (how much to
blur them for drawing, see `heat_map.project_evidence`) and `CELL` (if they are coarser than their array, see
`sanity.noise`) and
`explain(model: Subject, pixels_HWC, aspect) -> raw_hw`: its evidence for the aspect over the net's input, at any
resolution, aligned to the input's edges, positive for the class. Placing it over the original picture, scaling,
drawing and scoring are shared by all methods.
"""
_TOP = 5


def explain(
    model: Predictor | Path | str,
    picture: Picture,
    *,
    method: str | None = None,
    label: str | None = None,
    sanity: bool = False,
) -> Explanation:
    """Explain why a model gives a class its score for a picture.

    Args:
        model: an opened model, or the path of its bundle.
        method: name of a file in `explanation/methods/`; None takes the one of the kind of answer.
        label: label, tag or number to explain; None takes the predicted one.
        sanity: also score the map (`sanity.py`), about a hundred more passes.

    Raises:
        SettingsError: no such method or class, or the method does not fit the net.
        BackendError: the method needs PyTorch and it is not installed.
        PictureError: the picture cannot be decoded.
    """
    if not isinstance(model, Predictor):
        with Predictor.open(model) as opened:
            return explain(opened, picture, method=method, label=label, sanity=sanity)
    kind = model.kind
    if kind.METHOD is None:
        raise SettingsError(
            f"answers of the kind {model.definition.kind} have nothing that a map could explain. `sightsmith evaluate` "
            "measures such a model, and draws its answers in the report."
        )
    if PIXELS not in model.definition.graph.inputs:
        raise SettingsError(f"the input {model.definition.input} has no pixels for a map.")
    method = method or str(kind.METHOD)
    file = _method(method)
    subject = Subject(model, model.bundle)
    feeds, placement = model.placed(picture)
    pixels_HWC = feeds[PIXELS]
    answer = model.decode(model.run(stack([feeds]), model.outputs[:1]))[0]
    aspect = answer.aspect(label)
    raw_hw = np.asarray(file.explain(subject, pixels_HWC, aspect), dtype=np.float32)
    shown = model.placement(picture)
    reasons, drawing = explain_reason(subject, picture, pixels_HWC, answer.top(1)[0][0])
    return Explanation(
        method=method.replace("-", "_"),
        label=aspect.name,
        score=aspect.score,
        top=tuple(answer.top(_TOP)),
        map_HW=project_evidence(raw_hw, shown.box, shown.size, getattr(file, "GRAIN", 0.0)),
        raw_hw=raw_hw,
        unit=file.UNIT.format(kind=kind),
        box=shown.box,
        picture=picture,
        object_box=model.to_original(answer, placement).aspect(label).box,
        reasons=reasons,
        reason_picture=drawing,
        sanity=checks.judge(subject, file, pixels_HWC, aspect, raw_hw) if sanity else None,
    )


def _method(name: str) -> ModuleType:
    try:
        return METHODS.module(name)
    except ModuleNotFoundError as error:
        if error.name not in {"captum", "torch"}:
            raise
        raise BackendError(
            f"{name} needs {error.name}, which is not installed: pip install 'sightsmith[train]'. class_map and "
            "occlusion work without it."
        ) from error
