"""A process that a test starts, without a fork of its own process.

The event loop's own way forks. The HTTP client has threads in this process that come to the interpreter and leave it as
they like, and a child that is forked in such a moment waits for one of them for ever, and the test for the child.
"""

import asyncio
import contextlib
import signal
import subprocess
import threading
from asyncio import StreamReader, StreamReaderProtocol
from collections.abc import Mapping
from pathlib import Path
from typing import IO


class Child:
    """A process: what it writes to the pipes that were asked for, and its end."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.pid = process.pid
        self.stdout: StreamReader | None = None
        self.stderr: StreamReader | None = None
        self._process = process
        self._ended = asyncio.Event()
        threading.Thread(target=self._watch, args=(asyncio.get_running_loop(),), daemon=True).start()

    @property
    def returncode(self) -> int | None:
        """How it ended: its exit code, or the signal's negative number; None while it runs."""
        return self._process.returncode

    def send_signal(self, order: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        self._process.send_signal(order)

    def kill(self) -> None:
        """End it at once, if it still runs."""
        self._process.kill()

    async def wait(self) -> int:
        """Wait for its end; how it ended."""
        await self._ended.wait()
        return self._process.returncode

    async def communicate(self) -> tuple[bytes, bytes]:
        """Wait for its end; what it wrote to stdout and stderr."""
        out, err = await asyncio.gather(*(each.read() if each else _nothing() for each in (self.stdout, self.stderr)))
        await self.wait()
        return out, err

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        self._process.wait()
        # Whose loop has ended waits no more.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._ended.set)


async def spawn(
    *command: str | Path,
    stdin: int = subprocess.DEVNULL,
    stdout: int | None = None,
    stderr: int | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> Child:
    """Start a command in a session of its own, with nothing to read unless told; what PIPE asks for of it is read."""
    process = subprocess.Popen(  # noqa: ASYNC220 - our own command; it is started in a millisecond
        command,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        cwd=cwd,
        env=env,
        start_new_session=True,
    )
    child = Child(process)
    child.stdout = await _reader(process.stdout)
    child.stderr = await _reader(process.stderr)
    return child


async def _reader(pipe: IO[bytes] | None) -> StreamReader | None:
    if pipe is None:
        return None
    reader = StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: StreamReaderProtocol(reader), pipe)
    return reader


async def _nothing() -> bytes:
    return b""
