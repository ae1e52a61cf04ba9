"""Explaining one answer of a model by any method.

Shapes: H and W the picture's height and width, h and w the evidence's, T frames of a clip, C channels.
"""

from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sightsmith.core.catalogue import Catalogue
from sightsmith.core.errors import BackendError, SettingsError
from sightsmith.core.images import Picture
from sightsmith.core.placement import Placement
from sightsmith.core.ports import stack
from sightsmith.explanation import sanity as checks
from sightsmith.explanation.frames import frame_falls
from sightsmith.explanation.heat_map import project_evidence
from sightsmith.explanation.reasons import explain_reason
from sightsmith.explanation.record import Explanation
from sightsmith.explanation.sheet import NEAR, Frame, draw_sheet
from sightsmith.explanation.subject import Subject
from sightsmith.inputs import INPUTS, nouns_of
from sightsmith.kinds.parts.answer import Aspect
from sightsmith.runtime.predictor import Predictor

METHODS = Catalogue("sightsmith.explanation.methods", "explanation method")
"""The methods: `explanation/methods/NAME.py`.

A method's file has `NEEDS` ("any" backend or "torch"), `UNIT` (of its values; `{kind.STRENGTH}` in it is replaced by
that of the kind of answer), optionally `IN_TIME` (True: it explains clips too) and
`explain(model: Subject, pixels, aspect) -> raw`: its evidence for the aspect over the array of the input that
augmentation varies, `VARIED` of `sightsmith.inputs`. Of a picture, (H, W, C), it is (h, w), of a clip, (T, H, W, C), it
is (T, h, w), at any resolution in space, aligned to the input's edges, positive for the class. If the evidence is
coarser than its array, `cells(shape) -> sides` gives, for the shape of the input, the sides of the cells that have one
value each, in positions along the axes of the evidence. A method without cells may have `GRAIN`: how much to blur its
evidence for drawing, see `heat_map.project_evidence`. Placing it over the original, scaling, drawing and scoring are
shared by all methods.
"""
_TOP = 5


def explain(
    model: Predictor | Path | str,
    item: Any,
    *,
    method: str | None = None,
    label: str | None = None,
    sanity: bool = False,
) -> Explanation:
    """Explain why a model gives a class its score for a picture or a clip.

    Args:
        model: an opened model, or the path of its bundle.
        item: of the model's input.
        method: name of a file in `explanation/methods/`; None takes the one of the kind of answer, or `occlusion` if
            the model cannot give the map of that one.
        label: label, tag or number to explain; None takes the predicted one.
        sanity: also score the map (`sanity.py`), about a hundred more passes.

    Raises:
        SettingsError: no such method or class, or the method does not fit the input or the net.
        BackendError: the method needs PyTorch and it is not installed.
        PictureError: the picture or clip cannot be decoded.
    """
    if not isinstance(model, Predictor):
        with Predictor.open(model) as opened:
            return explain(opened, item, method=method, label=label, sanity=sanity)
    kind = model.kind
    if kind.METHOD is None:
        raise SettingsError(
            f"answers of the kind {model.definition.kind} have nothing that a map could explain. `sightsmith evaluate` "
            "measures such a model, and draws its answers in the report."
        )
    if not hasattr(INPUTS.module(model.definition.input), "VARIED"):
        raise SettingsError(f"the input {model.definition.input} has no pixels for a map.")
    method = method or _usual(model)
    file = _method(method)
    subject = Subject(model, model.bundle)
    _refuse_clips(file, method, subject)
    feeds, placement = model.placed(item)
    pixels = feeds[subject.array]
    answer = model.decode(model.run(stack([feeds]), model.outputs[:1]))[0]
    aspect = answer.aspect(label)
    raw = np.asarray(file.explain(subject, pixels, aspect), dtype=np.float32)
    shown = model.placement(item)
    drawn = _draw(subject, item, pixels, aspect, raw, shown, _grain(file, pixels))
    reasons, drawing = explain_reason(subject, item, pixels, answer.top(1)[0][0])
    return Explanation(
        method=method.replace("-", "_"),
        label=aspect.name,
        score=aspect.score,
        top=tuple(answer.top(_TOP)),
        map_HW=drawn.map_HW,
        raw=raw,
        unit=file.UNIT.format(kind=kind),
        box=shown.box,
        picture=drawn.picture,
        frames=drawn.frames,
        object_box=model.to_original(answer, placement).aspect(label).box,
        reasons=reasons,
        reason_picture=drawing,
        sanity=checks.judge(subject, file, pixels, aspect, raw) if sanity else None,
    )


class _Drawn(NamedTuple):
    """What an explanation shows."""

    picture: Picture
    map_HW: NDArray[np.float32]  # over the picture
    frames: tuple[Frame, ...] = ()  # of a clip


def _draw(
    subject: Subject,
    item: Any,
    pixels: NDArray[np.uint8],
    aspect: Aspect,
    raw: NDArray[np.float32],
    shown: Placement,
    grain: float,
) -> _Drawn:
    if raw.ndim == 2:
        return _Drawn(item, project_evidence(raw, shown.box, shown.size, grain))
    definition = subject.runner.definition
    frames = INPUTS.module(definition.input).shown(item, definition.input_settings, NEAR)
    falls_T = frame_falls(subject, pixels, aspect).tolist()
    told = [Frame(at, seconds, fall) for at, ((seconds, _), fall) in enumerate(zip(frames, falls_T, strict=True), 1)]
    return _Drawn(*draw_sheet([image for _, image in frames], told, raw, shown, grain), tuple(told))


def _refuse_clips(file: ModuleType, method: str, subject: Subject) -> None:
    """Raise if the input has a time, and the method's evidence has none."""
    definition = subject.runner.definition
    if len(definition.graph.inputs[subject.array].shape) == 4 and not getattr(file, "IN_TIME", False):
        several = nouns_of(definition.input)[1]
        raise SettingsError(
            f"{method} makes one map of one picture, and this model answers {several}, whose frames need a map each. "
            "Use occlusion or integrated_gradients."
        )


def _grain(file: ModuleType, pixels: NDArray[np.uint8]) -> float:
    """Return half a cell of a method's evidence, as a share of its longer side, or the blur that the method states."""
    if hasattr(file, "cells"):
        return float(max(file.cells(pixels.shape)[-2:]) / max(pixels.shape[-3:-1]) / 2)
    return float(getattr(file, "GRAIN", 0.0))


def _usual(model: Predictor) -> str:
    """Return the method of the kind of answer, if the graph has the output that it shows."""
    kind = model.kind
    return str(kind.METHOD) if kind.EVIDENCE is None or kind.EVIDENCE in model.outputs else "occlusion"


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
