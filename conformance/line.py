"""One connection to a hostile receiver: read and written as its play says, and noted as it was."""

import asyncio
import socket
import struct
from asyncio import StreamReader, StreamWriter
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import cast


@dataclass(slots=True, kw_only=True)
class Asked:
    """One request as it came in; times are seconds of the monotonic clock."""

    method: str
    target: str
    #: Names in lower case; of one that comes twice the last.
    headers: Mapping[str, str]
    body: bytes = b""
    #: When its head was there, and when it was done with: answered, or given up by either side.
    at: float
    until: float | None = None


@dataclass(slots=True, kw_only=True)
class Visit:
    """One connection as it was."""

    #: It was answered as a receiver should that is well.
    well: bool
    opened: float
    closed: float | None = None
    #: Bytes of answers that the sender's side took.
    taken: int = 0
    asked: list[Asked] = field(default_factory=list)


class Line:
    """A connection in the hands of a play."""

    def __init__(self, reader: StreamReader, writer: StreamWriter, visit: Visit) -> None:
        self.visit = visit
        self._reader, self._writer = reader, writer
        self._going: asyncio.Future[bytes] | None = None

    async def head(self) -> Asked:
        """Read the head of a request; IncompleteReadError if the other side has gone."""
        first, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, *_ = [*first.split(" "), "", ""]
        pairs = (line.partition(":") for line in lines if line)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        asked = Asked(method=method, target=target, headers=headers, at=monotonic())
        self.visit.asked.append(asked)
        return asked

    async def request(self) -> Asked:
        """Read one whole request, its body by length or in chunks."""
        asked = await self.head()
        if "100-continue" in asked.headers.get("expect", "").lower():
            await self.say(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in asked.headers.get("transfer-encoding", "").lower():
            while size := int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16):
                asked.body += (await self._reader.readexactly(size + 2))[:size]
            await self._reader.readuntil(b"\r\n")
        else:
            asked.body = await self._reader.readexactly(int(asked.headers.get("content-length") or 0))
        return asked

    async def say(self, *parts: bytes) -> None:
        """Write, as fast as it is taken."""
        for part in parts:
            self._writer.write(part)
            await self._writer.drain()
            self.visit.taken += len(part)

    async def gone(self, within: float | None = None) -> bool:
        """Wait until the other side has closed its direction, or for so many seconds."""
        if self._going is None:
            self._going = asyncio.ensure_future(self._reader.read())
        await asyncio.wait({self._going}, timeout=within)
        return self._going.done()

    def end(self) -> None:
        """Say no more, and keep listening."""
        self._writer.write_eof()

    def reset(self) -> None:
        """Break off with a TCP reset instead of an orderly end."""
        transport = cast("asyncio.Transport", self._writer.transport)
        held = transport.get_extra_info("socket")
        held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()

    def close(self) -> None:
        """Close, and note that what was asked is over."""
        self.visit.closed = monotonic()
        self.done()
        if self._going is not None:
            self._going.cancel()
        self._writer.close()

    def done(self) -> None:
        """Note that what was asked so far is over."""
        for asked in self.visit.asked:
            asked.until = asked.until or monotonic()
