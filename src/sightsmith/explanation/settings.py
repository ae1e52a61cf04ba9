"""Settings of `explain`; each field is a flag and a Python argument, and its text the help. Imports no NumPy."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class ExplainSettings:
    method: str | None = None
    """class_map, occlusion, drise (any backend); gradcam, hirescam, integrated_gradients, attention (torch). By default
    the map that the model itself gives, class_map; of a detector, which gives none, drise."""
    label: str | None = None
    """Label, tag or number to explain, or the label of an object; by default the predicted one, or the surest."""
    sanity: bool = False
    """Score the map too: deletion and insertion, against random maps."""
