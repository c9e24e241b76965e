"""What happens to reports by the clock: at its moment a report's issue is made, and then its mail is sent.

The issue is made in the transaction of the tick, so that there is one whoever dies. Its mail follows, once at the
least: an attempt that is not settled within its lease is made again, and every attempt's message has the same id.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self
from uuid import UUID

from retailos.database.pool import Connection, Pool, transaction
from retailos.observe import emit
from retailos.observe.work import ReportNotSent, ReportSent
from retailos.reports import issues, link, mail, store
from retailos.reports.issue import Issue
from retailos.reports.mail import Mail
from retailos.reports.post import TOTAL_SECONDS, MailServer, Posted, post
from retailos.reports.report import Report
from retailos.schedule import Schedule, Tick, arm, disarm
from retailos.settings import Settings

#: What the schedule calls the moments at which an issue's mail is tried.
KIND: Final = "send report"
#: An attempt that nobody has settled by then was its worker's last.
LEASE: Final = timedelta(seconds=2 * TOTAL_SECONDS)
#: Attempts of a mail: with the pauses between them they last four hours, longer than any greylisting.
ATTEMPTS_MOST: Final = 10
_PAUSE_LEAST, _PAUSE_MOST = timedelta(minutes=1), timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """What this installation needs to know to mail a report."""

    #: Gives the installation's pepper, of which the key of links is made.
    pepper: Callable[[Connection], Awaitable[bytes]]
    #: None: nothing is mailed.
    server: MailServer | None
    sender: str
    #: The URL of the API, before the path of a link.
    public_url: str
    link_days: int
    environment: str

    @classmethod
    def of(cls, settings: Settings, pepper: Callable[[Connection], Awaitable[bytes]]) -> Self:
        """Make it of a deployment's settings."""
        server = settings.smtp_host and MailServer(
            host=settings.smtp_host,
            port=settings.smtp_port,
            security=settings.smtp_security,
            user=settings.smtp_user,
            password=settings.smtp_password,
            authorities=settings.smtp_ca,
        )
        return cls(
            pepper=pepper,
            server=server or None,
            sender=settings.mail_from or "",
            public_url=settings.public_url or "",
            link_days=settings.report_link_days,
            environment=settings.environment,
        )


def schedules(office: Office) -> tuple[Schedule, Schedule]:
    """What there is to do by the clock."""

    async def send(pool: Pool, tick: Tick) -> None:
        await _send(pool, office, UUID(tick.subject))

    return (
        Schedule(kind=store.KIND, tick=make_due),
        Schedule(kind=KIND, tick=_begin, afterwards=send),
    )


async def make_due(transaction: Connection, tick: Tick) -> datetime | None:
    """Make the issue of a report that is due, and tell when it is due next; where moments were missed, it makes one.

    Whoever changes the report meanwhile waits for the schedule, and then plans it anew.
    """
    report = await store.find(transaction, int(tick.subject))
    if report is None or not report.active:
        return None
    await make(transaction, report, even_empty=report.sends_empty)
    return report.next_after(max(tick.now, tick.due_at))


async def make(transaction: Connection, report: Report, *, even_empty: bool) -> Issue | None:
    """Make an issue now, to be mailed at once; None, and nothing is kept, where it may not be empty and is."""
    if not even_empty and not (await issues.preview(transaction, report)).total:
        return None
    issue = await issues.make(transaction, report)
    await arm(transaction, KIND, str(issue.id))
    return issue


async def written(connection: Connection, office: Office, report: Report, issue: Issue) -> Mail:
    """Write the mail of an issue."""
    links = await links_of(connection, office, issue)
    until = link.expiry(issue.at, office.link_days)
    return mail.written(report, issue, links, until, office.environment)


async def links_of(connection: Connection, office: Office, issue: Issue) -> dict[str, str]:
    """The links to an issue's file, by its forms; without the server's address where that is not known."""
    key = link.key_of(await office.pepper(connection))
    paths = link.links(key, issue.id, issue.at, office.link_days)
    return {form: office.public_url.rstrip("/") + path for form, path in paths.items()}


async def _begin(_transaction: Connection, tick: Tick) -> datetime:
    """Take the lease of an attempt; what is not to be sent any more is disarmed by who finds that out."""
    return tick.now + LEASE


async def _send(pool: Pool, office: Office, issue_id: UUID) -> None:
    async with transaction(pool) as connection:
        issue = await issues.attempt(connection, issue_id)
        if issue is None:
            await disarm(connection, KIND, str(issue_id))
            return
        report = await store.find(connection, issue.report_id)
        letter = await written(connection, office, report, issue) if report else None
    if letter is None:
        posted = _refused(issue, "the report was taken away before it was mailed", "report deleted")
    elif office.server is None:
        posted = _refused(issue, "expected a mail server; name one in RETAILOS_SMTP_HOST", "no mail server")
    else:
        message = mail.message(letter, issue, office.sender, issue.recipients)
        posted = await post(office.server, message, office.sender, issue.waiting)
    await _settle(pool, issue, posted)


def _refused(issue: Issue, said: str, error: str) -> Posted:
    return Posted(later={}, never=dict.fromkeys(issue.waiting, said), error=error)


async def _settle(pool: Pool, issue: Issue, posted: Posted) -> None:
    """Write down what came of an attempt: it is over, or there is another one later."""
    again = bool(posted.later) and issue.attempts < ATTEMPTS_MOST
    waiting = list(posted.later) if again else []
    refused = {**posted.never} if again else {**posted.later, **posted.never}
    has_it = set(issue.recipients) - set(waiting) - set(issue.refused) - set(refused)
    status = "sending" if again else "sent" if has_it else "failed"
    error = "; ".join(dict.fromkeys([*posted.later.values(), *posted.never.values()])) or None
    async with transaction(pool) as connection:
        if not await issues.settle(connection, issue, status, waiting=waiting, refused=refused, error=error):
            return
        if again:
            await arm(connection, KIND, str(issue.id), await store.now(connection) + _pause(issue.attempts))
        else:
            await disarm(connection, KIND, str(issue.id))
    if posted.error:
        emit(ReportNotSent(report=issue.report_id, issue=str(issue.id), error=posted.error, again=again))
    if status == "sent":
        emit(ReportSent(report=issue.report_id, issue=str(issue.id), failures=issue.total))


def _pause(attempts: int) -> timedelta:
    return min(_PAUSE_LEAST * (1 << (attempts - 1)), _PAUSE_MOST)
