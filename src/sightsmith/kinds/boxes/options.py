"""Options of a detector's answer."""

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Options:
    threshold: float | None = field(default=None, metadata={"ge": 0, "le": 1})
    """Least score of an object, 0…1; default: the calibrated threshold of each name."""
    iou: float | None = field(default=None, metadata={"ge": 0, "le": 1})
    """Two boxes of one name that overlap by more than this are one object, of which the better stays (non-maximum
    suppression by intersection over union), 0…1; 1 keeps all. Default: as the model was evaluated."""
    most: int = field(default=300, metadata={"ge": 1, "le": 1000})
    """Most objects of an answer, 1…1,000; the surest ones."""
