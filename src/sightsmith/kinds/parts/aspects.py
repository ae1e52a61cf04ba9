"""What can be explained of an answer: one of the things that it tells apart."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Aspect:
    """One thing that an answer tells, such as one of its labels."""

    index: int  # its place among the names
    name: str  # what it is called
    score: float  # what the answer gives it, higher is surer
