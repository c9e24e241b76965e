"""The embedded PostgreSQL starts wherever it can, is shared, survives every kill, and stops with its keeper."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from retailos.database import embedded, initdb, place, postmaster
from retailos.database.account import choose, identity
from retailos.database.embedded import Cluster
from retailos.database.pool import Connection
from retailos.errors import ConfigurationError
from tests.conftest import DEBIAN_BINARIES, PATIENCE_SECONDS, eventually

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as another user")
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")

#: A program that starts or joins the server of a directory, says so, and waits to be ended.
STARTER = """
import asyncio, sys
from pathlib import Path
from retailos.database import embedded

async def main():
    cluster = await embedded.start(Path(sys.argv[1]))
    print("keeper" if cluster.owned else "guest", cluster.pid, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await cluster.stop()

asyncio.run(main())
"""


@contextmanager
def starter(data_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that starts or joins the server."""
    child = subprocess.Popen(
        [sys.executable, "-c", STARTER, data_dir],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def run_as_owner(where: place.Place, *command: str | Path) -> subprocess.Popen[bytes]:
    """A program that runs as the user of the data, and is nobody's server."""
    who = identity(choose(where.data))
    return subprocess.Popen(command, cwd="/", stderr=subprocess.DEVNULL, start_new_session=True, **who)


def said(child: subprocess.Popen[str]) -> tuple[str, int]:
    """What a starter became, and the server's pid, once it serves."""
    assert child.stdout is not None
    role, pid = child.stdout.readline().split()
    return role, int(pid)


@asynccontextmanager
async def started(data_dir: Path, **options: object) -> AsyncIterator[Cluster]:
    """The server of a directory, stopped at the end if this process keeps it."""
    cluster = await embedded.start(data_dir, **options)  # type: ignore[arg-type]
    try:
        yield cluster
    finally:
        await cluster.stop()


@asynccontextmanager
async def connected(cluster: Cluster) -> AsyncIterator[Connection]:
    """A connection to it."""
    connection = await asyncpg.connect(cluster.url)
    try:
        yield connection
    finally:
        await connection.close()


async def write(cluster: Cluster, text: str) -> None:
    """Commit a note."""
    async with connected(cluster) as connection:
        await connection.execute("create table if not exists note (text text)")
        await connection.execute("insert into note values ($1)", text)


async def notes(cluster: Cluster) -> list[str]:
    """All notes that were committed."""
    async with connected(cluster) as connection:
        return [row["text"] for row in await connection.fetch("select text from note order by text")]


def found(directory: Path, pattern: str) -> list[str]:
    """The names of the files in a directory that match."""
    return [path.name for path in directory.glob(pattern)]


def gone(pid: int, data_dir: Path) -> Callable[[], bool]:
    """Whether a server has ended."""
    return lambda: not postmaster.is_alive(pid, data_dir / "postgresql")


async def test_server_is_durable_private_and_speaks_utf8(server: Cluster) -> None:
    """Data is checksummed and synced, only a private Unix socket is open, and text sorts alike on every machine."""
    async with connected(server) as connection:
        rows = await connection.fetch("select name, setting from pg_settings")
        encoding = await connection.fetchval("select pg_encoding_to_char(encoding) from pg_database limit 1")
    settings = {row["name"]: row["setting"] for row in rows}
    assert settings["fsync"] == settings["full_page_writes"] == settings["data_checksums"] == "on"
    assert settings["listen_addresses"] == ""
    assert os.stat(settings["unix_socket_directories"].strip('"')).st_mode & 0o077 == 0
    assert settings["unix_socket_permissions"] == "0700"
    assert (encoding, settings["TimeZone"], settings["jit"]) == ("UTF8", "UTC", "off")


async def test_nobody_can_make_it_less_durable(used_dir: Path) -> None:
    """Neither an option nor ALTER SYSTEM turns fsync off."""
    async with started(used_dir, settings={"fsync": "off"}) as cluster, connected(cluster) as connection:
        await connection.execute("alter system set fsync = off")
        await connection.execute("alter system set full_page_writes = off")
    async with started(used_dir) as cluster, connected(cluster) as connection:
        assert await connection.fetchval("show fsync") == "on"
        assert await connection.fetchval("show full_page_writes") == "on"


async def test_second_process_joins_and_leaves_it_running(used_dir: Path) -> None:
    """Who comes second uses the same server, and ending it does not end the server."""
    async with started(used_dir) as keeper:
        with starter(used_dir) as child:
            assert said(child) == ("guest", keeper.pid)
            child.communicate()
        async with started(used_dir) as guest:
            assert (keeper.owned, guest.owned) == (True, False)
            assert guest.url == keeper.url
        await write(keeper, "still there")


async def test_of_two_starters_one_starts(data_dir: Path) -> None:
    """Processes that start together on a new directory end up on one server, which one of them keeps."""
    with starter(data_dir) as one, starter(data_dir) as two, starter(data_dir) as three:
        roles, pids = zip(*(said(child) for child in (one, two, three)), strict=True)
    assert sorted(roles) == ["guest", "guest", "keeper"]
    assert len(set(pids)) == 1


async def test_stop_ends_the_server_and_may_be_said_twice(used_dir: Path) -> None:
    """After stop() no process and no socket are left, and connections were closed."""
    cluster = await embedded.start(used_dir)
    connection = await asyncpg.connect(cluster.url)
    await cluster.stop()
    await asyncio.wait_for(cluster.wait_dead(), PATIENCE_SECONDS)
    assert gone(cluster.pid, used_dir)()
    assert not any((used_dir / "run").iterdir())
    with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError)):
        await connection.execute("select 1")
    await cluster.stop()


@ON_LINUX
async def test_killed_keeper_takes_the_server_with_it(used_dir: Path) -> None:
    """A kill -9 of the keeper leaves no server behind, and nothing in the way of the next start."""
    with starter(used_dir) as child:
        role, pid = said(child)
        assert role == "keeper"
        async with started(used_dir) as guest:
            await write(guest, "committed")
        child.kill()
        child.wait()
        async with started(used_dir) as cluster:
            assert cluster.owned
            assert cluster.pid != pid
            assert await notes(cluster) == ["committed"]


@ON_LINUX
async def test_start_that_is_killed_can_be_repeated(data_dir: Path) -> None:
    """A kill -9 in the middle of the first start leaves nothing that a later start trips over."""
    for trace in ("start.lock", "postgresql.new-*", "postgresql/postmaster.pid"):
        with starter(data_dir) as child:
            await eventually(partial(found, data_dir, trace))
            child.kill()
            child.wait()
    async with started(data_dir) as cluster:
        assert cluster.owned
        await write(cluster, "works")
    assert not found(data_dir, "*.new-*")


async def test_interrupt_of_the_terminal_does_not_reach_it(server: Cluster) -> None:
    """The server is in a session of its own, so that Ctrl-C lets the program drain before it stops the server."""
    assert os.getsid(server.pid) == server.pid != os.getsid(0)


@ON_LINUX
async def test_server_knows_none_of_our_secrets(server: Cluster) -> None:
    """Nothing of this process' environment, where secrets are, is passed to the server."""
    environment = (Path("/proc") / str(server.pid) / "environ").read_text().split("\0")
    assert {line.partition("=")[0] for line in environment} <= {"", "PATH", "LC_ALL"}


async def test_killed_server_is_noticed_and_restarted(used_dir: Path) -> None:
    """A kill -9 of the server is noticed, and a restart brings back the same URL and all that was committed."""
    async with started(used_dir) as cluster:
        url = cluster.url
        for text in ("first", "second"):
            await write(cluster, text)
            async with connected(cluster) as busy:
                await busy.execute("begin; insert into note values ('never committed')")
                os.kill(cluster.pid, signal.SIGKILL)
                await asyncio.wait_for(cluster.wait_dead(), PATIENCE_SECONDS)
                await cluster.restart()
        assert cluster.url == url
        assert await notes(cluster) == ["first", "second"]


async def test_guest_becomes_the_keeper_when_the_keeper_stops(used_dir: Path) -> None:
    """A guest whose server was stopped by its keeper starts it again and keeps it from then on."""
    keeper = await embedded.start(used_dir)
    async with started(used_dir) as guest:
        await write(keeper, "handed over")
        await keeper.stop()
        await asyncio.wait_for(guest.wait_dead(), PATIENCE_SECONDS)
        await guest.restart()
        assert guest.owned
        assert await notes(guest) == ["handed over"]


async def test_guest_waits_for_the_keepers_restart(used_dir: Path) -> None:
    """A guest never starts a server beside its keeper: it waits, and says who is in the way when its patience ends."""
    async with started(used_dir) as keeper, started(used_dir) as guest, started(used_dir, patience_seconds=0.3) as rash:
        os.kill(keeper.pid, signal.SIGKILL)
        await rash.wait_dead()
        with pytest.raises(ConfigurationError, match=r"Another process keeps .*; end that process"):
            await rash.restart()
        await asyncio.gather(keeper.wait_dead(), guest.wait_dead())
        await asyncio.gather(keeper.restart(), guest.restart())
        assert (keeper.owned, guest.owned) == (True, False)
        assert guest.pid == keeper.pid


async def test_server_without_keeper_is_adopted(used_dir: Path) -> None:
    """A server that outlived its keeper is taken over as it runs, and stopped by its new keeper."""
    async with started(used_dir) as cluster:
        await write(cluster, "adopted")
    where = place.at(used_dir)
    orphan = run_as_owner(
        where, initdb.find_binaries() / "postgres", "-D", where.data, "-k", where.sockets, "-c", "listen_addresses="
    )
    await eventually(lambda: (seen := postmaster.find(where.data)) and seen.status == "ready")
    async with started(used_dir) as cluster:
        assert (cluster.owned, cluster.pid) == (True, orphan.pid)
        assert await notes(cluster) == ["adopted"]
        async with started(used_dir) as guest:
            assert not guest.owned
    assert orphan.wait(timeout=PATIENCE_SECONDS) == 0


async def test_pid_that_now_belongs_to_another_program_is_no_obstacle(used_dir: Path) -> None:
    """A postmaster.pid that a crash left is no obstacle, even if its pid has been given to another program."""
    async with started(used_dir) as cluster:
        await write(cluster, "before the crash")
    where = place.at(used_dir)
    stranger = run_as_owner(where, "sleep", "60")
    try:
        for left in (where.data / "postmaster.pid", where.sockets / ".s.PGSQL.5432.lock"):
            left.write_text(f"{stranger.pid}\n{where.data}\n1700000000\n5432\n{where.sockets}\n\n1 1\nready\n")
        async with started(used_dir) as cluster:
            assert cluster.pid != stranger.pid
            assert await notes(cluster) == ["before the crash"]
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


@pytest.mark.parametrize(
    "name", ["a" * 120, "with space, comma", 'it\'s 100% "quoted"', "ümläut"], ids=["long", "comma", "quotes", "umlaut"]
)
async def test_any_directory_name_will_do(data_dir: Path, name: str) -> None:
    """A path too long for a socket, or with characters that URLs and settings treat specially, is served as well."""
    async with started(data_dir.parent / name) as cluster:
        await write(cluster, name)
        assert await notes(cluster) == [name]


@AS_ROOT
async def test_unreachable_directory_is_refused(data_dir: Path) -> None:
    """Where PostgreSQL's user can't enter, the directory in its way is named, with what to do."""
    closed = data_dir / "closed"
    closed.mkdir(parents=True, mode=0o700)
    with pytest.raises(ConfigurationError, match=rf"can't enter {closed}\. Choose a --data-dir .*chmod o\+x {closed}"):
        await embedded.start(closed / "data")


@AS_ROOT
async def test_directory_that_root_owns_is_refused(data_dir: Path) -> None:
    """Data that root copied back is refused with the command that gives it to PostgreSQL's user."""
    (data_dir / "postgresql").mkdir(parents=True)
    (data_dir / "postgresql" / "PG_VERSION").write_text("18\n")
    with pytest.raises(ConfigurationError, match=r"belongs to root.*chown -R (postgres|nobody) "):
        await embedded.start(data_dir)


@AS_ROOT
async def test_unreachable_binaries_are_made_reachable(data_dir: Path) -> None:
    """PostgreSQL installed below a private directory is made available once, beside the data."""
    package = initdb.find_binaries().parent.parent
    private = data_dir.parent / "private"
    private.mkdir(mode=0o700)
    shutil.copytree(package, private / package.name, ignore=shutil.ignore_patterns("pginstall"))
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(libraries, private / libraries.name)
    binaries = private / package.name / "pginstall18" / "bin"
    for _ in range(2):
        async with started(data_dir, binaries=binaries) as cluster, connected(cluster) as connection:
            version = (await connection.fetchval("show server_version")).split()[0]
    copy = data_dir / f"postgresql-{version}"
    assert (copy / package.name / "pginstall18" / "bin" / "postgres").stat().st_nlink >= 2
    assert found(data_dir, "postgresql-*") == [copy.name]


async def test_unusable_directory_is_refused(data_dir: Path) -> None:
    """A --data-dir that is a file, or below one, is refused with what to do."""
    file = data_dir.with_name("file")
    file.write_text("not a directory")
    for path in (file, file / "below"):
        with pytest.raises(ConfigurationError, match=r"can't be used: .* Choose another --data-dir"):
            await embedded.start(path)


async def test_failing_start_says_what_postgresql_said(used_dir: Path) -> None:
    """What keeps PostgreSQL from starting is told in its own words, and a corrected start succeeds."""
    with pytest.raises(ConfigurationError, match=r"could not start in .*invalid value for parameter \"work_mem\""):
        await embedded.start(used_dir, settings={"work_mem": "a lot"})
    async with started(used_dir) as cluster:
        assert cluster.owned


async def test_data_of_another_version_is_refused(data_dir: Path) -> None:
    """A data directory of another major version is refused, and left as it is."""
    if not DEBIAN_BINARIES.exists():
        pytest.skip("Debian's postgresql-15 is not installed")
    async with started(data_dir, binaries=DEBIAN_BINARIES) as cluster:
        await write(cluster, "fifteen")
    with pytest.raises(ConfigurationError, match=r"was written by PostgreSQL 15, and this is PostgreSQL 18"):
        await embedded.start(data_dir)
    async with started(data_dir, binaries=DEBIAN_BINARIES) as cluster:
        assert await notes(cluster) == ["fifteen"]


async def test_log_holds_no_values(used_dir: Path) -> None:
    """The server's log tells of starts and stops, and never repeats what people sent."""
    async with started(used_dir) as cluster:
        await write(cluster, "x")
        async with connected(cluster) as connection:
            await connection.execute("create unique index on note (text)")
            await connection.execute("insert into note values ('canary')")
            with pytest.raises(asyncpg.UniqueViolationError, match="canary"):
                await connection.execute("insert into note values ('canary')")
            with pytest.raises(asyncpg.InvalidTextRepresentationError):
                await connection.execute("select 'canary'::int")
    text = (used_dir / "log" / "postgresql.log").read_text()
    assert "ready to accept connections" in text
    assert "canary" not in text


async def test_log_does_not_grow_for_ever(used_dir: Path) -> None:
    """A log of more than its limit is put aside at the next start, replacing the one before it."""
    log = used_dir / "log" / "postgresql.log"
    log.write_bytes(b"." * (place.LOG_MAX_BYTES + 1))
    async with started(used_dir):
        assert log.stat().st_size < 10_000
    assert log.with_suffix(".log.1").stat().st_size > place.LOG_MAX_BYTES
