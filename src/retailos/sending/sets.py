"""Settlements that wait to be taken by the set, one set after the other; none is lost while the database is away."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence

from retailos.deliveries.settlement import Settlement
from retailos.errors import Unavailable

#: What one statement settles: answers come faster than a commit is done.
SET_MOST = 1_000
#: While the database is away, what was answered waits here.
AGAIN_SECONDS = 0.2


async def _at_once() -> None:
    """Wait for nothing."""


class Sets:
    """Settlements in their order; while one set is taken, the next comes together."""

    def __init__(
        self,
        take: Callable[[Sequence[Settlement]], Awaitable[None]],
        ended: Callable[[asyncio.Task[None]], None],
        *,
        gather: Callable[[], Awaitable[None]] = _at_once,
    ) -> None:
        """`take` is given a set, and again if it was Unavailable; before each, `gather` may let more come.

        `ended` is told of the task that takes, when there is nothing more to take.
        """
        self._take, self._ended, self._gather = take, ended, gather
        self._waiting: deque[Settlement] = deque()
        self._under_way = 0
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many wait, or are being taken."""
        return len(self._waiting) + self._under_way

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def add(self, settlements: Iterable[Settlement]) -> Settlement | None:
        """Have these taken; give the last of them, None if there are none."""
        before = len(self._waiting)
        self._waiting.extend(settlements)
        if len(self._waiting) == before:
            return None
        if self._task is None:
            self._task = asyncio.create_task(self._go_on())
            self._task.add_done_callback(self._ended)
        return self._waiting[-1]

    async def done(self) -> None:
        """Return when everything is taken."""
        while self._task:
            await asyncio.wait([self._task])

    def cancel(self) -> None:
        """Leave what is not taken yet."""
        if self._task:
            self._task.cancel()

    async def _go_on(self) -> None:
        try:
            while self._waiting:
                await self._gather()
                some = [self._waiting.popleft() for _ in range(min(len(self._waiting), SET_MOST))]
                self._under_way = len(some)
                try:
                    await self._take(some)
                except Unavailable:
                    self._waiting.extendleft(reversed(some))
                    self._under_way = 0
                    await asyncio.sleep(AGAIN_SECONDS)
                self._under_way = 0
        finally:
            self._task = None
