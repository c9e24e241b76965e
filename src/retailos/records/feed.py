"""The change feed: every committed change is seen by a reader that stores its cursor, in an order that has no gaps.

A column such as updatedAt can't be followed: a row that is stamped earlier can commit later. Changes carry the id of
the transaction that made them, and are read only once no transaction with a lower one can commit any more.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from asyncpg import Record

from retailos.database.pool import Connection, Pool, acquire
from retailos.database.statements import load
from retailos.declare.resource import Resources
from retailos.errors import InvalidCursor
from retailos.records import page

_SQL = load(__file__)
_READ, _NOW = _SQL.read, _SQL.now
_CURSOR = re.compile(r"c([0-9]{1,19})\.([0-9]{1,18})\Z")
#: The largest xid8 that is in anybody's use by far; PostgreSQL refuses one beyond 2^64.
_XID_MOST = 2**63


class Position(NamedTuple):
    """How far a reader has read: the transaction, and the change within it."""

    xid: int
    seq: int


BEGINNING = Position(0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A record that changed, as it is now."""

    resource: str
    id: UUID
    external_id: str
    operation: str
    version: int
    changed_at: datetime
    #: The entire object as JSON text; a tombstone has its deletedAt.
    json: str


@dataclass(frozen=True, slots=True)
class Read:
    """Changes, each record once at its newest, the position behind them, and whether more are there already."""

    changes: tuple[Change, ...]
    position: Position
    more: bool


def written(position: Position) -> str:
    """Write a position as a cursor."""
    return f"c{position.xid}.{position.seq}"


def read_cursor(text: str) -> Position | None:
    """Read a cursor, or `beginning`; None stands for `now`. InvalidCursor if it is none of these."""
    if text == "beginning":
        return BEGINNING
    match = _CURSOR.match(text)
    if match and int(match[1]) < _XID_MOST:
        return Position(int(match[1]), int(match[2]))
    if text == "now":
        return None
    raise InvalidCursor("expected a nextCursor of this feed, a changesCursor of a list, beginning or now")


async def now(pool: Pool) -> Position:
    """The position from which nothing that happens from now on is missed."""
    async with acquire(pool) as connection:
        return Position(int(await connection.fetchval(_NOW)), 0)


async def read(
    pool: Pool,
    resources: Resources,
    wanted: Sequence[str],
    since: Position,
    limit: int,
    expand: Mapping[str, tuple[str, ...]],
) -> Read:
    """Read at most `limit` changes behind a position; a record that changed more than once among them comes once."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_READ, str(since.xid), since.seq, list(wanted), limit)
        newest = {row["record_id"]: row for row in rows}
        records = await _records(connection, resources, list(newest.values()), expand)
    position = Position(int(rows[-1]["xid"]), rows[-1]["seq"]) if rows else since
    changes = tuple(_change(row, records[row["record_id"]]) for row in newest.values())
    return Read(changes, position, len(rows) == limit)


async def _records(
    connection: Connection, resources: Resources, rows: Sequence[Record], expand: Mapping[str, tuple[str, ...]]
) -> dict[UUID, Any]:
    ids: dict[str, list[UUID]] = {}
    for row in rows:
        ids.setdefault(row["resource"], []).append(row["record_id"])
    found: dict[UUID, Any] = {}
    for name, wanted in ids.items():
        statement = page.by_ids(resources, resources[name], expand.get(name, ()))
        found.update((row["id"], row) for row in await connection.fetch(statement, wanted))
    return found


def _change(row: Record, record: Any) -> Change:
    return Change(
        resource=row["resource"],
        id=row["record_id"],
        external_id=record["external_id"],
        operation=record["operation"],
        version=record["version"],
        changed_at=row["at"],
        json=record["json"],
    )
