"""Statistics: what came of deliveries, by the minute, as settlements have counted it."""

from datetime import datetime

import msgspec

from retailos.database.pool import Pool, acquire
from retailos.database.statements import load
from retailos.declare.values import printed

_SQL = load(__file__)
_READ, _NOW, _FOLD = _SQL.read, _SQL.now, _SQL.fold

#: Steps that are read at once; a page draws no more.
STEPS_MOST = 1_500
STEP_MINUTES_MOST = 1_440


class Step(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What came of deliveries in one step of time."""

    at: str
    delivered: int
    failed: int
    #: Attempts that are to be made again later.
    retried: int
    #: Deliveries that had nothing to say, and were settled without a request.
    skipped: int
    #: Seconds from when a delivery was due until it was delivered; null where none was.
    lag_mean: float | None
    lag_most: float | None


async def read(pool: Pool, webhook_id: int | None, begin: datetime, end: datetime, step_minutes: int) -> list[Step]:
    """What came of deliveries of a webhook, or of all, in each step in which anything happened."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_READ, webhook_id, begin, end, step_minutes)
    return [Step(**{**row, "at": printed(row["at"])}) for row in rows]


async def now(pool: Pool) -> datetime:
    """The minute that is under way, by the database's clock."""
    async with acquire(pool) as connection:
        minute: datetime = await connection.fetchval(_NOW)
    return minute


async def fold(pool: Pool) -> None:
    """Fold what several settlements counted into one row for each webhook and minute."""
    async with acquire(pool) as connection:
        await connection.execute(_FOLD)
