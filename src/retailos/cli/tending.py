"""`retailos webhook pause …`: what is done to a webhook that there is: switched, and held against what there is."""

from pathlib import Path
from typing import Any, Final

import click

from retailos import operations
from retailos.cli.options import Deployment, data_dir, on_deployment, output, tell
from retailos.cli.progress import followed
from retailos.operations import Operation, Switched
from retailos.resources import RESOURCES
from retailos.webhooks.operation import OPERATOR

webhook_id = click.argument("webhook_id", metavar="ID", type=int)
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


def _told(done: Operation, output: str) -> None:
    tell(
        done,
        output,
        f"{done.done:,} records are owed to the webhook {done.webhook_id}; {done.skipped:,} needed nothing.",
    )


COMMANDS: Final = (pause, resume, disable, enable, backfill, resync, drift)
