"""How receivers misbehave: what a webhook may meet in the wild, independent of who sends."""

import gzip
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Final

from conformance.line import Line

#: Reads a connection and writes to it as it likes; whatever it leaves open is closed for it.
Play = Callable[[Line], Awaitable[None]]
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
WELL: Final = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"error": null}'
#: Between two bytes of those that drip.
PACE_SECONDS: Final = 0.02
BODY_KEPT: Final = 64 * 1024


async def well(line: Line) -> None:
    """Answer each request as a receiver should that is well."""
    while True:
        await line.request()
        await line.say(WELL)
        line.done()


def saying(*parts: bytes) -> Play:
    """Answer a request with these bytes, then close."""

    async def play(line: Line) -> None:
        await line.request()
        await line.say(*parts)

    return play


def resetting(after: bytes) -> Play:
    """Answer a request with these bytes, then reset."""

    async def play(line: Line) -> None:
        await line.request()
        await line.say(after)
        if after:
            # A reset overtakes what was written before it, so what was written is given time to be read.
            await line.gone(within=PACE_SECONDS)
        line.reset()

    return play


def dripping(head: bytes, drops: bytes) -> Play:
    """Answer with a head at once and with the rest byte by byte, for ever or until the client has gone."""

    async def play(line: Line) -> None:
        await line.request()
        await line.say(head)
        at = 0
        while not await line.gone(within=PACE_SECONDS):
            await line.say(drops[at % len(drops) :][:1])
            at += 1

    return play


def flooding(head: bytes, chunk: bytes) -> Play:
    """Answer with a head and then with the same bytes as fast as they are taken, until the client has gone."""

    async def play(line: Line) -> None:
        await line.request()
        await line.say(head)
        while True:
            await line.say(chunk)

    return play


async def black_hole(line: Line) -> None:
    """Accept, read, and never answer."""
    await line.request()
    await line.gone()


async def reset_at_once(line: Line) -> None:
    """Reset the connection before a request is read."""
    line.reset()


async def close_at_once(line: Line) -> None:
    """Close the connection before a request is read."""


async def half_close(line: Line) -> None:
    """Read the request, end our direction, and keep reading."""
    await line.request()
    line.end()
    await line.gone()


async def refuse_early(line: Line) -> None:
    """Answer 413 as soon as the head is there, and read no body."""
    await line.head()
    await line.say(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno")


async def alert(line: Line) -> None:
    """Refuse the handshake, as TLS 1.2 and later say it."""
    await line.gone(within=PACE_SECONDS)
    await line.say(bytes((0x15, 3, 3, 0, 2, 2, 40)))


async def plain_instead(line: Line) -> None:
    """Answer a handshake in plain HTTP."""
    await line.say(b"HTTP/1.1 400 The plain HTTP request was sent to HTTPS port\r\nContent-Length: 0\r\n\r\n")


async def close_the_handshake(line: Line) -> None:
    """Read how a handshake begins, and close; what was left unread would make it a reset."""
    await line.gone(within=PACE_SECONDS)


async def hang(line: Line) -> None:
    """Take the handshake, and say nothing."""
    await line.gone()


def answering(status: int, body: bytes = b"", *headers: bytes) -> Play:
    """Answer a request with a whole answer of this status, then close."""
    lines = b"".join(header + b"\r\n" for header in headers)
    return saying(b"HTTP/1.1 %d Told\r\n%sContent-Length: %d\r\n\r\n%s" % (status, lines, len(body), body))


def _ok(*headers: bytes, body: bytes = b"") -> Play:
    return answering(200, body, *headers)


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
        "HTTP/0.9, text without a head": saying(b"hello\r\n\r\n"),
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

#: Receivers that spoil a TLS handshake.
SPOILING: Final[Mapping[str, Play]] = MappingProxyType(
    {
        "a TLS alert": alert,
        "plain HTTP where TLS was asked for": plain_instead,
        "a handshake that is closed": close_the_handshake,
        "a handshake that is reset": reset_at_once,
        "a handshake that hangs": hang,
    }
)
