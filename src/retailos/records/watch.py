"""An eye on the change feed: it looks whether there is something new, once for all who wait."""

import asyncio
import time
from contextlib import suppress

from retailos.database.pool import Pool
from retailos.errors import Unavailable
from retailos.records import feed
from retailos.records.feed import Position

LOOK_SECONDS = 0.2
#: With so many days of changes as are kept, asking how far the feed is takes the database a millisecond.
LATELY_SECONDS = 1.0


class Watch:
    """Knows how far the feed is, and looks as long as somebody waits for it to go on."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._last: Position | None = None
        self._asked = 0.0
        self._moved = asyncio.Event()
        self._waiting = 0
        self._looking: asyncio.Task[None] | None = None
        #: Nobody may wait any more: the process is about to end.
        self.closed = False

    async def lately(self) -> Position:
        """How far the feed was a second ago or later: what is read from now on, it shows or lies behind this."""
        if self._last is None or time.monotonic() - self._asked > LATELY_SECONDS:
            await self._ask()
        return self._last or feed.BEGINNING

    async def beyond(self, position: Position, seconds: float) -> bool:
        """Tell that the feed is beyond a position, as soon as it is; False when the seconds are over, or at the end."""
        self._waiting += 1
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            async with asyncio.timeout(seconds):
                while not self.closed and (self._last is None or self._last[:2] <= position[:2]):
                    await self._moved.wait()
            return not self.closed
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Let everybody go who waits."""
        self.closed = True
        self._wake()

    async def _look(self) -> None:
        try:
            while self._waiting and not self.closed:
                # While the database is away nothing is new; whoever waits asks it itself in the end.
                with suppress(Unavailable):
                    await self._ask()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            self._looking = None

    async def _ask(self) -> None:
        asked = time.monotonic()
        last = await feed.now(self._pool)
        self._asked = asked
        if last != self._last:
            self._last = last
            self._wake()

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()
