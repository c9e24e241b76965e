"""Claims whose answer was lost on the way: nobody knows what they took, so they are looked for and given back."""

from time import monotonic
from typing import Final
from uuid import UUID

from retailos.database.pool import Pool
from retailos.deliveries import register

#: After so long, no statement goes on that nobody hears of any more: its own timeout, twice.
LATE_SECONDS: Final = 60.0


class LostClaims:
    """The tokens of such claims, each looked for at once, and once more when it can't be claimed with any more."""

    def __init__(self, pool: Pool, webhook_id: int, late_seconds: float = LATE_SECONDS) -> None:
        self._pool, self._webhook_id, self._late_seconds = pool, webhook_id, late_seconds
        #: Each with the moment at which it is looked for.
        self._looks: list[tuple[float, UUID]] = []

    def __len__(self) -> int:
        """How many looks there are to come."""
        return len(self._looks)

    @property
    def due(self) -> bool:
        """Whether there is one to look for now."""
        now = monotonic()
        return any(at <= now for at, _ in self._looks)

    def add(self, token: UUID) -> None:
        """Look for what may have been claimed under this token."""
        now = monotonic()
        self._looks += ((now, token), (now + self._late_seconds, token))

    async def give_back(self) -> None:
        """Give back what is found now; Unavailable, and nothing is forgotten, while the database is away."""
        now = monotonic()
        for look in [each for each in self._looks if each[0] <= now]:
            await register.unclaim(self._pool, self._webhook_id, look[1])
            self._looks.remove(look)
