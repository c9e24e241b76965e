"""What every test may ask for: a real PostgreSQL, a fresh database, free ports, and waiting with a bound."""

import asyncio
import gc
import inspect
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from itertools import count, groupby
from pathlib import Path
from typing import Any, TypeVar, overload
from urllib.parse import quote, urlsplit

import asyncpg
import pytest

from retailos.app import bring_up_to_date
from retailos.database import embedded, postmaster
from retailos.database.embedded import Cluster
from retailos.database.migrate import migrate
from retailos.database.pool import Connection
from retailos.loading import undisturbed
from retailos.observe import Observation

DEBIAN_BINARIES = Path("/usr/lib/postgresql/15/bin")
PASSWORD = "correct horse, battery/staple"
TEMPLATE = "template"
#: Where files are memory, on Linux: there a database is made, copied and written to in a tenth of the time, and no test
#: waits for the disk behind another. A killed server loses there what it would lose on a disk, which outlives it too.
MEMORY = Path("/dev/shm")
#: What the servers of all tests need of it; a container may have as little as 64 MiB there.
MEMORY_LEAST = 2 * 1024**3
Found = TypeVar("Found")

#: Longer than anything takes that is waited for, on a machine that others keep busy: it ends what would hang.
PATIENCE_SECONDS = 60.0
#: Below those that systems give to whoever asks for any port, or connects: nobody else is given one of these.
PORTS = range(10_000, 32_768)


#: The folders whose tests start processes and wait for them.
STARTING = ("acceptance", "reliability")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep thousands of tests out of every search for garbage, and search as rarely as the program does."""
    with undisturbed():
        collected = yield
    gc.set_threshold(50_000, 20, 50)
    return collected


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mix the files of all folders: what waits for processes runs beside what computes, and is begun before the end."""
    files = {folder: list(dict.fromkeys(each.path for each in group)) for folder, group in _by_folder(items)}
    places = {
        file: (place + 0.5) / len(inside) * (0.9 if folder in STARTING else 1.0)
        for folder, inside in files.items()
        for place, file in enumerate(inside)
    }
    items.sort(key=lambda each: places[each.path])


def _by_folder(items: list[pytest.Item]) -> Iterator[tuple[str, Iterator[pytest.Item]]]:
    """The tests of each folder, as they were collected, in whatever order folders were named."""

    def folder(item: pytest.Item) -> str:
        return item.path.parent.name

    return groupby(sorted(items, key=folder), key=folder)


@overload
async def eventually(look: Callable[[], Awaitable[Found]], *, within_seconds: float = PATIENCE_SECONDS) -> Found: ...
@overload
async def eventually(look: Callable[[], Found], *, within_seconds: float = PATIENCE_SECONDS) -> Found: ...
async def eventually(look: Callable[[], Any], *, within_seconds: float = PATIENCE_SECONDS) -> Any:
    """The first true thing that `look` (plain or async) finds; fails the test if there is none in time.

    The one place of the tests that sleeps.
    """
    deadline = time.monotonic() + within_seconds
    while True:
        found = look()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        if time.monotonic() > deadline:
            expected = inspect.getsource(look).strip() if inspect.isfunction(look) else repr(look)
            pytest.fail(f"after {within_seconds} s still not: {expected}")
        await asyncio.sleep(0.01)


async def soonest(measure: Callable[[], Awaitable[float]], *, enough: float, times: int = 4) -> float:
    """The least time that something takes, measured until it is short enough, or so many times.

    What others do on this machine makes one measurement too long now and then; a fault of ours does all of them.
    """
    took: list[float] = []
    while not took or (took[-1] > enough and len(took) < times):
        took.append(await measure())
    return min(took)


async def measured(measure: Callable[[], Awaitable[None]], *, times: int = 4) -> None:
    """As `soonest`, where what comes of something goes by how long it takes, as with timeouts."""
    for left in reversed(range(times)):
        try:
            return await measure()
        except AssertionError:
            if not left:
                raise


def observed(caplog: pytest.LogCaptureFixture) -> list[Observation]:
    """The observations that were made and written."""
    return [each.msg for each in caplog.records if isinstance(each.msg, Observation)]


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on, and that is given to nobody before it is bound.

    One that the system chose might be, by the time that it is used, another test's server or connection.
    """
    while True:
        with socket.socket() as listener, suppress(OSError):
            listener.bind(("127.0.0.1", secrets.choice(PORTS)))
            return int(listener.getsockname()[1])


def with_database(url: str, name: str) -> str:
    """The URL of another database of the same server."""
    return urlsplit(url)._replace(path=f"/{quote(name)}").geturl()


@contextmanager
def open_directory() -> Iterator[Path]:
    """A directory that every user can enter, as the one who runs PostgreSQL for root; pytest's tmp_path is closed.

    A server that a test left in one of its data directories is killed at the end.
    """
    directory = Path(tempfile.mkdtemp(prefix="retailos-test-", dir=_memory()))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        for pid_file in directory.rglob("postmaster.pid"):
            left = postmaster.find(pid_file.parent)
            if left:
                os.kill(left.pid, signal.SIGKILL)
        shutil.rmtree(directory, ignore_errors=True)


def _memory() -> Path | None:
    """Where files may be kept in memory; None where there is no such place, or too little of it."""
    roomy = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= MEMORY_LEAST
    return MEMORY if roomy else None


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, bool]]:
    """The event loop of the product."""
    return "asyncio", {"use_uvloop": True}


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A --data-dir that does not exist yet, in a directory that PostgreSQL's user can enter."""
    with open_directory() as directory:
        yield directory / "data"


@pytest.fixture(scope="session")
async def used_once(anyio_backend: object) -> AsyncIterator[Path]:
    """A --data-dir that was made, migrated and stopped; for copies only."""
    with open_directory() as directory:
        cluster = await embedded.start(directory / "data")
        await bring_up_to_date(cluster.url)
        await cluster.stop()
        yield directory / "data"


@pytest.fixture
def used_dir(used_once: Path) -> Iterator[Path]:
    """A --data-dir of this test's own that has been used before, without the second that making one takes."""
    with open_directory() as directory:
        subprocess.run(["cp", "-a", used_once, directory / "data"], check=True)
        yield directory / "data"


@pytest.fixture(scope="session")
async def server(anyio_backend: object) -> AsyncIterator[Cluster]:
    """The embedded PostgreSQL that the tests share, in memory; one that is to be killed or changed starts its own."""
    with open_directory() as directory:
        cluster = await embedded.start(directory / "data")
        try:
            yield cluster
        finally:
            await cluster.stop()


@pytest.fixture(scope="session")
async def administrator(server: Cluster) -> AsyncIterator[Connection]:
    """A connection that makes and drops databases on the shared server."""
    connection = await asyncpg.connect(server.url)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture(scope="session")
async def template(server: Cluster, administrator: Connection) -> str:
    """The name of a database with all migrations, of which each test gets a copy."""
    await administrator.execute(f"create database {TEMPLATE}")
    connection = await asyncpg.connect(with_database(server.url, TEMPLATE))
    try:
        await migrate(connection)
    finally:
        await connection.close()
    return TEMPLATE


@pytest.fixture(scope="session")
def numbers() -> Iterator[int]:
    """Numbers that no other test of this process gets, each with the nine that follow it."""
    return count(10, 10)


@pytest.fixture
async def database(
    server: Cluster, administrator: Connection, template: str, numbers: Iterator[int]
) -> AsyncIterator[str]:
    """The URL of a migrated, empty database of this test's own."""
    name = f"test_{next(numbers)}"
    await administrator.execute(f"create database {name} template {template} strategy wal_log")
    try:
        yield with_database(server.url, name)
    finally:
        await administrator.execute(f"drop database {name} with (force)")


@pytest.fixture
async def connection(database: str) -> AsyncIterator[Connection]:
    """A connection to this test's database."""
    connection = await asyncpg.connect(database)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture(scope="session")
async def debian_server(anyio_backend: object) -> AsyncIterator[str]:
    """The URL of a PostgreSQL 15 as somebody else runs it: over TCP, with a password."""
    if not (DEBIAN_BINARIES / "postgres").exists():
        pytest.skip("Debian's postgresql-15 is not installed")
    port = free_port()
    settings = {"listen_addresses": "127.0.0.1", "port": str(port)}
    with open_directory() as directory:
        cluster = await embedded.start(directory / "data", binaries=DEBIAN_BINARIES, settings=settings)
        try:
            _ask_for_password(directory / "data" / "postgresql" / "pg_hba.conf")
            await _add_application(cluster.url)
            yield f"postgresql://retailos:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/retailos"
        finally:
            await cluster.stop()


def _ask_for_password(rules: Path) -> None:
    rules.write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")


async def _add_application(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"create role retailos login password '{PASSWORD}'")
        await connection.execute("create database retailos owner retailos")
        await connection.execute("select pg_reload_conf()")
    finally:
        await connection.close()
