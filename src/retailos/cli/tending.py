"""`retailos webhook pause …`: what is done to a webhook that there is: switched, and held against what there is."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click

from retailos import operations
from retailos.cli.command import Deployment, Told, carry_out, in_full, listed, on_deployment
from retailos.cli.options import data_dir, output, rate
from retailos.cli.progress import followed
from retailos.cli.table import counted
from retailos.deliveries.openings import Opening
from retailos.operations import Operation
from retailos.resources import RESOURCES
from retailos.stints.operation import OPERATOR

#: Openings that are listed.
OPENINGS_MOST: Final = 50
webhook_id = click.argument("webhook_id", metavar="ID", type=int)


def record(command: Callable[..., None]) -> Callable[..., None]:
    """The options that name a record."""
    command = click.option("--record", "record_id", metavar="ID", help="The record, by our id.")(command)
    return click.option("--external-id", metavar="ID", help="The record, by its external id.")(command)


@click.command()
@webhook_id
@on_deployment
async def pause(here: Deployment, webhook_id: int) -> Told:
    """Send nothing for now; what it is owed meanwhile is kept.

    \b
    Example:
      retailos webhook pause 3
    """
    done = await operations.pause_webhook(here.pool, webhook_id)
    return Told(done, f"The webhook {webhook_id} is paused; it is owed {counted(done.owed)}.")


@click.command()
@webhook_id
@on_deployment
async def resume(here: Deployment, webhook_id: int) -> Told:
    """Send again, beginning with what it is owed.

    \b
    Example:
      retailos webhook resume 3
    """
    done = await operations.resume_webhook(here.pool, webhook_id)
    return Told(done, f"The webhook {webhook_id} is active; it is owed {counted(done.owed)}.")


@click.command()
@webhook_id
@on_deployment
async def disable(here: Deployment, webhook_id: int) -> Told:
    """Send nothing, and owe nothing of what changes from now on.

    \b
    Example:
      retailos webhook disable 3
    """
    done = await operations.disable_webhook(here.pool, webhook_id)
    return Told(done, f"The webhook {webhook_id} is disabled; until it is enabled, it is owed {counted(done.owed)}.")


@click.command()
@webhook_id
@on_deployment
async def enable(here: Deployment, webhook_id: int) -> Told:
    """Owe and send again, and catch up with what changed while it was disabled.

    \b
    Example:
      retailos webhook enable 3
    """
    done = await operations.enable_webhook(here.pool, RESOURCES, webhook_id, OPERATOR)
    if done.operation is not None:
        await followed(here.pool, (done.operation,), shown=here.for_people)
    return Told(done, f"The webhook {webhook_id} is active; it is owed {counted(done.owed)}.")


@click.command()
@webhook_id
@rate
@on_deployment
async def backfill(here: Deployment, webhook_id: int, rate: int | None) -> Told:
    """Tell it of every record that exists and that it does not know; changes go first.

    \b
    Example:
      retailos webhook backfill 3 --rate 500
    """
    return await _ended(here, await operations.backfill(here.pool, RESOURCES, webhook_id, {"rate": rate}, OPERATOR))


@click.command()
@webhook_id
@rate
@click.option("--behind", is_flag=True, help="Only records of which it was not owed the newest version.")
@on_deployment
async def resync(here: Deployment, webhook_id: int, rate: int | None, behind: bool) -> Told:
    """Tell it of every record once more, whatever it has acknowledged; changes go first.

    \b
    Example:
      retailos webhook resync 3
    """
    said: dict[str, Any] = {"rate": rate, "behind": behind}
    return await _ended(here, await operations.resync_webhook(here.pool, RESOURCES, webhook_id, said, OPERATOR))


@click.command()
@webhook_id
@on_deployment
async def drift(here: Deployment, webhook_id: int) -> Told:
    """Count how many deliveries are in sync, behind and failed, and which records it was never told of.

    \b
    Example:
      retailos webhook drift 3
    """
    found = await operations.show_drift(here.pool, RESOURCES, webhook_id)
    held = f" ({found.held:,} held by the breaker)" if found.held else ""
    return Told(
        found,
        f"{found.matched:,} in sync, {found.behind:,} behind{held}, {found.failed:,} failed, "
        f"{found.dismissed:,} dismissed; of {found.records:,} records it was never told of {found.never_told:,}.",
    )


@click.command()
@webhook_id
@on_deployment
async def openings(here: Deployment, webhook_id: int) -> Told:
    """List from when to when its breaker held what it was owed, newest first.

    \b
    Example:
      retailos webhook openings 3
    """
    found = await operations.list_openings(here.pool, webhook_id, OPENINGS_MOST, 0)
    nothing = "Its breaker was not open, as far as the history is kept."
    return listed(found, ("held from", "until", "failures"), _opening, nothing)


@click.command()
@webhook_id
@record
@click.option("--dry-run", is_flag=True, help="Only show the request.")
@on_deployment
async def test(here: Deployment, webhook_id: int, dry_run: bool, **named: str | None) -> Told:
    """Send it what it would be sent of a record, and show what came of it; nothing that is owed changes.

    The exit code is 1 where the receiver did not take it.

    \b
    Example:
      retailos webhook test 3 --external-id example-customer-id --dry-run
    """
    body = _named(named) | {"dryRun": dry_run}
    tried = await operations.try_webhook(here.pool, RESOURCES, here.settings, webhook_id, body)
    return replace(in_full(tried), failed=tried.error_class is not None)


@click.command()
@webhook_id
@record
@on_deployment
async def trigger(here: Deployment, webhook_id: int, **named: str | None) -> Told:
    """Tell it of one record now, whatever it has acknowledged.

    \b
    Example:
      retailos webhook trigger 3 --external-id example-customer-id
    """
    body = _named(named)
    done = await operations.trigger(here.pool, RESOURCES, webhook_id, body)
    return Told(done, f"Version {done.version} is owed to the webhook {webhook_id}: delivery {done.delivery_id}.")


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

    async def explained(here: Deployment) -> Told:
        story = await operations.explain(here.pool, RESOURCES, webhook_id, said)
        lines = [f"{each.at}  {each.text}" for each in story.happenings]
        return Told(story, "\n".join(lines) or "Nothing is known of it, as far as the history is kept.")

    carry_out(data_dir, output, explained)


def _opening(each: Opening) -> tuple[str, ...]:
    return each.opened_at, each.closed_at or "now", f"{each.failures:,}"


def _named(named: Mapping[str, str | None]) -> dict[str, Any]:
    names = {"externalId": named["external_id"], "recordId": named["record_id"]}
    return {name: value for name, value in names.items() if value is not None}


async def _ended(here: Deployment, begun: Operation) -> Told:
    [done] = await followed(here.pool, (begun,), shown=here.for_people)
    said = f"{done.done:,} records are owed to the webhook {done.webhook_id}; {done.skipped:,} needed nothing."
    return Told(done, said)


COMMANDS: Final = (pause, resume, disable, enable, backfill, resync, drift, openings, test, trigger)
