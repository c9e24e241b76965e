"""`retailos operations`: requeues, backfills and resyncs that go on, listed, shown and cancelled."""

from uuid import UUID

import click

from retailos import operations as operator
from retailos.cli.command import Deployment, Told, in_full, listed, on_deployment
from retailos.cli.group import Group
from retailos.stints.operation import STATUSES, Asked

operation_id = click.argument("operation_id", metavar="ID", type=click.UUID)


@click.group(cls=Group)
def operations() -> None:
    """List, show and cancel what goes on in the background: requeues, dismissals, backfills and resyncs.

    \b
    Example:
      retailos operations list --status active
    """


@operations.command("list")
@click.option("--webhook", type=int, metavar="ID", help="Those of this webhook.")
@click.option("--status", type=click.Choice(STATUSES), help="Those that are so far.")
@on_deployment
async def list_(here: Deployment, webhook: int | None, status: str | None) -> Told:
    """List operations, the newest first.

    \b
    Example:
      retailos operations list --webhook 3
    """
    asked = Asked(webhook_id=webhook, status=status)
    columns = ("id", "kind", "webhook", "status", "so far", "begun")
    return listed(
        await operator.list_operations(here.pool, asked),
        columns,
        _row,
        "There is no such operation, as far as the history is kept.",
    )


@operations.command()
@operation_id
@on_deployment
async def show(here: Deployment, operation_id: UUID) -> Told:
    """Show the operation with this ID, and how far it is.

    \b
    Example:
      retailos operations show 0190c2a4-7b1e-7c3a-9d52-3f1b2c4d5e6f
    """
    return in_full(await operator.show_operation(here.pool, operation_id))


@operations.command()
@operation_id
@on_deployment
async def cancel(here: Deployment, operation_id: UUID) -> Told:
    """End the operation with this ID; what is done stays.

    \b
    Example:
      retailos operations cancel 0190c2a4-7b1e-7c3a-9d52-3f1b2c4d5e6f
    """
    done = await operator.cancel_operation(here.pool, operation_id)
    return Told(done, f"The operation {done.id} is {done.status} after {done.done:,} of {done.total:,}.")


def _row(one: operator.Operation) -> tuple[str, ...]:
    so_far = f"{one.done + one.skipped:,} of {one.total:,}"
    return str(one.id), one.kind, str(one.webhook_id), one.status, so_far, one.created_at
