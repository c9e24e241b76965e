"""When each key was used last: remembered to the minute, behind the requests' backs."""

import asyncio
import time

from retailos.database.pool import Pool
from retailos.errors import Unavailable
from retailos.keys import store

#: A key that is in use is written so often by one process; nobody asks for it to the second.
NOTED_SECONDS = 60.0
#: Keys in use at once; beyond it all count as new.
REMEMBERED = 10_000


class LastUsed:
    """The keys that this process has seen used, and the task that writes them down."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._noted: dict[str, float] = {}
        self._waiting: set[str] = set()
        self._writing: asyncio.Task[None] | None = None

    def note(self, key_id: str) -> None:
        """Note that a key is used; nobody waits for it to be written."""
        now = time.monotonic()
        if now < self._noted.get(key_id, now):
            return
        if len(self._noted) >= REMEMBERED:
            self._noted.clear()
        self._noted[key_id] = now + NOTED_SECONDS
        self._waiting.add(key_id)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())

    async def close(self) -> None:
        """Wait until what was noted is written."""
        if self._writing is not None:
            await self._writing

    async def _write(self) -> None:
        try:
            while self._waiting:
                key_ids, self._waiting = self._waiting, set()
                await store.remember_use(self._pool, key_ids)
        except Unavailable:
            # The next use in a minute is told as well, and whoever misses the database has worse to tell.
            return
        finally:
            self._writing = None
