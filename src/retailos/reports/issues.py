"""Issues as they are kept: made of what has failed, in one snapshot, and their mail settled attempt by attempt."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Final
from uuid import UUID

import asyncpg
import msgspec

from retailos.database.pool import Connection, Pool, acquire
from retailos.database.statements import load
from retailos.declare.values import printed
from retailos.deliveries.name import delivery_id
from retailos.records.identity import new_id
from retailos.reports import store
from retailos.reports.file import FORMS, Row
from retailos.reports.issue import FailureCount, Issue
from retailos.reports.report import Report

_SQL = load(__file__)
_MAKE, _COUNT, _LIST, _FIND, _ROWS = _SQL.make, _SQL.count, _SQL.list, _SQL.find, _SQL.rows
_ATTEMPT, _SETTLE, _FORGET = _SQL.attempt, _SQL.settle, _SQL.forget

#: Rows of a file; a spreadsheet opens no more, and the counts tell how many there are beyond.
ROWS_MOST: Final = 1_000_000
_ROWS_AT_ONCE: Final = 1_000
_counts = msgspec.json.Decoder(tuple[FailureCount, ...]).decode


async def make(transaction: Connection, report: Report, rows_most: int = ROWS_MOST) -> Issue:
    """Make an issue of a report now: its counts and its rows are of one snapshot."""
    recipients = list(report.recipients)
    row = await transaction.fetchrow(_MAKE, new_id(), report.id, report.webhook_id, recipients, rows_most)
    assert row is not None  # noqa: S101 - an insert without a conflict clause returns its row
    return _issue(row)


async def preview(connection: Connection, report: Report) -> Issue:
    """What an issue would be that were made now; nothing is kept."""
    rows = await connection.fetch(_COUNT, report.webhook_id)
    counts = tuple(FailureCount(**{name: row[name] for name in FailureCount.__struct_fields__}) for row in rows)
    total = sum(each.count for each in counts)
    return Issue(
        id=new_id(),
        report_id=report.id,
        at=await store.now(connection),
        counts=counts,
        total=total,
        rows=min(total, ROWS_MOST),
        status="sending",
        attempts=0,
        recipients=report.recipients,
        waiting=report.recipients,
        refused={},
        error=None,
        sent_at=None,
    )


async def issues(connection: Connection, report_id: int, limit: int, offset: int) -> list[Issue]:
    """List the issues of a report, the newest first."""
    return [_issue(row) for row in await connection.fetch(_LIST, report_id, limit, offset)]


async def find(connection: Connection, issue_id: UUID) -> Issue | None:
    """Give one issue, None if there is none, or not any more."""
    row = await connection.fetchrow(_FIND, issue_id)
    return _issue(row) if row else None


async def attempt(transaction: Connection, issue_id: UUID) -> Issue | None:
    """Begin an attempt at an issue's mail; None where it is not to be sent any more."""
    row = await transaction.fetchrow(_ATTEMPT, issue_id)
    return _issue(row) if row else None


async def settle(
    transaction: Connection,
    issue: Issue,
    status: str,
    *,
    waiting: Sequence[str],
    refused: Mapping[str, str],
    error: str | None,
) -> bool:
    """Write down what came of the attempt that an issue is at; False where another was begun meanwhile."""
    told = msgspec.json.encode(refused).decode()
    arguments = (issue.id, issue.attempts, status, list(waiting), told, error)
    return await transaction.fetchval(_SETTLE, *arguments) is not None


async def file_of(pool: Pool, issue: Issue, form: str) -> AsyncGenerator[bytes, None]:
    """Give an issue's file in one of its forms, some rows at a time; no connection is held while they are sent."""
    written = FORMS[form]
    if written.head:
        yield written.head
    number = 0
    while True:
        async with acquire(pool) as connection:
            rows = await connection.fetch(_ROWS, issue.id, issue.at, number, _ROWS_AT_ONCE)
        if not rows:
            return
        number = rows[-1]["number"]
        yield written.rows(_row(each) for each in rows)


async def forget(pool: Pool, days: int) -> None:
    """Remove issues of other days than today and the last so many."""
    async with acquire(pool) as connection:
        await connection.execute(_FORGET, days)


def _row(row: asyncpg.Record) -> Row:
    webhook_id, record_id = row["webhook_id"], row["record_id"]
    return Row(
        queue_name=row["queue_name"],
        delivery_id=None if webhook_id is None else delivery_id(webhook_id, record_id),
        job_id=row["job_id"],
        resource=row["resource"],
        record_id=record_id,
        version=row["version"],
        error_class=row["error_class"],
        attempts=row["attempts"],
        failed_at=row["failed_at"] and printed(row["failed_at"]),
    )


def _issue(row: asyncpg.Record) -> Issue:
    counts, refused = _counts(row["counts"]), msgspec.json.decode(row["refused"])
    return Issue(**{**row, "counts": counts, "refused": refused})
