"""Counting repeated log lines instead of writing them, so that many failures do not fill the disk."""

import logging

_SECONDS = 10.0
_KINDS = 256
_LOGGERS = ("sightsmith.serving", "uvicorn.error", "asyncio")


class CountRepeats(logging.Filter):
    """Passes each kind of line once in ten seconds, with the number of lines suppressed since."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Suppress a line, or add the number of suppressed ones."""
        key = record.name, str(record.msg)[:60]
        last, held = self._seen.get(key, (-_SECONDS, 0))
        if record.created - last < _SECONDS:
            self._seen[key] = last, held + 1
            return False
        if len(self._seen) >= _KINDS:
            self._seen.clear()
        self._seen[key] = record.created, 0
        if held:
            record.msg, record.args = f"{record.getMessage()} (and {held:,} more like it before)", ()
        return True


_COUNTER = CountRepeats()


def count_repeats() -> None:
    """Count repeated log lines of the service, its server and its event loop."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_COUNTER)  # does nothing if it is there
