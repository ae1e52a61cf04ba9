"""An axis of time: round moments on it, and how a moment is told."""

import math

_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400)


def round_moments(start: float, end: float, most: int) -> list[float]:
    """Return round moments from `start` to `end`, in seconds, some `most` of them."""
    step = float(next((step for step in _STEPS if (end - start) / step <= most), _STEPS[-1]))
    while (end - start) / step > most:
        step *= 2
    first, last = math.ceil(start / step - 1e-6), math.floor(end / step + 1e-6)
    return [round(number * step, 3) for number in range(first, last + 1)]


def clock(seconds: float, whole: float) -> str:
    """Return a moment of a video of `whole` seconds: `0`, `7.5 s`, `12:05.3` minutes, or `3:00:00` hours."""
    if seconds == 0:
        return "0"
    if whole < 60:
        return f"{seconds:.3g} s"
    if whole >= 3600:
        return f"{int(seconds) // 3600}:{int(seconds) % 3600 // 60:02}:{int(seconds) % 60:02}"
    minutes, rest = divmod(round(seconds, 1), 60)
    return f"{minutes:.0f}:{rest:02.0f}" if rest == int(rest) else f"{minutes:.0f}:{rest:04.1f}"
