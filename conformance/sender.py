"""A sender of webhooks as the suite uses it, and any that can be driven by two commands."""

import asyncio
import shlex
from dataclasses import dataclass
from typing import Protocol


class Sender(Protocol):
    """Something that sends webhooks."""

    async def point(self, name: str, url: str) -> None:
        """Have it tell this URL of changes, under this name."""
        ...

    async def write(self) -> None:
        """Change one record, of which every URL is to be told."""
        ...


class CommandFailed(Exception):
    """A command of the sender's ended with a failure."""


@dataclass(frozen=True, slots=True)
class Commands:
    """A sender that is driven by commands; `{name}` and `{url}` stand for what it is to be told."""

    point_command: str
    write_command: str

    async def point(self, name: str, url: str) -> None:
        """Run the command that adds a URL."""
        await _run(self.point_command, name=name, url=url)

    async def write(self) -> None:
        """Run the command that changes a record."""
        await _run(self.write_command)


async def _run(command: str, **values: str) -> None:
    words = [word.format_map(values) if values else word for word in shlex.split(command)]
    process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.DEVNULL)
    if await process.wait():
        raise CommandFailed(f"{command} ended with {process.returncode}")
