"""The JSON of an answer, as the service's documentation shows it."""

from pydantic import BaseModel, Field


class LabelScore(BaseModel):
    """One class of a picture."""

    label: str = Field(description="Name of the class.")
    score: float = Field(description="Its probability, 0…1.")


ANSWER = list[LabelScore]
