"""The protocol writes an answer in one piece, and leaves to ASGI's messages what it can't vouch for."""

import asyncio
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from retailos.api.envelope import AT_ONCE
from retailos.api.protocol import EnvelopeProtocol


class Wire(asyncio.Transport):
    """A connection that keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def write(self, data: Any) -> None:
        """Keep it."""
        self.written += bytes(data)

    def close(self) -> None:
        """Do nothing."""

    def is_closing(self) -> bool:
        """It never is."""
        return False

    def resume_reading(self) -> None:
        """Do nothing."""


async def answered(*, sent: bytes = b"", header: bytes = b"plain", paused: bool = False) -> tuple[bool, bytes]:
    """Whether an answer with a header of this value was written in one piece, and what was written by that."""
    taken: list[bool] = []
    wire, state = Wire(), ServerState()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if paused:
            protocol.pause_writing()
        taken.append(scope[AT_ONCE](200, [(b"x-a", header), (b"content-length", b"2")], b"{}"))
        written.append(wire.written)
        protocol.resume_writing()
        if not taken[0]:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
            await send({"type": "http.response.body", "body": b"{}"})

    written: list[bytes] = []
    protocol = EnvelopeProtocol(Config(application, lifespan="off"), state, {})
    protocol.connection_made(wire)
    protocol.data_received(b"GET / HTTP/1.1\r\nHost: x\r\n" + sent + b"\r\n")
    await asyncio.wait(state.tasks)
    protocol.connection_lost(None)
    return taken[0], written[0]


async def test_an_answer_is_written_in_one_piece() -> None:
    """Status, headers and body, and then it is the next request's turn."""
    assert await answered() == (True, b"HTTP/1.1 200 OK\r\nx-a: plain\r\ncontent-length: 2\r\n\r\n{}")


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb"])
async def test_a_header_never_ends_a_line(value: bytes) -> None:
    """A value that would begin another header, or the body, is not written; the messages refuse it."""
    assert await answered(header=value) == (False, b"")


async def test_who_does_not_read_is_waited_for() -> None:
    """While a connection's buffer is full, nothing is put on top of it."""
    assert await answered(paused=True) == (False, b"")


async def test_a_connection_that_ends_is_told_so() -> None:
    """The messages write `Connection: close` and close it."""
    assert await answered(sent=b"Connection: close\r\n") == (False, b"")
