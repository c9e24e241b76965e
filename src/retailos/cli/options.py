"""What commands share: the options of most, the settings that they were given, and how they run and write."""

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
import uvloop

from retailos.app import DATA_DIR
from retailos.errors import ConfigurationError
from retailos.settings import Settings, load

T = TypeVar("T")

data_dir = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"Use the embedded database in this directory.  [default: {DATA_DIR}, unless RETAILOS_DATABASE_URL is set]",
)
output = click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    help="For people, or for programs.  [default: text]",
)
rate = click.option("--rate", type=click.IntRange(1, 100_000), help="Records a second at the most.")


def settings_of(data_dir: Path | None, *, host: str | None = None, port: int | None = None) -> Settings:
    """The settings, an option outranking them; click.UsageError if they can't be used or name two databases."""
    try:
        settings = load(os.environ, data_dir=data_dir, host=host, port=port)
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from error
    if data_dir and settings.database_url:
        raise click.UsageError(
            "Both --data-dir and RETAILOS_DATABASE_URL name a database; leave --data-dir out, or unset the variable."
        )
    return settings


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work to its end, on the event loop that is twice as fast."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


def check_named(settings: Settings, else_: str = "") -> None:
    """Raise click.UsageError where no database is named, before one is made by mistake; else_: what else would do."""
    if not (settings.database_url or settings.data_dir or DATA_DIR.is_dir()):
        raise click.UsageError(
            "Name the database: --data-dir DIR for an embedded one, or "
            f"RETAILOS_DATABASE_URL=postgresql://user:password@host/name for a server of yours.{else_}"
        )


_encode = msgspec.json.Encoder(decimal_format="number").encode


def write_json(value: Any) -> None:
    """Write a value for programs: one line of JSON on stdout."""
    click.echo(_encode(value))
