"""What is measured, as it runs in earnest: an embedded PostgreSQL, the program's processes, a receiver of its own."""

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from benchmarks.programs import Programs
from retailos import app, keys, operations
from retailos.api import port
from retailos.app import Role
from retailos.database import embedded
from retailos.database.migrate import migrate
from retailos.database.pool import Connection
from retailos.resources import RESOURCES
from retailos.secrets import new_key
from retailos.settings import Settings, load
from retailos.supervisor import Supervisor

#: What every figure begins with a copy of: all migrations, an API key, and nothing else.
_EMPTY = "empty"
CONCURRENCY = 64
_PATIENCE_SECONDS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The server, its databases, and where webhooks go."""

    directory: Path
    programs: Programs
    #: The URL of the server's own database.
    url: str
    settings: Settings
    receiver_url: str
    api_key: str
    #: Fewer rounds and fewer records, to see that everything works.
    quick: bool
    #: How many records B12 grows to.
    records: int

    @property
    def rounds(self) -> range:
        """How often a figure and its ceiling are measured, one after the other."""
        return range(1 if self.quick else 3)

    @property
    def seconds(self) -> int:
        """How long a load lasts."""
        return 2 if self.quick else 4

    @asynccontextmanager
    async def database(self, name: str, template: str = _EMPTY) -> AsyncIterator[str]:
        """A database for the length of a block, as it is when the block begins; its URL."""
        await self._command(f"create database {name} template {template} strategy file_copy")
        try:
            yield urlsplit(self.url)._replace(path=f"/{name}").geturl()
        finally:
            await self._command(f"drop database {name} with (force)")

    @asynccontextmanager
    async def running(self, database: str, *roles: Role) -> AsyncIterator[str]:
        """Run these roles of the program on a database for the length of a block; the URL of the API."""
        with app.held_port(replace(self.settings, database_url=database)) as settings:
            async with Supervisor.open() as supervisor:
                await app.start_roles(supervisor, settings, roles)
                yield port.address(settings.host, settings.port)

    async def add_webhook(self, database: str, *, name: str = "benchmark", concurrency: int = CONCURRENCY) -> int:
        """Subscribe the receiver to customers; the webhook's id."""
        body = {
            "name": name,
            "resource": "customer",
            "url": self.receiver_url + "/customers/{externalCustomerId}",
            "concurrency": concurrency,
            "headers": {"Authorization": "API_KEY 0123456789abcdef"},
        }
        async with app.open_pool(database, "benchmark") as pool:
            added = await operations.add_webhook(pool, RESOURCES, self.settings, body)
        added_id: int = added["id"]
        return added_id

    async def change_webhook(self, database: str, change: Mapping[str, Any]) -> None:
        """Change the webhook that has the `id` in the change."""
        async with app.open_pool(database, "benchmark") as pool:
            await operations.change_webhook(pool, RESOURCES, self.settings, change["id"], dict(change))

    async def _command(self, statement: str) -> None:
        async with connected(self.url) as connection:
            # Otherwise a figure would pay for what the one before it left to be written.
            await connection.execute("checkpoint")
            await connection.execute(statement)


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    """A connection of our own, for the length of a block."""
    connection = await asyncpg.connect(url, command_timeout=120)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def set_up(programs: Programs, *, quick: bool, records: int = 1_000_000) -> AsyncIterator[Stage]:
    """Start the server and the receiver in a directory that is removed at the end."""
    # One key makes all the load, so its requests are not limited.
    local = {"host": "127.0.0.1", "port": 0, "allow_addresses": "127.0.0.0/8"}
    settings = load({}, **local, log_level="warning", requests_per_second=0, encryption_keys=new_key())
    with open_directory() as directory:
        cluster = await embedded.start(directory / "data")
        try:
            async with _receiving() as receiver_url:
                yield Stage(
                    directory=directory,
                    programs=programs,
                    url=cluster.url,
                    settings=settings,
                    receiver_url=receiver_url,
                    api_key=await _make_empty(cluster.url),
                    quick=quick,
                    records=records,
                )
        finally:
            await cluster.stop()


@contextlib.contextmanager
def open_directory() -> Iterator[Path]:
    """A temporary directory that PostgreSQL's user can enter where we are root; removed at the end."""
    directory = Path(tempfile.mkdtemp(prefix="retailos-bench-"))
    directory.chmod(0o711 if os.geteuid() == 0 else 0o700)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def _make_empty(url: str) -> str:
    async with connected(url) as connection:
        await connection.execute(f"create database {_EMPTY}")
    empty = urlsplit(url)._replace(path=f"/{_EMPTY}").geturl()
    async with connected(empty) as connection:
        await migrate(connection)
    async with app.open_pool(empty, "benchmark") as pool:
        made = await keys.create(pool, name="benchmark", environment="dev", scopes=keys.DEFAULT_SCOPES, pepper=None)
    return made.key


@asynccontextmanager
async def _receiving() -> AsyncIterator[str]:
    async with helper("receiving") as process:
        yield (await said(process)).decode().strip()


@asynccontextmanager
async def helper(module: str, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a module of this package as a process of its own, which ends with the block, or with us."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"benchmarks.{module}", *arguments,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.stdin:
            process.stdin.close()
        await process.wait()


async def said(process: asyncio.subprocess.Process) -> bytes:
    """The next line that such a process says; RuntimeError if it ended instead."""
    line = await process.stdout.readline() if process.stdout else b""
    if not line:
        raise RuntimeError(f"a process of the benchmark ended with {await process.wait()}; it says why above")
    return line


async def until(look: Callable[[], Awaitable[bool]], *, every_seconds: float) -> None:
    """Return when `look` finds what it looks for; TimeoutError after two minutes."""
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not await look():  # noqa: ASYNC110 - what is looked at lives in other processes
            await asyncio.sleep(every_seconds)


def resident_megabytes() -> float:
    """What the program's processes, our children, hold in memory; 0 where there is no /proc."""
    pages = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == os.getpid() and b"serve" in (stat.parent / "cmdline").read_bytes():
            pages += int(fields[21])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def paired(values: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    """Rounds of figure and ceiling as two lists."""
    return [value for value, _ in values], [ceiling for _, ceiling in values]
