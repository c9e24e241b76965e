"""Connections are checked when they are made, and every way in which the server can be away looks the same."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import asyncpg
import pytest

from retailos.database import embedded, initdb, launch, place, pool
from retailos.database.account import choose
from retailos.database.pool import Pool, acquire, transaction
from retailos.errors import ConfigurationError, Unavailable
from tests.conftest import PASSWORD, eventually, free_port


@asynccontextmanager
async def opened(url: str, *, max_size: int = 4, timeout_seconds: float = 5.0) -> AsyncIterator[Pool]:
    """A small pool for a URL."""
    made = await pool.connect(
        url,
        min_size=1,
        max_size=max_size,
        application_name="tests",
        statement_timeout_seconds=timeout_seconds,
    )
    try:
        yield made
    finally:
        made.terminate()


async def count_until(stop: asyncio.Event, connections: Pool) -> list[BaseException]:
    """Use the pool in several ways until told to stop; everything that went wrong."""
    wrong: list[BaseException] = []
    while not stop.is_set():
        try:
            async with transaction(connections) as connection:
                await connection.execute("insert into counted default values")
                await connection.fetch("select * from counted limit 10")
            async with acquire(connections) as connection:
                await connection.fetchval("select count(*) from counted")
        except Exception as error:
            wrong.append(error)
            with suppress(TimeoutError):
                async with asyncio.timeout(0.01):
                    await stop.wait()
    return wrong


async def counted(connections: Pool) -> int:
    """How much was counted; 0 where PostgreSQL does not answer just now."""
    with suppress(Unavailable):
        async with acquire(connections) as connection:
            return int(await connection.fetchval("select count(*) from counted"))
    return 0


async def away(connections: Pool) -> bool:
    """Whether PostgreSQL does not answer just now."""
    try:
        async with acquire(connections) as connection:
            await connection.execute("select")
    except Unavailable:
        return True
    return False


@pytest.mark.parametrize("order", [signal.SIGKILL, signal.SIGQUIT, signal.SIGINT], ids=lambda order: order.name)
async def test_server_that_goes_away_is_unavailable_and_nothing_else(used_dir: Path, order: signal.Signals) -> None:
    """While PostgreSQL is killed and started, callers see Unavailable only, and the pool recovers by itself."""
    cluster = await embedded.start(used_dir)
    stop = asyncio.Event()
    callers: list[asyncio.Task[list[BaseException]]] = []
    try:
        async with opened(cluster.url) as connections:
            async with acquire(connections) as connection:
                await connection.execute("create table counted (id bigint generated always as identity)")
            callers = [asyncio.create_task(count_until(stop, connections)) for _ in range(12)]

            async def some() -> bool:
                return await counted(connections) > 50

            await eventually(some)
            os.kill(cluster.pid, order)
            await cluster.wait_dead()
            # Those that it had started for our connections end a little later.
            assert await eventually(lambda: away(connections))
            await cluster.restart()
            # A connection may turn out to be dead only when it is used.
            before = await eventually(lambda: counted(connections))

            async def more() -> bool:
                return await counted(connections) > before + 50

            await eventually(more)
            stop.set()
            wrong = [error for errors in await asyncio.gather(*callers) for error in errors]
    finally:
        stop.set()
        await asyncio.gather(*callers, return_exceptions=True)
        await cluster.stop()
    assert wrong
    assert {type(error) for error in wrong} == {Unavailable}, [
        error for error in wrong if not isinstance(error, Unavailable)
    ]


async def test_killed_connection_is_unavailable_once(database: str) -> None:
    """A connection that the server ends is Unavailable to who holds it, and replaced for the next."""
    async with opened(database, max_size=1) as connections:
        with pytest.raises(Unavailable) as caught:
            async with transaction(connections) as connection:
                await connection.fetchval("select pg_terminate_backend(pg_backend_pid())")
        assert caught.value.headers == {"Retry-After": "1"}
        async with acquire(connections) as connection:
            assert await connection.fetchval("select 1") == 1


async def test_slow_statement_is_unavailable(database: str) -> None:
    """A statement that takes longer than its limit is ended by the server."""
    # A busy machine takes a while to look at the server itself.
    async with opened(database, timeout_seconds=1.0) as connections:
        with pytest.raises(Unavailable) as caught:
            async with acquire(connections) as connection:
                await connection.execute("select pg_sleep(5)")
        assert isinstance(caught.value.__cause__, asyncpg.QueryCanceledError)


async def test_silent_server_is_unavailable(used_dir: Path) -> None:
    """A server that has stopped answering, as behind a dead network, is given up on."""
    cluster = await embedded.start(used_dir)
    try:
        async with opened(cluster.url) as connections:
            os.kill(cluster.pid, signal.SIGSTOP)
            try:
                with pytest.raises(Unavailable):
                    async with acquire(connections, timeout_seconds=0.2), acquire(connections, timeout_seconds=0.2):
                        pass
            finally:
                os.kill(cluster.pid, signal.SIGCONT)
    finally:
        await cluster.stop()


async def test_exhausted_pool_is_unavailable(database: str) -> None:
    """Who waits too long for a connection is told to come back, and the others go on."""
    async with opened(database, max_size=1) as connections, acquire(connections) as connection:
        with pytest.raises(Unavailable):
            async with acquire(connections, timeout_seconds=0.05):
                pass
        assert await connection.fetchval("select 1") == 1


async def test_refused_statement_is_not_an_outage(database: str) -> None:
    """What is wrong with a statement or its values comes through as it is, and undoes the transaction."""
    async with opened(database) as connections:
        async with acquire(connections) as connection:
            await connection.execute("create table shelf (id int primary key)")
        with pytest.raises(asyncpg.UniqueViolationError):
            async with transaction(connections) as connection:
                await connection.executemany("insert into shelf values ($1)", [(1,), (1,)])
        with pytest.raises(asyncpg.DataError):
            async with acquire(connections) as connection:
                await connection.execute("insert into shelf values ($1)", "one")
        async with acquire(connections) as connection:
            assert await connection.fetchval("select count(*) from shelf") == 0


async def test_sessions_are_set_up(database: str) -> None:
    """Every connection counts time in UTC, has its limits, says who it is, and hands JSON over as text."""
    async with opened(database, timeout_seconds=1.5) as connections, acquire(connections) as connection:
        names = ("timezone", "statement_timeout", "idle_in_transaction_session_timeout", "application_name", "jit")
        values = [await connection.fetchval("select current_setting($1)", name) for name in names]
        assert values == ["UTC", "1500ms", "10s", "tests", "off"]
        assert await connection.fetchval("show synchronous_commit") == "on"
        assert await connection.fetchval("""select '{"a": 1}'::jsonb""") == '{"a": 1}'


async def test_other_postgresql_is_used_over_tcp(debian_server: str) -> None:
    """A PostgreSQL 15 of somebody else's serves as well, with a password full of punctuation."""
    async with opened(debian_server) as connections, acquire(connections) as connection:
        assert connection.get_server_version().major == 15


async def test_first_of_several_hosts_may_be_down(debian_server: str) -> None:
    """Of several hosts in a URL the one that answers is used."""
    several = debian_server.replace("@", f"@127.0.0.1:{free_port()},", 1)
    async with opened(several) as connections, acquire(connections) as connection:
        assert await connection.fetchval("select 1") == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (quote(PASSWORD, safe=""), "wrong"),
        ("/retailos", "/nowhere"),
        ("postgresql://", "mysql://"),
        ("127.0.0.1:", "127.0.0.1:x"),
    ],
    ids=["password", "database", "scheme", "port"],
)
async def test_wrong_url_is_a_configuration_error(debian_server: str, old: str, new: str) -> None:
    """A URL that can't be right is refused at once, without the password in the message."""
    assert old in debian_server
    with pytest.raises(ConfigurationError, match="The database URL can't be used") as caught:
        async with opened(debian_server.replace(old, new)):
            pass
    assert PASSWORD not in str(caught.value)


async def test_nobody_listening_is_unavailable() -> None:
    """A server that is not there yet can be waited for."""
    with pytest.raises(Unavailable, match=r"does not answer at the database URL: .*[Rr]efused"):
        async with opened(f"postgresql://retailos@127.0.0.1:{free_port()}/retailos"):
            pass


@pytest.mark.parametrize("name", ["fsync", "full_page_writes"])
async def test_server_that_can_lose_records_is_refused(used_dir: Path, name: str) -> None:
    """A PostgreSQL with fsync or full_page_writes off is refused, with the command that puts it right."""
    cluster = await embedded.start(used_dir)
    url = cluster.url
    await cluster.stop()
    where = place.at(used_dir)
    child = launch.spawn(
        where.data,
        binaries=initdb.find_binaries(),
        account=choose(where.data),
        options={"unix_socket_directories": str(where.sockets), "listen_addresses": "", name: "off"},
        log=where.log,
    )
    try:
        with pytest.raises(ConfigurationError, match=rf"{name} = off.*ALTER SYSTEM SET {name} = on;"):
            await eventually(lambda: try_to_open(url))
    finally:
        child.send_signal(signal.SIGINT)
        child.wait(timeout=10)


async def try_to_open(url: str) -> bool:
    """Whether a pool can be opened yet."""
    try:
        async with opened(url):
            return True
    except Unavailable:
        return False
