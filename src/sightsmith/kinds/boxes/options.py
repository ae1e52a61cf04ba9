"""Options of a detector's answer."""

from dataclasses import dataclass, field

from sightsmith.core.errors import SettingsError

_PAGE = {"page": 0.05}, {"page": 1000}
"""What the service's page asks once: all that its slider may show, since it filters by threshold itself."""


@dataclass(frozen=True, kw_only=True)
class Options:
    threshold: float | None = field(default=None, metadata={"ge": 0, "le": 1, "json_schema_extra": _PAGE[0]})
    """Least score of an object, 0…1; default: the calibrated threshold of each name."""
    iou: float | None = field(default=None, metadata={"ge": 0, "le": 1, "title": "Largest IoU"})
    """Two boxes of one name that overlap by more than this are one object, of which the better stays (non-maximum
    suppression by intersection over union), 0…1; 1 keeps all. Default: as the model was evaluated."""
    most: int = field(default=300, metadata={"ge": 1, "le": 1000, "json_schema_extra": _PAGE[1]})
    """Most objects of an answer, 1…1,000; the surest ones."""

    def __post_init__(self) -> None:
        for name in ("threshold", "iou"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise SettingsError(f"{name} must be 0…1, got {value:g}.")
        if not 1 <= self.most <= 1000:
            raise SettingsError(f"most must be 1…1,000, got {self.most:,}.")
