from pydantic import BaseModel


class LevelAnswer(BaseModel):
    level: float


ANSWER = LevelAnswer
