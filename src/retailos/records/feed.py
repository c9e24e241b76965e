"""The change feed: every committed change is seen by a reader that stores its cursor, in an order that has no gaps.

A column such as updatedAt can't be followed: a row that is stamped earlier can commit later. Changes carry the id of
the transaction that made them, and are read only once no transaction with a lower one can commit any more.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from asyncpg import Record

from retailos.database.pool import Connection, Pool, acquire
from retailos.database.statements import load
from retailos.declare.resource import Resources
from retailos.errors import CursorExpired, InvalidCursor
from retailos.records import page

_SQL = load(__file__)
_READ, _NOW = _SQL.read, _SQL.now
_CURSOR = re.compile(r"c([0-9]{1,19})\.([0-9]{1,18})\.([0-9a-f]{8})\Z")
#: The largest xid8 that is in anybody's use by far; PostgreSQL refuses one beyond 2^64.
_XID_MOST = 2**63
_EXPECTED = (
    "expected a nextCursor of this feed, a changesCursor of a list, beginning or now; or it is of another database"
)


class Position(NamedTuple):
    """How far a reader has read: the transaction, the change within it, and the history in which they are counted."""

    xid: int
    seq: int
    timeline: str


BEGINNING = Position(0, 0, "")


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A record that changed, as it is now."""

    resource: str
    id: UUID
    external_id: str
    operation: str
    version: int
    #: As it is printed.
    changed_at: str
    #: The entire object as JSON text; a tombstone has its deletedAt.
    json: str
    #: Where it stands in the feed: its transaction, and its number.
    xid: int
    seq: int


@dataclass(frozen=True, slots=True)
class Read:
    """Changes, each record once at its newest, the position behind them, and whether more are there already."""

    changes: tuple[Change, ...]
    position: Position
    more: bool

    def after(self, change: Change) -> Position:
        """Where a reader goes on that has processed this change and those before it."""
        return Position(change.xid, change.seq, self.position.timeline)


def written(position: Position) -> str:
    """Write a position as a cursor."""
    return f"c{position.xid}.{position.seq}.{position.timeline}"


def read_cursor(text: str) -> Position | None:
    """Read a cursor, or `beginning`; None stands for `now`. InvalidCursor if it is none of these."""
    if text == "beginning":
        return BEGINNING
    match = _CURSOR.match(text)
    if match and int(match[1]) < _XID_MOST:
        return Position(int(match[1]), int(match[2]), match[3])
    if text == "now":
        return None
    raise InvalidCursor(_EXPECTED)


async def now(pool: Pool) -> Position:
    """The position from which nothing that happens from now on is missed."""
    async with acquire(pool) as connection:
        return await end(connection)


async def end(connection: Connection) -> Position:
    """The same, as the transaction of this connection sees it."""
    row = await connection.fetchrow(_NOW)
    if row is None:
        raise LookupError("expected the one row of the feed's position")
    return Position(int(row["xid"]), row["seq"], row["timeline"])


async def read(
    pool: Pool,
    resources: Resources,
    wanted: Sequence[str],
    since: Position,
    limit: int,
    expand: Mapping[str, tuple[str, ...]],
) -> Read:
    """Read at most `limit` changes behind a position; a record that changed more than once among them comes once.

    Raises InvalidCursor for a position that this database never gave, CursorExpired where changes behind it are gone.
    """
    async with acquire(pool) as connection:
        found, last = await _behind(connection, wanted, since, limit)
        newest = _newest(found)
        records = await _records(connection, resources, newest, expand)
    changes = tuple(_change(row, records[row["record_id"]]) for row in newest)
    return Read(changes, _reached(found, last, limit), len(found) == limit)


async def changed(
    connection: Connection, wanted: Sequence[str], since: Position, limit: int
) -> tuple[tuple[UUID, ...], Position]:
    """Give the records of at most `limit` changes behind a position, each once, and the position behind these.

    Raises as `read` does.
    """
    found, last = await _behind(connection, wanted, since, limit)
    return tuple(dict.fromkeys(row["record_id"] for row in found)), _reached(found, last, limit)


async def _behind(
    connection: Connection, wanted: Sequence[str], since: Position, limit: int
) -> tuple[list[Record], Position]:
    """The rows of changes behind a position, and how far the feed is."""
    at, *rows = await connection.fetch(_READ, str(since.xid), since.seq, list(wanted), limit)
    last = Position(int(at["last_xid"]), at["last_seq"], at["timeline"])
    _check(since, last, expired=at["expired"])
    return rows, last


def _reached(found: Sequence[Record], last: Position, limit: int) -> Position:
    """Whoever asks for few resources need not come by all changes of the others again and again."""
    return _position(found[-1], last) if len(found) == limit else last


def _check(since: Position, last: Position, *, expired: bool) -> None:
    if since != BEGINNING and (since.timeline != last.timeline or since > last):
        raise InvalidCursor(_EXPECTED)
    if expired:
        raise CursorExpired


def _newest(rows: Sequence[Record]) -> list[Record]:
    """The last change of each record, in order: whoever has processed one has missed nothing before it."""
    newest = {row["record_id"]: row for row in rows}
    return [row for row in rows if newest[row["record_id"]] is row]


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


def _position(row: Record, last: Position) -> Position:
    return Position(row["xid"], row["seq"], last.timeline)


def _change(row: Record, record: Any) -> Change:
    *_, xid, seq, resource, record_id, changed_at = row
    return Change(
        resource=resource,
        id=record_id,
        external_id=record["external_id"],
        operation=record["operation"],
        version=record["version"],
        changed_at=changed_at,
        json=record["json"],
        xid=xid,
        seq=seq,
    )
