"""`retailos requeue`: what failed is owed again."""

from pathlib import Path

import click

from retailos import operations
from retailos.cli.options import data_dir, database_of, output, run, settings_of, write_json
from retailos.operations import Requeued
from retailos.settings import Settings


@click.command()
@click.option("--webhook", "webhook_id", required=True, type=int, metavar="ID", help="Whose failed deliveries.")
@click.option("--dry-run", is_flag=True, help="Only count them.")
@data_dir
@output
def requeue(webhook_id: int, dry_run: bool, data_dir: Path | None, output: str) -> None:
    """Owe the failed deliveries of a webhook again; each is sent with the newest state of its record.

    \b
    Example:
      retailos requeue --webhook 3 --dry-run
    """
    done = run(_requeue(settings_of(data_dir), webhook_id, dry_run))
    if output == "json":
        write_json(done)
    else:
        click.echo(f"{done.count:,} failed deliveries {'would be' if dry_run else 'are'} owed again.")


async def _requeue(settings: Settings, webhook_id: int, dry_run: bool) -> Requeued:
    async with database_of(settings, "requeue") as pool:
        return await operations.requeue(pool, webhook_id, dry_run=dry_run)
