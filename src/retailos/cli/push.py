"""`retailos push`: imports a file over the API, shows how far it is, and writes down what was refused."""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final, cast
from uuid import UUID

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from retailos import app, keys
from retailos.api.port import address
from retailos.cli import remote
from retailos.cli.options import check_named, data_dir, output, run, settings_of, write_json
from retailos.cli.remote import Remote
from retailos.cli.sending import Sender, sender
from retailos.errors import ConfigurationError, RetailOSError
from retailos.imports.imports import Import
from retailos.imports.rows import FORMATS, told
from retailos.resources import RESOURCES
from retailos.settings import Settings
from retailos.supervisor import Supervisor

_SUFFIXES: Final = ((".csv", "csv"), (".tsv", "csv"), (".ndjson", "ndjson"), (".jsonl", "ndjson"))
_STDIN: Final = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A file that is to be sent: its format, whether it is packed, and its bytes if that is known."""

    file: BinaryIO
    format: str
    gzip: bool
    size: int | None
    #: Where the rows that are refused are written.
    refused: Path


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(allow_dash=True, dir_okay=False, exists=True))
@click.option("--resource", required=True, type=click.Choice(list(RESOURCES)), help="What the records are.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="The format, where FILE's name does not tell it.")
@click.option("--max-error-rate", type=click.FloatRange(0, 1), help="Stop once more than this share was refused.")
@click.option(
    "--url",
    help="Where the API is; a key is asked for.  "
    f"[default: {remote.URL} where a key is given, else one is started for this, on the database]",
)
@remote.key
@remote.key_file
@data_dir
@output
def push(
    file: str,
    resource: str,
    form: str | None,
    max_error_rate: float | None,
    url: str | None,
    key: str | None,
    key_file: Path | None,
    data_dir: Path | None,
    output: str,
) -> None:
    """Import the records in FILE, CSV or NDJSON, packed with gzip or not; - is stdin.

    A CSV file's first row names fields, such as email, address.postCode or registeredAt.externalStoreId; an empty cell
    keeps what is there, \\N clears it.

    Rows that are refused are written to a file beside it, to be corrected and pushed again; then the exit code is 1.
    An API that is away meanwhile is asked again for five minutes; the file is imported once all the same.

    \b
    Examples:
      retailos push customers.csv --resource customer --data-dir data
      retailos push stores.ndjson.gz --resource store --url https://retailos.example.com --key-file key
      unload customers | retailos push - --resource customer --format csv
    """
    if data_dir and (url or key or key_file):
        raise click.UsageError("Both --data-dir and --url or a key say where to; leave one of them out.")
    url = url or (remote.URL if key or key_file else None)
    if url and not key and not key_file:
        key = click.prompt("API key", hide_input=True, err=True)
    api = Remote.named(url, key, key_file) if url else None
    source = _source(file, form)
    query = {"resource": resource, "format": source.format}
    if max_error_rate is not None:
        query["maxErrorRate"] = f"{max_error_rate:.6f}"
    done = run(_push(source, query, api or _settings(data_dir), shown=output == "text"))
    if output == "json":
        write_json(done)
    else:
        _tell(done, source)
    if done.failed or done.status != "completed":
        sys.exit(1)


def _settings(data_dir: Path | None) -> Settings:
    settings = settings_of(data_dir, host="127.0.0.1", port=0)
    check_named(settings, " Or name an API that runs: --url URL --key-file FILE.")
    return replace(settings, log_level="warning")


def _source(file: str, form: str | None) -> Source:
    name = Path("stdin" if file == _STDIN else file)
    gzip = name.suffix.lower() == ".gz"
    inner = name.with_suffix("") if gzip else name
    form = form or dict(_SUFFIXES).get(inner.suffix.lower())
    if form is None:
        raise click.UsageError(f"The name {name} tells no format; add --format {' or --format '.join(FORMATS)}.")
    opened = cast(BinaryIO, click.open_file(file, "rb"))
    size = None if file == _STDIN else name.stat().st_size
    return Source(
        file=opened, format=form, gzip=gzip, size=size, refused=inner.with_name(f"{inner.stem}.failed.{form}")
    )


async def _push(source: Source, query: dict[str, str], to: Remote | Settings, *, shown: bool) -> Import:
    if isinstance(to, Remote):
        return await _import(sender(to.url, to.key), source, query, shown=shown)
    async with _own_api(to) as own:
        return await _import(own, source, query, shown=shown)


@asynccontextmanager
async def _own_api(settings: Settings) -> AsyncIterator[Sender]:
    """An API and a worker on the database of the settings, and a key, for the length of a command."""
    async with app.kept_database(settings) as database, Supervisor.open() as supervisor:
        await app.bring_up_to_date(database.url)
        async with app.open_pool(database.url, "push") as pool:
            pepper = settings.pepper.encode() if settings.pepper else None
            made = await keys.create(
                pool, name="push", environment=settings.environment, scopes=keys.DEFAULT_SCOPES, pepper=pepper
            )
            try:
                with app.held_port(replace(database.settings, port=0)) as own:
                    await app.start_roles(supervisor, own, app.ROLES)
                    yield sender(address(own.host, own.port), made.key)
            finally:
                await keys.revoke(pool, made.id)


async def _import(sender: Sender, source: Source, query: dict[str, str], *, shown: bool) -> Import:
    columns = (TextColumn("{task.description:<8}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not (shown and sys.stderr.isatty())) as progress:

        def say(said: str) -> None:
            progress.console.print(said, markup=False, highlight=False, soft_wrap=True)

        sender = replace(sender, say=say)
        sending = progress.add_task("Sending", total=source.size)
        queued = await sender.send(
            source.file,
            source.format,
            gzip=source.gzip,
            query=query,
            sent=lambda size: progress.update(sending, completed=size),
        )
        say(f"Import {queued.id} is queued.")
        applying = progress.add_task("Applying", total=queued.rows)
        with _told_of(queued.id):
            done = await sender.wait(queued.id, lambda each: progress.update(applying, completed=each.rows_read))
            if done.failed:
                await sender.fetch_refused(done.id, source.refused)
    return done


@contextmanager
def _told_of(import_id: UUID) -> Iterator[None]:
    """Say with what goes wrong that the import goes on without us, and where it is found."""
    path = f"{remote.PUBLIC}/imports/{import_id}"
    left = (
        f"The import goes on without this: GET {path} tells how far it is, GET {path}/results gives its refused rows."
    )
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"{error.filename} can't be written to: {error.strerror}. {left}") from error
    except RetailOSError as error:
        raise RetailOSError(f"{error.message} {left}") from error


def _tell(done: Import, source: Source) -> None:
    counts = [f"{count:,} {outcome}" for outcome, count in sorted(done.outcomes.items())]
    if done.failed:
        counts.append(f"{done.failed:,} refused, written to {source.refused}")
    click.echo(f"{done.rows_read:,} rows read: {', '.join(counts) or 'nothing'}.")
    if done.error:
        raise click.ClickException(told(done.error))
