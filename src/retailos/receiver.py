"""The other system, played: an HTTP server that answers webhooks as told and remembers what it got."""

import asyncio
import hashlib
import re
import socket
import ssl
import struct
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from http.client import responses
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self, cast
from urllib.parse import unquote

import httptools
import msgspec

OK_BODY: Final = b'{"error": null}'
ERROR_BODY: Final = b'{"error": {"code": "REFUSED", "message": "This receiver was told to refuse", "details": []}}'
REFUSAL: Final = MappingProxyType({"code": "REFUSED", "message": "This receiver was told to refuse"})
#: How the body of a batch begins: the plural's name and an array.
_BATCH: Final = re.compile(rb'\s*\{\s*"\w+"\s*:\s*\[')
#: Requests kept by default; enough for any test, and some 300 MB with bodies of 2 KB.
REMEMBER: Final = 100_000
WAIT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How one request is answered: a status after a delay, or no answer at all."""

    status: int = 200
    #: None is the guide's answer to a success or a failure, whichever the status is; of a batch, one for each record.
    body: bytes | None = None
    headers: tuple[tuple[str, str], ...] = ()
    delay_seconds: float = 0.0
    #: Seconds to ask for in Retry-After.
    retry_after: int | None = None
    #: The share of requests, from 0 to 1 and evenly spread, that get `fail_status` instead.
    fail_ratio: float = 0.0
    fail_status: int = 503
    #: The share of a batch's records, from 0 to 1 and evenly spread, that are answered with an error.
    refuse_ratio: float = 0.0
    #: Close the connection without an answer.
    drop: bool = False
    #: Reset the connection without an answer.
    reset: bool = False
    #: Keep the connection open and never answer.
    hang: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request as it came in."""

    #: Counted from 1 over the receiver's life.
    sequence: int
    #: Seconds of the monotonic clock at the request's last byte.
    at: float
    method: str
    #: The request's target, with its query, not decoded.
    path: str
    raw_headers: tuple[tuple[bytes, bytes], ...] = field(repr=False)
    body: bytes = field(repr=False)

    def header(self, name: str) -> str | None:
        """The first value of a header, whatever the case of its name."""
        wanted = name.lower().encode()
        return next((value.decode("latin-1") for key, value in self.raw_headers if key.lower() == wanted), None)

    def json(self) -> Any:
        """The body, decoded; msgspec.DecodeError if it is no JSON."""
        return msgspec.json.decode(self.body)


class Sighting(NamedTuple):
    """What a checker needs of one request for a single record; some 200 bytes each."""

    #: The path up to the record, which tells one webhook's URL from another's.
    webhook: str
    #: The path's last segment, decoded: the record's external id.
    record: str
    #: X-Ra-Record-Version, 0 without one.
    version: int
    body_hash: bytes
    #: What it was answered, 0 for nothing.
    status: int
    #: Seconds of the monotonic clock.
    at: float


#: What a receiver can be told: one behaviour for all, one after the other (the last stays), or a function.
Behaviours = Behaviour | Sequence[Behaviour] | Callable[[Received], Behaviour]
#: Told of each request and the status that it gets, 0 for none.
OnReceived = Callable[[Received, int], None]


def sighting_of(received: Received, status: int) -> Sighting:
    """Reduce a request to what a checker of versions and order joins on."""
    webhook, _, record = received.path.partition("?")[0].rpartition("/")
    version = received.header("x-ra-record-version") or ""
    return Sighting(
        webhook=webhook,
        record=unquote(record),
        version=int(version) if version.isdecimal() else 0,
        body_hash=hashlib.blake2b(received.body, digest_size=8).digest(),
        status=status,
        at=received.at,
    )


def names_in(received: Received) -> list[dict[str, str]]:
    """The external id of each record of a batch, under its name; none of a request that is no batch."""
    if not _BATCH.match(received.body):
        return []
    try:
        [rows] = received.json().values()
        names = [next(name for name in row if name.startswith("external") and name.endswith("Id")) for row in rows]
    except (ValueError, TypeError, StopIteration):
        return []
    return [{name: row[name]} for name, row in zip(names, rows, strict=True)]


class Receiver:
    """A listening receiver; `url` is where to send to, `received` what came."""

    def __init__(
        self,
        behaviour: Behaviours = Behaviour(),
        *,
        remember: int = REMEMBER,
        on_received: OnReceived | None = None,
    ) -> None:
        self.received: deque[Received] = deque(maxlen=remember)
        #: Requests and connections so far.
        self.count = 0
        self.connections = 0
        #: How often each status was answered; 0 stands for dropped, reset and left hanging.
        self.answered: Counter[int] = Counter()
        self.url = ""
        self._on_received = on_received
        self._failures_owed = 0.0
        self._refusals_owed = 0.0
        self._open: set[_Connection] = set()
        self._waiting: list[asyncio.Future[None]] = []
        self._rendered: tuple[Behaviour | None, bytes] = (None, b"")
        self.behave(behaviour)

    @classmethod
    @asynccontextmanager
    async def listen(
        cls,
        host: str = "127.0.0.1",
        port: int = 0,
        behaviour: Behaviours = Behaviour(),
        *,
        remember: int = REMEMBER,
        on_received: OnReceived | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> AsyncIterator[Self]:
        """Listen for the length of the block, on any free port unless one is named; OSError if it is taken."""
        receiver = cls(behaviour, remember=remember, on_received=on_received)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: _Connection(receiver, loop),
            host,
            port,
            ssl=tls,
            ssl_shutdown_timeout=1.0 if tls else None,
            backlog=1024,
        )
        bound = server.sockets[0].getsockname()[1]
        receiver.url = f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{bound}"
        try:
            yield receiver
        finally:
            server.close()
            await receiver._close()
            await server.wait_closed()

    def behave(self, behaviour: Behaviours) -> None:
        """Answer differently from the next request on."""
        self._decide: Callable[[Received], Behaviour] | None = None
        self._script: deque[Behaviour] = deque()
        if isinstance(behaviour, Behaviour):
            self._script.append(behaviour)
        elif isinstance(behaviour, Sequence):
            self._script.extend(behaviour)
        else:
            self._decide = behaviour

    async def expect(self, count: int, within_seconds: float = WAIT_SECONDS) -> list[Received]:
        """Wait until so many requests came in all; the ones remembered. AssertionError names how many did come."""
        await self.wait_until(lambda receiver: receiver.count >= count, within_seconds)
        return list(self.received)

    async def wait_until(self, predicate: Callable[[Self], bool], within_seconds: float = WAIT_SECONDS) -> None:
        """Wait until the predicate holds, asked now and after each request; AssertionError if it never does."""
        try:
            async with asyncio.timeout(within_seconds):
                while not predicate(self):
                    woken = asyncio.get_running_loop().create_future()
                    self._waiting.append(woken)
                    await woken
        except TimeoutError:
            message = f"what was expected did not come in {within_seconds} s; {self.count} requests did"
            raise AssertionError(message) from None

    def take(
        self, method: bytes, path: bytes, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> tuple[Behaviour, bytes]:
        """Remember one request; how it is answered, and with which bytes."""
        self.count += 1
        received = Received(
            sequence=self.count,
            at=time.monotonic(),
            method=method.decode(),
            path=path.decode("latin-1"),
            raw_headers=tuple(headers),
            body=body,
        )
        behaviour = self._choose(received)
        status = 0 if behaviour.drop or behaviour.reset or behaviour.hang else behaviour.status
        self.answered[status] += 1
        self.received.append(received)
        if self._on_received:
            self._on_received(received, status)
        for woken in self._waiting:
            if not woken.done():
                woken.set_result(None)
        self._waiting.clear()
        if behaviour.body is None and behaviour.status < 300 and (names := names_in(received)):
            return behaviour, _answer(replace(behaviour, body=self._results(behaviour.refuse_ratio, names)))
        return behaviour, self._render(behaviour)

    def _results(self, refuse_ratio: float, names: Sequence[dict[str, str]]) -> bytes:
        """A verdict for each record of a batch, in the agreement that a webhook has unless told otherwise."""
        results: list[dict[str, Any]] = []
        for name in names:
            self._refusals_owed += refuse_ratio
            refused = self._refusals_owed >= 1
            self._refusals_owed -= refused
            results.append(name | {"error": dict(REFUSAL) if refused else None})
        return msgspec.json.encode({"results": results})

    def _choose(self, received: Received) -> Behaviour:
        if self._decide:
            behaviour = self._decide(received)
        else:
            behaviour = self._script[0] if len(self._script) == 1 else self._script.popleft()
        self._failures_owed += behaviour.fail_ratio
        if self._failures_owed < 1:
            return behaviour
        self._failures_owed -= 1
        return replace(behaviour, status=behaviour.fail_status, body=None)

    def _render(self, behaviour: Behaviour) -> bytes:
        if self._rendered[0] is not behaviour:
            self._rendered = (behaviour, _answer(behaviour))
        return self._rendered[1]

    async def _close(self) -> None:
        """Close what is idle, abort what still waits for its answer, and see every connection gone."""
        for connection in tuple(self._open):
            connection.finish()
        while self._open:
            gone = asyncio.get_running_loop().create_future()
            next(iter(self._open)).gone = gone
            await gone


class _Connection(asyncio.Protocol):
    """One connection: requests are parsed as they come and answered in their order, pipelined or not."""

    def __init__(self, receiver: Receiver, loop: asyncio.AbstractEventLoop) -> None:
        self._receiver = receiver
        self._loop = loop
        self._parser = httptools.HttpRequestParser(self)
        self._path = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        #: Answers not written yet, in order; None for one whose time has not come.
        self._due: deque[list[bytes | None]] = deque()
        self._timers: set[asyncio.TimerHandle] = set()
        self._last = False
        self.gone: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._receiver.connections += 1
        self._receiver._open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in self._timers:
            timer.cancel()
        self._receiver._open.discard(self)
        if self.gone:
            self.gone.set_result(None)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._transport.write(_answer(Behaviour(status=400)))
            self._transport.close()

    def on_url(self, url: bytes) -> None:
        self._path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if any(name.lower() == b"expect" for name, _ in self._headers):
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        parser, receiver = self._parser, self._receiver
        self._last = self._last or not parser.should_keep_alive()
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        behaviour, answer = receiver.take(parser.get_method(), self._path, self._headers, body)
        self._path, self._headers, self._body = b"", [], []
        self._answer(behaviour, answer)

    def _answer(self, behaviour: Behaviour, answer: bytes) -> None:
        if behaviour.reset:
            reset(self._transport)
        elif behaviour.drop:
            self._transport.close()
        elif not (behaviour.hang or behaviour.delay_seconds or self._due):
            self._write(answer)
        else:
            self._hold(behaviour, answer)

    def _hold(self, behaviour: Behaviour, answer: bytes) -> None:
        slot: list[bytes | None] = [None]
        self._due.append(slot)
        if behaviour.hang:
            return
        if behaviour.delay_seconds:
            self._timers.add(self._loop.call_later(behaviour.delay_seconds, self._release, slot, answer))
        else:
            self._release(slot, answer)

    def _release(self, slot: list[bytes | None], answer: bytes) -> None:
        slot[0] = answer
        while self._due and (ready := self._due[0][0]) is not None:
            self._due.popleft()
            self._write(ready)
        if not self._due:
            self._timers.clear()

    def _write(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)
            if self._last and not self._due:
                self._transport.close()

    def finish(self) -> None:
        """Close after what was written, or at once where an answer is still due."""
        if self._due:
            self._transport.abort()
        else:
            self._transport.close()


def reset(transport: asyncio.Transport) -> None:
    """Break a connection off with a TCP reset instead of an orderly end."""
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _answer(behaviour: Behaviour) -> bytes:
    status = behaviour.status
    body = behaviour.body
    if body is None:
        body = OK_BODY if status < 400 else ERROR_BODY
    headers = [("Content-Type", "application/json"), *behaviour.headers]
    if behaviour.retry_after is not None:
        headers.append(("Retry-After", str(behaviour.retry_after)))
    if status in (204, 304):
        body = b""
    else:
        headers.append(("Content-Length", str(len(body))))
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    return f"HTTP/1.1 {status} {responses.get(status, '')}\r\n{lines}\r\n".encode("latin-1") + body
