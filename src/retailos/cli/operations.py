"""`retailos operations`: requeues, backfills and resyncs that go on, listed, shown and cancelled."""

from pathlib import Path
from uuid import UUID

import click
import msgspec

from retailos import operations as operator
from retailos.cli.options import data_dir, on_deployment, output, tell, write_json
from retailos.cli.table import write_table
from retailos.stints.operation import STATUSES, Asked

operation_id = click.argument("operation_id", metavar="ID", type=click.UUID)


@click.group()
def operations() -> None:
    """List, show and cancel what goes on in the background: requeues, dismissals, backfills and resyncs.

    \b
    Example:
      retailos operations list --status active
    """


@operations.command("list")
@click.option("--webhook", type=int, metavar="ID", help="Those of this webhook.")
@click.option("--status", type=click.Choice(STATUSES), help="Those that are so far.")
@data_dir
@output
def list_(webhook: int | None, status: str | None, data_dir: Path | None, output: str) -> None:
    """List operations, the newest first.

    \b
    Example:
      retailos operations list --webhook 3
    """
    asked = Asked(webhook_id=webhook, status=status)
    found = on_deployment("operations", data_dir, lambda here: operator.list_operations(here.pool, asked))
    if output == "json":
        write_json(found)
    elif not found:
        click.echo("There is no such operation.")
    else:
        rows = [
            (
                str(each.id),
                each.kind,
                str(each.webhook_id),
                each.status,
                f"{each.done + each.skipped:,} of {each.total:,}",
                each.created_at,
            )
            for each in found
        ]
        write_table(("id", "kind", "webhook", "status", "so far", "begun"), rows)


@operations.command()
@operation_id
@data_dir
@output
def show(operation_id: UUID, data_dir: Path | None, output: str) -> None:
    """Show the operation with this ID, and how far it is.

    \b
    Example:
      retailos operations show 0190c2a4-7b1e-7c3a-9d52-3f1b2c4d5e6f
    """
    found = on_deployment("operations", data_dir, lambda here: operator.show_operation(here.pool, operation_id))
    tell(found, output, msgspec.json.format(msgspec.json.encode(found)).decode())


@operations.command()
@operation_id
@data_dir
@output
def cancel(operation_id: UUID, data_dir: Path | None, output: str) -> None:
    """End the operation with this ID; what is done stays.

    \b
    Example:
      retailos operations cancel 0190c2a4-7b1e-7c3a-9d52-3f1b2c4d5e6f
    """
    done = on_deployment("operations", data_dir, lambda here: operator.cancel_operation(here.pool, operation_id))
    tell(done, output, f"The operation {done.id} is {done.status} after {done.done:,} of {done.total:,}.")
