"""`retailos webhook`: standing orders to tell another system of changes, made, shown, tended and taken away."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import msgspec

from retailos import operations
from retailos.cli import tending
from retailos.cli.command import Deployment, Told, carry_out, in_full, listed, on_deployment
from retailos.cli.keys import Duration
from retailos.cli.options import data_dir, output
from retailos.resources import RESOURCES
from retailos.webhooks.agreement import FORMS
from retailos.webhooks.signers import SCHEMES

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def webhook() -> None:
    """Add, list, show, tend and delete webhooks.

    \b
    Example:
      retailos webhook add --name erp --resource customer \\
        --url 'https://erp.example.com/v1/customer/{externalCustomerId}'
    """


@webhook.command()
@click.option("--name", required=True, help="What tells it from the others of its resource.")
@click.option("--resource", required=True, type=click.Choice(list(RESOURCES)), help="Whose changes it tells of.")
@click.option("--url", required=True, help="Where to send to; {externalCustomerId} stands for the record's value.")
@click.option("--method", type=click.Choice(["PUT", "POST", "PATCH"]), help="[default: PUT]")
@click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Sent with each request; repeatable.")
@click.option("--retry-limit", type=int, help="Retries before a delivery counts as failed.  [default: 5]")
@click.option("--retry-delay", type=float, metavar="SECONDS", help="Before the first retry.  [default: 120]")
@click.option("--retry-backoff/--no-retry-backoff", default=None, help="Double the delay each time.  [default: do]")
@click.option("--timeout", type=float, metavar="SECONDS", help="For one request, from end to end.  [default: 30]")
@click.option("--connect-timeout", type=float, metavar="SECONDS", help="For its connection, of that.  [default: 5]")
@click.option("--concurrency", type=int, help="Requests under way at once.  [default: 16]")
@click.option("--requeue-every", type=float, metavar="SECONDS", help="Requeue what failed and may pass so often.")
@click.option("--backfill", is_flag=True, help="Tell it of every record that exists, too.")
@click.option("--retry-on", type=click.Choice(["any", "transient"]), help="Which failures to retry.  [default: any]")
@click.option("--rate", type=float, help="Requests in a second at the most; 0: any number.  [default: 0]")
@click.option("--breaker", type=click.Choice(["on", "off"]), help="Hold while nothing gets through.  [default: on]")
@click.option("--breaker-failures", type=int, help="Failures in a row that open the breaker.  [default: 20]")
@click.option("--breaker-probe", type=float, metavar="SECONDS", help="From one probe to the next.  [default: 15]")
@click.option("--sends", type=click.Choice(["latest", "every"]), help="The newest state, or each.  [default: latest]")
@click.option("--on-exhausted", type=click.Choice(["hold", "skip"]), help="Of every change.  [default: hold]")
@click.option("--where", multiple=True, metavar="PATH=VALUE", help="Only such records; a path twice: either value.")
@click.option("--when-changed", multiple=True, metavar="NAME", help="Only when this field changed; repeatable.")
@click.option("--suppress-echo", multiple=True, metavar="KEY-ID", help="Not what came with this key; repeatable.")
@click.option("--on-relation-change", type=click.Choice(["ignore", "mark"]), help="Of what it shows. [default: ignore]")
@click.option("--batch-size", type=int, help="Records in one request, which needs a URL for all.  [default: 1]")
@click.option("--batch-bytes", type=int, help="Bytes of one request's body at the most.  [default: 10000000]")
@click.option("--batch-wait", type=float, metavar="SECONDS", help="Let a batch fill for so long.  [default: 0]")
@click.option("--batch-answer", type=click.Choice(FORMS), help="How its answer is read.  [default: results]")
@click.option("--batch-answer-list", metavar="POINTER", help="Where in the answer the list of records is.")
@click.option("--batch-answer-id", metavar="POINTER", help="Where in an item of it the record's id is.")
@click.option("--batch-answer-error", metavar="POINTER", help="Where in an item of it the record's error is.")
@click.option("--field", "fields", multiple=True, metavar="NAME", help="Send this field or relation; repeatable.")
@click.option("--user-projection", type=click.Choice(["full", "minimal"]), help="How much of a user.  [default: full]")
@click.option("--on-delete", type=click.Choice(["send", "delete"]), help="Send it, or an HTTP DELETE.  [default: send]")
@click.option("--credentials", type=_FILE, help="A JSON file: an API key, a name and password, or OAuth 2.")
@click.option("--client-certificate", type=_FILE, help="A PEM file: what we show the receiver, its issuers behind it.")
@click.option("--client-key", type=_FILE, help="A PEM file: the certificate's key, without a password.")
@click.option("--certificate-authority", type=_FILE, help="A PEM file: whom to trust besides the usual authorities.")
@data_dir
@output
def add(data_dir: Path | None, output: str, headers: tuple[str, ...], where: tuple[str, ...], **given: Any) -> None:
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
    body = {_camel(name): _given(name, value) for name, value in given.items() if value not in (None, ())}
    if where:
        body["where"] = _where(where)
    body["headers"] = dict(_header(each) for each in headers)

    async def added(here: Deployment) -> Told:
        made = await operations.add_webhook(here.pool, RESOURCES, here.settings, body)
        return Told(made, f"The webhook {made['id']} is told of every {made['resource']} that changes.")

    carry_out(data_dir, output, added)


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
    return Told(removed, f"The webhook {webhook_id} is gone; it was still owed {removed.owed} deliveries.")


def _row(webhook: Mapping[str, Any]) -> tuple[str, ...]:
    told_by = f"{webhook['method']} {webhook['url']}"
    return str(webhook["id"]), webhook["name"], webhook["resource"], _state(webhook), told_by


def _state(webhook: Mapping[str, Any]) -> str:
    if webhook["active"]:
        return f"held since {webhook['heldSince']}" if webhook["heldSince"] else "active"
    if webhook["disabled"]:
        return "disabled"
    return f"paused: {webhook['pausedReason']}" if webhook["pausedReason"] else "paused"


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)


def _given(name: str, value: Any) -> Any:
    """What an option says as a request's body says it: no number is a float, a file is what stands in it."""
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, float):
        return Decimal(str(value))
    if not isinstance(value, Path):
        return value
    try:
        text = value.read_text(encoding="utf-8")
        return msgspec.json.decode(text) if name == "credentials" else text
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        raise click.UsageError(f"{value}: expected {'JSON' if name == 'credentials' else 'PEM'}.") from error


def _where(texts: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, list[str]] = {}
    for text in texts:
        path, equals, value = text.partition("=")
        if not equals:
            raise click.UsageError(f"expected a filter such as territory.externalTerritoryId=UK, got {text!r}")
        found.setdefault(path, []).append(value)
    return {path: values if len(values) > 1 else values[0] for path, values in found.items()}


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon:
        raise click.UsageError(f"expected a header such as 'Authorization: API_KEY …', got {text!r}")
    return name.strip(), value.strip()


for each in tending.COMMANDS:
    webhook.add_command(each)
