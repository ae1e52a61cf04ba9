"""The part of an answer that is explained, such as one of its labels."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Aspect:
    """One part of an answer, such as one of its labels."""

    index: int  # its place among the names
    name: str
    score: float  # in the answer; higher is surer
