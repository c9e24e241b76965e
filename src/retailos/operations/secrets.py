"""Secrets at rest: sealed anew with the newest key, and told how they stand."""

import msgspec

from retailos import secrets
from retailos.database.pool import Pool, acquire, transaction
from retailos.errors import ConfigurationError
from retailos.secrets import FIRST, NO_KEY, Place, read_ring
from retailos.settings import Settings
from retailos.webhooks import orders

#: Sealed anew in one transaction; whoever saves a secret meanwhile waits for so many at most.
BATCH = 100


class SecretsState(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How the secrets stand: sealed with the newest key, with an older one, with none of ours, or not at all."""

    #: The id of the key that seals; None where there is no key.
    newest: str | None
    current: int
    older: int
    locked: int
    clear: int


class SecretsRotated(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many secrets were sealed anew, and how many are left that can't be, since they can't be opened."""

    sealed: int
    left: int


async def show_secrets(pool: Pool, settings: Settings) -> SecretsState:
    """Tell how the secrets of this database stand."""
    ring, counts = read_ring(settings.encryption_keys), await secrets.count_by_key(pool)
    known = sum(count for key_id, count in counts.items() if key_id in ring.keys)
    current = counts.get(ring.newest or "", 0)
    async with acquire(pool) as connection:
        clear = await orders.count_clear(connection)
    return SecretsState(
        newest=ring.newest,
        current=current,
        older=known - current,
        locked=sum(counts.values()) - known,
        clear=clear,
    )


async def seal_secrets(settings: Settings, pool: Pool) -> None:
    """Seal what an earlier version has stored in clear, if there is a key."""
    ring = read_ring(settings.encryption_keys)
    if ring.newest is not None:
        async with transaction(pool) as connection:
            await orders.seal(connection, ring)


async def rotate_secrets(pool: Pool, settings: Settings) -> SecretsRotated:
    """Seal every secret with the newest key, in batches, those included that an earlier version has stored in clear."""
    ring = read_ring(settings.encryption_keys)
    if ring.newest is None:
        raise ConfigurationError(f"Expected {NO_KEY}.")
    async with transaction(pool) as connection:
        sealed = await orders.seal(connection, ring)
    last: Place | None = FIRST
    while last is not None:
        async with transaction(pool) as connection:
            count, last = await secrets.reseal(connection, ring, last, BATCH)
        sealed += count
    counts = await secrets.count_by_key(pool)
    return SecretsRotated(sealed=sealed, left=sum(counts.values()) - counts.get(ring.newest, 0))
