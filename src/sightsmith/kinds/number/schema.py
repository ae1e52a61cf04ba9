"""The JSON of an answer, as the service's documentation shows it."""

from pydantic import BaseModel, Field


class NumberAnswer(BaseModel):
    """The number of a picture."""

    value: float = Field(description="The number.")
    low: float | None = Field(description="Lower end of its prediction interval; null if none was calibrated.")
    high: float | None = Field(description="Upper end.")
    coverage: float | None = Field(description="Share of new pictures whose number is within, 0…1.")
    unit: str = Field(description="Unit of the numbers; empty if none was given.")


ANSWER = NumberAnswer
