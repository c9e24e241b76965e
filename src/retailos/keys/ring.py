"""The key ring of a process: the keys that it has lately seen, so that few requests ask the database for theirs."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from retailos.database.pool import Pool, acquire
from retailos.keys import store
from retailos.keys.key import Key
from retailos.keys.text import Parts, digested, taken_apart

#: How long a process may go by what it read of a key: a revoked key is refused everywhere within 5 s.
FRESH_SECONDS = 2.0
#: Keys in use at once by one process; beyond it the oldest are read again.
REMEMBERED = 10_000


class _Proved(NamedTuple):
    """A key whose text was proved, and until when that counts, by the monotonic clock."""

    until: float
    key: Key


class KeyRing:
    """The keys of one environment that a process has lately seen, each read again when it is older than FRESH_SECONDS.

    Nobody is refused by what was read before he came: a secret opens from the moment on at which it is made.
    `proved` is told the id of each key that was proved right, at most once in FRESH_SECONDS for each key.
    """

    def __init__(
        self, pool: Pool, pepper: bytes | None, environment: str, proved: Callable[[str], None] = lambda _: None
    ) -> None:
        self._pool, self._pepper, self._environment, self._told = pool, pepper, environment, proved
        self._seen: dict[str, tuple[float, Key | None]] = {}
        self._proved: dict[str, _Proved] = {}

    def lately(self, text: str) -> Key | None:
        """Give the key that a text is, if that was proved within FRESH_SECONDS."""
        found = self._proved.get(text)
        return found.key if found is not None and time.monotonic() < found.until else None

    def was_proved(self, text: str) -> bool:
        """Tell whether a text was a key when it was last looked at, however long ago."""
        return text in self._proved

    async def recognise(self, text: str) -> Key | None:
        """Give the living key that a text is, or None."""
        key = self.lately(text)
        if key is None:
            proved = await self._prove(text)
            if proved is None:
                self._proved.pop(text, None)
                return None
            if len(self._proved) >= REMEMBERED:
                self._proved.clear()
            self._proved[text] = proved
            key = proved.key
            self._told(key.id)
        return key

    async def _prove(self, text: str) -> _Proved | None:
        parts = taken_apart(text)
        if parts is None or parts.environment != self._environment:
            return None
        asked, digest = time.monotonic(), await self._digested(parts)
        read_at, key = await self._known(parts.id)
        proved = _proved(read_at, key, digest)
        if proved is None and read_at < asked:
            # What is known may be older than the secret. Who guesses is counted before he comes here.
            proved = _proved(*await self._read(parts.id), digest)
        return proved

    async def _digested(self, parts: Parts) -> bytes:
        if self._pepper is None:
            async with acquire(self._pool) as connection:
                self._pepper = await store.pepper_of(connection, None)
        return digested(parts.secret, self._pepper)

    async def _known(self, key_id: str) -> tuple[float, Key | None]:
        """A key as it was read within FRESH_SECONDS, and when."""
        seen = self._seen.get(key_id)
        if seen and time.monotonic() - seen[0] < FRESH_SECONDS:
            return seen
        return await self._read(key_id)

    async def _read(self, key_id: str) -> tuple[float, Key | None]:
        asked = time.monotonic()
        key = await store.find(self._pool, key_id)
        while len(self._seen) >= REMEMBERED:
            self._seen.pop(next(iter(self._seen)))
        self._seen[key_id] = (asked, key)
        return asked, key


def _proved(read_at: float, key: Key | None, digest: bytes) -> _Proved | None:
    """What a key that was read then is to the secret of a digest; None where that opens nothing."""
    now = datetime.now(UTC)
    until = key.opens_until(digest, now) if key else None
    if key is None or until is None:
        return None
    left = min(read_at + FRESH_SECONDS - time.monotonic(), (until - now).total_seconds())
    return _Proved(time.monotonic() + left, key)
