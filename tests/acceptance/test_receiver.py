"""The other system that tests, the demo and the benchmark play: it answers as told and remembers."""

import asyncio
import time
from collections.abc import AsyncIterator

import msgspec
import pytest

from retailos.receiver import (
    ERROR_BODY,
    OK_BODY,
    Behaviour,
    Received,
    Receiver,
    Sighting,
    sighting_of,
)

PUT = b"PUT /v1/customer/%s HTTP/1.1\r\nHost: x\r\nX-Ra-Record-Version: 7\r\nContent-Length: 2\r\n\r\n{}"


def put(record: bytes = b"a") -> bytes:
    """One request."""
    return PUT % record


class Client:
    """A connection that speaks bare HTTP."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, receiver: Receiver) -> "Client":
        """Connect to a receiver."""
        host, port = receiver.url.removeprefix("http://").split(":")
        return cls(*await asyncio.open_connection(host, int(port)))

    async def ask(self, *requests: bytes) -> list[tuple[int, dict[str, str], bytes]]:
        """Send requests at once, and read as many answers: status, headers and body."""
        self.writer.write(b"".join(requests))
        return [await self.answer() for _ in requests]

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Read one answer."""
        first, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        body = await self.reader.readexactly(int(headers.get("Content-Length", "0")))
        return int(first.split()[1]), headers, body


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that listens."""
    async with Receiver.listen() as receiver:
        yield receiver


@pytest.fixture
async def client(receiver: Receiver) -> AsyncIterator[Client]:
    """A connection to it."""
    client = await Client.open(receiver)
    yield client
    client.writer.close()


async def statuses(client: Client, count: int) -> list[int]:
    """The statuses of so many requests, one after the other."""
    return [(await client.ask(put()))[0][0] for _ in range(count)]


async def test_it_answers_like_the_guides_receiver_and_remembers(receiver: Receiver, client: Client) -> None:
    """A plain receiver answers 200 without an error, and keeps what it got."""
    before = time.monotonic()
    ((status, headers, body),) = await client.ask(put(b"a%2Fb?x=1"))
    assert (status, headers["Content-Type"], body) == (200, "application/json", OK_BODY)
    assert msgspec.json.decode(body) == {"error": None}
    (received,) = await receiver.expect(1)
    assert (received.sequence, received.method, received.path) == (1, "PUT", "/v1/customer/a%2Fb?x=1")
    assert (received.body, received.json(), received.header("x-RA-record-version")) == (b"{}", {}, "7")
    assert received.header("x-absent") is None
    assert before <= received.at <= time.monotonic()


async def test_a_connection_is_kept_and_may_pipeline(receiver: Receiver, client: Client) -> None:
    """Requests that come at once are answered in their order, slow ones too."""
    receiver.behave([Behaviour(status=201, delay_seconds=0.05), Behaviour(status=202), Behaviour(status=203)])
    answers = await client.ask(put(b"1"), put(b"2"), put(b"3"), put(b"4"))
    assert [status for status, *_ in answers] == [201, 202, 203, 203]
    assert [received.path[-1] for received in receiver.received] == list("1234")
    assert receiver.connections == 1


async def test_a_request_may_come_in_pieces(receiver: Receiver, client: Client) -> None:
    """Wherever a request is cut, it is put together again."""
    for byte in put():
        client.writer.write(bytes([byte]))
        await client.writer.drain()
    assert (await client.answer())[0] == 200
    assert receiver.received[0].body == b"{}"


async def test_a_body_may_come_in_chunks(receiver: Receiver, client: Client) -> None:
    """A body of unknown length is one body."""
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    await client.ask(head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert receiver.received[0].body == b"abcde"


async def test_curls_question_whether_to_go_on_is_answered(receiver: Receiver, client: Client) -> None:
    """A client that expects 100-continue gets it before its body is due."""
    head, _, body = put().partition(b"\r\n\r\n")
    client.writer.write(head + b"\r\nExpect: 100-continue\r\n\r\n")
    assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
    assert (await client.ask(body))[0][0] == 200


@pytest.mark.parametrize("head", [b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"])
async def test_a_connection_ends_when_the_client_wants_it(client: Client, head: bytes) -> None:
    """Connection: close and HTTP/1.0 are respected."""
    assert (await client.ask(head))[0][0] == 200
    assert await client.reader.read() == b""


async def test_what_is_not_http_gets_a_400(client: Client) -> None:
    """Garbage is answered once, and the connection closed."""
    client.writer.write(b"hello\r\n\r\n")
    assert (await client.reader.read()).startswith(b"HTTP/1.1 400 ")


async def test_a_sequence_is_played_and_its_last_stays(receiver: Receiver, client: Client) -> None:
    """Fail twice, then recover; and be told otherwise at any time."""
    receiver.behave([Behaviour(status=500), Behaviour(status=503, retry_after=7), Behaviour()])
    assert await statuses(client, 4) == [500, 503, 200, 200]
    receiver.behave(Behaviour(status=410))
    assert await statuses(client, 2) == [410, 410]
    assert receiver.answered == {500: 1, 503: 1, 200: 2, 410: 2}


async def test_headers_bodies_and_retry_after_are_as_told(receiver: Receiver, client: Client) -> None:
    """An answer can be anything that HTTP allows."""
    told = Behaviour(status=429, body=b"<html>", headers=(("X-A", "b"), ("Set-Cookie", "c=d")), retry_after=30)
    receiver.behave([told, Behaviour(status=400), Behaviour(status=204), Behaviour()])
    ((_, headers, body), (_, _, refused), (_, empty, _), _) = await client.ask(put(), put(), put(), put())
    assert (headers["X-A"], headers["Set-Cookie"], headers["Retry-After"], body) == ("b", "c=d", "30", b"<html>")
    assert refused == ERROR_BODY
    assert "Content-Length" not in empty


async def test_a_function_decides_by_what_it_sees(receiver: Receiver, client: Client) -> None:
    """One record can be poisonous while all others pass."""

    def decide(received: Received) -> Behaviour:
        return Behaviour(status=422 if received.path.endswith("/poison") else 200)

    receiver.behave(decide)
    answers = await client.ask(put(b"a"), put(b"poison"), put(b"b"))
    assert [status for status, *_ in answers] == [200, 422, 200]


async def test_a_share_of_the_requests_fails(receiver: Receiver, client: Client) -> None:
    """A quarter that fails is every fourth."""
    receiver.behave(Behaviour(fail_ratio=0.25, fail_status=502))
    assert await statuses(client, 8) == [200, 200, 200, 502] * 2


@pytest.mark.parametrize("behaviour", [Behaviour(drop=True), Behaviour(reset=True)])
async def test_a_connection_can_be_broken(receiver: Receiver, client: Client, behaviour: Behaviour) -> None:
    """Dropped is closed without an answer, reset is reset; the request was got all the same."""
    receiver.behave(behaviour)
    client.writer.write(put())
    if behaviour.reset:
        with pytest.raises(ConnectionResetError):
            await client.reader.readexactly(1)
    else:
        assert await client.reader.read() == b""
    assert (receiver.count, receiver.answered) == (1, {0: 1})


async def test_a_hanging_answer_never_comes_and_hinders_no_end() -> None:
    """A request can be left hanging; closing the receiver ends it."""
    async with Receiver.listen(behaviour=[Behaviour(), Behaviour(hang=True)]) as receiver:
        client = await Client.open(receiver)
        client.writer.write(put() + put() + put())
        assert (await client.answer())[0] == 200
        await receiver.expect(3)
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await client.answer()


async def test_waiting_ends_as_soon_as_it_may(receiver: Receiver, client: Client) -> None:
    """A test waits for a number of requests or for anything else about them, and is told if it does not come."""
    waiting = asyncio.gather(
        receiver.expect(2), receiver.wait_until(lambda each: any(r.path.endswith("/b") for r in each.received))
    )
    await client.ask(put(b"a"), put(b"b"))
    first, _ = await waiting
    assert [received.path for received in first] == ["/v1/customer/a", "/v1/customer/b"]
    await receiver.expect(2)
    with pytest.raises(AssertionError, match=r"0\.05 s; 2 requests did"):
        await receiver.expect(3, 0.05)


async def test_memory_is_bounded() -> None:
    """The newest are remembered, all are counted; or none is remembered and each is told of."""
    sightings: list[Sighting] = []
    async with Receiver.listen(
        remember=2, behaviour=[Behaviour(), Behaviour(status=500), Behaviour(hang=True)],
        on_received=lambda received, status: sightings.append(sighting_of(received, status)),
    ) as receiver:  # fmt: skip
        client = await Client.open(receiver)
        client.writer.write(put(b"a%2Fb") + put(b"c?x") + b"GET / HTTP/1.1\r\n\r\n")
        await receiver.expect(3)
        assert [received.sequence for received in receiver.received] == [2, 3]
    assert [(each.webhook, each.record, each.version, each.status) for each in sightings] == [
        ("/v1/customer", "a/b", 7, 200),
        ("/v1/customer", "c", 7, 500),
        ("", "", 0, 0),
    ]
    assert sightings[0].body_hash == sightings[1].body_hash != sightings[2].body_hash
    assert sightings[0].at <= sightings[1].at


async def test_a_batch_is_answered_per_record(receiver: Receiver, client: Client) -> None:
    """The default agreement for batches names every record, as often as told with an error; a single is as usual."""
    batch = b'{"customers": [{"id": "1", "externalCustomerId": "a"}, {"id": "2", "externalCustomerId": "b"}]}'
    head = b"PUT / HTTP/1.1\r\nContent-Length: %d\r\n\r\n"
    single = b'{"customer": {"externalCustomerId": "a"}}'
    answers = await client.ask(head % len(batch) + batch, head % len(single) + single)
    assert msgspec.json.decode(answers[0][2]) == {
        "results": [{"externalCustomerId": "a", "error": None}, {"externalCustomerId": "b", "error": None}]
    }
    assert answers[1][2] == OK_BODY
    receiver.behave(Behaviour(refuse_ratio=0.5))
    [(status, _, body)] = await client.ask(head % len(batch) + batch)
    refused = [each["error"] is not None for each in msgspec.json.decode(body)["results"]]
    assert (status, refused) == (200, [False, True])


@pytest.mark.parametrize(
    "body", [b'{"customers": [', b'{"customers": [1]}', b'{"customers": [{"id": 1}]}', b'{"c": [], "d": 1}']
)
async def test_what_is_no_batch_is_answered_as_usual(client: Client, body: bytes) -> None:
    """A body that only begins like a batch is none."""
    [(_, _, answer)] = await client.ask(b"PUT / HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
    assert answer == OK_BODY
