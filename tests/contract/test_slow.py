"""Nobody holds a connection for longer than its limit: not by a head, a body or a handshake, nor by saying nothing."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from retailos.api.body import json_body, stream
from retailos.api.call import Call
from retailos.api.protocol import PATIENCE, Patience
from retailos.errors import BadRequest
from retailos.settings import Settings
from tests.conftest import PATIENCE_SECONDS
from tests.contract.conftest import Api, check_envelope, read, serving
from tests.reliability.certificates import authority

#: A tenth of the real ones and less.
BRIEF = Patience(handshake=0.5, head=0.5, rest=0.8, idle=0.4)
LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
#: Refused by its head alone, its body never comes.
REFUSED = (
    b"PUT /v2/public/customers/x HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
)
CHUNKED = REFUSED.replace(b"Content-Length: 1000", b"Transfer-Encoding: chunked")


@pytest.fixture
async def brisk(settings: Settings, database: str) -> AsyncIterator[Api]:
    """The API with little patience."""
    async with serving(settings, database, patience=BRIEF) as running:
        yield running


async def held(api: Api, sent: bytes, *, then: bytes = b"") -> tuple[bytes, float]:
    """Send bytes, and others again and again for ever; what comes, and for how many seconds the connection is open.

    In whole milliseconds: the loop may end a wait by as much earlier as its clock cannot tell.
    """
    clock = asyncio.get_running_loop().time
    began, came = clock(), bytearray()
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(sent)
    try:
        while clock() - began < 10:
            try:
                async with asyncio.timeout(0.05):
                    chunk = await reader.read(65536)
            except TimeoutError:
                writer.write(then)
                continue
            came += chunk
            if not chunk:
                return bytes(came), round(clock() - began, 3)
    except (ConnectionResetError, BrokenPipeError):
        return bytes(came), round(clock() - began, 3)
    finally:
        writer.close()
    raise AssertionError(f"still open after {clock() - began:.0f} s, with {bytes(came)!r}")


def test_the_limits_are_those_that_are_promised() -> None:
    """Header 10 s, body 30 s, idle 15 s."""
    assert Patience(handshake=10, head=10, rest=30, idle=15) == PATIENCE


@pytest.mark.parametrize(
    ("sent", "then", "answer"),
    [(b"", b"", 400), (b"", b"\r\n", 400), (b"GET / HTTP/1.1\r\n", b"", 400), (LIVE[:-2], b"X-A: b\r\n", 400)],
    ids=["nothing", "empty lines", "a beginning", "headers one by one"],
)
async def test_a_head_has_a_limit(brisk: Api, sent: bytes, then: bytes, answer: int) -> None:
    """Whoever connects says what he wants in time."""
    came, seconds = await held(brisk, sent, then=then)
    assert check_envelope(read(came), answer)
    assert BRIEF.head <= seconds < 5


@pytest.mark.parametrize("then", [b"", b"\r\n", b"\r"], ids=["nothing", "empty lines", "half of them"])
async def test_an_idle_connection_is_closed(brisk: Api, then: bytes) -> None:
    """Nothing that is no request keeps a connection open."""
    came, seconds = await held(brisk, LIVE, then=then)
    assert came.count(b"HTTP/1.1") == 1
    assert check_envelope(read(came), 200)
    assert BRIEF.idle <= seconds < 5


async def test_the_next_head_has_a_limit_of_its_own(brisk: Api) -> None:
    """A request that begins on an idle connection is refused when its head does not end."""
    came, seconds = await held(brisk, LIVE + b"GET /", then=b"a")
    first, second = came.split(b"HTTP/1.1 ")[1:]
    assert [first[:3], second[:3]] == [b"200", b"400"]
    assert BRIEF.head <= seconds < 5


@pytest.mark.parametrize("sent", [REFUSED, CHUNKED + b"ff\r\n"], ids=["length", "chunks"])
@pytest.mark.parametrize("then", [b"", b"a"], ids=["nothing", "byte by byte"])
async def test_a_body_that_nobody_reads_has_a_limit(brisk: Api, sent: bytes, then: bytes) -> None:
    """Behind an answer the rest of its request's body is taken for a while, and then the connection closed."""
    came, seconds = await held(brisk, sent, then=then)
    assert came.count(b"HTTP/1.1") == 1
    assert check_envelope(read(came), 401)
    assert BRIEF.rest <= seconds < 5


async def test_a_connection_whose_body_was_dropped_goes_on(brisk: Api) -> None:
    """What follows a refused body, sent whole, is a request like any other, and then the connection is idle."""
    reader, writer = await asyncio.open_connection("127.0.0.1", brisk.port)
    async with asyncio.timeout(PATIENCE_SECONDS):
        writer.write(REFUSED + b"a")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 401")
        writer.write(b"a" * 999 + LIVE)
        assert (await reader.read()).count(b"HTTP/1.1 200") == 1
    writer.close()


async def test_an_answer_takes_the_time_that_it_takes(brisk: Api) -> None:
    """No limit of a connection is one of the request that is being answered on it, nor of those that come behind."""
    ask = f"GET /v2/public/changes?since=now&wait=1 HTTP/1.1\r\nHost: x\r\nAuthorization: API_KEY {brisk.key}\r\n\r\n"
    came, seconds = await held(brisk, ask.encode() * 2)
    assert came.count(b"HTTP/1.1 200") == 2
    # Each of the three waits may end earlier by what the clock cannot tell.
    assert seconds >= 2 + BRIEF.idle - 0.01


async def test_a_body_has_a_limit() -> None:
    """A body that does not come is refused when its time is over, and the connection is closed with that."""

    async def receive() -> Any:
        await asyncio.Event().wait()

    kind = (b"content-type", b"application/json")
    call = Call(scope={"headers": [kind], "method": "PUT"}, receive=receive, request_id=uuid4(), at="")
    for taken in (json_body(call, 100, seconds=0.05), anext(stream(call, seconds=0.05))):
        with pytest.raises(BadRequest, match="within 0 seconds") as caught:
            await taken
        assert caught.value.headers == {"Connection": "close"}


async def test_a_handshake_has_a_limit(settings: Settings, database: str, tmp_path: Path) -> None:
    """Whoever does not shake hands is hung up on before there is anything to say."""
    (tmp_path / "tls.pem").write_bytes(authority("127.0.0.1").pem)
    secured = replace(settings, tls_certificate=tmp_path / "tls.pem")
    async with serving(secured, database, patience=BRIEF) as api:
        for sent in (b"", bytes.fromhex("1603010200010001fc0303")):
            came, seconds = await held(api, sent)
            assert (came, BRIEF.handshake <= seconds < 5) == (b"", True)
