"""What a text stream can hold."""

import codecs
from typing import TextIO


def is_utf8(stream: TextIO | None) -> bool:
    """Tell whether a stream holds every character; one without an encoding, such as StringIO, does."""
    encoding = getattr(stream, "encoding", None)
    return encoding is None or codecs.lookup(encoding).name == "utf-8"
