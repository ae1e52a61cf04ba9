"""What `explain` can be told; each field is a flag and a Python argument, and its text the help. Imports no NumPy."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class ExplainSettings:
    method: str = "class_map"
    """class_map, occlusion (any backend); gradcam, hirescam, integrated_gradients, attention (torch)."""
    label: str | None = None
    """The class; by default the predicted one."""
    sanity: bool = False
    """Score the map too: deletion and insertion, against random maps."""
