"""`retailos report`: who is mailed what has failed, and when; looked at, sent now, and what became of it."""

from collections.abc import Mapping
from typing import Any

import click

from retailos import operations
from retailos.cli.command import Deployment, Told, listed, on_deployment
from retailos.cli.group import Group
from retailos.operations import ShownIssue

REPORT = click.argument("report_id", metavar="ID", type=int)
#: Issues that are listed.
ISSUES_MOST = 50


@click.group(cls=Group)
def report() -> None:
    """Add, change, list, preview, send, pause, resume and delete error reports by mail.

    \b
    Example:
      retailos report add --name daily --to operations@example.com \\
        --cron '0 7 * * *' --time-zone Europe/London
    """


@report.command()
@click.option("--name", required=True, help="What tells it from the other reports.")
@click.option("--to", "recipients", required=True, multiple=True, metavar="ADDRESS", help="Who gets it; repeatable.")
@click.option("--webhook", type=int, metavar="ID", help="Whose failures it tells of.  [default: all]")
@click.option("--cron", help="When it is due: minute, hour, day, month, day of the week.  [default: 0 7 * * *]")
@click.option("--time-zone", "timeZone", help="The time zone of these.  [default: UTC]")
@click.option("--send-empty/--no-send-empty", "sendEmpty", default=None, help="Also if nothing failed.  [default: do]")
@on_deployment
async def add(here: Deployment, **given: Any) -> Told:
    """Add a report; the settings must name a mail server (RETAILOS_SMTP_HOST).

    \b
    Example:
      retailos report add --name daily --to operations@example.com
    """
    added = await operations.add_report(here.pool, _body(given))
    return Told(added, f"The report {added['id']} is due next at {added['nextAt']}.")


@report.command()
@REPORT
@click.option("--name", help="What tells it from the other reports.")
@click.option("--to", "recipients", multiple=True, metavar="ADDRESS", help="Who gets it, instead; repeatable.")
@click.option("--webhook", type=int, metavar="ID", help="Whose failures it tells of.")
@click.option("--all-webhooks", is_flag=True, help="It tells of the failures of all.")
@click.option("--cron", help="When it is due: minute, hour, day, month, day of the week.")
@click.option("--time-zone", "timeZone", help="The time zone of these.")
@click.option("--send-empty/--no-send-empty", "sendEmpty", default=None, help="Also if nothing failed.")
@on_deployment
async def change(here: Deployment, report_id: int, all_webhooks: bool, **given: Any) -> Told:
    """Change the report with this ID; what is not said is kept.

    \b
    Example:
      retailos report change 1 --cron '30 6 * * 1-5' --time-zone Europe/London
    """
    if all_webhooks and given["webhook"] is not None:
        raise click.UsageError("Say --webhook ID or --all-webhooks, not both.")
    body = _body(given) | ({"webhook": None} if all_webhooks else {})
    if not body:
        raise click.UsageError("Say what to change: retailos report change --help")
    changed = await operations.change_report(here.pool, report_id, body)
    return Told(changed, f"The report {report_id} is due next at {changed['nextAt'] or 'no time: it is paused'}.")


@report.command("list")
@on_deployment
async def list_(here: Deployment) -> Told:
    """List all reports, the oldest first.

    \b
    Example:
      retailos report list --data-dir data
    """
    nothing = "There is no report yet; add one: retailos report add --help"
    columns = ("id", "name", "webhook", "due next", "recipients")
    return listed(await operations.list_reports(here.pool), columns, _row, nothing)


@report.command()
@REPORT
@on_deployment
async def preview(here: Deployment, report_id: int) -> Told:
    """Show the mail that the report with this ID would be now.

    \b
    Example:
      retailos report preview 1
    """
    seen = await operations.preview_report(here.pool, here.settings, report_id)
    return Told(seen, f"Subject: {seen.subject}\n\n{seen.text}")


@report.command()
@REPORT
@on_deployment
async def send(here: Deployment, report_id: int) -> Told:
    """Mail the report with this ID now, whatever its schedule; a worker sends it.

    \b
    Example:
      retailos report send 1
    """
    made = await operations.send_report(here.pool, here.settings, report_id)
    return Told(made, f"{made.total:,} failures are told to {', '.join(made.recipients)}.")


@report.command()
@REPORT
@on_deployment
async def issues(here: Deployment, report_id: int) -> Told:
    """List what the report with this ID told, newest first, and whether the mails were taken.

    \b
    Example:
      retailos report issues 1
    """
    found = await operations.list_issues(here.pool, here.settings, report_id, ISSUES_MOST, 0)
    return listed(found, ("at", "failures", "mail", "error", "file"), _issue, "It has told nothing yet.")


@report.command()
@REPORT
@on_deployment
async def pause(here: Deployment, report_id: int) -> Told:
    """Send the report with this ID no more, until it is resumed.

    \b
    Example:
      retailos report pause 1
    """
    paused = await operations.change_report(here.pool, report_id, {"active": False})
    return Told(paused, f"The report {report_id} is paused.")


@report.command()
@REPORT
@on_deployment
async def resume(here: Deployment, report_id: int) -> Told:
    """Send the report with this ID again, from its next moment on.

    \b
    Example:
      retailos report resume 1
    """
    resumed = await operations.change_report(here.pool, report_id, {"active": True})
    return Told(resumed, f"The report {report_id} is due next at {resumed['nextAt']}.")


@report.command()
@REPORT
@on_deployment
async def delete(here: Deployment, report_id: int) -> Told:
    """Take the report with this ID away; links in its mails lead on for as long as they are good.

    \b
    Example:
      retailos report delete 1
    """
    removed = await operations.remove_report(here.pool, report_id)
    return Told(removed, f"The report {report_id} is gone.")


def _body(given: Mapping[str, Any]) -> dict[str, Any]:
    """What was said, as a request's body says it."""
    said = {name: value for name, value in given.items() if value not in (None, ())}
    return said | ({"recipients": list(said["recipients"])} if "recipients" in said else {})


def _row(report: dict[str, Any]) -> tuple[str, ...]:
    webhook = "all" if report["webhook"] is None else str(report["webhook"])
    return str(report["id"]), report["name"], webhook, report["nextAt"] or "paused", ", ".join(report["recipients"])


def _issue(told: ShownIssue) -> tuple[str, ...]:
    return told.at, f"{told.total:,}", told.status, told.error or "", told.files["csv"]
