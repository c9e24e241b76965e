"""A connection to the played system, parsed and answered in order."""

import asyncio
import socket
import struct
from collections import deque
from typing import Protocol, cast

import httptools

from retailos.receiver.behaviour import Behaviour, answer_of


class Taking(Protocol):
    """What a connection gives its requests to, and learns from how they are answered."""

    def take(
        self, method: bytes, path: bytes, headers: list[tuple[bytes, bytes]], body: bytes
    ) -> tuple[Behaviour, bytes]:
        """Remember one request; how it is answered, and with which bytes."""

    def opened(self, connection: "Connection") -> None:
        """Take note of a connection that has come about."""

    def closed(self, connection: "Connection") -> None:
        """Take note of one that is gone."""


class Connection(asyncio.Protocol):
    """One connection: requests are parsed as they come and answered in their order, pipelined or not."""

    def __init__(self, receiver: Taking, loop: asyncio.AbstractEventLoop) -> None:
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
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._receiver.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Answer nothing more, and tell whoever waits for the end."""
        for timer in self._timers:
            timer.cancel()
        self._receiver.closed(self)
        if self.gone:
            self.gone.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Parse what came; what is no HTTP gets a 400, and the connection is closed."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._transport.write(answer_of(Behaviour(status=400)))
            self._transport.close()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        self._path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Have the body sent, where the sender waits to be asked."""
        if any(name.lower() == b"expect" for name, _ in self._headers):
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Answer a request that is complete, as the receiver says."""
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
