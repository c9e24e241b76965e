"""The database's clock beside this process's own: what happened here, in the order in which it did, as told there."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

#: A look that came so much later than the best one is none that came late: one of the two clocks was set.
SET_SECONDS: Final = 5.0
_NOW: Final = partial(datetime.now, UTC)


class Clock:
    """How far ahead of this process's clock the database's is, as far as was seen.

    A look at it is always late by the time that its answer takes, so the least late one of all is the best. It becomes
    better in one direction only; so of two moments here the earlier one stays the earlier one there, whatever the
    machine has to do between.
    """

    def __init__(self, now: Callable[[], datetime] = _NOW) -> None:
        self._now = now
        self._ahead: timedelta | None = None

    def here(self, shown: datetime) -> datetime:
        """The moment of this process's clock when the database's showed what was just read of it."""
        ahead = shown - self._now()
        best = self._ahead
        if best is None or ahead > best or (best - ahead).total_seconds() > SET_SECONDS:
            self._ahead = best = ahead
        return shown - best
