"""`retailos webhook pause …`: what is done to a webhook that there is: switched, and held against what there is."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from retailos import operations
from retailos.cli.options import Deployment, data_dir, on_deployment, output, tell
from retailos.cli.progress import followed
from retailos.operations import Operation, Switched
from retailos.resources import RESOURCES
from retailos.stints.operation import OPERATOR

webhook_id = click.argument("webhook_id", metavar="ID", type=int)


def record(command: Callable[..., None]) -> Callable[..., None]:
    """The options that name a record."""
    command = click.option("--record", "record_id", metavar="ID", help="The record, by our id.")(command)
    return click.option("--external-id", metavar="ID", help="The record, by its external id.")(command)


rate = click.option("--rate", type=click.IntRange(1, 100_000), help="Records a second at the most.")


@click.command()
@webhook_id
@data_dir
@output
def pause(webhook_id: int, data_dir: Path | None, output: str) -> None:
    """Send nothing for now; what it is owed meanwhile is kept.

    \b
    Example:
      retailos webhook pause 3
    """
    done = on_deployment("webhook", data_dir, lambda here: operations.pause_webhook(here.pool, webhook_id))
    tell(done, output, f"The webhook {webhook_id} is paused; it is owed {done.owed:,} deliveries.")


@click.command()
@webhook_id
@data_dir
@output
def resume(webhook_id: int, data_dir: Path | None, output: str) -> None:
    """Send again, beginning with what it is owed.

    \b
    Example:
      retailos webhook resume 3
    """
    done = on_deployment("webhook", data_dir, lambda here: operations.resume_webhook(here.pool, webhook_id))
    tell(done, output, f"The webhook {webhook_id} is active; it is owed {done.owed:,} deliveries.")


@click.command()
@webhook_id
@data_dir
@output
def disable(webhook_id: int, data_dir: Path | None, output: str) -> None:
    """Send nothing, and owe nothing of what changes from now on.

    \b
    Example:
      retailos webhook disable 3
    """
    done = on_deployment("webhook", data_dir, lambda here: operations.disable_webhook(here.pool, webhook_id))
    tell(done, output, f"The webhook {webhook_id} is disabled; {done.owed:,} deliveries wait until it is enabled.")


@click.command()
@webhook_id
@data_dir
@output
def enable(webhook_id: int, data_dir: Path | None, output: str) -> None:
    """Owe and send again, and catch up with what changed while it was disabled.

    \b
    Example:
      retailos webhook enable 3
    """

    async def enabled(here: Deployment) -> Switched:
        done = await operations.enable_webhook(here.pool, RESOURCES, webhook_id, OPERATOR)
        if done.operation is not None:
            await followed(here.pool, (done.operation,), shown=output == "text")
        return done

    done = on_deployment("webhook", data_dir, enabled)
    tell(done, output, f"The webhook {webhook_id} is active; it is owed {done.owed:,} deliveries.")


@click.command()
@webhook_id
@rate
@data_dir
@output
def backfill(webhook_id: int, rate: int | None, data_dir: Path | None, output: str) -> None:
    """Tell it of every record that exists and that it does not know; changes go first.

    \b
    Example:
      retailos webhook backfill 3 --rate 500
    """

    async def begun(here: Deployment) -> Operation:
        begun = await operations.backfill(here.pool, RESOURCES, webhook_id, {"rate": rate}, OPERATOR)
        return (await followed(here.pool, (begun,), shown=output == "text"))[0]

    _told(on_deployment("webhook", data_dir, begun), output)


@click.command()
@webhook_id
@rate
@click.option("--behind", is_flag=True, help="Only records of which it was not owed the newest version.")
@data_dir
@output
def resync(webhook_id: int, rate: int | None, behind: bool, data_dir: Path | None, output: str) -> None:
    """Tell it of every record once more, whatever it has acknowledged; changes go first.

    \b
    Example:
      retailos webhook resync 3
    """
    said: dict[str, Any] = {"rate": rate, "behind": behind}

    async def begun(here: Deployment) -> Operation:
        begun = await operations.resync_webhook(here.pool, RESOURCES, webhook_id, said, OPERATOR)
        return (await followed(here.pool, (begun,), shown=output == "text"))[0]

    _told(on_deployment("webhook", data_dir, begun), output)


@click.command()
@webhook_id
@data_dir
@output
def drift(webhook_id: int, data_dir: Path | None, output: str) -> None:
    """Count how many deliveries are in sync, behind and failed, and which records it was never told of.

    \b
    Example:
      retailos webhook drift 3
    """
    found = on_deployment("webhook", data_dir, lambda here: operations.show_drift(here.pool, RESOURCES, webhook_id))
    tell(
        found,
        output,
        f"{found.matched:,} in sync, {found.behind:,} behind, {found.failed:,} failed, {found.dismissed:,} dismissed; "
        f"{found.never_told:,} of {found.records:,} records it was never told of.",
    )


@click.command()
@webhook_id
@record
@click.option("--dry-run", is_flag=True, help="Only show the request.")
@data_dir
@output
def test(webhook_id: int, data_dir: Path | None, output: str, dry_run: bool, **named: str | None) -> None:
    """Send it what it would be sent of a record, and show what came of it; nothing that is owed changes.

    \b
    Example:
      retailos webhook test 3 --external-id example-customer-id --dry-run
    """
    body = _named(named) | {"dryRun": dry_run}
    tried = on_deployment(
        "webhook", data_dir, lambda here: operations.try_webhook(here.pool, RESOURCES, here.settings, webhook_id, body)
    )
    tell(tried, output, msgspec.json.format(msgspec.json.encode(tried)).decode())


@click.command()
@webhook_id
@record
@data_dir
@output
def trigger(webhook_id: int, data_dir: Path | None, output: str, **named: str | None) -> None:
    """Tell it of one record now, whatever it has acknowledged.

    \b
    Example:
      retailos webhook trigger 3 --external-id example-customer-id
    """
    body = _named(named)
    done = on_deployment("webhook", data_dir, lambda here: operations.trigger(here.pool, RESOURCES, webhook_id, body))
    tell(done, output, f"Version {done.version} is owed to the webhook {webhook_id}: delivery {done.delivery_id}.")


@click.command()
@click.option("--webhook", "webhook_id", type=int, required=True, metavar="ID", help="Which webhook.")
@record
@data_dir
@output
def explain(webhook_id: int, data_dir: Path | None, output: str, **named: str | None) -> None:
    """Tell what happened to a record on its way to a webhook, in order.

    \b
    Example:
      retailos explain --webhook 3 --external-id example-customer-id
    """
    said = _named(named)
    if len(said) != 1:
        raise click.UsageError("Say which record: --external-id ID, or --record ID.")
    told = on_deployment("webhook", data_dir, lambda here: operations.explain(here.pool, RESOURCES, webhook_id, said))
    lines = [f"{each.at}  {each.text}" for each in told.happenings]
    tell(told, output, "\n".join(lines) or "Nothing is known of it, as far as the history is kept.")


def _named(named: Mapping[str, str | None]) -> dict[str, Any]:
    names = {"externalId": named["external_id"], "recordId": named["record_id"]}
    return {name: value for name, value in names.items() if value is not None}


def _told(done: Operation, output: str) -> None:
    tell(
        done,
        output,
        f"{done.done:,} records are owed to the webhook {done.webhook_id}; {done.skipped:,} needed nothing.",
    )


COMMANDS: Final = (pause, resume, disable, enable, backfill, resync, drift, test, trigger)
