"""Work that waits its turn, done by as many hands at once as there may be just now."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Work = TypeVar("Work")


class Turns(Generic[Work]):
    """Work in its order; a hand goes on from one piece to the next, so that none of them costs a task or a wait."""

    def __init__(
        self,
        most: Callable[[], int],
        do: Callable[[Work], Awaitable[None]],
        ended: Callable[[asyncio.Task[None]], None],
    ) -> None:
        """`most` gives how many hands there may be, asked whenever it matters; `do` does a piece of work.

        `ended` is told of each hand that has nothing more to do, or has failed.
        """
        self._most, self._do, self._ended = most, do, ended
        self._waiting: deque[Work] = deque()
        self._hands: set[asyncio.Task[None]] = set()

    @property
    def taken(self) -> int:
        """How many pieces are under way."""
        return len(self._hands)

    def __len__(self) -> int:
        """How many pieces are under way, or wait."""
        return len(self._hands) + len(self._waiting)

    def add(self, work: Work) -> None:
        """Have a piece of work done once it is its turn."""
        self._waiting.append(work)
        self.stir()

    def stir(self) -> None:
        """Begin what waits, as far as there may be hands now."""
        for _ in range(min(len(self._waiting), self._most() - len(self._hands))):
            hand = asyncio.create_task(self._go_on())
            self._hands.add(hand)
            hand.add_done_callback(self._end)

    async def done(self) -> None:
        """Return when nothing is under way and nothing waits."""
        while self._hands:
            await asyncio.wait(self._hands)

    def cancel(self) -> None:
        """Leave undone what is under way, and what waits."""
        self._waiting.clear()
        for hand in self._hands:
            hand.cancel()

    async def _go_on(self) -> None:
        while self._waiting and len(self._hands) <= self._most():
            await self._do(self._waiting.popleft())

    def _end(self, hand: asyncio.Task[None]) -> None:
        self._hands.discard(hand)
        self._ended(hand)
        # Something may have come between its last look and its end.
        self.stir()
