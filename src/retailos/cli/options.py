"""What commands share: the settings that they were given, the database that they name, and how they write."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
import uvloop

from retailos.app import DATA_DIR, bring_up_to_date, open_database, open_pool
from retailos.database.pool import Pool
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


def check_named(settings: Settings) -> None:
    """Raise click.UsageError where no database is named, before one is made by mistake."""
    if not (settings.database_url or settings.data_dir or DATA_DIR.is_dir()):
        raise click.UsageError(
            "Name the database: --data-dir DIR for an embedded one, or "
            "RETAILOS_DATABASE_URL=postgresql://user:password@host/name for a server of yours."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What a command works with: a pool on the database, and the settings with all that the database's place keeps."""

    pool: Pool
    settings: Settings


@asynccontextmanager
async def deployment_of(settings: Settings, command: str) -> AsyncIterator[Deployment]:
    """The deployment of the settings, its database brought up to date, for the length of a command.

    An embedded server that runs is joined; otherwise it runs as long as the command. Raises click.UsageError where
    no database is named.
    """
    check_named(settings)
    async with open_database(settings) as database:
        await bring_up_to_date(database.url)
        async with open_pool(database.url, command) as pool:
            yield Deployment(pool=pool, settings=database.settings)


@asynccontextmanager
async def database_of(settings: Settings, command: str) -> AsyncIterator[Pool]:
    """A pool on the database of the settings, as deployment_of() opens it."""
    async with deployment_of(settings, command) as deployment:
        yield deployment.pool


_encode = msgspec.json.Encoder(decimal_format="number").encode


def write_json(value: Any) -> None:
    """Write a value for programs: one line of JSON on stdout."""
    click.echo(_encode(value))


def on_deployment(command: str, data_dir: Path | None, work: Callable[[Deployment], Awaitable[T]]) -> T:
    """Do what a command is about on the database that it names."""

    async def worked() -> T:
        async with deployment_of(settings_of(data_dir), command) as deployment:
            return await work(deployment)

    return run(worked())


def tell(value: Any, output: str, said: str) -> None:
    """Show what came of it, to programs or to people."""
    if output == "json":
        write_json(value)
    else:
        click.echo(said)
