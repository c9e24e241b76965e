"""Operations: what an operator has begun and workers go on with; kept, looked up, and cancelled."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from asyncpg import Record

from retailos.database.pool import Connection, Pool, acquire
from retailos.database.statements import load
from retailos.declare.values import printed
from retailos.errors import ResourceNotFound
from retailos.records.identity import new_id
from retailos.schedule import arm
from retailos.stints.feeding import AHEAD_FIRST

_SQL = load(__file__)
_INSERT, _FIND, _LIST, _HOLD, _ADVANCE = _SQL.insert, _SQL.find, _SQL.list, _SQL.hold, _SQL.advance
_CANCEL, _CANCEL_ALL, _GOES_ON = _SQL.cancel, _SQL.cancel_all, _SQL.goes_on
_COUNT_WAITING, _FORGET = _SQL.count_waiting, _SQL.forget

#: The kind of schedule that each step of an operation is a tick of, its id being the subject.
STEPS: Final = "operation"
KINDS: Final = ("requeue", "dismiss", "backfill", "resync")
STATUSES: Final = ("active", "completed", "cancelled")
#: The checkpoint of an operation that has dealt with no record yet.
BEFORE_ALL: Final = UUID(int=0)
#: Operations that have ended are looked up for so long.
KEPT_DAYS: Final = 90.0


class Operation(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An operation as it is shown: what it does, and how far it is."""

    id: UUID
    kind: str
    webhook_id: int
    cause: str
    status: str
    #: How many deliveries it was about when it began; of these so many are done, and others needed nothing any more.
    total: int
    done: int
    skipped: int
    #: Records a second at the most.
    rate: float | None
    selection: dict[str, Any]
    created_at: str
    ended_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Who asks for it: an operator with a key, or at the command line, or a webhook's own policy."""

    cause: str = "operator"
    request_id: UUID | None = None
    api_key_id: str | None = None


OPERATOR: Final = By()
POLICY: Final = By(cause="policy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be done."""

    kind: str
    webhook_id: int
    total: int
    selection: Mapping[str, Any]
    #: Records a second at the most; None: as many as the receiver takes.
    rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which operations are wanted: each None stands for any."""

    webhook_id: int | None = None
    kind: str | None = None
    status: str | None = None
    limit: int = 50
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An operation as a step of it needs it."""

    id: UUID
    kind: str
    webhook_id: int
    #: The kind of record that the webhook tells of.
    resource: str
    selection: Mapping[str, Any]
    rate: float | None
    after_id: UUID
    ahead: int
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What a step did: how many records it owed, and passed over, up to which, and whether it was the last."""

    done: int
    skipped: int
    after_id: UUID
    ended: bool


async def begin(transaction: Connection, order: Order, by: By) -> Operation:
    """Begin an operation; workers go on with it from the transaction's commit."""
    row = await transaction.fetchrow(
        _INSERT,
        new_id(),
        order.kind,
        order.webhook_id,
        by.cause,
        msgspec.json.encode(dict(order.selection)).decode(),
        order.rate,
        order.total,
        AHEAD_FIRST,
        by.request_id,
        by.api_key_id,
    )
    assert row is not None  # noqa: S101 - an insert that returns nothing raises
    await arm(transaction, STEPS, str(row["id"]))
    return _shown(row)


async def find(pool: Pool, operation_id: UUID) -> Operation:
    """Give one operation; ResourceNotFound if there is none, or none any more."""
    async with acquire(pool) as connection:
        row = await connection.fetchrow(_FIND, operation_id)
    if row is None:
        raise ResourceNotFound("There is no such operation; GET /v2/admin/operations lists them.")
    return _shown(row)


async def list_operations(pool: Pool, asked: Asked) -> list[Operation]:
    """List operations, newest first."""
    async with acquire(pool) as connection:
        which = (asked.webhook_id, asked.kind, asked.status)
        return [_shown(row) for row in await connection.fetch(_LIST, *which, asked.limit, asked.offset)]


async def cancel(pool: Pool, operation_id: UUID) -> Operation:
    """End an operation that goes on, after the step that is under way; what is done stays. Give it as it is then."""
    async with acquire(pool) as connection:
        await connection.execute(_CANCEL, operation_id)
    return await find(pool, operation_id)


async def cancel_all(transaction: Connection, webhook_id: int) -> None:
    """End all that goes on about a webhook, after the steps that are under way."""
    await transaction.execute(_CANCEL_ALL, webhook_id)


async def goes_on(transaction: Connection, webhook_id: int, kind: str) -> bool:
    """Whether an operation of this kind that the webhook's own policy has begun has not ended yet."""
    found: bool = await transaction.fetchval(_GOES_ON, webhook_id, kind)
    return found


async def hold(transaction: Connection, operation_id: UUID) -> Held | None:
    """Take an operation for the length of a step; None if it has ended."""
    row = await transaction.fetchrow(_HOLD, operation_id)
    if row is None:
        return None
    kept = {name: row[name] for name in Held.__slots__}
    return Held(**{**kept, "selection": msgspec.json.decode(row["selection"])})


async def advance(transaction: Connection, held: Held, moved: Moved, ahead: int) -> Operation:
    """Write down how far a step has come, as its checkpoint."""
    status = "completed" if moved.ended else "active"
    row = await transaction.fetchrow(_ADVANCE, held.id, moved.done, moved.skipped, moved.after_id, ahead, status)
    assert row is not None  # noqa: S101 - it is held
    return _shown(row)


async def count_waiting(transaction: Connection, webhook_id: int, most: int) -> int:
    """How many deliveries of a webhook wait for its receiver now, not for their batch; `most` stands for any more."""
    count: int = await transaction.fetchval(_COUNT_WAITING, webhook_id, most)
    return count


async def forget(pool: Pool) -> None:
    """Remove operations that ended long ago."""
    async with acquire(pool) as connection:
        await connection.execute(_FORGET, KEPT_DAYS)


def _shown(row: Record) -> Operation:
    return Operation(
        id=row["id"],
        kind=row["kind"],
        webhook_id=row["webhook_id"],
        cause=row["cause"],
        status=row["status"],
        total=row["total"],
        done=row["done"],
        skipped=row["skipped"],
        rate=row["rate"],
        selection=msgspec.json.decode(row["selection"]),
        created_at=printed(row["created_at"]),
        ended_at=None if row["ended_at"] is None else printed(row["ended_at"]),
    )
