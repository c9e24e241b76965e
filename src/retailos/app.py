"""Puts the program together: which database, which roles, in this process or in processes that it keeps running."""

import asyncio
import contextlib
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import SubprocessError
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

from retailos.api import port
from retailos.api.tls import check_certificate, in_clear
from retailos.database import embedded, migrate
from retailos.database.embedded import Cluster
from retailos.database.pool import Pool, acquire, connect
from retailos.errors import ConfigurationError, Unavailable
from retailos.loading import undisturbed
from retailos.observe import emit
from retailos.observe.process import DatabaseBack, DatabaseLost, MigrationsApplied, ServedInClear, Started, Stopping
from retailos.secrets.keyfile import read_keys
from retailos.settings import Settings
from retailos.supervisor import Program, Supervisor

Role: TypeAlias = Literal["api", "worker"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)
#: Where the embedded database is unless the settings say: in the directory that the program is started in.
DATA_DIR: Final = Path("data")
#: More processes than this have a role only where the settings say: each has connections to the database.
PROCESSES_MOST: Final[Mapping[Role, int]] = MappingProxyType({"api": 4, "worker": 2})
#: A server that can't be started again, on a full disk for instance, is tried again so often.
RESTART_PAUSE_SECONDS: Final = 2.0
#: A server that a command takes along as it ends is back within a second; recovering a large one takes longer.
RESTARTED_SECONDS: Final = 60.0
ASK_AGAIN_SECONDS: Final = 0.1
#: The HTTP client hands over what came by a thread of its own, and reads no more until it has its turn.
_SWITCH_SECONDS: Final = 0.0002
_ASKED_TO_STOP: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """A PostgreSQL that runs: its URL, and the embedded cluster if it is one."""

    url: str
    cluster: Cluster | None
    #: Those that it was opened with, with its URL, and with the encryption keys that its directory keeps.
    settings: Settings


async def serve(settings: Settings, roles: Sequence[Role], announce: Callable[[str], None]) -> None:
    """Serve these roles until SIGTERM or SIGINT; tell `announce` the URL of the API once it answers.

    A role of one process on a named PostgreSQL is this very process; otherwise they are others, kept running here.
    Raises ConfigurationError if something can't be started, Unavailable if the named PostgreSQL does not answer.
    """
    if "api" in roles:
        check_certificate(settings)
    alone = settings.database_url and len(roles) == 1 and _processes(settings, roles[0]) == 1
    await until_asked_to_stop((_serve_alone if alone else _supervise)(settings, roles, announce))


async def _serve_alone(settings: Settings, roles: Sequence[Role], announce: Callable[[str], None]) -> None:
    await bring_up_to_date(settings.database_url or "")
    await run_role(roles[0], settings, lambda at: _announce(roles, settings, at, announce))


async def _supervise(settings: Settings, roles: Sequence[Role], announce: Callable[[str], None]) -> None:
    with held_port(settings) if "api" in roles else nullcontext(settings) as settings:
        async with kept_database(settings) as database, Supervisor.open() as supervisor:
            await start_roles(supervisor, database.settings, roles)
            _announce(roles, settings, settings.port, announce)
            await asyncio.Event().wait()


@contextmanager
def held_port(settings: Settings) -> Iterator[Settings]:
    """The settings with a port that is kept for our processes, for the length of the block.

    Raises ConfigurationError if somebody listens there, before anything else is started.
    """
    with closing(port.hold(settings.host, settings.port)) as held:
        yield replace(settings, port=held.getsockname()[1])


async def start_roles(supervisor: Supervisor, settings: Settings, roles: Sequence[Role]) -> None:
    """Start the processes of each role, which work with `settings.database_url`; return when each role is served.

    Of the workers, others follow the first, so that a start does not wait for them.
    """
    programs = {role: Program(role=role, arguments=("serve", f"--{role}"), settings=settings) for role in roles}
    # A connection stays with the process that it was made to, so the API begins with all that it has.
    first = [programs[role] for role in roles for _ in range(_processes(settings, role) if role == "api" else 1)]
    await asyncio.gather(*(supervisor.start(each) for each in first))
    if "worker" in roles:
        for _ in range(1, _processes(settings, "worker")):
            supervisor.add(programs["worker"])


def _processes(settings: Settings, role: Role) -> int:
    """How many processes have a role."""
    said = settings.api_processes if role == "api" else settings.worker_processes
    shared = role == "worker" or port.IS_DEALT
    return said or (min(os.cpu_count() or 1, PROCESSES_MOST[role]) if shared else 1)


def _announce(roles: Sequence[Role], settings: Settings, at: int, announce: Callable[[str], None]) -> None:
    if "api" in roles:
        announce(_url(settings, at))
        if in_clear(settings):
            emit(ServedInClear(address=_url(settings, at)))


def _url(settings: Settings, at: int) -> str:
    return port.address(settings.host, at, scheme="https" if settings.tls_certificate else "http")


async def run_supervised(role: Role, settings: Settings, ready: Callable[[int], None]) -> None:
    """As run_role(), for a supervisor: begun again where the database goes away before it is ready."""
    begun: list[int] = []

    def started(at: int) -> None:
        begun.append(at)
        ready(at)

    await _patiently(lambda: run_role(role, settings, started, shared=True), until=lambda: bool(begun))


async def run_role(role: Role, settings: Settings, ready: Callable[[int], None], *, shared: bool = False) -> None:
    """Be one role, in this process, until SIGTERM or SIGINT; `ready` is told the port, 0 for a worker.

    `shared`: other processes of ours listen at the same port.
    """

    def started(at: int = 0) -> None:
        _collect_rarely()
        emit(Started(role=role, address=_url(settings, at) if at else ""))
        ready(at)

    # Imported here, because a worker has no use for the web server, and each process starts the sooner.
    if role == "api":
        with undisturbed():
            from retailos.api.server import run_api

        def serving(at: int) -> None:
            _leave_signals_to_server()
            started(at)

        await run_api(settings, settings.database_url or "", serving, shared=shared)
    else:
        with undisturbed():
            from retailos.imports.runner import run_imports
            from retailos.sending.worker import run_worker
            from retailos.timetable import run_timetable

        def imports(pool: Pool, stop: asyncio.Event) -> Coroutine[None, None, None]:
            return run_imports(pool, settings, stop)

        def clock(pool: Pool, stop: asyncio.Event) -> Coroutine[None, None, None]:
            return run_timetable(pool, settings, stop)

        sys.setswitchinterval(_SWITCH_SECONDS)
        await run_worker(settings, settings.database_url or "", started, beside=(imports, clock))


def _leave_signals_to_server() -> None:
    """Only say that it stops: the web server has handlers of its own, and stops politely.

    It raises the signal again when it has stopped, which without a handler would kill the process then.
    """
    loop = asyncio.get_running_loop()

    def stopping() -> None:
        emit(Stopping(role="api"))
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(each, lambda: None)

    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, stopping)


def _collect_rarely() -> None:
    """Look for garbage in circles once in many thousand objects: a request makes hundreds, and hardly a circle."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


async def until_asked_to_stop(work: Coroutine[None, None, None]) -> None:
    """Do the work until it ends, or is cancelled by SIGINT, SIGTERM or SIGHUP; return when it has cleaned up."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for each in _ASKED_TO_STOP:
        # Somebody who ignores SIGHUP, as nohup does, wants the program to outlive the terminal.
        if each is not signal.SIGHUP or signal.getsignal(each) is not signal.SIG_IGN:
            loop.add_signal_handler(each, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """The PostgreSQL of the settings: the named one; or the embedded one, joined, or started and stopped here.

    Raises ConfigurationError if the embedded one can't run.
    """
    if settings.database_url:
        yield Database(url=settings.database_url, cluster=None, settings=settings)
        return
    directory = settings.data_dir or DATA_DIR
    cluster = await embedded.start(directory)
    try:
        keys = settings.encryption_keys or read_keys(directory)
        known = replace(settings, database_url=cluster.url, encryption_keys=keys)
        yield Database(url=cluster.url, cluster=cluster, settings=known)
    finally:
        await cluster.stop()


@asynccontextmanager
async def kept_database(settings: Settings) -> AsyncIterator[Database]:
    """As open_database(), migrated, and for the length of the block started again whenever it dies."""
    async with open_database(settings) as database:
        if database.cluster is None:
            await bring_up_to_date(database.url)
            yield database
            return
        watch = asyncio.create_task(_watch(database.cluster))
        try:
            await _patiently(lambda: bring_up_to_date(database.url))
            yield database
        finally:
            watch.cancel()
            await asyncio.wait([watch])


async def _patiently(work: Callable[[], Awaitable[object]], until: Callable[[], bool] = lambda: False) -> None:
    """Do the work, again where the server goes away before `until` holds; Unavailable if it does not come back.

    A command that found no server running starts it, and takes it along as it ends.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + RESTARTED_SECONDS
    while True:
        try:
            await work()
            return
        except Unavailable:
            if until() or loop.time() > deadline:
                raise
        await asyncio.sleep(ASK_AGAIN_SECONDS)


async def _watch(cluster: Cluster) -> None:
    """Start an embedded server again whenever it has died, for as long as that takes."""
    loop = asyncio.get_running_loop()
    while True:
        await cluster.wait_dead()
        lost = loop.time()
        emit(DatabaseLost(error="the embedded PostgreSQL has ended"))
        await _restart(cluster)
        emit(DatabaseBack(seconds=loop.time() - lost))


async def _restart(cluster: Cluster) -> None:
    while True:
        try:
            return await cluster.restart()
        except (ConfigurationError, OSError, SubprocessError) as error:
            emit(DatabaseLost(error=str(error)))
        await asyncio.sleep(RESTART_PAUSE_SECONDS)


@asynccontextmanager
async def open_pool(url: str, role: str) -> AsyncIterator[Pool]:
    """A small pool for a command, closed at the end of the block."""
    pool = await connect(url, min_size=1, max_size=2, application_name=f"retailos {role}", statement_timeout_seconds=30)
    try:
        yield pool
    finally:
        await pool.close()


async def bring_up_to_date(url: str) -> list[str]:
    """Apply the migrations that a database has not had, and give their names."""
    async with open_pool(url, "migrate") as pool, acquire(pool) as connection:
        # Asked first, because a role that may not change the schema may still serve.
        names = await migrate.pending(connection) and await migrate.migrate(connection)
    if names:
        emit(MigrationsApplied(names=tuple(names)))
    return names
