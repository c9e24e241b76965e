"""The real program as a person starts it: its command line, what it says, the processes that it has, and its end."""

import asyncio
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from tests.child import Child, spawn
from tests.conftest import PATIENCE_SECONDS, eventually

SAID_SECONDS: Final = PATIENCE_SECONDS
END_SECONDS: Final = PATIENCE_SECONDS
#: A fifth of a second's work on the machines that the figures of seconds are for, which tells how long it took here.
WORK: Final = """
from time import monotonic
begun = monotonic()
for each in range(4_000_000):
    each += 1
print((monotonic() - begun) / 0.2)
"""
SERVES: Final = r"RetailOS serves http://127\.0\.0\.1:(\d+)/"


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has run: its exit code and what it wrote."""

    code: int
    out: str
    err: str


class Running:
    """A command that runs on; what it writes is read as it comes."""

    def __init__(self, process: Child) -> None:
        self._process = process
        self.pid = process.pid
        self.out, self.err = "", ""
        assert process.stdout
        assert process.stderr
        self._reading = [
            asyncio.create_task(self._read(process.stdout, "out")),
            asyncio.create_task(self._read(process.stderr, "err")),
        ]

    async def says(self, pattern: str) -> re.Match[str]:
        """The first match of a pattern in what it writes to stdout, as soon as it is there."""

        def found() -> re.Match[str] | None:
            match = re.search(pattern, self.out)
            if not match and self._process.returncode is not None:
                pytest.fail(f"it ended with {self._process.returncode} before it said {pattern}:\n{self.out}{self.err}")
            return match

        match = await eventually(found, within_seconds=SAID_SECONDS)
        assert match
        return match

    async def observes(self, event: str) -> dict[str, Any]:
        """The first observation of this kind, as soon as it is made."""
        found = await eventually(
            lambda: next((each for each in self.observations if each["event"] == event), None),
            within_seconds=SAID_SECONDS,
        )
        return found or {}

    @property
    def observations(self) -> list[dict[str, Any]]:
        """Its observations so far: the JSON lines on stderr."""
        return [msgspec.json.decode(line) for line in self.err.splitlines() if line.startswith("{")]

    def started(self, role: str, *, least: int) -> bool:
        """Whether so many processes have begun to serve this role."""
        return sum((each["event"], each.get("role")) == ("Started", role) for each in self.observations) >= least

    async def end(self, order: signal.Signals) -> int:
        """Send it a signal, and give the exit code that it ends with."""
        if self._process.returncode is None:
            self._process.send_signal(order)
        async with asyncio.timeout(END_SECONDS):
            code = await self._process.wait()
            await asyncio.gather(*self._reading)
        return code

    async def _read(self, stream: asyncio.StreamReader, name: str) -> None:
        while chunk := await stream.read(65_536):
            setattr(self, name, getattr(self, name) + chunk.decode(errors="replace"))


@asynccontextmanager
async def started(*arguments: str, cwd: Path | None = None, **settings: str) -> AsyncIterator[Running]:
    """Start `retailos` with these arguments and RETAILOS_ settings; whatever is left of it at the end is killed."""
    running = Running(await _spawned(arguments, cwd, settings))
    try:
        yield running
    finally:
        left = descendants(running.pid)
        await running.end(signal.SIGKILL)
        for pid in left:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


async def ran(*arguments: str, cwd: Path | None = None, **settings: str) -> Ended:
    """Run `retailos` with these arguments and RETAILOS_ settings to its end."""
    process = await _spawned(arguments, cwd, settings)
    try:
        async with asyncio.timeout(END_SECONDS):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        raise
    return Ended(process.returncode or 0, out.decode(), err.decode())


async def _spawned(arguments: tuple[str, ...], cwd: Path | None, settings: dict[str, str]) -> Child:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RETAILOS_")}
    environment |= {f"RETAILOS_{name.upper()}": value for name, value in settings.items()}
    return await spawn(
        *(sys.executable, "-P", "-m", "retailos.cli", *arguments),
        stdout=PIPE,
        stderr=PIPE,
        cwd=cwd,
        env=environment | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )


async def stretched() -> float:
    """How many times longer things take here and now: a slow machine or others' work is not the program's fault."""
    process = await spawn(sys.executable, "-c", WORK, stdout=PIPE)
    out, _ = await process.communicate()
    return max(1.0, float(out))


def descendants(pid: int) -> set[int]:
    """The processes that a process has started, and those that these have; needs /proc."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, []).append(child)
    found, waiting = set[int](), [pid]
    while waiting:
        waiting.extend(below := children.get(waiting.pop(), []))
        found.update(below)
    return found


def children_with(pid: int, word: str) -> list[int]:
    """The children of a process whose command line has this word."""
    return [child for child, parent in _parents() if parent == pid and word in command_line(child)]


def alive(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    return bool(command_line(pid))


def command_line(pid: int) -> list[str]:
    """The words that a process was started with; none if it is gone or a zombie."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _parents() -> Iterator[tuple[int, int]]:
    """Every process with its parent."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name, in parentheses, may hold spaces.
            yield int(status.parent.name), int(status.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
