"""An eye on the change feed: it looks whether there is something new, once for all who wait."""

import asyncio
from contextlib import suppress

from retailos.database.pool import Pool
from retailos.errors import Unavailable
from retailos.records import feed
from retailos.records.feed import Position

LOOK_SECONDS = 0.2


class Watch:
    """Knows how far the feed is, as long as somebody waits to know."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._last: Position | None = None
        self._moved = asyncio.Event()
        self._waiting = 0
        self._looking: asyncio.Task[None] | None = None
        #: Nobody may wait any more: the process is about to end.
        self.closed = False

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
                    last = await feed.now(self._pool)
                    if last != self._last:
                        self._last = last
                        self._wake()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            self._looking = None

    def _wake(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()
