"""Choosing the number of compute threads on a shared machine.

Threads that share a loop wait for the slowest of them. If another process holds one of the cores, that wait costs
more than the second core gives: two threads can then be several times slower than one. Only the rate shows it, so
the policy tries the numbers in turn, takes the quickest, and tries again when the rate changes or after a while.
"""

_SLOT_STEPS, _SLOT_SECONDS, _ROUNDS = 2, 0.2, 2
"""Minimum steps, minimum seconds and rounds of each trial; scheduler time slices are shorter."""
_WINDOW_SECONDS = 2.0  # Seconds of work whose rate is compared with the rate when the number was chosen
_FELL, _ROSE = 0.75, 1.33
_BETTER = 1.05  # Factor by which another number must be faster, because each change has a cost
_REST, _LONGEST_REST = 2, 10
"""Time between two trials, as multiples of a trial's time: minimum, and maximum at a steady rate."""


class ThreadPolicy:
    """Chooses the number of threads from reported rates. It reads no clock and sets no threads.

    Attributes:
        threads: the number to compute the next step with: `most` ≥ 1, half of it, or 1.
    """

    def __init__(self, most: int) -> None:
        self._candidates = sorted({1, max(1, most // 2), most}, reverse=True)
        self.threads = self._chosen = most
        self._first, self._settled, self._trial_seconds, self._rested = True, 0.0, 0.0, 0.0
        self._fresh, self._items, self._steps, self._seconds = True, 0, 0, 0.0
        self._start_trial("tried at the start")

    def note(self, items: int, seconds: float) -> str | None:
        """Record a step of `seconds` > 0 with `threads`; return a log line after the first choice and each change."""
        if len(self._candidates) == 1:
            return None
        if self._fresh:  # the first step with a number starts its threads
            self._fresh = False
            self._trial_seconds += seconds
            return None
        self._items, self._steps, self._seconds = self._items + items, self._steps + 1, self._seconds + seconds
        return self._try() if self._slots else self._watch()

    def _start_trial(self, why: str) -> None:
        self._why = why
        self._tried = {threads: [0.0, 0.0] for threads in self._candidates}
        self._slots = self._candidates * _ROUNDS
        self._trial_seconds = 0.0
        self._use(self._slots[0])

    def _use(self, threads: int) -> None:
        self._fresh, self.threads = True, threads
        self._items, self._steps, self._seconds = 0, 0, 0.0

    def _try(self) -> str | None:
        if self._steps < _SLOT_STEPS or self._seconds < _SLOT_SECONDS:
            return None
        sums = self._tried[self._slots.pop(0)]
        sums[0], sums[1] = sums[0] + self._items, sums[1] + self._seconds
        if self._slots:
            self._use(self._slots[0])
            return None
        return self._settle()

    def _settle(self) -> str | None:
        rates = {threads: items / seconds for threads, (items, seconds) in self._tried.items()}
        before = self._chosen
        best = max(rates, key=lambda threads: rates[threads] * (_BETTER if threads == before else 1))
        self._trial_seconds += sum(seconds for _, seconds in self._tried.values())
        self._chosen, self._settled, self._rested = best, rates[best], 0.0
        self._use(best)
        if best == before and not self._first:
            return None
        self._first = False
        told = ", ".join(f"{rate:,.0f} pictures/s with {threads}" for threads, rate in rates.items())
        return f"compute threads: {best} ({self._why}: {told})"

    def _watch(self) -> str | None:
        if self._steps < _SLOT_STEPS or self._seconds < _WINDOW_SECONDS:
            return None
        rate = self._items / self._seconds
        self._rested += self._seconds
        self._items, self._steps, self._seconds = 0, 0, 0.0
        changed = not _FELL <= rate / self._settled <= _ROSE
        if changed and self._rested >= _REST * self._trial_seconds:
            verb = "fell" if rate < self._settled else "rose"
            self._start_trial(f"the rate {verb} from {self._settled:,.0f} to {rate:,.0f} pictures/s")
        elif self._rested >= _LONGEST_REST * self._trial_seconds:
            self._start_trial("tried again")
        return None
