"""`retailos webhook`: standing orders to tell another system of changes, made, changed, tended and taken away."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from retailos import operations
from retailos.cli import order, tending
from retailos.cli.command import Deployment, Told, carry_out, in_full, listed, on_deployment
from retailos.cli.group import Group
from retailos.cli.keys import Duration
from retailos.cli.options import data_dir, output
from retailos.cli.table import counted
from retailos.resources import RESOURCES
from retailos.webhooks.signers import SCHEMES


@click.group(cls=Group)
def webhook() -> None:
    """Add, change, list, show, tend and delete webhooks.

    \b
    Example:
      retailos webhook add --name erp --resource customer \\
        --url 'https://erp.example.com/v1/customer/{externalCustomerId}'
    """


@webhook.command()
@click.option("--name", required=True, help="What tells it from the others of its resource.")
@click.option("--resource", required=True, type=click.Choice(list(RESOURCES)), help="Whose changes it tells of.")
@click.option("--url", required=True, help="Where to send to; {externalCustomerId} stands for the record's value.")
@click.option("--backfill", is_flag=True, help="Tell it of every record that exists, too.")
@order.said(adds=True)
@data_dir
@output
def add(data_dir: Path | None, output: str, **given: Any) -> None:
    """Add a webhook; it is told of what changes from now on.

    \b
    Examples:
      retailos webhook add --name erp --resource customer \\
        --url 'https://erp.example.com/v1/customer/{externalCustomerId}' \\
        --header 'Authorization: API_KEY <their api key>'
      retailos webhook add --name crm --resource customer --batch-size 100 \\
        --url https://crm.example.com/v1/customers
      with --credentials FILE, in which stands {"type": "basic", "user": "retailos", "password": "<password>"}
    """
    body = order.body_of(given)

    async def added(here: Deployment) -> Told:
        made = await operations.add_webhook(here.pool, RESOURCES, here.settings, body)
        return Told(made, f"The webhook {made['id']} is told of every {made['resource']} that changes.")

    carry_out(data_dir, output, added)


@webhook.command()
@tending.webhook_id
@click.option("--name", help="What tells it from the others of its resource.")
@click.option("--url", help="Where to send to; {externalCustomerId} stands for the record's value.")
@order.said(adds=False)
@click.option("--reset", multiple=True, type=click.Choice(order.RESETTABLE), help="Put it back to its default.")
@data_dir
@output
def change(data_dir: Path | None, output: str, webhook_id: int, reset: tuple[str, ...], **given: Any) -> None:
    """Change the webhook with this ID: what is said holds from the next request on, what is not is kept.

    What can be repeated is replaced whole.

    \b
    Examples:
      retailos webhook change 3 --concurrency 4 --rate 50
      retailos webhook change 3 --where territory.externalTerritoryId=UK --reset when-changed
    """
    if not (body := order.body_of(given, reset)):
        raise click.UsageError("Say what to change: retailos webhook change --help")

    async def changed(here: Deployment) -> Told:
        now = await operations.change_webhook(here.pool, RESOURCES, here.settings, webhook_id, body)
        return Told(now, f"The webhook {webhook_id} has another {', '.join(body)} from the next request on.")

    carry_out(data_dir, output, changed)


@webhook.command("rotate-secret")
@tending.webhook_id
@click.option("--grace", type=Duration(), default="24h", show_default=True, metavar="TIME", help="0 ends the old now.")
@click.option("--scheme", type=click.Choice(SCHEMES), help="v1: a shared secret; v1a: a key pair.  [default: as it is]")
@on_deployment
async def rotate_secret(here: Deployment, webhook_id: int, grace: int, scheme: str | None) -> Told:
    """Sign what the webhook with this ID sends with another secret, shown this once; of a key pair, the public key.

    The secret that it has signs too for the time of grace. A webhook that was not signed is from now on.

    \b
    Examples:
      retailos webhook rotate-secret 3 --grace 7d
      retailos webhook rotate-secret 3 --scheme v1a
    """
    body = {"graceSeconds": grace, "scheme": scheme}
    made = await operations.rotate_signing_secret(here.pool, here.settings, webhook_id, body)
    until = f" The one before signs too until {made.former_until}." if made.former_until else ""
    if made.public_key:
        said = f"{made.public_key}\n\nWith this everybody can check what the webhook {webhook_id} signs.{until}"
        return Told(made, said)
    return Told(made, f"{made.secret}\n\nThis is what the webhook {webhook_id} signs with.{until} Not shown again.")


@webhook.command("list")
@on_deployment
async def list_(here: Deployment) -> Told:
    """List all webhooks, the oldest first.

    \b
    Example:
      retailos webhook list --data-dir data
    """
    nothing = "There is no webhook yet; add one: retailos webhook add --help"
    columns = ("id", "name", "resource", "state", "told by")
    return listed(await operations.list_webhooks(here.pool), columns, _row, nothing)


@webhook.command()
@tending.webhook_id
@on_deployment
async def show(here: Deployment, webhook_id: int) -> Told:
    """Show the webhook with this ID, but for the values of its headers.

    \b
    Example:
      retailos webhook show 3
    """
    return in_full(await operations.show_webhook(here.pool, webhook_id))


@webhook.command()
@tending.webhook_id
@click.option("--yes", is_flag=True, help="Delete it without being asked.")
@on_deployment
async def delete(here: Deployment, webhook_id: int, yes: bool) -> Told:
    """Take the webhook with this ID away, with all that it is owed.

    \b
    Example:
      retailos webhook delete 3 --yes
    """
    if not yes:
        drift = await operations.show_drift(here.pool, RESOURCES, webhook_id)
        owed = f"{drift.behind + drift.failed:,} deliveries are owed by it, and will never be sent."
        click.confirm(f"{owed} Delete the webhook {webhook_id}?", abort=True)
    removed = await operations.remove_webhook(here.pool, webhook_id)
    return Told(removed, f"The webhook {webhook_id} is gone; it was still owed {counted(removed.owed)}.")


def _row(webhook: Mapping[str, Any]) -> tuple[str, ...]:
    told_by = f"{webhook['method']} {webhook['url']}"
    return str(webhook["id"]), webhook["name"], webhook["resource"], _state(webhook), told_by


def _state(webhook: Mapping[str, Any]) -> str:
    if webhook["active"]:
        return f"held since {webhook['heldSince']}" if webhook["heldSince"] else "active"
    if webhook["disabled"]:
        return "disabled"
    return f"paused: {webhook['pausedReason']}" if webhook["pausedReason"] else "paused"


for each in tending.COMMANDS:
    webhook.add_command(each)
