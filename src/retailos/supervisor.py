"""Keeps processes of this program running: what ends unasked is started again, and all end with the supervisor.

Supervisor and process hold the two ends of a socket. Down it goes one line of settings, up it comes the port once the
process is ready, then whatever it has to tell. When it breaks, the process knows that nobody keeps it any more.
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import socket
import sys
import threading
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Self

import msgspec

from retailos.errors import ConfigurationError
from retailos.observe import emit
from retailos.observe.process import ProcessRestarted
from retailos.settings import Settings, load

#: A process that is told to stop has so long to finish what it holds: the API's 10 s for requests, and some more.
STOP_SECONDS: Final = 15.0
#: A process that was never ready by then will not be; a slow machine needs three.
READY_SECONDS: Final = 60.0
#: Before it is started again, one after the other while it keeps ending; the last stays.
PAUSES_SECONDS: Final = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 5.0)
#: Whoever lived so long has not ended for the reason that the one before did.
SETTLED_SECONDS: Final = 10.0
_PR_SET_PDEATHSIG: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A process to keep running: `retailos` with these arguments."""

    role: str
    arguments: tuple[str, ...]
    settings: Settings
    #: Told of each line that the process sends once it is ready.
    heard: Callable[[bytes], None] = lambda _: None


class Supervisor:
    """The processes that are kept running for the length of a block."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    @asynccontextmanager
    async def open(cls) -> AsyncIterator[Self]:
        """Keep what is started in the block; at its end all are told to stop, at once, and are waited for."""
        supervisor = cls()
        try:
            yield supervisor
        finally:
            for task in supervisor._tasks:
                task.cancel()
            await asyncio.gather(*supervisor._tasks, return_exceptions=True)

    async def start(self, program: Program) -> int:
        """Start a process, keep it running, and return the port that it listens on once it is ready (0: none).

        Raises ConfigurationError if it ends, or is not ready in time, at this first start.
        """
        ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._tasks.append(asyncio.create_task(self._keep(program, ready)))
        try:
            async with asyncio.timeout(READY_SECONDS):
                return await ready
        except TimeoutError:
            raise ConfigurationError(
                f"The {program.role} process was not ready within {READY_SECONDS:.0f} s; "
                "see what it said above, and whether this machine is busy."
            ) from None

    def add(self, program: Program) -> None:
        """Keep another process running of a program that was started, and wait for nothing."""
        known: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        known.set_result(program.settings.port)
        self._tasks.append(asyncio.create_task(self._keep(program, known)))

    async def _keep(self, program: Program, ready: asyncio.Future[int]) -> None:
        loop = asyncio.get_running_loop()
        quick = 0
        while True:
            begun = loop.time()
            try:
                code = await _run(program, ready)
            except OSError:
                # The machine has no room for another process; by the next time it may have.
                code = os.EX_OSERR
            if not ready.done():
                message = f"The {program.role} process ended before it was ready (exit code {code}); it says why above."
                ready.set_exception(ConfigurationError(message))
            if ready.cancelled() or ready.exception():
                return
            # Whoever knows the address of the one that ended finds its successor there.
            program = replace(program, settings=replace(program.settings, port=ready.result()))
            emit(ProcessRestarted(role=program.role, exit_code=code))
            quick = 0 if loop.time() - begun > SETTLED_SECONDS else quick
            await asyncio.sleep(PAUSES_SECONDS[min(quick, len(PAUSES_SECONDS) - 1)])
            quick += 1


async def _run(program: Program, ready: asyncio.Future[int]) -> int:
    """Run one process to its end and give its exit code; when cancelled, stop it."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        process = await _spawn(program, theirs)
        # Held by the process alone, or its end would go unnoticed.
        theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            await _talk(reader, writer, program, ready)
            return await process.wait()
        finally:
            # While the line holds: a process whose line breaks ends at once, and could not stop politely.
            await _end(process)
            writer.close()


async def _spawn(program: Program, line: socket.socket) -> Process:
    """Start a process that inherits its end of the line, in a session of its own, where no Ctrl-C for us reaches it."""
    command = (sys.executable, "-P", "-m", "retailos.cli", *program.arguments, "--supervised", str(line.fileno()))
    return await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, pass_fds=(line.fileno(),), start_new_session=True
    )


async def _talk(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, program: Program, ready: asyncio.Future[int]
) -> None:
    """Send the settings, then hear what the process says until it hangs up."""
    # One that has ended already reads nothing; its exit code tells the rest.
    with contextlib.suppress(ConnectionError):
        writer.write(written(program.settings) + b"\n")
        port = await reader.readline()
        if port and not ready.done():
            ready.set_result(int(port))
        async for said in reader:
            program.heard(said)


async def _end(process: Process) -> None:
    """Stop a process that still runs: politely, then by force."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


class Line:
    """The process' end of the socket that its supervisor holds the other end of."""

    def __init__(self, descriptor: int) -> None:
        """Take over the descriptor; from now on this process dies with its supervisor."""
        self._socket = socket.socket(fileno=descriptor)
        if sys.platform == "linux":
            # Reaches a process that is stopped or stuck, too.
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL))

    def settings(self) -> Settings:
        """Receive the settings, the only thing that comes down; when the line breaks later, this process ends."""
        with self._socket.makefile("rb") as file:
            line = file.readline()
        if not line:
            os._exit(1)
        threading.Thread(target=self._watch, daemon=True).start()
        return load({}, **msgspec.json.decode(line))

    def ready(self, port: int = 0) -> None:
        """Tell that the process does its work now, and on which port it listens."""
        self.tell(b"%d" % port)

    def tell(self, line: bytes) -> None:
        """Tell the supervisor something, on one line."""
        # A supervisor that is gone is the watch's affair.
        with contextlib.suppress(ConnectionError):
            self._socket.sendall(line + b"\n")

    def _watch(self) -> None:
        with contextlib.suppress(OSError):
            while self._socket.recv(1):
                pass
        os._exit(1)


def written(settings: Settings) -> bytes:
    """Write settings as one line of JSON, which `Line.settings` reads back."""
    given: dict[str, Any] = {}
    for each in fields(settings):
        value = getattr(settings, each.name)
        if isinstance(value, tuple):
            given[each.name] = ",".join(str(part) for part in value)
        elif value is not None:
            given[each.name] = value if isinstance(value, bool | int | float) else str(value)
    return msgspec.json.encode(given)
