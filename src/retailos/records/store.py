"""Records read: one by either of its ids, or a page of a list; PostgreSQL builds the JSON, we pass it on."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from asyncpg import Record

from retailos.database.pool import Connection, Pool, acquire
from retailos.declare.field import Field, Reference
from retailos.declare.resource import Resource, Resources
from retailos.errors import Merged
from retailos.records import cursor, named_sql, page
from retailos.records.query import Query
from retailos.records.reader import Reader


class Shown(NamedTuple):
    """A record as JSON text, and its version."""

    version: int
    json: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page's records as JSON text, separated by commas, and how many match in all, where that was asked."""

    count: int | None
    rows: str
    #: The cursor of the page behind it, if there is one.
    next_cursor: str | None


async def get_by_id(
    reader: Reader,
    resources: Resources,
    resource: Resource,
    record_id: UUID,
    show: tuple[Field | Reference, ...],
    *,
    deleted: bool = False,
) -> Shown | None:
    """Read a record by our id; a deleted one only if `deleted` asks for it, and else Merged if it is a merged one."""
    row = await reader.read(page.by_id(resources, resource, show), record_id)
    return await _shown(reader.pool, resource, row, deleted)


async def get(
    connection: Connection,
    resources: Resources,
    resource: Resource,
    record_id: UUID,
    show: tuple[Field | Reference, ...],
    *,
    deleted: bool = False,
) -> Shown | None:
    """As get_by_id, in the middle of a transaction."""
    row = await connection.fetchrow(page.by_id(resources, resource, show), [record_id])
    if survivor := _survivor(row, deleted):
        raise await merged(connection, resource, survivor)
    return _open(row, deleted)


async def just_made(
    connection: Connection,
    resources: Resources,
    resource: Resource,
    record_id: UUID,
    show: tuple[Field | Reference, ...],
) -> Shown:
    """Read a record that is known to be there, such as one that this transaction has made; it may be deleted by now."""
    shown = await get(connection, resources, resource, record_id, show, deleted=True)
    if shown is None:
        raise LookupError("expected the record that was just made")
    return shown


async def get_each(
    pool: Pool,
    resources: Resources,
    resource: Resource,
    record_ids: Sequence[UUID],
    show: tuple[Field | Reference, ...],
) -> dict[UUID, Shown]:
    """Read many records by our ids, deleted ones too, in one statement; those that there are, by their ids."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(page.by_id(resources, resource, show), record_ids)
    return {row["asked"]: Shown(row["version"], row["json"]) for row in rows}


async def get_by_external_id(
    reader: Reader,
    resources: Resources,
    resource: Resource,
    external_id: str,
    show: tuple[Field | Reference, ...],
    *,
    deleted: bool = False,
) -> Shown | None:
    """Read a record by its external id, or by one that it had before; deleted and merged ones as by our id."""
    row = await reader.read(page.by_external_id(resources, resource, show), external_id)
    return await _shown(reader.pool, resource, row, deleted)


async def _shown(pool: Pool, resource: Resource, row: Record | None, deleted: bool) -> Shown | None:
    if survivor := _survivor(row, deleted):
        async with acquire(pool) as connection:
            raise await merged(connection, resource, survivor)
    return _open(row, deleted)


def _survivor(row: Record | None, deleted: bool) -> UUID | None:
    """The record that one was merged into which so is not to be shown."""
    return row["merged_into_id"] if row and row["deleted"] and not deleted else None


def _open(row: Record | None, deleted: bool) -> Shown | None:
    return Shown(row["version"], row["json"]) if row and (deleted or not row["deleted"]) else None


async def merged(connection: Connection, resource: Resource, survivor: UUID) -> Merged:
    """The error that tells which record another was merged into."""
    [row] = await connection.fetch(named_sql.external_ids(resource), [survivor])
    return Merged(details={"resourceId": str(row["id"]), "externalId": row["external_id"]})


async def find(pool: Pool, resources: Resources, resource: Resource, query: Query) -> Page:
    """Read a page of a list and, if the query wants it, the exact number of all that match."""
    statement, values = page.page(resources, resource, query)
    async with acquire(pool) as connection:
        row = await connection.fetchrow(statement, *values)
    if row is None:
        raise LookupError("expected one row of an aggregate")
    follows = row["more"] and row["key"] is not None
    behind = cursor.written(query.asked, json.loads(row["key"])) if follows else None
    return Page(row["count"], row["rows"], behind)
