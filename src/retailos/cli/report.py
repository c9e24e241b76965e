"""`retailos report`: who is mailed what has failed, and when; looked at, sent now, and what became of it."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from retailos import operations
from retailos.cli.options import data_dir, database_of, output, run, settings_of, write_json
from retailos.cli.table import write_table
from retailos.database.pool import Pool
from retailos.settings import Settings

T = TypeVar("T")

REPORT = click.argument("report_id", metavar="ID", type=int)
#: Issues that are listed.
ISSUES_MOST = 50


@click.group()
def report() -> None:
    """Add, list, preview, send, pause, resume and delete error reports by mail.

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
@data_dir
@output
def add(data_dir: Path | None, output: str, **given: Any) -> None:
    """Add a report; the settings must name a mail server (RETAILOS_SMTP_HOST).

    \b
    Example:
      retailos report add --name daily --to operations@example.com
    """
    body = {name: list(value) if name == "recipients" else value for name, value in given.items() if value is not None}
    added = _with_pool(data_dir, lambda pool, _: operations.add_report(pool, body))
    _shown(added, output, f"The report {added['id']} is due next at {added['nextAt']}.")


@report.command("list")
@data_dir
@output
def list_(data_dir: Path | None, output: str) -> None:
    """List all reports, the oldest first.

    \b
    Example:
      retailos report list --data-dir data
    """
    found = _with_pool(data_dir, lambda pool, _: operations.list_reports(pool))
    if output == "json":
        write_json(found)
    elif not found:
        click.echo("There is no report yet; add one: retailos report add --help")
    else:
        columns = ("id", "name", "webhook", "due next", "recipients")
        write_table(columns, [_line(each) for each in found])


@report.command()
@REPORT
@data_dir
@output
def preview(report_id: int, data_dir: Path | None, output: str) -> None:
    """Show the mail that the report with this ID would be now.

    \b
    Example:
      retailos report preview 1
    """
    seen = _with_pool(data_dir, lambda pool, settings: operations.preview_report(pool, settings, report_id))
    _shown(seen, output, f"Subject: {seen.subject}\n\n{seen.text}")


@report.command()
@REPORT
@data_dir
@output
def send(report_id: int, data_dir: Path | None, output: str) -> None:
    """Mail the report with this ID now, whatever its schedule; a worker sends it.

    \b
    Example:
      retailos report send 1
    """
    made = _with_pool(data_dir, lambda pool, settings: operations.send_report(pool, settings, report_id))
    _shown(made, output, f"{made.total:,} failures are told to {', '.join(made.recipients)}.")


@report.command()
@REPORT
@data_dir
@output
def issues(report_id: int, data_dir: Path | None, output: str) -> None:
    """List what the report with this ID told, newest first, and whether the mails were taken.

    \b
    Example:
      retailos report issues 1
    """
    found = _with_pool(
        data_dir, lambda pool, settings: operations.list_issues(pool, settings, report_id, ISSUES_MOST, 0)
    )
    if output == "json":
        write_json(found)
    else:
        rows = [(each.at, f"{each.total:,}", each.status, each.error or "", each.files["csv"]) for each in found]
        write_table(("at", "failures", "mail", "error", "file"), rows)


@report.command()
@REPORT
@data_dir
@output
def pause(report_id: int, data_dir: Path | None, output: str) -> None:
    """Send the report with this ID no more, until it is resumed.

    \b
    Example:
      retailos report pause 1
    """
    _shown(_switched(data_dir, report_id, active=False), output, f"The report {report_id} is paused.")


@report.command()
@REPORT
@data_dir
@output
def resume(report_id: int, data_dir: Path | None, output: str) -> None:
    """Send the report with this ID again, from its next moment on.

    \b
    Example:
      retailos report resume 1
    """
    resumed = _switched(data_dir, report_id, active=True)
    _shown(resumed, output, f"The report {report_id} is due next at {resumed['nextAt']}.")


@report.command()
@REPORT
@data_dir
@output
def delete(report_id: int, data_dir: Path | None, output: str) -> None:
    """Take the report with this ID away; links in its mails lead on for as long as they are good.

    \b
    Example:
      retailos report delete 1
    """
    removed = _with_pool(data_dir, lambda pool, _: operations.remove_report(pool, report_id))
    _shown(removed, output, f"The report {report_id} is gone.")


def _line(report: dict[str, Any]) -> tuple[str, ...]:
    webhook = "all" if report["webhook"] is None else str(report["webhook"])
    return str(report["id"]), report["name"], webhook, report["nextAt"] or "paused", ", ".join(report["recipients"])


def _with_pool(data_dir: Path | None, work: Callable[[Pool, Settings], Awaitable[T]]) -> T:
    async def worked() -> T:
        settings = settings_of(data_dir)
        async with database_of(settings, "report") as pool:
            return await work(pool, settings)

    return run(worked())


def _switched(data_dir: Path | None, report_id: int, *, active: bool) -> dict[str, Any]:
    return _with_pool(data_dir, lambda pool, _: operations.change_report(pool, report_id, {"active": active}))


def _shown(value: Any, output: str, said: str) -> None:
    if output == "json":
        write_json(value)
    else:
        click.echo(said)
