"""The JSON of an answer, as the service's documentation shows it."""

from pydantic import BaseModel, Field


class TagScore(BaseModel):
    """One tag of a picture."""

    tag: str = Field(description="Name of the tag.")
    score: float = Field(description="How sure the model is that the picture has it, 0…1.")
    threshold: float = Field(description="Score from which the tag counts as present, 0…1.")
    present: bool = Field(description="Whether the score reaches the threshold.")


ANSWER = list[TagScore]
