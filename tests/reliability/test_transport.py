"""One webhook's outbound HTTP against receivers that misbehave: every exchange ends, in time, classified, and clean."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from retailos.receiver import Behaviour, Receiver
from retailos.webhooks.addresses import Policy
from retailos.webhooks.exchange import ErrorClass, Reply, Request
from retailos.webhooks.networks import IPAddress, read_networks
from retailos.webhooks.transport import Transport
from retailos.webhooks.wire import BODY_LIMIT, DETAIL_LIMIT, HEADER_BYTES_LIMIT, HEADERS_LIMIT
from tests.conftest import eventually, free_port
from tests.reliability import hostile as hostiles
from tests.reliability.certificates import NOW, Identity, authority, server_side, signed
from tests.reliability.hostile import ANSWERING, BABBLING, BREAKING_OFF, ENDLESS, LINGERING, Play, hostile

LOOPBACK = Policy(allow=read_networks(["127.0.0.1/32"]))
HOST = "erp.example.test"
BODY = b'{"customer": {"externalCustomerId": "secret-person"}}'
ENOUGH_SECONDS = 10.0
#: How often each fault is met, at once; with all faults some 250.
TIMES = 5


def put(url: str, **fields: Any) -> Request:
    """A delivery to a path that holds an external id."""
    return replace(
        Request(
            method="PUT",
            url=f"{url}/customer/secret-person",
            headers=(("Content-Type", "application/json"),),
            body=BODY,
            timeout_seconds=ENOUGH_SECONDS,
        ),
        **fields,
    )


class Names:
    """A name server that answers as told, one answer after the other (the last stays), and counts."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[IPAddress]:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return tuple(map(ip_address, answer))


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    """A transport that may reach 127.0.0.1; whatever it does, no task of it is left."""
    tasks = asyncio.all_tasks()
    transport = Transport(LOOPBACK)
    yield transport
    transport.close()
    await eventually(lambda: asyncio.all_tasks() <= tasks)


async def meet(transport: Transport, play: Play, **fields: Any) -> list[Reply]:
    """What several requests at once to a receiver came to; and see that no socket stays open."""
    async with hostile(play) as receiver:
        replies = await asyncio.gather(*(transport.send(put(receiver.url, **fields)) for _ in range(TIMES)))
        transport.close()
        await eventually(lambda: receiver.open == 0)
    for reply in replies:
        assert (reply.status is None) is (reply.error is not None)
        assert len(reply.body) <= BODY_LIMIT
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
    "a body of as much as is kept": (200, b"x" * BODY_LIMIT),
    "more bytes than announced": (200, b"ok"),
    "a status that nobody knows": (799, b""),
    "switching protocols": (101, b""),
    "a redirect": (302, b""),
    "html": (502, b"<html>"),
    "an answer before the body was read": (413, b"no"),
}


@pytest.mark.parametrize("name", ANSWERING)
async def test_an_answer_is_kept_as_it_came(transport: Transport, name: str) -> None:
    """Odd but complete answers are answers: the status counts, the body is stored undecoded."""
    for reply in await meet(transport, ANSWERING[name]):
        assert (reply.status, reply.body, reply.truncated) == (*ANSWERS[name], False)


@pytest.mark.parametrize("name", ENDLESS)
async def test_the_rest_of_an_endless_body_is_not_read(transport: Transport, name: str) -> None:
    """64 KiB are kept and the connection is closed."""
    for reply in await meet(transport, ENDLESS[name]):
        assert (reply.status, reply.body, reply.truncated) == (200, b"x" * BODY_LIMIT, True) or "chunks" in name
        assert len(reply.body) == BODY_LIMIT


@pytest.mark.parametrize("name", BREAKING_OFF)
async def test_a_broken_off_exchange_is_a_reset(transport: Transport, name: str) -> None:
    """An answer that breaks off is no answer, even after a 200; the request may have been applied."""
    for reply in await meet(transport, BREAKING_OFF[name]):
        assert (reply.error, reply.sent) == (ErrorClass.CONNECTION_RESET, True), reply


@pytest.mark.parametrize("name", BABBLING)
async def test_what_is_not_http_is_an_invalid_answer(transport: Transport, name: str) -> None:
    """Garbage instead of HTTP is told apart from a connection that broke; the request may have been applied."""
    for reply in await meet(transport, BABBLING[name]):
        assert (reply.error, reply.sent) == (ErrorClass.INVALID_ANSWER, True), reply


async def test_timeouts_are_kept_within_a_fifth(transport: Transport) -> None:
    """Whether nothing comes, or a byte at a time, the webhook's timeout ends the exchange."""
    async with AsyncExitStack() as stack:
        receivers = [await stack.enter_async_context(hostile(play)) for play in LINGERING.values()]
        each = [Transport(LOOPBACK) for _ in receivers]
        sends = (one.send(put(to.url, timeout_seconds=1.0)) for one, to in zip(each, receivers, strict=True))
        for name, reply in zip(LINGERING, await asyncio.gather(*sends), strict=True):
            assert (reply.error, reply.sent) == (ErrorClass.TIMEOUT, True), (name, reply)
            assert 1000 <= reply.milliseconds <= 1200, name
        await eventually(lambda: not any(receiver.open for receiver in receivers))


async def test_refused_is_refused_and_certainly_not_sent(transport: Transport) -> None:
    """Where nobody listens, nothing was applied."""
    reply = await transport.send(put(f"http://127.0.0.1:{free_port()}"))
    assert (reply.error, reply.sent) == (ErrorClass.CONNECTION_REFUSED, False)


@pytest.mark.skipif(sys.platform != "linux", reason="fills the backlog as Linux counts it")
async def test_a_connection_that_does_not_come_about_times_out() -> None:
    """Connecting has a timeout of its own, and what was not connected was not sent."""
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        crowd = [socket.socket() for _ in range(4)]
        for each in crowd:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        transport = Transport(LOOPBACK, connect_timeout_seconds=0.5)
        reply = await transport.send(put(f"http://127.0.0.1:{listener.getsockname()[1]}"))
        for each in crowd:
            each.close()
    assert (reply.error, reply.sent) == (ErrorClass.TIMEOUT, False)
    assert 500 <= reply.milliseconds <= 600


async def test_waiting_for_a_free_connection_counts(transport: Transport) -> None:
    """A webhook has no more connections than its concurrency, and who waits for one in vain has sent nothing."""
    narrow = Transport(LOOPBACK, concurrency=1)
    async with hostile(hostiles.black_hole) as receiver:
        first = asyncio.create_task(narrow.send(put(receiver.url, timeout_seconds=0.8)))
        await eventually(lambda: receiver.open == 1)
        second = await narrow.send(put(receiver.url, timeout_seconds=0.2))
        assert (second.error, second.sent) == (ErrorClass.TIMEOUT, False)
        assert ((await first).error, receiver.connections) == (ErrorClass.TIMEOUT, 1)


async def test_an_unknown_host_is_a_dns_error() -> None:
    """A name without addresses is told apart from a receiver that is down, and asked for again soon."""

    async def unknown(host: str, port: int) -> Sequence[IPAddress]:
        raise OSError(-2, "Name or service not known")

    reply = await Transport(LOOPBACK, resolve=unknown).send(put("https://nowhere.example.test"))
    assert (reply.error, reply.sent) == (ErrorClass.DNS_ERROR, False)


async def test_a_hanging_name_server_costs_no_more_than_the_timeout() -> None:
    """The look-up is part of the exchange."""

    async def silent(host: str, port: int) -> Sequence[IPAddress]:
        await asyncio.Event().wait()
        return ()

    reply = await Transport(LOOPBACK, resolve=silent).send(put("https://erp.example.test", timeout_seconds=0.5))
    assert (reply.error, reply.sent) == (ErrorClass.TIMEOUT, False)
    assert 500 <= reply.milliseconds <= 600


@pytest.mark.parametrize(
    "url", ["https://10.0.0.1", "http://[::1]", "http://8.8.8.8", "https://2852039166", "http://0x7f.0.0.2:80"]
)
async def test_a_forbidden_address_is_blocked(url: str) -> None:
    """Whatever the URL check missed, the address that would be connected to decides."""
    reply = await Transport(LOOPBACK).send(put(url))
    assert (reply.error, reply.sent) == (ErrorClass.BLOCKED_ADDRESS, False)


async def test_a_name_that_changes_its_mind_gains_nothing() -> None:
    """A rebinding name server gets no connection to a forbidden address, seen by a listener there."""
    async with AsyncExitStack() as stack:
        allowed = await stack.enter_async_context(hostile(hostiles.serving))
        try:
            inside = await stack.enter_async_context(hostile(hostiles.serving, host="127.0.0.2", port=allowed.port))
        except OSError:
            pytest.skip("this machine has no 127.0.0.2")
        names = Names(["127.0.0.1"], ["127.0.0.2"])
        patient = Transport(LOOPBACK, resolve=names)
        url = f"http://{HOST}:{allowed.port}"
        assert [(await patient.send(put(url))).status for _ in range(3)] == [200, 200, 200]
        assert names.asked == 1
        eager = Transport(LOOPBACK, resolve=Names(["127.0.0.1"], ["127.0.0.2"]), addresses_seconds=0.0)
        assert (await eager.send(put(url))).status == 200
        assert (await eager.send(put(url))).error is ErrorClass.BLOCKED_ADDRESS
        mixed = Transport(LOOPBACK, resolve=Names(["127.0.0.1", "127.0.0.2"]))
        assert (await mixed.send(put(url))).error is ErrorClass.BLOCKED_ADDRESS
        await eventually(lambda: allowed.connections == 2)
        assert inside.connections == 0


async def test_a_receiver_may_move_and_may_stay() -> None:
    """When its addresses change, the new one is used; while they do not, the connection is kept."""
    wide = Policy(allow=read_networks(["127.0.0.0/8"]))
    async with AsyncExitStack() as stack:
        old = await stack.enter_async_context(hostile(hostiles.serving))
        try:
            new = await stack.enter_async_context(hostile(hostiles.serving, host="127.0.0.2", port=old.port))
        except OSError:
            pytest.skip("this machine has no 127.0.0.2")
        names = Names(["127.0.0.1"], ["127.0.0.1"], ["127.0.0.2", "127.0.0.1"], ["127.0.0.2"])
        transport = Transport(wide, resolve=names, addresses_seconds=0.0)
        for _ in range(5):
            assert (await transport.send(put(f"http://{HOST}:{old.port}"))).status == 200
        assert (len(old.heads), old.connections) == (3, 1)
        assert (len(new.heads), new.connections) == (2, 1)


async def test_a_dead_address_gives_way_to_the_next() -> None:
    """A host with two addresses is reached while one of them is alive, and in one attempt."""
    wide = Policy(allow=read_networks(["127.0.0.0/8"]))
    async with hostile(hostiles.serving) as alive:
        transport = Transport(wide, resolve=Names(["127.0.0.2", "127.0.0.3", "127.0.0.1"]))
        replies = await asyncio.gather(*(transport.send(put(f"http://{HOST}:{alive.port}")) for _ in range(8)))
        assert {reply.status for reply in replies} == {200}
        dead = Transport(wide, resolve=Names(["127.0.0.2", "127.0.0.3"]))
        assert (await dead.send(put(f"http://{HOST}:{alive.port}"))).error is ErrorClass.CONNECTION_REFUSED


async def test_a_redirect_is_not_followed(transport: Transport) -> None:
    """Where a receiver points to, nobody is sent."""
    async with hostile(hostiles.serving) as elsewhere:
        location = f"HTTP/1.1 307 Go\r\nLocation: {elsewhere.url}/\r\nContent-Length: 0\r\n\r\n".encode()
        replies = await meet(transport, hostiles.saying(location))
        assert {reply.status for reply in replies} == {307}
        assert replies[0].header("location") == f"{elsewhere.url}/"
        assert elsewhere.connections == 0


async def test_cookies_and_proxies_are_ignored(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what a receiver sets nor what stands in the environment changes the next request."""
    async with hostile(hostiles.serving) as proxy, Receiver.listen() as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        receiver.behave(Behaviour(headers=(("Set-Cookie", "a=b; Path=/"),)))
        for _ in range(2):
            assert (await transport.send(put(receiver.url))).status == 200
        assert proxy.connections == 0
        assert [received.header("cookie") for received in receiver.received] == [None, None]


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
        for size in (0, 10, BODY_LIMIT, 10):
            receiver.behave(Behaviour(body=b"x" * size))
            for _ in range(25):
                reply = await transport.send(put(receiver.url))
                assert (len(reply.body), reply.truncated) == (size, False)
        assert receiver.connections == 1
        await asyncio.gather(*(transport.send(put(receiver.url)) for _ in range(100)))
        assert receiver.connections <= 4
        receiver.behave(Behaviour(body=b"x" * (BODY_LIMIT + 1)))
        reply = await transport.send(put(receiver.url))
        assert (len(reply.body), reply.truncated) == (BODY_LIMIT, True)


async def test_kept_headers_are_limited(transport: Transport) -> None:
    """Of an answer's headers, 64 and 16 KiB together are kept."""
    many = await meet(transport, ANSWERING["the same header many times"])
    assert {len(reply.headers) for reply in many} == {51}
    within_the_librarys_limit = hostiles.saying(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 90 + b"\r\n")
    assert {len(reply.headers) for reply in await meet(transport, within_the_librarys_limit)} == {HEADERS_LIMIT}
    long = hostiles.saying(b"HTTP/1.1 200 OK\r\nX-A: b\r\nX-Long: " + b"y" * HEADER_BYTES_LIMIT + b"\r\n\r\n")
    assert {reply.headers for reply in await meet(transport, long)} == {(("x-a", "b"),)}
    foreign = await meet(transport, ANSWERING["a header that is not ASCII"])
    expected = (("x-name", "(not ASCII)"), ("x-kept", "yes"), ("content-length", "0"))
    assert {reply.headers for reply in foreign} == {expected}


async def test_a_cancelled_exchange_ends(transport: Transport) -> None:
    """Cancelling is the one thing that is raised, and the connection goes with it."""
    async with hostile(hostiles.black_hole) as receiver:
        sending = asyncio.create_task(transport.send(put(receiver.url)))
        await eventually(lambda: receiver.open == 1)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await eventually(lambda: receiver.open == 0)
        assert (await transport.send(put(receiver.url, timeout_seconds=0.1))).error is ErrorClass.TIMEOUT


@pytest.mark.parametrize(
    "fields",
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
async def test_a_request_that_is_no_http_is_not_sent(fields: dict[str, Any]) -> None:
    """A webhook that is set up wrongly fails with a class of its own, and its credentials stay out of the detail."""
    async with Receiver.listen() as receiver:
        reply = await Transport(LOOPBACK).send(put(receiver.url, **fields))
        assert (reply.error, reply.sent, receiver.count) == (ErrorClass.INVALID_REQUEST, False, 0)
        assert "secret" not in reply.detail


def resident_bytes() -> int:
    """The memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux to know its own memory")
async def test_endless_answers_do_not_fill_the_memory(transport: Transport) -> None:
    """A hundred answers without end, and as many bombs, leave less than 20 MB."""
    for play in (*ENDLESS.values(), ANSWERING["a gzip bomb"]):
        await meet(transport, play)
    before = resident_bytes()
    for play in (*ENDLESS.values(), ANSWERING["a gzip bomb"], BABBLING["a header without end"]):
        for _ in range(6):
            await meet(transport, play)
    assert resident_bytes() - before < 20_000_000


@pytest.fixture(scope="module")
def ca() -> Identity:
    """A private authority."""
    return authority()


def trusting(ca: Identity, **fields: Any) -> Transport:
    """A transport that trusts the private authority and finds the host on this machine."""
    return Transport(LOOPBACK, ca_pem=ca.certificate_pem, resolve=Names(["127.0.0.1"]), **fields)


async def test_a_private_authority_can_be_trusted(ca: Identity, tmp_path: Path) -> None:
    """With the authority's certificate the delivery arrives, and the name is the host's, not the address's."""
    async with hostile(hostiles.serving, tls=server_side(signed(ca, HOST), tmp_path)) as receiver:
        reply = await trusting(ca).send(put(f"https://{HOST}:{receiver.port}"))
        assert (reply.status, reply.body) == (200, b"ok")
        assert f"Host: {HOST}:{receiver.port}".encode() in receiver.heads[0]


async def test_a_certificate_that_can_not_be_trusted_is_a_tls_error(ca: Identity, tmp_path: Path) -> None:
    """Self-signed, of an unknown authority, for another host or expired: nothing is sent."""
    stranger = authority("Stranger")
    wrong = {
        "self-signed": stranger,
        "unknown authority": signed(stranger, HOST),
        "another host": signed(ca, "other.example.test"),
        "expired": signed(ca, HOST, ends=NOW.replace(year=NOW.year) - (NOW - NOW.replace(hour=0)) - (NOW - NOW)),
    }
    for name, identity in wrong.items():
        async with hostile(hostiles.serving, tls=server_side(identity, tmp_path)) as receiver:
            reply = await trusting(ca).send(put(f"https://{HOST}:{receiver.port}"))
            assert (reply.error, reply.sent) == (ErrorClass.TLS_ERROR, False), name
            assert (receiver.heads, "certificate" in reply.detail) == ([], True), name


@pytest.mark.parametrize("name", ["another protocol", "close at once"])
async def test_a_receiver_without_tls_is_a_tls_error(ca: Identity, name: str) -> None:
    """A handshake that leads nowhere is told apart from an answer that does."""

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n" if name == "another protocol" else b"")

    async with hostile(play) as receiver:
        reply = await trusting(ca).send(put(f"https://{HOST}:{receiver.port}"))
        assert (reply.error, reply.sent) == (ErrorClass.TLS_ERROR, False)


async def test_a_handshake_that_hangs_times_out_unsent(ca: Identity) -> None:
    """The handshake is part of connecting."""
    async with hostile(hostiles.black_hole) as receiver:
        reply = await trusting(ca, connect_timeout_seconds=0.5).send(put(f"https://{HOST}:{receiver.port}"))
        assert (reply.error, reply.sent) == (ErrorClass.TIMEOUT, False)
        assert 500 <= reply.milliseconds <= 600


async def test_a_client_certificate_opens_a_receiver_that_asks_for_one(ca: Identity, tmp_path: Path) -> None:
    """With mTLS the receiver lets in who shows a certificate that its own authority issued, and nobody else."""
    context = server_side(signed(ca, HOST), tmp_path, clients_of=ca)
    async with hostile(hostiles.serving, tls=context) as receiver:
        request = put(f"https://{HOST}:{receiver.port}")
        assert (await trusting(ca, identity_pem=signed(ca, "retailos").pem).send(request)).status == 200
        stranger = signed(authority("Stranger"), "retailos")
        for without in (trusting(ca), trusting(ca, identity_pem=stranger.pem)):
            assert (await without.send(request)).error is ErrorClass.TLS_ERROR


async def test_an_unreadable_client_certificate_is_a_tls_error(ca: Identity) -> None:
    """A key that can't be used fails the delivery, not the worker."""
    reply = await trusting(ca, identity_pem=b"-----BEGIN NOTHING-----").send(put(f"https://{HOST}:1"))
    assert (reply.error, reply.sent) == (ErrorClass.TLS_ERROR, False)
