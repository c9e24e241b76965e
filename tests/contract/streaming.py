"""A reader of the change stream, as a browser's EventSource is one: it remembers ids and comes back with the last."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tests.conftest import PATIENCE_SECONDS
from tests.contract.conftest import Api, Response, read


@dataclass(slots=True)
class Stream:
    """An answer whose body is read event by event; `last_id` is the newest id, of an event or of a mark."""

    reader: asyncio.StreamReader
    answer: Response
    last_id: str = ""
    #: Whether the server said that nothing follows, and did not just hang up.
    ended: bool = False
    _text: bytes = b""
    marks: list[str] = field(default_factory=list)

    async def event(self) -> Any:
        """The next event's data; None at the end of the stream."""
        while True:
            while b"\n\n" not in self._text:
                chunk = await self._chunk()
                if not chunk:
                    return None
                self._text += chunk
            block, _, self._text = self._text.partition(b"\n\n")
            lines = dict(line.split(": ", 1) for line in block.decode().split("\n"))
            self.last_id = lines.get("id", self.last_id)
            if "data" in lines:
                assert list(lines) == ["id", "event", "data"]
                assert lines["event"] == "change"
                return msgspec.json.decode(lines["data"])
            if "id" in lines:
                self.marks.append(lines["id"])

    async def events(self, count: int) -> list[Any]:
        """The next events."""
        return [await self.event() for _ in range(count)]

    async def end(self) -> None:
        """Read to the end of the stream."""
        while await self.event():
            pass

    async def _chunk(self) -> bytes:
        async with asyncio.timeout(PATIENCE_SECONDS):
            size = int((await self.reader.readline()).strip() or b"0", 16)
            data = await self.reader.readexactly(size + 2) if size else b""
            self.ended = self.ended or (not size and await self.reader.readline() == b"\r\n")
        return data[:-2]


@asynccontextmanager
async def streamed(
    api: Api, query: str = "", *, last_id: str = "", key: str = "", method: str = "GET"
) -> AsyncIterator[Stream]:
    """Ask for the stream, and read its head; hang up at the end of the block."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port, limit=1 << 24)
    given = {"Host": "127.0.0.1", "Authorization": f"API_KEY {key or api.key}", "Accept": "text/event-stream"}
    given |= {"Last-Event-ID": last_id} if last_id else {}
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    try:
        writer.write(f"{method} /v2/public/changes{query} HTTP/1.1\r\n{head}\r\n".encode())
        async with asyncio.timeout(PATIENCE_SECONDS):
            answer = read(await reader.readuntil(b"\r\n\r\n"))
            if answer.status != 200:
                answer = Response(
                    answer.status, answer.headers, await reader.readexactly(int(answer.headers["content-length"]))
                )
        yield Stream(reader, answer)
    finally:
        writer.close()
