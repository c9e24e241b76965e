"""Brings a database to the schema of this program: numbered SQL files, each applied once."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from retailos.database.pool import Connection, is_outage
from retailos.errors import ConfigurationError, Unavailable

MIGRATIONS = Path(__file__).with_name("migrations")
#: A statement that queues for a lock stops all who come after it, so it gives up soon and is tried again later.
LOCK_TIMEOUT_SECONDS = 5.0
#: A large index may take hours; a connection that is lost is noticed sooner, by TCP.
_STATEMENT_SECONDS = 24 * 3600.0
_TURN_POLL_SECONDS = 0.1
_LOCK_KEY = int.from_bytes(b"retailos", "big")
_FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_NO_TRANSACTION = re.compile(r"^-- transaction: none$", re.MULTILINE)
_TABLE = """
create table if not exists migration (
    number     integer     primary key,
    name       text        not null,
    checksum   text        not null,
    applied_at timestamptz not null default now()
)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One numbered file."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """What tells whether the file changed since it was applied."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def statements(self) -> list[str]:
        """What is sent at once: the whole file, or its single statements if its header says `-- transaction: none`."""
        return re.split(r"(?<=;)\s*\n", self.sql.strip()) if self.standalone else [self.sql]

    @property
    def standalone(self) -> bool:
        """Whether PostgreSQL refuses its statements in a transaction, as `create index concurrently`."""
        return _NO_TRANSACTION.search(self.sql) is not None


async def migrate(
    connection: Connection,
    directory: Path = MIGRATIONS,
    *,
    lock_timeout_seconds: float = LOCK_TIMEOUT_SECONDS,
) -> list[str]:
    """Apply what is pending, in order, and return the names; any number of processes may do so at once.

    A file is one transaction: a failing one leaves nothing. One with the header `-- transaction: none` holds
    statements that may be repeated, each ended by a semicolon at the end of a line. Raises ConfigurationError if a
    file fails, was changed after it was applied, or is unknown to this program; Unavailable if a lock isn't granted.
    """
    async with _turn(connection, lock_timeout_seconds):
        await connection.execute(_TABLE)
        waiting = await _pending(connection, read(directory))
        for migration in waiting:
            await _apply(connection, migration)
    return [migration.name for migration in waiting]


async def pending(connection: Connection, directory: Path = MIGRATIONS) -> list[str]:
    """The names of the files that migrate() would apply. Raises ConfigurationError as it does."""
    migrations = read(directory)
    if await connection.fetchval("select to_regclass('migration') is null"):
        return [migration.name for migration in migrations]
    return [migration.name for migration in await _pending(connection, migrations)]


def read(directory: Path) -> list[Migration]:
    """The files of a directory in order; ValueError unless they are numbered 0001, 0002, … without a gap."""
    files = sorted(file for file in directory.glob("*.sql"))
    for number, file in enumerate(files, start=1):
        match = _FILE_NAME.fullmatch(file.name)
        if match is None or int(match[1]) != number:
            raise ValueError(f"{directory.name}: expected a migration {number:04}_name.sql here, got {file.name}")
    return [Migration(number=n, name=f.name, sql=f.read_text(encoding="utf-8")) for n, f in enumerate(files, start=1)]


async def _pending(connection: Connection, migrations: Sequence[Migration]) -> Sequence[Migration]:
    """The tail of the files that the database has not had, after a check of those that it had."""
    applied = await connection.fetch("select number, name, checksum from migration order by number")
    for row, migration in zip(applied, migrations, strict=False):
        if row["number"] != migration.number or row["checksum"] != migration.checksum:
            raise ConfigurationError(
                f"Migration {row['name']} was applied to this database, but {migration.name} of this program is "
                "different from it. Put the file back as it was, and write the change as a new migration."
            )
    if len(applied) > len(migrations):
        raise ConfigurationError(
            f"This database is newer than this program: it has had {applied[len(migrations)]['name']}, which this "
            "program doesn't know. Start the version of RetailOS that wrote it, or a later one."
        )
    return migrations[len(applied) :]


async def _apply(connection: Connection, migration: Migration) -> None:
    record = "insert into migration (number, name, checksum) values ($1, $2, $3)"
    try:
        if migration.standalone:
            for statement in migration.statements:
                await connection.execute(statement, timeout=_STATEMENT_SECONDS)
            await connection.execute(record, migration.number, migration.name, migration.checksum)
        else:
            async with connection.transaction():
                await connection.execute(migration.sql, timeout=_STATEMENT_SECONDS)
                await connection.execute(record, migration.number, migration.name, migration.checksum)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        # The detail of a refusal quotes the rows, so it stays out of the message.
        said = error.args[0] if isinstance(error, asyncpg.PostgresError) else error
        if is_outage(error):
            raise Unavailable(f"Migration {migration.name} could not run just now ({said}); try again.") from error
        kept = "what its earlier statements did stays, and may be repeated" if migration.standalone else "nothing of it"
        raise ConfigurationError(
            f"Migration {migration.name} can't be applied to this database ({kept}): {said}. "
            "Put right what it names, and start again."
        ) from error


@asynccontextmanager
async def _turn(connection: Connection, lock_timeout_seconds: float) -> AsyncIterator[None]:
    """Hold the lock that lets one session at a time migrate, with timeouts that suit DDL."""
    await connection.execute(f"set lock_timeout = {round(lock_timeout_seconds * 1000)}; set statement_timeout = 0")
    # Polled: a session that waits inside pg_advisory_lock() holds a snapshot, and `create index concurrently` waits
    # for all snapshots, so the two would wait for each other.
    while True:
        if await connection.fetchval("select pg_try_advisory_lock($1)", _LOCK_KEY):
            break
        await asyncio.sleep(_TURN_POLL_SECONDS)
    try:
        yield
    finally:
        # A connection that was lost holds no lock either.
        with suppress(asyncpg.InterfaceError, asyncpg.PostgresConnectionError, OSError):
            await connection.execute("reset lock_timeout; reset statement_timeout")
            await connection.execute("select pg_advisory_unlock($1)", _LOCK_KEY)
