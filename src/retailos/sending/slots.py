"""Places for what is under way at once, whose number may change while others wait for one."""

import asyncio
from collections import deque
from collections.abc import Callable


class Slots:
    """Places for requests under way at once, as many as there may be just now."""

    def __init__(self, most: Callable[[], int]) -> None:
        """`most` gives how many there may be; it is asked whenever one is wanted or given up."""
        self.taken = 0
        self._most = most
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def __aenter__(self) -> None:
        """Wait for a place; whoever waited longest gets it."""
        if not self._waiting and self.taken < self._most():
            self.taken += 1
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                # It had its place already.
                self._give_up()
            raise

    async def __aexit__(self, *_: object) -> None:
        """Give the place up."""
        self._give_up()

    def stir(self) -> None:
        """Let in who waits, as far as there are places now."""
        while self._waiting and self.taken < self._most():
            waiter = self._waiting.popleft()
            if not waiter.done():
                self.taken += 1
                waiter.set_result(None)

    def _give_up(self) -> None:
        self.taken -= 1
        self.stir()
