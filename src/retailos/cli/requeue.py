"""`retailos requeue`: what failed is owed again."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from retailos import operations
from retailos.cli.options import data_dir, database_of, output, run, settings_of, write_json
from retailos.cli.progress import followed
from retailos.declare.values import printed
from retailos.operations import Requeued
from retailos.resources import RESOURCES
from retailos.settings import Settings
from retailos.webhooks.operation import OPERATOR
from retailos.webhooks.selection import ERROR_CLASSES


def moment(_context: click.Context, _parameter: click.Parameter, value: datetime | None) -> str | None:
    """A moment as requests say it; without an offset it is one of this machine's own time."""
    return None if value is None else printed(value.astimezone(UTC))


when = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"])


@click.command()
@click.option("--webhook", type=int, metavar="ID", help="Whose failed deliveries.")
@click.option("--all", is_flag=True, help="Those of every webhook.")
@click.option("--since", type=when, callback=moment, help="Only what failed at or after this moment.")
@click.option("--until", type=when, callback=moment, help="Only what failed before this moment.")
@click.option("--error-class", "error_classes", multiple=True, type=click.Choice(ERROR_CLASSES), help="Only these.")
@click.option("--external-id", "external_ids", multiple=True, metavar="ID", help="Only of these records; repeatable.")
@click.option("--rate", type=click.IntRange(1, 100_000), help="Records a second at the most.")
@click.option("--dry-run", is_flag=True, help="Only count them.")
@data_dir
@output
def requeue(data_dir: Path | None, output: str, **given: Any) -> None:
    """Owe failed deliveries again; each is sent with the newest state of its record.

    \b
    Examples:
      retailos requeue --webhook 3 --dry-run
      retailos requeue --webhook 3 --since 2026-11-28T08:00 --error-class http_5xx --error-class timeout
    """
    if (given["webhook"] is None) is not given["all"]:
        raise click.UsageError("Say whose failed deliveries: --webhook ID, or --all.")
    done = run(_requeue(settings_of(data_dir), _body(given), shown=output == "text"))
    if output == "json":
        write_json(done)
        return
    click.echo(f"{done.count:,} failed deliveries {'would be' if done.dry_run else 'are'} owed again.")
    for each in done.operations:
        if each.status != "completed":
            click.echo(f"The operation {each.id} was {each.status} after {each.done:,} of {each.total:,}.")


def _body(given: dict[str, Any]) -> dict[str, Any]:
    said = {"webhook": given["webhook"], "all": given["all"], "rate": given["rate"], "dryRun": given["dry_run"]}
    said |= {"since": given["since"], "until": given["until"]}
    lists = {"errorClasses": given["error_classes"], "externalIds": given["external_ids"]}
    return said | {name: list(values) for name, values in lists.items() if values}


async def _requeue(settings: Settings, body: dict[str, Any], *, shown: bool) -> Requeued:
    async with database_of(settings, "requeue") as pool:
        begun = await operations.requeue_failed(pool, RESOURCES, body, OPERATOR)
        return Requeued(
            webhook=begun.webhook,
            count=begun.count,
            dry_run=begun.dry_run,
            operations=await followed(pool, begun.operations, shown=shown),
        )
