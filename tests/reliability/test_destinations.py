"""A delivery goes where its webhook points and nowhere else, whatever names, redirects and certificates say."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from conformance import plays as hostiles
from conformance.door import hostile
from conformance.plays import SPOILING
from retailos.exchanges.exchange import ErrorClass
from retailos.exchanges.networks import IPAddress
from retailos.exchanges.transport import Transport
from retailos.receiver import Behaviour, Receiver
from tests.conftest import measured
from tests.reliability.certificates import DAY, NOW, Identity, authority, server_side, signed
from tests.reliability.outbound import HOST, LOOPBACK, NEIGHBOURS, Names, named, put


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

    async def look_up() -> None:
        reply = await Transport(LOOPBACK, resolve=silent).send(put("https://erp.example.test", timeout_seconds=0.5))
        assert (reply.error, reply.sent) == (ErrorClass.TIMEOUT, False)
        assert reply.milliseconds == pytest.approx(500, rel=0.2)

    await measured(look_up)


@pytest.mark.parametrize(
    "url", ["https://10.0.0.1", "http://[::1]", "http://8.8.8.8", "https://2852039166", "http://0x7f.0.0.2:80"]
)
async def test_a_forbidden_address_is_blocked(url: str) -> None:
    """Whatever the URL check missed, the address that would be connected to decides."""
    reply = await Transport(LOOPBACK).send(put(url))
    assert (reply.error, reply.sent) == (ErrorClass.BLOCKED_ADDRESS, False)


@pytest.fixture
async def neighbours() -> AsyncIterator[tuple[Receiver, Receiver]]:
    """Two receivers on the same port, of 127.0.0.1 and of 127.0.0.2."""
    async with Receiver.listen() as first:
        try:
            async with Receiver.listen("127.0.0.2", int(first.url.rpartition(":")[2])) as second:
                yield first, second
        except OSError:
            pytest.skip("this machine has no 127.0.0.2")


async def test_a_name_that_changes_its_mind_gains_nothing(neighbours: tuple[Receiver, Receiver]) -> None:
    """A rebinding name server gets no connection to a forbidden address, seen by a listener there."""
    allowed, inside = neighbours
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    patient = Transport(LOOPBACK, resolve=names)
    assert [(await patient.send(put(named(allowed)))).status for _ in range(3)] == [200, 200, 200]
    assert names.asked == 1
    eager = Transport(LOOPBACK, resolve=Names(["127.0.0.1"], ["127.0.0.2"]), addresses_seconds=0.0)
    assert (await eager.send(put(named(allowed)))).status == 200
    assert (await eager.send(put(named(allowed)))).error is ErrorClass.BLOCKED_ADDRESS
    mixed = Transport(LOOPBACK, resolve=Names(["127.0.0.1", "127.0.0.2"]))
    assert (await mixed.send(put(named(allowed)))).error is ErrorClass.BLOCKED_ADDRESS
    assert (allowed.connections, inside.connections) == (2, 0)


async def test_a_receiver_may_move_and_may_stay(neighbours: tuple[Receiver, Receiver]) -> None:
    """When its addresses change, the new one is used; while they do not, the connection is kept."""
    old, new = neighbours
    names = Names(["127.0.0.1"], ["127.0.0.1"], ["127.0.0.2", "127.0.0.1"], ["127.0.0.2"])
    transport = Transport(NEIGHBOURS, resolve=names, addresses_seconds=0.0)
    for _ in range(5):
        assert (await transport.send(put(named(old)))).status == 200
    assert (old.count, old.connections) == (3, 1)
    assert (new.count, new.connections) == (2, 1)


async def test_a_dead_address_gives_way_to_the_next() -> None:
    """A host with two addresses is reached while one of them is alive, and in one attempt."""
    async with Receiver.listen() as alive:
        transport = Transport(NEIGHBOURS, resolve=Names(["127.0.0.2", "127.0.0.3", "127.0.0.1"]))
        replies = await asyncio.gather(*(transport.send(put(named(alive))) for _ in range(8)))
        assert {reply.status for reply in replies} == {200}
        dead = Transport(NEIGHBOURS, resolve=Names(["127.0.0.2", "127.0.0.3"]))
        assert (await dead.send(put(named(alive)))).error is ErrorClass.CONNECTION_REFUSED


async def test_a_redirect_is_not_followed() -> None:
    """Where a receiver points to, nobody is sent."""
    async with Receiver.listen() as elsewhere, Receiver.listen() as receiver:
        receiver.behave(Behaviour(status=307, headers=(("Location", f"{elsewhere.url}/x"),)))
        reply = await Transport(LOOPBACK).send(put(receiver.url))
        assert (reply.status, reply.header("location"), elsewhere.connections) == (307, f"{elsewhere.url}/x", 0)


async def test_cookies_and_proxies_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what a receiver sets nor what stands in the environment changes the next request."""
    async with Receiver.listen() as proxy, Receiver.listen() as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        receiver.behave(Behaviour(headers=(("Set-Cookie", "a=b; Path=/"),)))
        transport = Transport(LOOPBACK)
        for _ in range(2):
            assert (await transport.send(put(receiver.url))).status == 200
        assert proxy.connections == 0
        assert [received.header("cookie") for received in receiver.received] == [None, None]


@pytest.fixture(scope="module")
def ca() -> Identity:
    """A private authority."""
    return authority()


def trusting(ca: Identity, **fields: Any) -> Transport:
    """A transport that trusts the private authority and finds the host on this machine."""
    return Transport(LOOPBACK, authorities=[ca.certificate_pem], resolve=Names(["127.0.0.1"]), **fields)


async def test_a_private_authority_can_be_trusted(ca: Identity, tmp_path: Path) -> None:
    """With the authority's certificate the delivery arrives, and the name is the host's, not the address's."""
    async with Receiver.listen(tls=server_side(signed(ca, HOST), tmp_path)) as receiver:
        reply = await trusting(ca).send(put(named(receiver)))
        assert (reply.status, reply.body) == (200, b'{"error": null}')
        assert receiver.received[0].header("host") == named(receiver).removeprefix("https://")


@pytest.mark.parametrize("wrong", ["self-signed", "unknown authority", "another host", "expired"])
async def test_a_certificate_that_can_not_be_trusted_is_a_tls_error(ca: Identity, tmp_path: Path, wrong: str) -> None:
    """Whatever is wrong with the certificate, nothing is sent."""
    identity = {
        "self-signed": lambda: authority(HOST),
        "unknown authority": lambda: signed(authority(), HOST),
        "another host": lambda: signed(ca, "other.example.test"),
        "expired": lambda: signed(ca, HOST, ends=NOW - DAY),
    }[wrong]()
    async with Receiver.listen(tls=server_side(identity, tmp_path)) as receiver:
        reply = await trusting(ca).send(put(named(receiver)))
        assert (reply.error, reply.sent, receiver.count) == (ErrorClass.TLS_ERROR, False, 0)
        assert "certificate" in reply.detail


@pytest.mark.parametrize("name", ["a TLS alert", "plain HTTP where TLS was asked for", "a handshake that is closed"])
async def test_a_receiver_without_tls_is_a_tls_error(ca: Identity, name: str) -> None:
    """A handshake that leads nowhere is told apart from an answer that does."""

    async with hostile(SPOILING[name]) as receiver:
        reply = await trusting(ca).send(put(f"https://{HOST}:{receiver.port}"))
        assert (reply.error, reply.sent) == (ErrorClass.TLS_ERROR, False)


async def test_a_handshake_that_hangs_times_out_unsent(ca: Identity) -> None:
    """The handshake is part of connecting."""
    async with hostile(hostiles.black_hole) as receiver:

        async def connect() -> None:
            reply = await trusting(ca, connect_timeout_seconds=0.5).send(put(f"https://{HOST}:{receiver.port}"))
            assert (reply.error, reply.sent) == (ErrorClass.TIMEOUT, False)
            assert reply.milliseconds == pytest.approx(500, rel=0.2)

        await measured(connect)


async def test_a_client_certificate_opens_a_receiver_that_asks_for_one(ca: Identity, tmp_path: Path) -> None:
    """With mTLS the receiver lets in who shows a certificate that its own authority issued, and nobody else."""
    context = server_side(signed(ca, HOST), tmp_path, clients_of=ca)
    async with Receiver.listen(tls=context) as receiver:
        request = put(named(receiver))
        assert (await trusting(ca, identity_pem=signed(ca, "retailos").pem).send(request)).status == 200
        stranger = signed(authority("Stranger"), "retailos")
        for without in (trusting(ca), trusting(ca, identity_pem=stranger.pem)):
            # A server that closes before its alert is out leaves nothing but the close.
            assert (await without.send(request)).error in (ErrorClass.TLS_ERROR, ErrorClass.CONNECTION_RESET)
        assert receiver.count == 1


async def test_an_unreadable_client_certificate_is_a_tls_error(ca: Identity) -> None:
    """A key that can't be used fails the delivery, not the worker."""
    reply = await trusting(ca, identity_pem=b"-----BEGIN NOTHING-----").send(put(f"https://{HOST}:1"))
    assert (reply.error, reply.sent) == (ErrorClass.TLS_ERROR, False)
