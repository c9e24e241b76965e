"""Openings: from when to when a webhook's breaker held what it was owed, kept for as long as attempts are."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from retailos.database.pool import Connection, Pool, acquire
from retailos.database.statements import load
from retailos.declare.values import printed
from retailos.deliveries.telling import Held

_SQL = load(__file__)
_LIST, _SINCE, _FORGET = _SQL.list, _SQL.since, _SQL.forget


class Opening(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One time at which a webhook's deliveries were held."""

    opened_at: str
    #: Null: they are held now.
    closed_at: str | None
    #: Requests that came to nothing in a row, probes among them.
    failures: int


async def openings(connection: Connection, webhook_id: int, limit: int, offset: int) -> list[Opening]:
    """List the openings of a webhook's breaker, the newest first."""
    return [
        Opening(
            opened_at=printed(row["opened_at"]),
            closed_at=None if row["closed_at"] is None else printed(row["closed_at"]),
            failures=row["failures"],
        )
        for row in await connection.fetch(_LIST, webhook_id, limit, offset)
    ]


async def held(connection: Connection, webhook_id: int, since: datetime, most: int) -> Sequence[Held]:
    """The last times at which a webhook's deliveries were held after a moment, and are no more; the oldest first."""
    rows = await connection.fetch(_SINCE, webhook_id, since, most)
    return [Held(at=row["opened_at"], until=row["closed_at"]) for row in rows]


async def forget(pool: Pool, days: int) -> None:
    """Remove openings that were over on other days than today and the last so many."""
    async with acquire(pool) as connection:
        await connection.execute(_FORGET, days)
