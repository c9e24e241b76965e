"""Where a hostile receiver listens, and who came."""

import asyncio
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from time import monotonic

from conformance.line import Line, Visit
from conformance.plays import Play, well


class Door:
    """A receiver that plays hostile to those who come first, and is well for all after them."""

    def __init__(self, play: Play, hostile_visits: int | None) -> None:
        """None: it is never well."""
        self.url = ""
        self.port = 0
        self.visits: list[Visit] = []
        self._play, self._hostile_visits = play, hostile_visits

    @property
    def connections(self) -> int:
        """How many came."""
        return len(self.visits)

    @property
    def open(self) -> int:
        """How many are still there."""
        return sum(each.closed is None for each in self.visits)

    async def meet(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Play one visit."""
        is_well = self._hostile_visits is not None and len(self.visits) >= self._hostile_visits
        visit = Visit(well=is_well, opened=monotonic())
        self.visits.append(visit)
        line = Line(reader, writer, visit)
        try:
            with suppress(OSError, EOFError, ValueError, asyncio.LimitOverrunError, asyncio.CancelledError):
                await (well if is_well else self._play)(line)
        finally:
            line.close()


@asynccontextmanager
async def hostile(
    play: Play,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    tls: ssl.SSLContext | None = None,
    scheme: str = "http",
    hostile_visits: int | None = None,
    away_seconds: float = 0,
) -> AsyncIterator[Door]:
    """Listen for the length of the block, at first not at all if it is away; visits still open at its end are cut."""
    door = Door(play, hostile_visits)
    server = await asyncio.start_server(door.meet, host, port, ssl=tls, start_serving=not away_seconds)
    door.port = server.sockets[0].getsockname()[1]
    door.url = f"{'https' if tls else scheme}://{host}:{door.port}"
    coming = asyncio.create_task(_come_back(server, away_seconds))
    try:
        yield door
    finally:
        coming.cancel()
        server.close()


async def _come_back(server: asyncio.Server, away_seconds: float) -> None:
    await asyncio.sleep(away_seconds)
    await server.start_serving()
