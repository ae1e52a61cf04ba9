"""The truth of a picture: its tags, and the tags that are unknown for it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Tagged:
    """The tags of one picture as indices of the names, in order."""

    present: tuple[int, ...]
    unknown: tuple[int, ...] = ()  # neither trained on nor measured
    closed: bool = True  # whether tags that the data does not name are absent; else they are unknown
