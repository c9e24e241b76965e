"""A hint to workers that something is due: sent outside the writing transaction, and never needed to be right.

NOTIFY inside the transaction would make every commit wait for every other; workers find what is due by asking, and the
hint only tells them to ask at once.
"""

import asyncio
from collections.abc import Callable

from retailos.database.pool import Pool, acquire
from retailos.errors import Unavailable

CHANNEL = "retailos_due"
#: Where one follows the other, workers are busy, and look by themselves as soon as they have room.
PAUSE_SECONDS = 0.02
#: A hint writes a transaction of its own, for which nobody needs to wait until it is on the disk.
_GIVE = f"set local synchronous_commit = off; notify {CHANNEL}"


async def tell(pool: Pool) -> None:
    """Tell the workers now, once what is due is committed."""
    async with acquire(pool) as connection:
        await connection.execute(_GIVE)


async def hear(pool: Pool, heard: asyncio.Event) -> None:
    """Set the event at each hint, until the connection ends."""
    ended = asyncio.Event()
    async with acquire(pool) as connection:
        listener = _setter(heard)
        connection.add_termination_listener(_setter(ended))
        await connection.add_listener(CHANNEL, listener)
        try:
            await ended.wait()
        finally:
            await connection.remove_listener(CHANNEL, listener)


def _setter(event: asyncio.Event) -> Callable[..., None]:
    return lambda *_: event.set()


class Hint:
    """Gives hints, many at once as one."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._wanted = False
        self._task: asyncio.Task[None] | None = None

    def give(self) -> None:
        """Tell the workers soon."""
        self._wanted = True
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Return when the last hint is sent."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while self._wanted:
                self._wanted = False
                await tell(self._pool)
                await asyncio.sleep(PAUSE_SECONDS)
        except Unavailable:
            # Whoever polls finds what is due all the same.
            pass
        finally:
            self._task = None
