"""`retailos doctor`: looks at what the program needs, and says what is wrong and what to do."""

from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import click
from rich.console import Console

from retailos import __version__, operations
from retailos.api.tls import valid_until
from retailos.app import DATA_DIR, open_database, open_pool
from retailos.cli.migrate import counted
from retailos.cli.options import data_dir, output, run, settings_of, write_json
from retailos.database import migrate
from retailos.database.pool import Pool, acquire
from retailos.database.statements import load
from retailos.errors import ConfigurationError, RetailOSError
from retailos.settings import Settings

_SQL = load(__file__)
_OPEN = _SQL.open_transactions

#: Two machines whose clocks are further apart than this put their records and log lines in a wrong order.
CLOCKS_APART_SECONDS: Final = 2.0
#: No transaction of this program takes half as long; what a longer one sees, no vacuum removes, and queues grow slow.
FORGOTTEN_SECONDS: Final = 60.0
#: What renews certificates does so a month before they end; one that is so near its end was forgotten.
RENEWED_DAYS: Final = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at: whether it is as it must be, and what to do if not."""

    name: str
    good: bool
    said: str


@click.command()
@data_dir
@output
def doctor(data_dir: Path | None, output: str) -> None:
    """Look at the certificate, the database, its settings and migrations, and the clock; exit with 1 if one is wrong.

    Nothing is changed, but an embedded server that does not run is started for the moment.

    \b
    Example:
      retailos doctor --data-dir data
    """
    findings = run(_all(settings_of(data_dir)))
    if output == "json":
        write_json([asdict(each) for each in findings])
    else:
        console = Console(soft_wrap=True, highlight=False)
        for each in findings:
            console.print("[green]✓[/]" if each.good else "[red]✗[/]", each.name, end="  ")
            console.print(each.said, markup=False)
    if not all(each.good for each in findings):
        raise click.exceptions.Exit(1)


async def _all(settings: Settings) -> list[Finding]:
    return [each async for each in _findings(settings)]


async def _findings(settings: Settings) -> AsyncIterator[Finding]:
    """Look at one thing after the other, as far as it leads."""
    yield Finding(name="version", good=True, said=f"RetailOS {__version__}")
    if settings.tls_certificate:
        yield _certificate(settings.tls_certificate, settings.tls_key)
    directory = settings.data_dir or DATA_DIR
    if not (settings.database_url or directory.is_dir()):
        said = (
            f"there is none in {directory} yet; retailos serve makes it, or name one of yours (RETAILOS_DATABASE_URL)"
        )
        yield Finding(name="database", good=False, said=said)
        return
    try:
        async with open_database(settings) as database, open_pool(database.url, "doctor") as pool:
            yield await _database(pool, embedded=database.cluster is not None)
            migrations = await _migrations(pool)
            yield migrations
            yield await _clock(pool)
            yield await open_transactions(pool, FORGOTTEN_SECONDS)
            if migrations.good:
                yield await _secrets(pool, database.settings)
                yield await _certificates(pool, settings.certificate_warning_days)
    except (ConfigurationError, RetailOSError) as error:
        yield Finding(name="database", good=False, said=str(error))


def _certificate(certificate: Path, key: Path | None) -> Finding:
    try:
        until = datetime.fromtimestamp(valid_until(certificate, key), UTC)
    except ConfigurationError as error:
        return Finding(name="certificate", good=False, said=str(error))
    good = until - datetime.now(UTC) > timedelta(days=RENEWED_DAYS)
    said = f"{certificate} is valid until {until:%Y-%m-%d %H:%M} UTC" + ("" if good else "; renew it")
    return Finding(name="certificate", good=good, said=said)


async def _database(pool: Pool, *, embedded: bool) -> Finding:
    """The pool refuses a server that is too old or not durable, so one that is connected is neither."""
    async with acquire(pool) as connection:
        version = str(await connection.fetchval("show server_version")).partition(" ")[0]
    kind = "embedded PostgreSQL" if embedded else "PostgreSQL"
    said = f"{kind} {version}, fsync and full_page_writes on"
    return Finding(name="database", good=True, said=said)


async def _migrations(pool: Pool) -> Finding:
    async with acquire(pool) as connection:
        waiting = await migrate.pending(connection)
    said = f"{counted(waiting)} not applied; run: retailos migrate" if waiting else "all applied"
    return Finding(name="migrations", good=not waiting, said=said)


async def _secrets(pool: Pool, settings: Settings) -> Finding:
    state = await operations.show_secrets(pool, settings)
    if state.locked:
        said = f"{state.locked} need a key that is not here; put it back into RETAILOS_ENCRYPTION_KEYS"
    elif state.clear:
        said = f"{state.clear} webhooks keep theirs in clear; run: retailos secrets rotate"
        said = said if state.newest else f"{said}, with a key from retailos secrets new-key"
    elif state.older:
        said = f"{state.older} are sealed with an older key; run: retailos secrets rotate"
    elif state.newest is None:
        return Finding(
            name="secrets", good=True, said="none, and no key to seal any: retailos secrets new-key makes one"
        )
    else:
        return Finding(name="secrets", good=True, said=f"{state.current} sealed with the key {state.newest}")
    return Finding(name="secrets", good=False, said=said)


async def _certificates(pool: Pool, days: int) -> Finding:
    expiring = await operations.list_expiring(pool, days)
    said = "; ".join(f"{each.name} until {each.expires_at[:10]}, renew it" for each in expiring)
    name = "certificates of webhooks"
    return Finding(name=name, good=not expiring, said=said or f"none ends within {days} days")


async def open_transactions(pool: Pool, seconds: float) -> Finding:
    """Look whether somebody has left a transaction open for longer than so many seconds."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_OPEN, seconds)
    said = "; ".join(
        f"{row['who']} (process {row['pid']}) has one open for {row['age']:.0f} s, which makes queues slow: end it"
        for row in rows
    )
    return Finding(name="transactions", good=not rows, said=said or f"none is older than {seconds:.0f} s")


async def _clock(pool: Pool) -> Finding:
    async with acquire(pool) as connection:
        there = await connection.fetchval("select clock_timestamp()")
    apart = abs((datetime.now(UTC) - there).total_seconds())
    good = apart < CLOCKS_APART_SECONDS
    said = f"{apart:.1f} s from the database's" + ("" if good else "; synchronise both machines' clocks (NTP)")
    return Finding(name="clock", good=good, said=said)
