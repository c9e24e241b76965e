"""The mail of an issue: what has failed, as text and as HTML, with links to the file of it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from retailos.reports.cadence import zone_of
from retailos.reports.issue import FailureCount, Issue
from retailos.reports.report import Report

if TYPE_CHECKING:
    from jinja2 import Environment


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """What a mail says, in each of its forms."""

    subject: str
    text: str
    html: str


def written(report: Report, issue: Issue, links: Mapping[str, str], until: datetime, environment: str) -> Mail:
    """Write the mail of an issue; `links` by form, good `until` then."""
    said = {
        "subject": f"[RetailOS {environment}] {report.name}: {_headline(issue)}",
        "report": report,
        "issue": issue,
        "headline": _headline(issue),
        "queues": _by_queue(issue.counts),
        "at": _moment(report, issue.at),
        "until": _moment(report, until),
        "links": links,
        "environment": environment,
    }
    return Mail(
        subject=str(said["subject"]),
        text=_templates().get_template("report.txt").render(said),
        html=_templates().get_template("report.html").render(said),
    )


def message(mail: Mail, issue: Issue, sender: str, recipients: Sequence[str]) -> EmailMessage:
    """Put a mail into its envelope's paper; whenever that is done again it has the same id, so that it reads as one."""
    made = EmailMessage(policy=SMTP)
    made["From"] = Address("RetailOS", addr_spec=sender)
    made["To"] = tuple(Address(addr_spec=each) for each in recipients)
    made["Subject"] = mail.subject
    made["Date"] = format_datetime(issue.at)
    made["Message-ID"] = f"<report.{issue.id}@{sender.rpartition('@')[2]}>"
    # Whoever is away need not tell a machine so (RFC 3834).
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(mail.text, cte="quoted-printable")
    made.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    return made


@cache
def _templates() -> "Environment":
    # Imported here, because mails are few, and each process and each command starts the sooner.
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    return Environment(
        loader=PackageLoader("retailos.reports"),
        autoescape=select_autoescape(("html",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _headline(issue: Issue) -> str:
    if issue.total == 0:
        return "nothing has failed"
    return "1 failure" if issue.total == 1 else f"{issue.total:,} failures"


def _by_queue(counts: Sequence[FailureCount]) -> dict[str, list[FailureCount]]:
    """Counts by queue, in the order in which they came: the worst first."""
    queues: dict[str, list[FailureCount]] = {}
    for each in counts:
        queues.setdefault(each.queue_name, []).append(each)
    return queues


def _moment(report: Report, when: datetime) -> str:
    local = when.astimezone(zone_of(report.time_zone))
    return f"{local.day} {local:%B %Y, %H:%M} {report.time_zone}"
