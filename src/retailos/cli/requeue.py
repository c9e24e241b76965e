"""`retailos requeue` and `retailos dismiss`: what failed is owed again, or set aside."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from retailos import operations
from retailos.cli.command import Deployment, Told, carry_out
from retailos.cli.options import data_dir, output, rate
from retailos.cli.progress import followed
from retailos.cli.table import counted
from retailos.declare.values import printed
from retailos.deliveries.selection import ERROR_CLASSES, HTTP_STATUS_MOST
from retailos.operations import Requeued
from retailos.resources import RESOURCES
from retailos.stints.operation import OPERATOR


def moment(_context: click.Context, _parameter: click.Parameter, value: datetime | None) -> str | None:
    """A moment as requests say it; without an offset it is one of this machine's own time."""
    return None if value is None else printed(value.astimezone(UTC))


when = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"])


def which(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say which failed deliveries are meant."""
    for option in reversed(
        (
            click.option("--webhook", type=int, metavar="ID", help="Whose failed deliveries."),
            click.option("--all", is_flag=True, help="Those of every webhook."),
            click.option("--since", type=when, callback=moment, help="Only what failed at or after this moment."),
            click.option("--until", type=when, callback=moment, help="Only what failed before this moment."),
            click.option("--error-class", multiple=True, type=click.Choice(ERROR_CLASSES), help="Only what failed so."),
            click.option(
                "--http-status",
                multiple=True,
                type=click.IntRange(100, HTTP_STATUS_MOST),
                help="Only what was answered so last; repeatable.",
            ),
            click.option("--external-id", multiple=True, metavar="ID", help="Only of these records; repeatable."),
            click.option("--record-id", multiple=True, metavar="UUID", help="Only of these records, by our id."),
            click.option("--dry-run", is_flag=True, help="Only count them."),
        )
    ):
        command = option(command)
    return command


@click.command()
@which
@click.option("--dismissed", is_flag=True, help="Those that were dismissed, instead of failed ones.")
@rate
@data_dir
@output
def requeue(data_dir: Path | None, output: str, **given: Any) -> None:
    """Owe failed deliveries again; each is sent with the newest state of its record.

    \b
    Examples:
      retailos requeue --webhook 3 --dry-run
      retailos requeue --webhook 3 --since 2026-11-28T08:00 --error-class http_5xx --error-class timeout
    """
    body = _body(given) | {"rate": given["rate"], "status": "dismissed" if given["dismissed"] else "failed"}

    async def requeued(here: Deployment) -> Told:
        begun = await operations.requeue_failed(here.pool, RESOURCES, body, OPERATOR)
        return await _ended(here, begun, body["status"], "owed again")

    carry_out(data_dir, output, requeued)


@click.command()
@which
@click.option("--yes", is_flag=True, help="Dismiss them without being asked.")
@data_dir
@output
def dismiss(data_dir: Path | None, output: str, yes: bool, **given: Any) -> None:
    """Set failed deliveries aside: they are not sent until their records change, or they are requeued.

    \b
    Example:
      retailos dismiss --webhook 3 --until 2026-11-01 --dry-run
    """
    body = _body(given)

    async def dismissed(here: Deployment) -> Told:
        if not (yes or given["dry_run"]):
            found = await operations.dismiss_failed(here.pool, RESOURCES, body | {"dryRun": True}, OPERATOR)
            if found.count:
                click.confirm(f"{counted(found.count, 'failed')} would be set aside. Go on?", abort=True)
        begun = await operations.dismiss_failed(here.pool, RESOURCES, body, OPERATOR)
        return await _ended(here, begun, "failed", "dismissed")

    carry_out(data_dir, output, dismissed)


def _body(given: Mapping[str, Any]) -> dict[str, Any]:
    if (given["webhook"] is None) is not given["all"]:
        raise click.UsageError("Say whose failed deliveries: --webhook ID, or --all.")
    said = {"webhook": given["webhook"], "all": given["all"], "dryRun": given["dry_run"]}
    said |= {"since": given["since"], "until": given["until"]}
    lists = {
        "errorClasses": given["error_class"],
        "httpStatuses": given["http_status"],
        "externalIds": given["external_id"],
        "recordIds": given["record_id"],
    }
    return said | {name: list(values) for name, values in lists.items() if values}


async def _ended(here: Deployment, begun: Requeued, kind: str, word: str) -> Told:
    done = msgspec.structs.replace(begun, operations=await followed(here.pool, begun.operations, shown=here.for_people))
    now = "is" if done.count == 1 else "are"
    lines = [f"{counted(done.count, kind)} {'would be' if done.dry_run else now} {word}."]
    for each in done.operations:
        if each.status != "completed":
            lines.append(f"The operation {each.id} is {each.status} after {each.done:,} of {each.total:,}.")
    return Told(done, "\n".join(lines))
