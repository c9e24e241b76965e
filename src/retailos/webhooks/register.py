"""The register: which version of each record each webhook is to have; claimed, settled and rescued by the set."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from retailos.database.pool import Connection, Pool, acquire
from retailos.database.statements import load
from retailos.webhooks.claim import Claim
from retailos.webhooks.exchange import Reply
from retailos.webhooks.outcome import Delivered, Failed, Outcome, Retry
from retailos.webhooks.settlement import Settlement

_SQL = load(__file__)
_CLAIM, _CLAIMED, _SETTLE, _RELEASE = _SQL.claim, _SQL.claimed, _SQL.settle, _SQL.release
_ENLIST, _RENEW, _DISMISS, _RESCUE = _SQL.enlist, _SQL.renew, _SQL.dismiss, _SQL.rescue
_NEXT_DUE, _SWEEP_DELETED = _SQL.next_due, _SQL.sweep_deleted
_FOLD_TALLY, _TALLY_LENGTH = _SQL.fold_tally, _SQL.tally_length

#: Differences that a count may have to add up.
TALLY_MOST = 200


async def claim(pool: Pool, webhook_id: int, most: int, worker_id: int, token: UUID) -> list[Claim]:
    """Take at most `most` of what is due of a webhook; nothing, once the worker's lease has run out.

    After Unavailable it may have been done all the same: `unclaim` the token before the next.
    """
    async with acquire(pool) as connection:
        rows = await connection.fetch(_CLAIM, webhook_id, most, token, worker_id)
    return [Claim(row["record_id"], token, row["attempts"], row["acknowledged"]) for row in rows]


async def settle(pool: Pool, webhook_id: int, settlements: Sequence[Settlement]) -> int:
    """Record what became of attempts, all in one statement; give how many of the claims still held."""
    async with acquire(pool) as connection:
        held: int = await connection.fetchval(
            _SETTLE,
            webhook_id,
            [each.claim.record_id for each in settlements],
            [each.claim.token for each in settlements],
            [each.version for each in settlements],
            [status_of(each.outcome) for each in settlements],
            [each.outcome.after_seconds if isinstance(each.outcome, Retry) else None for each in settlements],
            [each.outcome.ambiguous for each in settlements],
            [None if isinstance(each.outcome, Delivered) else each.outcome.error_class for each in settlements],
            [each.claim.attempt for each in settlements],
            [each.request_id for each in settlements],
            [each.url for each in settlements],
            [each.reply.status for each in settlements],
            [_kept(each.reply.detail) or None for each in settlements],
            [each.reply.milliseconds for each in settlements],
            [_headers(each.reply) for each in settlements],
            [each.reply.body for each in settlements],
            [each.reply.truncated for each in settlements],
        )
    return held


def status_of(outcome: Outcome) -> str:
    """The register's word for an outcome."""
    match outcome:
        case Delivered():
            return "delivered"
        case Retry():
            return "retrying"
        case Failed():
            return "failed"


def _headers(reply: Reply) -> str | None:
    if not reply.headers:
        return None
    return msgspec.json.encode([[_kept(each) for each in pair] for pair in reply.headers]).decode()


def _kept(text: str) -> str:
    """What the other side said, without the NUL that PostgreSQL can't keep."""
    return text.replace("\x00", "")


async def release(pool: Pool, webhook_id: int, claims: Sequence[Claim]) -> None:
    """Give back claims that were not sent, without counting an attempt."""
    async with acquire(pool) as connection:
        await connection.execute(
            _RELEASE, webhook_id, [each.record_id for each in claims], [each.token for each in claims]
        )


async def unclaim(pool: Pool, webhook_id: int, token: UUID) -> None:
    """Give back a claim whose answer was lost on the way, so that nobody knows what it took."""
    async with acquire(pool) as connection:
        taken = [row["record_id"] for row in await connection.fetch(_CLAIMED, webhook_id, token)]
    if taken:
        await release(pool, webhook_id, [Claim(each, token, 0, 0) for each in taken])


async def enlist(pool: Pool, name: str, lease_seconds: float) -> int:
    """Begin a worker's lease; give the worker's id."""
    async with acquire(pool) as connection:
        worker_id: int = await connection.fetchval(_ENLIST, name, lease_seconds)
    return worker_id


async def renew(pool: Pool, worker_id: int, lease_seconds: float) -> bool:
    """Prolong a lease; False where it has run out already."""
    async with acquire(pool) as connection:
        return await connection.fetchval(_RENEW, worker_id, lease_seconds) is not None


async def rescue(transaction: Connection, leaving: int | None = None) -> dict[str, int]:
    """Owe again what dead workers, and one that is `leaving`, had claimed; give how many claims there were by name."""
    dead = await transaction.fetch(_DISMISS, leaving)
    # A second statement, since its snapshot must show the claims for whose end the first one waited.
    return {row["name"]: await transaction.fetchval(_RESCUE, [row["id"]]) for row in dead}


async def next_due(pool: Pool) -> dict[int, float]:
    """Give for each active webhook in how many seconds it has something to send."""
    async with acquire(pool) as connection:
        return {row["id"]: row["seconds"] for row in await connection.fetch(_NEXT_DUE)}


async def tidy(pool: Pool) -> None:
    """Fold the tally where it has grown long, and sweep what writes still owed to deleted webhooks."""
    async with acquire(pool) as connection:
        await connection.execute(_SWEEP_DELETED)
        if await connection.fetchval(_TALLY_LENGTH) > TALLY_MOST:
            await connection.execute(_FOLD_TALLY)
