"""Connections to PostgreSQL: pooled, checked, and failing in one way only, errors.Unavailable."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar

import asyncpg
from asyncpg import exceptions
from asyncpg.connect_utils import SessionAttribute

from retailos.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

T = TypeVar("T")

OLDEST_POSTGRESQL = 15
#: A caller who waited this long for a connection is better told to come back.
ACQUIRE_SECONDS = 5.0
#: Nothing of ours waits inside a transaction; one that does blocks vacuum and others' rows.
IDLE_IN_TRANSACTION_SECONDS = 10
#: The client's own patience beyond statement_timeout, for a server that can't even answer that.
_GRACE_SECONDS = 5.0
#: Room for every fixed statement and every shape of list that is asked for again and again.
_STATEMENTS_PREPARED = 1024
_QUERIES_PER_CONNECTION = 1_000_000
#: Whose transaction was let go so often for another's is told to come back.
TRIES_MOST: Final = 4

#: One of a pool, or one of its own: functions that take a connection don't mind which.
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"

#: SQLSTATE classes that say "not now" and nothing about the statement: connection, authorization, no such database,
#: rollback (deadlock), resources (disk, memory, connections), operator (shutdown, timeout), system (I/O).
_OUTAGE_CLASSES = frozenset({"08", "28", "3D", "40", "53", "57", "58"})
#: The same as single codes: read-only after a failover, idle and transaction timeouts, a lock not granted in time.
_OUTAGE_STATES = frozenset({"25006", "25P03", "25P04", "55P03"})
#: What the driver says of a connection that was lost under it; it has no class of its own for that. It "cannot
#: switch to state" when the server said goodbye to an idle connection and has not hung up yet.
_LOST = ("clos", "released back to the pool", "cancelling", "not connected", "cannot switch to state")
_NOT_NOW = "The database can't answer just now; send again after the seconds in Retry-After."
_TRANSIENT = (
    OSError,
    exceptions.InvalidCachedStatementError,
    exceptions.OutdatedSchemaCacheError,
    exceptions.TargetServerAttributeNotMatched,
)
_MISCONFIGURED = (
    exceptions.ClientConfigurationError,
    exceptions.InvalidAuthorizationSpecificationError,
    exceptions.InvalidCatalogNameError,
    ValueError,
)


async def connect(
    url: str,
    *,
    min_size: int,
    max_size: int,
    application_name: str,
    statement_timeout_seconds: float,
) -> Pool:
    """A pool of connections; JSON goes through as text. It survives restarts and failovers of the server by itself.

    Every commit waits for the disk. Raises Unavailable if no server answers, ConfigurationError if the URL is wrong
    or the server is too old or not durable.
    """
    settings = {
        "application_name": application_name,
        "statement_timeout": str(round(statement_timeout_seconds * 1000)),
        "idle_in_transaction_session_timeout": str(IDLE_IN_TRANSACTION_SECONDS * 1000),
        "default_transaction_isolation": "read committed",
        "timezone": "UTC",
        "jit": "off",
    }
    with _first_contact():
        return await asyncpg.create_pool(
            url,
            # A floor would be kept by a task of the driver that logs a traceback per second of an outage.
            min_size=0,
            init_size=min_size,
            max_size=max_size,
            max_queries=_QUERIES_PER_CONNECTION,
            init=check_server,
            reset=_keep,
            timeout=ACQUIRE_SECONDS,
            command_timeout=statement_timeout_seconds + _GRACE_SECONDS,
            statement_cache_size=_STATEMENTS_PREPARED,
            max_cached_statement_lifetime=0,
            max_cacheable_statement_size=0,
            # Of several hosts in a URL, the one that takes writes.
            target_session_attrs=None if "target_session_attrs" in url else SessionAttribute.primary,
            server_settings=settings,
        )


@asynccontextmanager
async def acquire(pool: Pool, *, timeout_seconds: float = ACQUIRE_SECONDS) -> AsyncIterator[Connection]:
    """A connection of the pool for the length of a block, which holds database work only.

    Whatever happens to the server meanwhile, the block ends with Unavailable or with an error of the statement.
    """
    with outages():
        async with pool.acquire(timeout=timeout_seconds) as connection:
            yield connection


@asynccontextmanager
async def transaction(pool: Pool, *, timeout_seconds: float = ACQUIRE_SECONDS) -> AsyncIterator[Connection]:
    """As acquire(), in one transaction, committed when the block ends without an error.

    Unavailable from the commit itself is ambiguous: the server may have written it before it was lost.
    """
    async with acquire(pool, timeout_seconds=timeout_seconds) as connection, connection.transaction():
        yield connection


@contextmanager
def outages() -> Iterator[None]:
    """Turn every error that means "the database can't answer just now" into Unavailable; others pass."""
    try:
        yield
    except Exception as error:
        if is_outage(error):
            raise Unavailable(_NOT_NOW) from error
        raise


def is_outage(error: BaseException) -> bool:
    """Whether an error of a database call tells of the server's or the connection's state, not of the statement."""
    if isinstance(error, exceptions.PostgresError):
        state = error.sqlstate or ""
        return state[:2] in _OUTAGE_CLASSES or state in _OUTAGE_STATES or isinstance(error, _TRANSIENT)
    if type(error) in (exceptions.InterfaceError, exceptions.InternalClientError):
        return any(words in str(error) for words in _LOST)
    return isinstance(error, _TRANSIENT)


def in_the_way(error: Unavailable) -> bool:
    """Whether it was only that two transactions waited for each other's locks: the same again will do."""
    return isinstance(error.__cause__, exceptions.DeadlockDetectedError | exceptions.SerializationError)


async def unhindered(work: Callable[[], Awaitable[T]]) -> T:
    """Do the work of a transaction, again where another's locks were in its way: PostgreSQL lets one of the two go."""
    for _ in range(TRIES_MOST - 1):
        try:
            return await work()
        except Unavailable as error:
            if not in_the_way(error):
                raise
    return await work()


async def check_server(connection: Connection) -> None:
    """Raise ConfigurationError if this PostgreSQL is too old for the program, or not durable."""
    version = connection.get_server_version()
    if version.major < OLDEST_POSTGRESQL:
        raise ConfigurationError(
            f"RetailOS needs PostgreSQL {OLDEST_POSTGRESQL} or later, and this is {version.major}.{version.minor}; "
            "upgrade it, or use the embedded one (leave RETAILOS_DATABASE_URL out)."
        )
    await check_durability(connection)


async def check_durability(connection: Connection) -> None:
    """Raise ConfigurationError if the server may lose or tear what it said it had committed."""
    rows = await connection.fetch(
        "select name from unnest(array['fsync', 'full_page_writes']) as name where current_setting(name) <> 'on'"
    )
    if rows:
        names = [row["name"] for row in rows]
        raise ConfigurationError(
            f"This PostgreSQL runs with {' and '.join(f'{name} = off' for name in names)}, so a crash can lose records "
            "that were acknowledged. As a superuser of it, run "
            + " ".join(f"ALTER SYSTEM SET {name} = on;" for name in names)
            + " SELECT pg_reload_conf(); and start again."
        )


@contextmanager
def _first_contact() -> Iterator[None]:
    """As outages(), for who starts the program: errors that no waiting cures are ConfigurationError."""
    try:
        yield
    except _MISCONFIGURED as error:
        # What the URL's parser says of other mistakes may quote pieces of the password.
        told = isinstance(error, asyncpg.PostgresError | exceptions.ClientConfigurationError)
        raise ConfigurationError(
            f"The database URL can't be used{f': {error}' if told else ''}. Expected "
            "postgresql://user:password@host:port/database, special characters percent-encoded; "
            "correct RETAILOS_DATABASE_URL, or leave it out for the embedded PostgreSQL."
        ) from error
    except Exception as error:
        if is_outage(error):
            why = str(error) or type(error).__name__
            raise Unavailable(f"PostgreSQL does not answer at the database URL: {why}. Start it, or wait.") from error
        raise


async def _keep(connection: Connection) -> None:
    """Spare the round trip of a reset at each release: nothing of ours outlives its transaction."""
