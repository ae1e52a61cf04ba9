"""The JSON of an answer."""

from pydantic import BaseModel


class BoxCorners(BaseModel):
    """Edges in pixels of the upright picture, from its left and top."""

    xmin: float
    ymin: float
    xmax: float
    ymax: float


class BoxAnswer(BaseModel):
    label: str
    score: float
    box: BoxCorners


ANSWER = list[BoxAnswer]
