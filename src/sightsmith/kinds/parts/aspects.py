"""What can be explained of an answer: one of the things that it tells apart."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Aspect:
    """One thing that an answer tells, such as one of its labels.

    Attributes:
        index: its place among the names.
        name: what it is called.
        score: what the answer gives it, higher is surer.
    """

    index: int
    name: str
    score: float
