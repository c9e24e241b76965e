"""Error reports: set up, listed, looked at before they are mailed, mailed now, and what became of those that were."""

from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

import msgspec

from retailos.database.pool import Connection, Pool, acquire, transaction
from retailos.declare.values import printed
from retailos.errors import Problem, ResourceNotFound, ValidationFailed
from retailos.keys.store import pepper_of
from retailos.reports import issues, sending, store
from retailos.reports.issue import FailureCount, Issue
from retailos.reports.report import read_report, said, shown
from retailos.reports.sending import Office
from retailos.settings import Settings

#: A report as it is shown: its members by name.
ShownReport = dict[str, Any]


class ReportPreview(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The mail that a report would be now; its links lead nowhere."""

    subject: str
    text: str
    html: str
    total: int
    counts: tuple[FailureCount, ...]


class ShownIssue(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a report told at one moment, and what became of its mail."""

    id: UUID
    report_id: int
    at: str
    total: int
    counts: tuple[FailureCount, ...]
    status: str
    attempts: int
    recipients: tuple[str, ...]
    #: Who is not to get it, each with what the mail server said.
    refused: dict[str, str]
    error: str | None
    sent_at: str | None
    #: The links to its file by form; they need no key, and end as those in the mail do.
    files: dict[str, str]


class ReportRemoved(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A report that was taken away."""

    id: int


async def list_reports(pool: Pool) -> list[ShownReport]:
    """List the reports, oldest first."""
    async with acquire(pool) as connection:
        return [shown(each) for each in await store.reports(connection)]


async def show_report(pool: Pool, report_id: int) -> ShownReport:
    """Show one report."""
    async with acquire(pool) as connection:
        return shown(await store.one(connection, report_id))


async def add_report(pool: Pool, body: Any) -> ShownReport:
    """Save a new report, or say field by field why it can't be."""
    async with transaction(pool) as connection:
        return shown(await store.add(connection, await _checked(connection, body, None)))


async def change_report(pool: Pool, report_id: int, body: Any) -> ShownReport:
    """Change a report: what is absent is kept. When it is due next follows from what it says then."""
    async with transaction(pool) as connection:
        kept = await store.held(connection, report_id) or await store.one(connection, report_id)
        return shown(await store.change(connection, report_id, await _checked(connection, body, said(kept))))


async def remove_report(pool: Pool, report_id: int) -> ReportRemoved:
    """Take a report away; files of its issues stay for as long as they are kept."""
    async with transaction(pool) as connection:
        await store.remove(connection, report_id)
    return ReportRemoved(id=report_id)


async def preview_report(pool: Pool, settings: Settings, report_id: int) -> ReportPreview:
    """Write the mail that a report would be now, and keep nothing of it."""
    async with acquire(pool) as connection:
        report = await store.one(connection, report_id)
        issue = await issues.preview(connection, report)
        letter = await sending.written(connection, _office(settings), report, issue)
    return ReportPreview(
        subject=letter.subject, text=letter.text, html=letter.html, total=issue.total, counts=tuple(issue.counts)
    )


async def send_report(pool: Pool, settings: Settings, report_id: int) -> ShownIssue:
    """Make an issue of a report now, empty or not; a worker mails it, and its next moment stays what it was."""
    async with transaction(pool) as connection:
        report = await store.one(connection, report_id)
        issue = await sending.make(connection, report, even_empty=True)
        if issue is None:
            raise LookupError("expected an issue, since it may be empty")
        return await _shown(connection, settings, issue)


async def list_issues(pool: Pool, settings: Settings, report_id: int, limit: int, offset: int) -> list[ShownIssue]:
    """List what a report told, the newest first."""
    async with acquire(pool) as connection:
        await store.one(connection, report_id)
        found = await issues.issues(connection, report_id, limit, offset)
        return [await _shown(connection, settings, each) for each in found]


async def show_issue(pool: Pool, settings: Settings, report_id: int, issue_id: UUID) -> ShownIssue:
    """Show one issue of a report."""
    async with acquire(pool) as connection:
        issue = await issues.find(connection, issue_id)
        if issue is None or issue.report_id != report_id:
            raise ResourceNotFound("There is no such issue; GET /v2/admin/reports/{id}/issues lists them.")
        return await _shown(connection, settings, issue)


async def _checked(connection: Connection, body: Any, kept: Mapping[str, Any] | None) -> Mapping[str, Any]:
    values, problems = read_report(body, await store.now(connection), kept)
    webhook_id = values.get("webhook")
    told = any(each.path in ("", "/webhook") for each in problems)
    if webhook_id is not None and not told and not await store.has_webhook(connection, webhook_id):
        problems.append(Problem("/webhook", "UNKNOWN_WEBHOOK", "expected the id of a webhook, or null for all"))
    if problems:
        raise ValidationFailed(problems)
    return values


async def _shown(connection: Connection, settings: Settings, issue: Issue) -> ShownIssue:
    return ShownIssue(
        id=issue.id,
        report_id=issue.report_id,
        at=printed(issue.at),
        total=issue.total,
        counts=tuple(issue.counts),
        status=issue.status,
        attempts=issue.attempts,
        recipients=tuple(issue.recipients),
        refused=dict(issue.refused),
        error=issue.error,
        sent_at=printed(issue.sent_at) if issue.sent_at else None,
        files=await sending.links_of(connection, _office(settings), issue),
    )


def _office(settings: Settings) -> Office:
    return Office.of(settings, partial(pepper_of, configured=settings.pepper_bytes))
