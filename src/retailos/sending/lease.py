"""A worker's lease: the right to claim and to send, as long as it is renewed in time."""

import time

from retailos.database.pool import Pool
from retailos.deliveries import register


class Lease:
    """A lease of some seconds, counted from before it was asked for, so never too long."""

    def __init__(self, pool: Pool, name: str, seconds: float) -> None:
        self.name = name
        #: Whom the register knows the worker as, also once the lease is over; None before the first.
        self.worker_id: int | None = None
        self._pool, self._seconds = pool, seconds
        self._until = 0.0

    async def take(self) -> None:
        """Take a lease, under an id that no worker has had."""
        asked = time.monotonic()
        self.worker_id = await register.enlist(self._pool, self.name, self._seconds)
        self._until = asked + self._seconds

    async def renew(self) -> None:
        """Hold it for as long again, or take another where it is over."""
        asked = time.monotonic()
        if self.worker_id is not None and await register.renew(self._pool, self.worker_id, self._seconds):
            self._until = asked + self._seconds
        else:
            # Others have rescued what was claimed under the old one, or will.
            await self.take()

    def holder(self) -> int | None:
        """The worker's id while its lease holds, by this process's own clock; else None."""
        return self.worker_id if time.monotonic() < self._until else None
