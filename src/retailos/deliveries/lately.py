"""What was attempted lately: attempts as they are settled, for whoever watches."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import msgspec

from retailos.database.pool import Pool, acquire
from retailos.database.statements import load
from retailos.declare.resource import Resources
from retailos.declare.values import printed
from retailos.deliveries.deliveries import external_ids
from retailos.deliveries.name import delivery_id
from retailos.webhooks.webhook import Webhook

_SQL = load(__file__)
_HORIZON, _SETTLED = _SQL.horizon, _SQL.settled

#: Attempts that one look gives.
LOOK_MOST = 500


class Settled(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An attempt that was settled, in short."""

    at: str
    delivery_id: str
    webhook: str | None
    external_id: str | None
    version: int
    number: int
    #: Null: no answer came.
    status: int | None
    error_class: str | None
    milliseconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a look found, oldest first, and what it could see, for the next one to go on from."""

    sees: str
    #: From which moment on what it could not see may be settled.
    horizon: datetime
    rows: tuple[Settled, ...] = ()
    #: There was more than a look gives: the oldest are left out.
    cut: bool = False


async def look(
    pool: Pool, resources: Resources, orders: Sequence[Webhook], last: Look | None, webhook_id: int | None, failed: bool
) -> Look:
    """See what was settled since the last look, whichever worker did it; the first look finds nothing."""
    async with acquire(pool) as connection:
        # Before the look, so that whoever begins in between is seen by the next one.
        horizon = await connection.fetchval(_HORIZON)
        since = (None, None) if last is None else (last.sees, last.horizon)
        rows = await connection.fetch(_SETTLED, *since, webhook_id, failed, LOOK_MOST + 1)
        found = [row for row in rows if row["record_id"] is not None]
        names = await external_ids(connection, resources, orders, found)
    by_id = {each.id: each.name for each in orders}
    settled = [_settled(row, by_id.get(row["webhook_id"]), names.get(row["record_id"])) for row in found[:LOOK_MOST]]
    return Look(sees=rows[0]["sees"], horizon=horizon, rows=tuple(reversed(settled)), cut=len(found) > LOOK_MOST)


def _settled(row: asyncpg.Record, webhook: str | None, external_id: str | None) -> Settled:
    return Settled(
        at=printed(row["at"]),
        delivery_id=delivery_id(row["webhook_id"], row["record_id"]),
        webhook=webhook,
        external_id=external_id,
        version=row["version"],
        number=row["number"],
        status=row["status"],
        error_class=row["error_class"],
        milliseconds=round(row["milliseconds"], 3),
    )
