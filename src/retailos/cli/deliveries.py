"""`retailos deliveries`: what became of what webhooks were to be told, found by state and reason."""

from typing import Any

import click

from retailos import operations
from retailos.cli.command import Deployment, Told, listed, on_deployment
from retailos.deliveries.deliveries import STATUSES, Asked, Delivery
from retailos.deliveries.selection import ERROR_CLASSES, HTTP_STATUS_MOST
from retailos.resources import RESOURCES

_COLUMNS = ("delivery", "webhook", "external id", "status", "wanted", "acknowledged", "attempts", "reason", "settled")


@click.command()
@click.option("--webhook", "webhook_id", type=int, metavar="ID", help="Those of this webhook.  [default: of all]")
@click.option("--status", type=click.Choice(STATUSES), help="Those that are so far.")
@click.option("--error-class", type=click.Choice(ERROR_CLASSES), help="Those that failed last for this reason.")
@click.option(
    "--http-status",
    type=click.IntRange(100, HTTP_STATUS_MOST),
    metavar="STATUS",
    help="Those whose last attempt failed with this HTTP status.",
)
@click.option("--external-id", metavar="ID", help="Those of this record.")
@click.option("--resource", type=click.Choice(tuple(RESOURCES)), help="Those that tell of this kind of record.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="The most that are listed.")
@on_deployment
async def deliveries(here: Deployment, **asked: Any) -> Told:
    """List deliveries: what each webhook is owed of each record, and how that stands.

    \b
    Examples:
      retailos deliveries --webhook 3 --status failed --http-status 422
      retailos deliveries --external-id example-customer-id
    """
    found = await operations.find_deliveries(here.pool, RESOURCES, Asked(**asked))
    return listed(found.rows, _COLUMNS, _row, "There is no such delivery.")


def _row(each: Delivery) -> tuple[str, ...]:
    return (
        each.id,
        each.queue_name or str(each.webhook_id),
        each.external_id or "",
        each.status,
        f"v{each.wanted}",
        f"v{each.acknowledged}" if each.acknowledged else "",
        str(each.attempts),
        each.error_class or each.skipped_why or "",
        each.settled_at or "",
    )
