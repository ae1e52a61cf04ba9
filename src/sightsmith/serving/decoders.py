"""All that decodes for the models of a service: threads for pictures and large texts, and processes for clips."""

from sightsmith.serving.clip_decoders import ClipDecoders
from sightsmith.serving.threads import Threads


class Decoders(Threads):
    """Threads that decode pictures and large texts.

    Attributes:
        clips: as many processes that decode clips, with threads of their own: clips take so long that pictures would
            wait behind them. Not started yet.
    """

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.clips = ClipDecoders(count)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self.clips.shutdown(wait, cancel_futures=cancel_futures)
        super().shutdown(wait, cancel_futures=cancel_futures)
