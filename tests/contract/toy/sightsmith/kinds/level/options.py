from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Options:
    digits: int = field(default=6, metadata={"ge": 0, "le": 6})
    """Digits of the level, 0…6."""
