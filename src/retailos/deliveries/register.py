"""The register: which version of each record each webhook is to have; claimed, settled and rescued by the set."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID, uuid4

from asyncpg import Record

from retailos.database.pool import Connection, Pool, acquire, transaction
from retailos.database.statements import load
from retailos.deliveries.breaker import Breaker
from retailos.deliveries.claim import Claim
from retailos.deliveries.clock import Clock
from retailos.deliveries.settlement import Settlement
from retailos.deliveries.told import told_of

_SQL = load(__file__)
_OWE, _MARK, _CLAIM, _CLAIMED, _KNOWN = _SQL.owe, _SQL.mark, _SQL.claim, _SQL.claimed, _SQL.known
_SETTLE, _RELEASE, _WANTED = _SQL.settle, _SQL.release, _SQL.wanted
_LOCK, _MOMENT, _WAITING = _SQL.lock, _SQL.moment, _SQL.waiting
_ENLIST, _RENEW, _END_LEASES, _RESCUE = _SQL.enlist, _SQL.renew, _SQL.end_leases, _SQL.rescue
_DISMISS, _NEXT_DUE, _SWEEP_DELETED = _SQL.dismiss, _SQL.next_due, _SQL.sweep_deleted
_FOLD_TALLY, _TALLY_LENGTH = _SQL.fold_tally, _SQL.tally_length

#: Differences that a count may have to add up.
TALLY_MOST = 200


async def owe(
    transaction: Connection,
    webhook_id: int,
    record_ids: Sequence[UUID],
    versions: Sequence[int],
    *,
    again: bool = True,
    after_seconds: float = 0.0,
) -> int:
    """Owe records to a webhook outside of a write, as they are in these versions or later; give how many are owed.

    They are sent once more whatever is acknowledged, also what failed or was dismissed; with `again` off only where
    the version was not wanted yet. What waits for a later time is due after these seconds at the latest.
    """
    owed: int = await transaction.fetchval(_OWE, webhook_id, record_ids, versions, again, after_seconds)
    return owed


async def mark(transaction: Connection, webhook_id: int, record_ids: Sequence[UUID], versions: Sequence[int]) -> int:
    """Owe records whose versions stand, and which may be shown otherwise since others changed; give how many.

    They are sent unless that is what the receiver was told. What waits to be sent is not in need of it, what was
    dismissed and what waits for a person stays.
    """
    marked: int = await transaction.fetchval(_MARK, webhook_id, record_ids, versions)
    return marked


async def claim(pool: Pool, webhook_id: int, most: int, worker_id: int, token: UUID) -> list[Claim]:
    """Take at most `most` of what is due of a webhook; nothing, once the worker's lease has run out.

    After Unavailable it may have been done all the same: `unclaim` the token before the next.
    """
    async with acquire(pool) as connection:
        rows = await connection.fetch(_CLAIM, webhook_id, most, token, worker_id)
    return [
        Claim(record_id, token, attempts, acknowledged, again, passed, told, due_at=due_at)
        for record_id, attempts, acknowledged, again, passed, told, due_at in rows
    ]


class Settled(NamedTuple):
    """What came of a settlement."""

    #: How many of the claims still held.
    held: int
    #: Which settlements are still to be made, counted from 0, since somebody else has their registers locked.
    busy: frozenset[int]


async def settle(
    pool: Pool,
    webhook_id: int,
    settlements: Sequence[Settlement],
    doubt_seconds: float,
    *,
    every: bool = False,
    skips: bool = False,
    careful: bool = False,
    clock: Clock | None = None,
) -> Settled:
    """Record what became of claims, all in one transaction, but of those that somebody has locked.

    The `careful` way waits for locks, and writes nothing into the history that stands there since a settlement whose
    answer was lost. A request that ended without an answer may still be applied for so many seconds after it was given
    up. Where every change is sent, a change that failed is waited for until somebody requeues it, unless the webhook
    `skips` it. The moments of attempts are counted back from the database's now, which is held against the `clock` of
    whoever sent.
    """
    # The moments of a batch and of its halves are close, so it has to be known well which moment of ours that now is.
    together = careful or any(each.sent for each in settlements)
    async with transaction(pool) if together else acquire(pool) as connection:
        # Only here, since a connection may have to be waited for.
        here = (clock or Clock()).here(await connection.fetchval(_MOMENT)) if together else datetime.now(UTC)
        if careful:
            # A second statement sees what those did who had the locks.
            await connection.execute(_LOCK, webhook_id, [each.claim.record_id for each in settlements])
        told = told_of(settlements, here)
        [row] = await connection.fetch(_SETTLE, webhook_id, doubt_seconds, every, skips, *told, careful)
    return Settled(row["held"], frozenset(row["busy"]))


async def known(connection: Connection, webhook_id: int, record_id: UUID) -> Claim:
    """What is known of a record's receiver, as a claim that nobody holds: as if it were to be sent once more."""
    row = await connection.fetchrow(_KNOWN, webhook_id, record_id)
    acknowledged, word = (0, None) if row is None else (row["acknowledged"], row["told"])
    return Claim(record_id, uuid4(), 1, acknowledged, again=True, told=word)


async def wanted(pool: Pool, webhook_id: int, record_ids: Sequence[UUID]) -> dict[UUID, int]:
    """Give which versions of some records a webhook is to have."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_WANTED, webhook_id, record_ids)
    return {row["record_id"]: row["wanted"] for row in rows}


async def waiting(pool: Pool, webhook_id: int, most: int) -> tuple[int, float]:
    """How many deliveries of a webhook are due, at most `most`, and for how many seconds the first has been."""
    async with acquire(pool) as connection:
        [row] = await connection.fetch(_WAITING, webhook_id, most)
    return row["due"], row["seconds"]


async def release(pool: Pool, webhook_id: int, claims: Sequence[Claim]) -> None:
    """Give back claims that were not sent, without counting an attempt."""
    async with acquire(pool) as connection:
        await connection.execute(
            _RELEASE,
            webhook_id,
            [each.record_id for each in claims],
            [each.token for each in claims],
            [each.again for each in claims],
            [each.told for each in claims],
        )


async def unclaim(pool: Pool, webhook_id: int, token: UUID) -> None:
    """Give back a claim whose answer was lost on the way, so that nobody knows what it took."""
    async with acquire(pool) as connection:
        taken = [row["record_id"] for row in await connection.fetch(_CLAIMED, webhook_id, token)]
    if taken:
        # Why they were claimed is lost as well; one request too many is no harm.
        await release(pool, webhook_id, [Claim(each, token, 0, 0, True) for each in taken])


async def dismiss(transaction: Connection, webhook_id: int, record_ids: Sequence[UUID] | None, most: int) -> int:
    """Set failed deliveries of a webhook aside, all (None) or those of some records; give how many, `most` at the most.

    A dismissed delivery is owed again when its record changes, or when somebody owes it.
    """
    dismissed: int = await transaction.fetchval(_DISMISS, webhook_id, record_ids, most)
    return dismissed


async def enlist(pool: Pool, name: str, lease_seconds: float) -> int:
    """Begin a worker's lease; give the worker's id."""
    async with acquire(pool) as connection:
        worker_id: int = await connection.fetchval(_ENLIST, name, lease_seconds)
    return worker_id


async def renew(pool: Pool, worker_id: int, lease_seconds: float) -> bool:
    """Prolong a lease; False where it has run out already."""
    async with acquire(pool) as connection:
        return await connection.fetchval(_RENEW, worker_id, lease_seconds) is not None


async def rescue(transaction: Connection, late_seconds: float, leaving: int | None = None) -> dict[str, int]:
    """Owe again what dead workers, and one that is `leaving`, had claimed; give how many claims there were by name.

    What they had sent may be applied as late as so many seconds after the webhook's timeout.
    """
    dead = await transaction.fetch(_END_LEASES, leaving)
    # A second statement, since its snapshot must show the claims for whose end the first one waited.
    return {row["name"]: await transaction.fetchval(_RESCUE, [row["id"]], late_seconds) for row in dead}


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """When a webhook has something to send, and how its breaker stands."""

    seconds: float
    breaker: Breaker


async def next_due(pool: Pool) -> dict[int, Next]:
    """Give for each active webhook in how many seconds it has something to send, at the earliest with a probe."""
    async with acquire(pool) as connection:
        return {row["id"]: _next(row) for row in await connection.fetch(_NEXT_DUE)}


def _next(row: Record) -> Next:
    told = ("failures", "probe_seconds", "closed_seconds")
    return Next(seconds=row["seconds"], breaker=Breaker(**{name: row[name] for name in told}))


async def tidy(pool: Pool) -> None:
    """Fold the tally where it has grown long, and sweep what writes still owed to deleted webhooks."""
    async with acquire(pool) as connection:
        await connection.execute(_SWEEP_DELETED)
        if await connection.fetchval(_TALLY_LENGTH) > TALLY_MOST:
            await connection.execute(_FOLD_TALLY)
