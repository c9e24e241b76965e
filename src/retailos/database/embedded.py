"""The embedded PostgreSQL: one server per data directory, started by whoever comes first and joined by the rest."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

from retailos.database import initdb, place, postmaster, tuning
from retailos.database.launch import PATIENCE_SECONDS, Plan, launch
from retailos.database.postmaster import Postmaster
from retailos.errors import ConfigurationError

#: A fast shutdown writes all dirty pages; after that time the next start recovers them from the log instead.
STOP_SECONDS = 60.0
_QUIT_SECONDS = 10.0
_POLL_SECONDS = 0.005
_WATCH_SECONDS = 0.1
#: How long after its keeper's death a server may still get the signal that shuts it down.
_ORPHAN_SETTLES_SECONDS = 0.1


async def start(
    data_dir: Path,
    *,
    binaries: Path | None = None,
    settings: Mapping[str, str] | None = None,
    report: Callable[[str], None] = lambda _: None,
    patience_seconds: float = PATIENCE_SECONDS,
) -> "Cluster":
    """Start the PostgreSQL of a data directory, making both if they are new, or join the one that runs there.

    `binaries` is the bin directory of another PostgreSQL than the wheel's, `settings` outrank those of tuning.py
    except for durability, `report` is told a sentence every few seconds while a recovery takes its time. Raises
    ConfigurationError, which says what to do, if it can't run there.
    """
    where = place.at(data_dir)
    sockets = str(where.sockets).replace('"', '""')
    options = {
        "listen_addresses": "",
        "port": "5432",
        **(settings or {}),
        "config_file": str(where.configuration),
        "unix_socket_directories": f'"{sockets}"',
        "unix_socket_permissions": "0700",
        **tuning.DURABLE,
    }
    plan = Plan(
        place=where,
        binaries=binaries or initdb.find_binaries(),
        options=options,
        report=report,
        patience_seconds=patience_seconds,
    )
    cluster = Cluster(plan)
    await cluster.restart()
    return cluster


class Cluster:
    """A running PostgreSQL server and this process' part in it: its keeper, who stops it, or a guest."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._place = plan.place
        #: the descriptor that holds the keeper's lock, while this process is the keeper
        self._keeping: int | None = None
        #: the server, where this process started it
        self._child: subprocess.Popen[bytes] | None = None
        self._server: Postmaster | None = None

    @property
    def url(self) -> str:
        """The address for clients on this machine, over the Unix socket; the same after a restart."""
        server = self._known()
        # A percent-encoded host may hold commas and spaces, which a host= parameter may not.
        return f"postgresql://{initdb.ROLE}@{quote(server.socket_dir, safe='')}:{server.port}/{initdb.DATABASE}"

    @property
    def owned(self) -> bool:
        """Whether this process keeps the server, and stop() stops it."""
        return self._keeping is not None

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return self._known().pid

    async def wait_dead(self) -> None:
        """Return when the server has died, or was stopped, by whatever cause; restart() brings it back."""
        while True:
            if not self._is_alive():
                return
            await asyncio.sleep(_WATCH_SECONDS)

    async def restart(self) -> None:
        """Start the server if it is dead, or join it if another process has; does nothing while it runs.

        A guest becomes the keeper if the keeper is gone. Raises ConfigurationError if it can't be started.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._plan.patience_seconds
        while not await self._start_or_join():
            if loop.time() > deadline:
                raise ConfigurationError(
                    f"Another process keeps {self._place.root}, but no PostgreSQL has run there for "
                    f"{self._plan.patience_seconds:.0f} s; end that process, or choose another --data-dir."
                )
            await asyncio.sleep(_WATCH_SECONDS)

    async def stop(self) -> None:
        """Stop the server if this process keeps it; connections are closed, what was committed is on disk.

        A guest leaves it running. Does nothing the second time.
        """
        if self._keeping is None:
            return
        async with place.locked(self._place.starting, patience_seconds=self._plan.patience_seconds):
            await self._end()
            place.tidy(self._place)
            self._release()

    async def _start_or_join(self) -> bool:
        async with place.locked(self._place.starting, patience_seconds=self._plan.patience_seconds):
            if self._keeping is None:
                self._keeping = place.try_lock(self._place.keeper)
            if self._keeping is None:
                return self._join()
            try:
                await self._keep()
            except BaseException:
                self._release()
                raise
            return True

    def _join(self) -> bool:
        found = postmaster.find(self._place.data)
        if found is None or found.status != "ready":
            return False
        self._child, self._server = None, found
        return True

    async def _keep(self) -> None:
        if self._child and self._child.poll() is None:
            return
        self._child = None
        if not await self._adopt():
            self._child = await launch(self._plan)
            self._server = postmaster.read(self._place.data)

    async def _adopt(self) -> bool:
        """Take over a server whose keeper is gone; False if there is none, or none any more."""
        self._server = postmaster.find(self._place.data)
        if self._server is None:
            return False
        await asyncio.sleep(_ORPHAN_SETTLES_SECONDS)
        await _within(self._plan.patience_seconds, lambda: self._status() not in ("", "starting"))
        if self._status() == "ready":
            self._server = postmaster.read(self._place.data)
            return True
        await self._end()
        return False

    async def _end(self) -> None:
        """Shut the server down: fast, then at once, then by force; each is safe for what was committed."""
        stages = ((signal.SIGINT, STOP_SECONDS), (signal.SIGQUIT, _QUIT_SECONDS), (signal.SIGKILL, _QUIT_SECONDS))
        for order, seconds in stages:
            if not self._is_alive():
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._known().pid, order)
            await _within(seconds, lambda: not self._is_alive())

    def _status(self) -> str | None:
        found = postmaster.find(self._place.data)
        return found.status if found else None

    def _is_alive(self) -> bool:
        if self._child:
            return self._child.poll() is None
        return self._server is not None and postmaster.is_alive(self._server.pid, self._place.data)

    def _known(self) -> Postmaster:
        if self._server is None:
            raise ConfigurationError("The embedded PostgreSQL has not been started; await embedded.start() first.")
        return self._server

    def _release(self) -> None:
        if self._keeping is not None:
            os.close(self._keeping)
            self._keeping = None


async def _within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Wait for a condition; False if the time is over before it holds."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        if loop.time() > deadline:
            return False
        await asyncio.sleep(_POLL_SECONDS)
    return True
