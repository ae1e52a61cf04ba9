"""The JSON of an answer, as the service's documentation shows it."""

from pydantic import BaseModel, Field


class PictureAnswer(BaseModel):
    """A generated picture."""

    width: int = Field(description="Its width in pixels.")
    height: int = Field(description="Its height in pixels.")
    b64_json: str = Field(description="The picture as PNG, in base64; it says inside that it was generated.")


ANSWER = PictureAnswer
