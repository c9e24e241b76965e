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


class Bucket:
    """A rate kept over a fraction of a second: what may go out now, and when there is more. It begins empty."""

    def __init__(self) -> None:
        self._per_second = 0.0
        self._left = 0.0
        self._at = time.monotonic()

    def fill(self, per_second: float) -> None:
        """Go on at this rate."""
        self._pour()
        self._per_second = per_second

    def room(self) -> int:
        """How many may go out now."""
        self._pour()
        return max(int(self._left), 0)

    def take(self, count: int) -> None:
        """Take note of what goes out; what is more than there was room for is made up for later."""
        self._pour()
        self._left -= count

    def seconds(self) -> float:
        """In how many seconds there is room for a good many, or for one where they are few."""
        wanted = max(1.0, self._most() / 2)
        return max((wanted - self._left) / self._per_second, 0.001) if self._per_second else AHEAD_SECONDS

    def _most(self) -> float:
        return max(1.0, self._per_second * AHEAD_SECONDS)

    def _pour(self) -> None:
        now = time.monotonic()
        self._left = min(self._left + (now - self._at) * self._per_second, self._most())
        self._at = now
