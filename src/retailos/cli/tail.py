"""`retailos tail`: attempts as they are settled, a line each, whichever worker makes them."""

import asyncio
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final

import click

from retailos import operations
from retailos.cli.command import opened
from retailos.cli.options import data_dir, output, run, settings_of, write_json
from retailos.deliveries.lately import LOOK_MOST, Look, Settled
from retailos.errors import Unavailable
from retailos.resources import RESOURCES

LOOK_SECONDS: Final = 0.5


@click.command()
@click.option("--webhook", "webhook_id", type=int, metavar="ID", help="Those of this webhook.  [default: of all]")
@click.option("--failed", is_flag=True, help="Only those that were no success.")
@data_dir
@output
def tail(webhook_id: int | None, failed: bool, data_dir: Path | None, output: str) -> None:
    """Show attempts as they are settled, until Ctrl-C.

    \b
    Examples:
      retailos tail
      retailos tail --webhook 3 --failed --output json
    """
    run(_follow(data_dir, output == "text", webhook_id, failed))


async def _follow(data_dir: Path | None, for_people: bool, webhook_id: int | None, failed: bool) -> None:
    stop, last = asyncio.Event(), None
    for each in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    async with opened(settings_of(data_dir), for_people=for_people) as here:
        while not stop.is_set():
            # While the database is away nothing is settled; what is settled when it is back is shown.
            with suppress(Unavailable):
                found = await operations.look_lately(here.pool, RESOURCES, last, webhook_id, failed)
                _show(found, for_people=for_people, first=last is None)
                last = found
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_SECONDS)


def _show(found: Look, *, for_people: bool, first: bool) -> None:
    if first and for_people:
        click.echo("Following what is attempted; Ctrl-C stops it.")
    if found.cut:
        click.echo(f"More than {LOOK_MOST} attempts at once: the last of them follow.", err=True)
    for each in found.rows:
        if for_people:
            click.echo(line_of(each))
        else:
            write_json(each)


def line_of(each: Settled) -> str:
    """One line for people: when, who was told of what, and how that went, which is green if it went well."""
    went = " ".join(str(word) for word in (each.status, each.error_class) if word is not None)
    named = f"{each.webhook or 'a webhook that is gone'}  {each.external_id or each.delivery_id}"
    return (
        f"{click.style(each.at, dim=True)}  {named}  version {each.version}, attempt {each.number}  "
        f"{each.milliseconds:,.0f} ms  → {click.style(went, fg='red' if each.error_class else 'green')}"
    )
