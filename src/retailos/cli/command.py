"""A command that works on a deployment: it is opened for the command alone, and what came of it is told."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from retailos.app import bring_up_to_date, open_database, open_pool
from retailos.cli.options import check_named, data_dir, output, run, settings_of, write_json
from retailos.cli.table import Table, write_table
from retailos.database.pool import Pool
from retailos.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What a command works with: a pool on the database, and the settings with all that the database's place keeps."""

    pool: Pool
    settings: Settings
    #: Whether people read what is told, and how far it is meanwhile; else programs do.
    for_people: bool


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a command: a value, for programs, and what is said of it to people."""

    value: Any
    said: str | Table
    #: Not all of it was done, so that the exit code is 1.
    failed: bool = False


def in_full(value: Any) -> Told:
    """What is told of one thing: all of it, to people as to programs."""
    return Told(value, msgspec.json.format(msgspec.json.encode(value)).decode())


def listed(found: Iterable[T], columns: Sequence[str], row: Callable[[T], Sequence[str]], nothing: str) -> Told:
    """What is told of a list: a row for each, and `nothing` where there is none."""
    each = list(found)
    return Told(each, Table(columns, [row(one) for one in each]) if each else nothing)


def on_deployment(command: Callable[..., Awaitable[Told]]) -> Callable[..., None]:
    """Make a command of what is done on the deployment that its options name; it has these beside its own."""

    @wraps(command)
    def done(data_dir: Path | None, output: str, **given: Any) -> None:
        carry_out(data_dir, output, lambda here: command(here, **given))

    return data_dir(output(done))


def carry_out(data_dir: Path | None, output: str, work: Callable[[Deployment], Awaitable[Told]]) -> None:
    """Do what a command is about, and tell what came of it; for those that check first what they were given."""

    async def worked() -> Told:
        async with opened(settings_of(data_dir), for_people=output == "text") as deployment:
            return await work(deployment)

    _tell(run(worked()), output)


@asynccontextmanager
async def opened(settings: Settings, *, for_people: bool) -> AsyncIterator[Deployment]:
    """The deployment of the settings, its database brought up to date, for the length of a command.

    An embedded server that runs is joined; otherwise it runs as long as the command. Raises click.UsageError where
    no database is named.
    """
    check_named(settings)
    async with open_database(settings) as database:
        await bring_up_to_date(database.url)
        async with open_pool(database.url, _name()) as pool:
            yield Deployment(pool=pool, settings=database.settings, for_people=for_people)


def _name() -> str:
    """The word behind `retailos`, by which the database knows the command."""
    context = click.get_current_context()
    while context.parent and context.parent.parent:
        context = context.parent
    return context.info_name or "command"


def _tell(told: Told, output: str) -> None:
    if output == "json":
        write_json(told.value)
    elif isinstance(told.said, Table):
        write_table(told.said)
    else:
        click.echo(told.said)
    if told.failed:
        raise click.exceptions.Exit(1)
