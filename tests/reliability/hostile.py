"""Receivers that misbehave, on bare sockets: what a webhook may meet in the wild, independent of who sends."""

import asyncio
import gzip
import ssl
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, cast

from retailos.receiver import reset

#: Reads a connection and writes to it as it likes; whatever it leaves open is closed for it.
Play = Callable[[StreamReader, StreamWriter], Awaitable[None]]
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
#: Between two bytes of those that drip.
PACE_SECONDS: Final = 0.02
BODY_KEPT: Final = 64 * 1024


@dataclass(slots=True)
class Hostile:
    """A hostile receiver that listens: where, and who came."""

    url: str = ""
    port: int = 0
    connections: int = 0
    open: int = 0


@asynccontextmanager
async def hostile(
    play: Play, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Hostile]:
    """Listen for the length of the block; connections still open at its end are cut."""
    listening = Hostile()

    async def connected(reader: StreamReader, writer: StreamWriter) -> None:
        listening.connections += 1
        listening.open += 1
        try:
            with suppress(OSError, EOFError, asyncio.CancelledError):
                await play(reader, writer)
        finally:
            listening.open -= 1
            writer.close()

    server = await asyncio.start_server(connected, host, port, ssl=tls)
    listening.port = server.sockets[0].getsockname()[1]
    listening.url = f"{'https' if tls else 'http'}://{host}:{listening.port}"
    try:
        yield listening
    finally:
        server.close()


async def request(reader: StreamReader) -> None:
    """Read one whole request."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((line[16:] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length: ")), b"0")
    await reader.readexactly(int(length))


def saying(*parts: bytes) -> Play:
    """Answer a request with these bytes, then close."""

    async def play(reader: StreamReader, writer: StreamWriter) -> None:
        await request(reader)
        for part in parts:
            writer.write(part)
            await writer.drain()

    return play


def resetting(after: bytes) -> Play:
    """Answer a request with these bytes, then reset."""

    async def play(reader: StreamReader, writer: StreamWriter) -> None:
        await request(reader)
        writer.write(after)
        await writer.drain()
        if after:
            # A reset overtakes what was written before it, so what was written is given time to be read.
            await asyncio.wait({asyncio.ensure_future(reader.read())}, timeout=PACE_SECONDS)
        reset(cast("asyncio.Transport", writer.transport))

    return play


def dripping(head: bytes, drops: bytes) -> Play:
    """Answer with a head at once and with the rest byte by byte, for ever or until the client has gone."""

    async def play(reader: StreamReader, writer: StreamWriter) -> None:
        await request(reader)
        writer.write(head)
        gone = asyncio.ensure_future(reader.read())
        at = 0
        while not gone.done():
            writer.write(drops[at % len(drops) :][:1])
            at += 1
            await asyncio.wait({gone}, timeout=PACE_SECONDS)

    return play


def flooding(head: bytes, chunk: bytes) -> Play:
    """Answer with a head and then with the same bytes as fast as they are taken, until the client has gone."""

    async def play(reader: StreamReader, writer: StreamWriter) -> None:
        await request(reader)
        writer.write(head)
        while True:
            writer.write(chunk)
            await writer.drain()

    return play


async def black_hole(reader: StreamReader, writer: StreamWriter) -> None:
    """Accept, read, and never answer."""
    await reader.read()


async def reset_at_once(reader: StreamReader, writer: StreamWriter) -> None:
    """Reset the connection before a request is read."""
    reset(cast("asyncio.Transport", writer.transport))


async def close_at_once(reader: StreamReader, writer: StreamWriter) -> None:
    """Close the connection before a request is read."""


async def half_close(reader: StreamReader, writer: StreamWriter) -> None:
    """Read the request, end our direction, and keep reading."""
    await request(reader)
    writer.write_eof()
    await reader.read()


async def refuse_early(reader: StreamReader, writer: StreamWriter) -> None:
    """Answer 413 as soon as the head is there, and read no body."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")
    await writer.drain()


def _ok(*headers: bytes, body: bytes = b"") -> Play:
    lines = b"".join(header + b"\r\n" for header in headers)
    return saying(b"HTTP/1.1 200 OK\r\n" + lines + b"Content-Length: %d\r\n\r\n" % len(body) + body)


BOMB: Final = gzip.compress(bytes(10_000_000))

#: Receivers that answer, however odd the answer.
ANSWERING: Final[Mapping[str, Play]] = MappingProxyType(
    {
        "informational before the answer": saying(
            b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", OK
        ),
        "http/1.0 until the end": saying(b"HTTP/1.0 200 OK\r\n\r\nall of it"),
        "no length until the end": saying(b"HTTP/1.1 200 OK\r\n\r\nall of it"),
        "chunked": saying(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nall \r\n5;x=y\r\nof it\r\n0\r\nT: x\r\n\r\n"
        ),
        "204 with a body": saying(b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello"),
        "NUL in the body": _ok(body=b'{"a": "\x00"}\x00\xff'),
        "a header that is not ASCII": _ok(b"X-Name: caf\xc3\xa9", b"X-Kept: yes"),
        "the same header many times": _ok(*[b"Set-Cookie: a=b"] * 50),
        "a header of 100 kB": _ok(b"X-Long: " + b"y" * 100_000),
        "a gzip bomb": _ok(b"Content-Encoding: gzip", body=BOMB),
        "no gzip where gzip is said": _ok(b"Content-Encoding: gzip", body=b"plain"),
        "a body of as much as is kept": _ok(body=b"x" * BODY_KEPT),
        "more bytes than announced": saying(OK + b"HTTP/1.1 500 Surprise\r\n\r\n"),
        "a status that nobody knows": saying(b"HTTP/1.1 799 Odd\r\nContent-Length: 0\r\n\r\n"),
        "switching protocols": saying(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n\x00\x01"
        ),
        "a redirect": saying(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
        "html": saying(b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>"),
        "an answer before the body was read": refuse_early,
    }
)

#: Receivers whose bodies have no end: what is kept is kept, the rest is not read.
ENDLESS: Final[Mapping[str, Play]] = MappingProxyType(
    {
        "10 GB announced": flooding(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n", b"x" * 65_536),
        "chunks for ever": flooding(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65_536 + b"\r\n"
        ),
        "no length for ever": flooding(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65_536),
    }
)

#: Receivers that break off: the request may have been applied or not.
BREAKING_OFF: Final[Mapping[str, Play]] = MappingProxyType(
    {
        "reset at once": reset_at_once,
        "close at once": close_at_once,
        "reset after the request": resetting(b""),
        "close after the request": saying(),
        "half-close": half_close,
        "reset within the status line": resetting(b"HTTP/1."),
        "reset within the headers": resetting(b"HTTP/1.1 200 OK\r\nContent-Le"),
        "close within the headers": saying(b"HTTP/1.1 200 OK\r\nContent-Le"),
        "200, then reset": resetting(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"),
        "200, then close": saying(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"),
        "close within a chunk": saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"),
        "close between chunks": saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
    }
)

#: Receivers that don't speak HTTP, or break its rules.
BABBLING: Final[Mapping[str, Play]] = MappingProxyType(
    {
        "another protocol": saying(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        "every byte there is": saying(bytes(range(256)) * 8),
        "text without a head": saying(b"hello\r\n\r\n"),
        "a space in a header's name": saying(b"HTTP/1.1 200 OK\r\nBad Name: x\r\nContent-Length: 0\r\n\r\n"),
        "NUL in a header": saying(b"HTTP/1.1 200 OK\r\nX-A: a\x00b\r\nContent-Length: 0\r\n\r\n"),
        "two lengths": saying(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"),
        "a negative length": saying(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
        "a chunk size that is none": saying(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello"),
        "a thousand headers": saying(b"HTTP/1.1 200 OK\r\n" + b"X-%d: 1\r\n" * 1000 % tuple(range(1000)) + b"\r\n"),
        "a header without end": flooding(b"HTTP/1.1 200 OK\r\nX-Long: ", b"y" * 65_536),
        "a status of two digits": saying(b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n"),
    }
)

#: Receivers that take longer than anyone waits.
LINGERING: Final[Mapping[str, Play]] = MappingProxyType(
    {
        "a black hole": black_hole,
        "the head byte by byte": dripping(b"", b"HTTP/1.1 200 OK\r\n" + b"X-A: y\r\n" * 1_000),
        "the body byte by byte": dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"x"),
        "chunks byte by byte": dripping(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        "continue, and never go on": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    }
)
