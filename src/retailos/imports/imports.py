"""Imports as their senders know them: looked up, listed, cancelled, and the rows that were refused."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Record

from retailos.database.pool import Connection, Pool, acquire
from retailos.database.statements import load
from retailos.declare.resource import Resources
from retailos.declare.values import printed
from retailos.errors import ResourceNotFound
from retailos.imports.rows import Layout, header_again, layout_of, row_again

_SQL = load(__file__)
_FIND, _LIST, _CANCEL, _FAILURES, _FORGET = _SQL.find, _SQL.list, _SQL.cancel, _SQL.failures, _SQL.forget

STATUSES = ("uploading", "queued", "active", "completed", "failed", "cancelled")
#: Refused rows that are read at once; each may be as large as a record may be.
FAILURES_AT_ONCE = 64


class Import(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A file of records on its way: how far it is, and what came of its rows so far."""

    id: UUID
    resource: str
    format: str
    status: str
    created_at: str
    started_at: str | None
    ended_at: str | None
    #: Bytes that arrived, as they were sent, and the rows in them.
    bytes: int
    rows: int
    #: Rows that were read so far; of these some failed, and each of the others had an outcome.
    rows_read: int
    failed: int
    outcomes: dict[str, int]
    max_error_rate: float
    #: Why the import as a whole failed.
    error: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which imports are wanted; a status of None stands for any."""

    resources: Sequence[str]
    status: str | None = None
    limit: int = 50
    offset: int = 0


async def find(pool: Pool, import_id: UUID) -> Import:
    """Give one import; ResourceNotFound if there is none, or none any more."""
    return shown(await _row(pool, import_id))


async def sent_by(pool: Pool, import_id: UUID) -> str | None:
    """The id of the API key that sent an import's file; ResourceNotFound if there is no such import."""
    key_id: str | None = (await _row(pool, import_id))["api_key_id"]
    return key_id


async def list_imports(pool: Pool, asked: Asked) -> list[Import]:
    """List imports, newest first."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_LIST, list(asked.resources), asked.status, asked.limit, asked.offset)
    return [shown(row) for row in rows]


async def cancel(pool: Pool, import_id: UUID) -> Import:
    """End an import that has not ended; what is applied stays. Give it as it is then."""
    async with acquire(pool) as connection:
        await connection.execute(_CANCEL, import_id)
    return await find(pool, import_id)


async def failed_rows(pool: Pool, resources: Resources, import_id: UUID) -> AsyncGenerator[bytes, None]:
    """Give the rows that were refused, in the file's own format, with what is wrong with each, some at a time.

    ResourceNotFound if there is no such import. No connection is held while what was given is sent.
    """
    row = await _row(pool, import_id)
    layout = layout_of(resources, resources[row["resource"]], row["header"])
    return _failed_rows(pool, layout, import_id)


async def _failed_rows(pool: Pool, layout: Layout, import_id: UUID) -> AsyncGenerator[bytes, None]:
    yield header_again(layout)
    line = 0
    while True:
        async with acquire(pool) as connection:
            rows = await connection.fetch(_FAILURES, import_id, line, FAILURES_AT_ONCE)
        if not rows:
            return
        line = rows[-1]["line"]
        yield b"".join(
            row_again(layout, each["line"], each["data"], msgspec.json.decode(each["error"])) for each in rows
        )


async def forget(connection: Connection, resource: str, external_ids: Sequence[str]) -> None:
    """Remove what is kept of refused rows of these records, for whoever erases them."""
    await connection.execute(_FORGET, resource, list(external_ids))


async def _row(pool: Pool, import_id: UUID) -> Record:
    async with acquire(pool) as connection:
        row = await connection.fetchrow(_FIND, import_id)
    if row is None:
        raise ResourceNotFound("There is no such import; GET /v2/public/imports lists them.")
    return row


def shown(row: Record) -> Import:
    """Show an import's row."""
    times = {name: row[name] and printed(row[name]) for name in ("created_at", "started_at", "ended_at")}
    return Import(
        id=row["id"],
        resource=row["resource"],
        format=row["format"],
        status=row["status"],
        bytes=row["bytes"],
        rows=row["rows"],
        rows_read=row["rows_read"],
        failed=row["rows_failed"],
        outcomes=msgspec.json.decode(row["outcomes"]),
        max_error_rate=row["max_error_rate"],
        error=row["error"] and msgspec.json.decode(row["error"]),
        **times,
    )
