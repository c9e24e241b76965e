"""An API that is played, since the real one can't be made to answer so: each path has its answers; the last stays."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

IMPORT_ID = "01a228ca-3731-7846-831f-3db909da654f"
FORM: dict[str, Any] = {
    "resource": "customer",
    "format": "csv",
    "createdAt": "",
    "startedAt": None,
    "endedAt": None,
    "bytes": 9,
}
NOW: dict[str, Any] = FORM | {
    "id": IMPORT_ID,
    "rows": 2,
    "rowsRead": 2,
    "failed": 1,
    "outcomes": {},
    "maxErrorRate": 1,
    "error": None,
}


@dataclass(frozen=True, slots=True)
class Played:
    """Where it is, and the requests that came: the head and the body of each."""

    url: str
    requests: list[tuple[str, bytes]] = field(default_factory=list)


def answer(status: int, body: bytes, *, more: str = "", length: int | None = None) -> bytes:
    """An answer with a body, which may be cut off before its length."""
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status} x\r\n{more}Content-Length: {size}\r\nConnection: close\r\n\r\n".encode() + body


def shown(code: int = 200, **members: Any) -> bytes:
    """An answer that shows the import."""
    result = NOW | {"status": "completed"} | members
    return answer(code, msgspec.json.encode({"meta": {}, "error": None, "result": result}))


def refused(status: int, message: str, *, more: str = "") -> bytes:
    """An answer that tells an error."""
    error = {"code": "ANY", "message": message, "details": {}}
    return answer(status, msgspec.json.encode({"meta": {}, "error": error, "result": None}), more=more)


@asynccontextmanager
async def playing(answers: Mapping[str, Sequence[bytes]]) -> AsyncIterator[Played]:
    """Play an API whose answers are told by how a request's method and path end, one after the other."""
    left = {each: list(of) for each, of in answers.items()}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        played.requests.append((head, await _body(reader) if "chunked" in head else b""))
        path = head.split(" HTTP/")[0].partition("?")[0]
        own = next(of for each, of in left.items() if path.endswith(each))
        writer.write(own.pop(0) if len(own) > 1 else own[0])
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    played = Played(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server:
        yield played


async def _body(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readline(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return body
