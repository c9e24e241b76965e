"""How far ahead of its receiver a lane claims: a fraction of a second's work, so that little waits when it slows."""

import time

#: Claims that a process holds of one webhook at the most: three rounds of what one statement claims.
IN_HAND_MOST = 600
#: How much work is claimed ahead.
AHEAD_SECONDS = 0.25


class Pace:
    """How many deliveries a second a lane has lately settled."""

    def __init__(self) -> None:
        self._per_second = 0.0
        self._counted = 0
        self._since = time.monotonic()

    def count(self, settled: int) -> None:
        """Take note of deliveries just settled."""
        self._counted += settled
        elapsed = time.monotonic() - self._since
        if elapsed >= AHEAD_SECONDS:
            self._per_second = (self._per_second + self._counted / elapsed) / 2
            self._counted, self._since = 0, self._since + elapsed

    def capacity(self, concurrency: int) -> int:
        """How many claims the lane may hold: twice what it may send at once, more where they go fast."""
        return max(2 * concurrency, min(IN_HAND_MOST, int(self._per_second * AHEAD_SECONDS)))
