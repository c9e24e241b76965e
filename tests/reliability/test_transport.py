"""One webhook's outbound HTTP against receivers that misbehave: every exchange ends, in time, classified, and clean."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from conformance import plays as hostiles
from conformance.door import hostile
from conformance.line import Line
from conformance.plays import ANSWERING, BABBLING, BREAKING_OFF, ENDLESS, LINGERING, Play
from retailos.exchanges.exchange import ANSWER_BYTES_KEPT, ErrorClass, Reply, Request
from retailos.exchanges.transport import Transport
from retailos.exchanges.wire import DETAIL_LIMIT, HEADER_BYTES_LIMIT, HEADERS_LIMIT, LONG_ANSWERS_AT_ONCE, Room
from retailos.receiver import Behaviour, Receiver
from retailos.sending.request import answer_bytes_most
from retailos.sending.sender import sender
from retailos.webhooks.agreement import Agreement
from retailos.webhooks.webhook import Webhook
from tests.conftest import eventually, free_port, measured
from tests.reliability.outbound import LOOPBACK, put

NOW = datetime.now(UTC)
#: How often each fault is met, at once; with all faults some 250.
TIMES = 5


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    """A transport that may reach 127.0.0.1."""
    transport = Transport(LOOPBACK)
    yield transport
    transport.close()


async def meet(play: Play, **fields: Any) -> list[Reply]:
    """What several requests at once to a receiver came to; and see that no socket and no task is left.

    Each goes by a transport of its own: a connection that was answered is used again, and here it is being closed.
    """
    tasks = asyncio.all_tasks()
    transports = [Transport(LOOPBACK) for _ in range(TIMES)]
    async with hostile(play) as receiver:
        replies = await asyncio.gather(*(each.send(put(receiver.url, **fields)) for each in transports))
        for each in transports:
            each.close()
        await eventually(lambda: receiver.open == 0)
    await eventually(lambda: asyncio.all_tasks() <= tasks)
    for reply in replies:
        assert (reply.status is None) is (reply.error is not None)
        assert len(reply.body) <= ANSWER_BYTES_KEPT
        assert len(reply.headers) <= HEADERS_LIMIT
        assert len(reply.detail) <= DETAIL_LIMIT
        assert "secret-person" not in reply.detail
    return replies


ANSWERS = {
    "informational before the answer": (200, b"ok"),
    "http/1.0 until the end": (200, b"all of it"),
    "no length until the end": (200, b"all of it"),
    "chunked": (200, b"all of it"),
    "204 with a body": (204, b""),
    "NUL in the body": (200, b'{"a": "\x00"}\x00\xff'),
    "a header that is not ASCII": (200, b""),
    "the same header many times": (200, b""),
    "a header of 100 kB": (200, b""),
    "a gzip bomb": (200, hostiles.BOMB),
    "no gzip where gzip is said": (200, b"plain"),
    "a body of as much as is kept": (200, b"x" * ANSWER_BYTES_KEPT),
    "more bytes than announced": (200, b"ok"),
    "a status that nobody knows": (799, b""),
    "switching protocols": (101, b""),
    "a redirect": (302, b""),
    "html": (502, b"<html>"),
    "an answer before the body was read": (413, b"no"),
}


@pytest.mark.parametrize("name", ANSWERING)
async def test_an_answer_is_kept_as_it_came(name: str) -> None:
    """Odd but complete answers are answers: the status counts, the body is stored undecoded."""
    for reply in await meet(ANSWERING[name]):
        assert (reply.status, reply.body, reply.truncated) == (*ANSWERS[name], False), reply.detail


@pytest.mark.parametrize("name", ENDLESS)
async def test_the_rest_of_an_endless_body_is_not_read(name: str) -> None:
    """64 KiB are kept and the connection is closed."""
    for reply in await meet(ENDLESS[name]):
        assert (reply.status, len(reply.body), reply.truncated) == (200, ANSWER_BYTES_KEPT, True)


@pytest.mark.parametrize("name", BREAKING_OFF)
async def test_a_broken_off_exchange_is_a_reset(name: str) -> None:
    """An answer that breaks off is no answer, even after a 200, and the request may have been applied.

    Only a reset that is there before the request is known to have come first.
    """
    for reply in await meet(BREAKING_OFF[name]):
        assert reply.error is ErrorClass.CONNECTION_RESET, reply
        assert reply.sent or name == "reset at once", reply


@pytest.mark.parametrize("name", BABBLING)
async def test_what_is_not_http_is_an_invalid_answer(name: str) -> None:
    """Garbage instead of HTTP is told apart from a connection that broke; the request may have been applied."""
    for reply in await meet(BABBLING[name]):
        assert (reply.error, reply.sent) == (ErrorClass.INVALID_ANSWER, True), reply


async def test_timeouts_are_kept_within_a_fifth() -> None:
    """Whether nothing comes, or a byte at a time, the webhook's timeout ends the exchange."""
    await measured(time_out)


async def time_out() -> None:
    """Meet each receiver that lingers, and see how long that took."""
    async with AsyncExitStack() as stack:
        receivers = [await stack.enter_async_context(hostile(play)) for play in LINGERING.values()]
        each = [Transport(LOOPBACK) for _ in receivers]
        sends = (one.send(put(to.url, timeout_seconds=1.0)) for one, to in zip(each, receivers, strict=True))
        for name, reply in zip(LINGERING, await asyncio.gather(*sends), strict=True):
            assert (reply.error, reply.sent) == (ErrorClass.TIMEOUT, True), (name, reply)
            assert reply.milliseconds == pytest.approx(1000, rel=0.2), name
        await eventually(lambda: not any(receiver.open for receiver in receivers))


async def test_refused_is_refused_and_certainly_not_sent(transport: Transport) -> None:
    """Where nobody listens, nothing was applied."""
    reply = await transport.send(put(f"http://127.0.0.1:{free_port()}"))
    assert (reply.error, reply.sent) == (ErrorClass.CONNECTION_REFUSED, False)


@pytest.mark.skipif(sys.platform != "linux", reason="fills the backlog as Linux counts it")
async def test_a_connection_that_does_not_come_about_times_out() -> None:
    """Connecting has a timeout of its own, and what was not connected was not sent."""
    await measured(connect_in_vain)


async def connect_in_vain() -> None:
    """Connect where the queue of connections is full, and see how long that took."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        crowd = [socket.socket() for _ in range(4)]
        for each in crowd:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        webhook = Webhook.of(
            settings={"url": f"http://127.0.0.1:{listener.getsockname()[1]}", "connectTimeout": 1},
            **{"id": 1, "name": "erp", "resource": "customer", "active": True, "created_at": NOW, "updated_at": NOW},
        )
        reply = await sender(webhook, LOOPBACK).send(put(webhook.url))
        for each in crowd:
            each.close()
    assert (reply.error, reply.sent) == (ErrorClass.TIMEOUT, False)
    assert reply.milliseconds == pytest.approx(1000, rel=0.2)


async def test_waiting_for_a_free_connection_counts() -> None:
    """A webhook has no more connections than its concurrency, and who waits for one in vain has sent nothing."""
    narrow = Transport(LOOPBACK, concurrency=1)
    async with hostile(hostiles.black_hole) as receiver:
        first = asyncio.create_task(narrow.send(put(receiver.url, timeout_seconds=2.0)))
        await eventually(lambda: receiver.open == 1)
        second = await narrow.send(put(receiver.url, timeout_seconds=0.2))
        assert (second.error, second.sent) == (ErrorClass.TIMEOUT, False)
        assert ((await first).error, receiver.connections) == (ErrorClass.TIMEOUT, 1)


async def test_a_request_goes_out_as_it_was_built(transport: Transport) -> None:
    """Method, path, headers and body arrive byte for byte; an encoded slash stays one."""
    async with Receiver.listen() as receiver:
        headers = (("X-Ra-Attempt", "1"), ("Authorization", "API_KEY k"), ("X-Twice", "1"), ("X-Twice", "2"))
        url = f"{receiver.url}/v1/customer/a%2Fb%20c?x=%C3%A4&y"
        reply = await transport.send(Request(method="PATCH", url=url, headers=headers, body=b"\x00\xff"))
        assert (reply.status, reply.body) == (200, b'{"error": null}')
        received = receiver.received[0]
        assert (received.method, received.path, received.body) == (
            "PATCH",
            "/v1/customer/a%2Fb%20c?x=%C3%A4&y",
            b"\x00\xff",
        )
        sent = [(name.decode().lower(), value.decode()) for name, value in received.raw_headers]
        assert set(sent) - {(name.lower(), value) for name, value in headers} == {
            ("accept", "*/*"),
            ("user-agent", "RetailOS"),
            ("host", receiver.url.removeprefix("http://")),
            ("content-length", "2"),
        }


async def test_connections_are_kept_and_limited() -> None:
    """A hundred deliveries one after the other share a connection; at once they share as many as are allowed."""
    async with Receiver.listen() as receiver:
        transport = Transport(LOOPBACK, concurrency=4)
        for size in (0, 10, ANSWER_BYTES_KEPT, 10):
            receiver.behave(Behaviour(body=b"x" * size))
            for _ in range(25):
                reply = await transport.send(put(receiver.url))
                assert (len(reply.body), reply.truncated) == (size, False)
        # Now and then a request is out before the connection of the last one is back.
        assert receiver.connections <= 4
        await asyncio.gather(*(transport.send(put(receiver.url)) for _ in range(100)))
        assert receiver.connections <= 2 * 4
        receiver.behave(Behaviour(body=b"x" * (ANSWER_BYTES_KEPT + 1)))
        reply = await transport.send(put(receiver.url))
        assert (len(reply.body), reply.truncated) == (ANSWER_BYTES_KEPT, True)


@pytest.mark.parametrize("concurrency", [1, 16, 64, 256])
def test_what_a_webhooks_answers_hold_together_is_bounded(concurrency: int) -> None:
    """Parts that are read as they come, and long answers that have their turn, are less than 20 MB together."""
    room, longest = Room.of(concurrency), answer_bytes_most(1_000, Agreement())
    parts, turns = concurrency * min(room.at_once, longest), min(concurrency, LONG_ANSWERS_AT_ONCE)
    assert room.at_once >= ANSWER_BYTES_KEPT
    assert parts + turns * max(longest - room.at_once, 0) < 20_000_000


async def test_long_answers_take_turns() -> None:
    """An answer that goes on is read to its end when others are; who has no turn in time has no answer."""
    narrow, size, slow = Transport(LOOPBACK, concurrency=64), 300_000, LONG_ANSWERS_AT_ONCE

    async def play(line: Line) -> None:
        asked = await line.request()
        await line.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size, b"x" * (size - 1))
        if asked.headers.get("x-slow"):
            await line.gone()
        await line.say(b"y")

    async with hostile(play) as receiver:
        long = put(receiver.url, answer_bytes_most=size)
        many = await asyncio.gather(*(narrow.send(long) for _ in range(20)))
        assert {(each.status, each.body[-1:], len(each.body), each.truncated) for each in many} == {
            (200, b"y", size, False)
        }
        cut = await narrow.send(replace(long, answer_bytes_most=size - 1))
        assert (len(cut.body), cut.truncated) == (ANSWER_BYTES_KEPT, True)
        holding = replace(long, headers=(("X-Slow", "1"),), timeout_seconds=2.5)
        holders = [asyncio.create_task(narrow.send(holding)) for _ in range(slow)]
        await eventually(lambda: sum(each.taken > size // 2 for each in receiver.visits if not each.closed) == slow)
        waiting = await narrow.send(replace(long, timeout_seconds=0.3))
        assert (waiting.error, waiting.sent) == (ErrorClass.TIMEOUT, True)
        assert 290 < waiting.milliseconds < 2_000
        short = await narrow.send(replace(long, answer_bytes_most=ANSWER_BYTES_KEPT))
        assert (short.status, short.truncated) == (200, True)
        assert {each.error for each in await asyncio.gather(*holders)} == {ErrorClass.TIMEOUT}
        assert (await narrow.send(long)).status == 200
    narrow.close()


async def test_kept_headers_are_limited() -> None:
    """Of an answer's headers, 64 and 16 KiB together are kept."""
    many = await meet(ANSWERING["the same header many times"])
    assert {len(reply.headers) for reply in many} == {51}
    within_the_librarys_limit = hostiles.saying(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 90 + b"\r\n")
    assert {len(reply.headers) for reply in await meet(within_the_librarys_limit)} == {HEADERS_LIMIT}
    long = hostiles.saying(b"HTTP/1.1 200 OK\r\nX-A: b\r\nX-Long: " + b"y" * HEADER_BYTES_LIMIT + b"\r\n\r\n")
    assert {reply.headers for reply in await meet(long)} == {(("x-a", "b"),)}
    foreign = await meet(ANSWERING["a header that is not ASCII"])
    expected = (("x-name", "(not ASCII)"), ("x-kept", "yes"), ("content-length", "0"))
    assert {reply.headers for reply in foreign} == {expected}


async def test_a_cancelled_exchange_ends(transport: Transport) -> None:
    """Cancelling is the one thing that is raised, at once; the connection goes by the timeout at the latest."""
    async with hostile(hostiles.black_hole) as receiver:
        sending = asyncio.create_task(transport.send(put(receiver.url, timeout_seconds=0.5)))
        await eventually(lambda: receiver.open == 1)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await eventually(lambda: receiver.open == 0)
    async with Receiver.listen() as receiver_after:
        assert (await transport.send(put(receiver_after.url))).status == 200


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "nowhere"},
        {"url": "http://127.0.0.1:99999/"},
        {"url": "ftp://127.0.0.1/"},
        {"url": "file:///etc/passwd"},
        {"method": "P T"},
        {"headers": (("Authorization", "API_KEY secret\nX: y"),)},
        {"headers": (("Bad Name", "x"),)},
    ],
)
async def test_a_request_that_is_no_http_is_not_sent(wrong: dict[str, Any]) -> None:
    """A webhook that is set up wrongly fails with a class of its own, and its credentials stay out of the detail."""
    async with Receiver.listen() as receiver:
        reply = await Transport(LOOPBACK).send(replace(put(receiver.url), **wrong))
        assert (reply.error, reply.sent, receiver.count) == (ErrorClass.INVALID_REQUEST, False, 0)
        assert "secret" not in reply.detail


def resident_bytes() -> int:
    """The memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux to know its own memory")
async def test_endless_answers_do_not_fill_the_memory() -> None:
    """A hundred answers without end, and as many bombs, leave less than 20 MB."""
    for play in (*ENDLESS.values(), ANSWERING["a gzip bomb"]):
        await meet(play)
    before = resident_bytes()
    for play in (*ENDLESS.values(), ANSWERING["a gzip bomb"], BABBLING["a header without end"]):
        for _ in range(6):
            await meet(play)
    assert resident_bytes() - before < 20_000_000
