"""The truth of a picture: its tags, and those of which it is unknown."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Tagged:
    """The tags of one picture as indices of the names, in order."""

    present: tuple[int, ...]
    unknown: tuple[int, ...] = ()  # neither trained on nor measured
    closed: bool = True  # whether tags that are no names of the data are absent; else unknown
