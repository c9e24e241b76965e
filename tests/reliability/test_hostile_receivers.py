"""R6 and R7: the program meets receivers and networks that misbehave, tells them apart, and nothing of them stays."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import msgspec
import pytest

from conformance.behaviours import Behaviour, Should, every
from conformance.door import Door, hostile
from conformance.line import Line
from conformance.plays import (
    ANSWERING,
    BABBLING,
    BREAKING_OFF,
    LINGERING,
    SPOILING,
    Play,
    answering,
    black_hole,
    flooding,
)
from retailos.database.pool import Connection
from tests.acceptance.program import stretched
from tests.conftest import eventually
from tests.reliability import stand
from tests.reliability.clients import Clients, clients_of
from tests.reliability.stand import Program

#: Each receiver is told of so many records: 35 faults of the network make 210, and 46 receivers 276.
RECORDS: Final = 6
#: Long enough for a fault to be seen while other tests have the processors.
TIMEOUT_SECONDS: Final = 3.0
MEMORY_MOST: Final = 20_000_000
REST_SECONDS: Final = 90.0

#: What faults of the network are called.
FAULTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(BREAKING_OFF, "connection_reset"),
        **dict.fromkeys(BABBLING, "invalid_answer"),
        **dict.fromkeys(LINGERING, "timeout"),
        "a request that is applied late": "timeout",
        **dict.fromkeys(SPOILING, "tls_error"),
        "a handshake that is reset": "connection_reset",
        "a handshake that hangs": "timeout",
        "nobody listens": "connection_refused",
    }
)
ATTEMPTS: Final = """
select name, attempt.status, attempt.error_class, milliseconds, coalesce(length(response_body), 0) as kept,
    delivery.status as state
from attempt join webhook on webhook.id = webhook_id join delivery using (webhook_id, record_id)
"""
COUNT: Final = "select count(*) >= $1 from attempt"
POOLED: Final = """
select count(*) from pg_stat_activity where datname = current_database() and application_name = 'retailos worker'
"""
#: What a clock that counts in milliseconds can't tell.
CLOCK_MILLISECONDS: Final = 2.0


#: So many records go in each of so many requests at once.
BATCH, BATCHES = 1_000, 8
HOLD_SECONDS: Final = 1.0


def verdicts(error: object) -> Play:
    """Answer each record of a batch with an error, when all batches are there."""

    async def play(line: Line) -> None:
        records = msgspec.json.decode((await line.request()).body)["customers"]
        said = [{"externalCustomerId": each["externalCustomerId"], "error": error} for each in records]
        body = msgspec.json.encode({"results": said})
        # Until all are under way at once, as they are where nobody ever answers.
        await line.gone(within=HOLD_SECONDS)
        await line.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body)

    return play


def stalling(size: int) -> Play:
    """Say so many bytes of an answer, and never end it."""

    async def play(line: Line) -> None:
        await line.request()
        await line.say(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n", b" " * size)
        await line.gone()

    return play


#: What is answered to batches, and what that is called; the first one is as agreed.
BATCH_ANSWERS: Final[Sequence[tuple[str, Play, str | None]]] = (
    ("as agreed", verdicts({"code": "NO", "message": "x" * 300}), "record_refused"),
    ("no end", flooding(b'HTTP/1.1 200 OK\r\n\r\n{"results":[', b"{}," * 20_000), "invalid_batch_answer"),
    ("no end, and no more", stalling(500_000), "timeout"),
    ("many numbers", answering(200, b'{"results":[' + b"1.0," * 125_000 + b"1]}"), "invalid_batch_answer"),
    ("too many", answering(200, b'{"results":[' + b"1.0," * 1_000_000 + b"1]}"), "invalid_batch_answer"),
)


@dataclass(slots=True)
class Whim:
    """A receiver that does now this and now that."""

    play: Play

    async def __call__(self, line: Line) -> None:
        """Do what it does just now."""
        await self.play(line)


@dataclass(frozen=True, slots=True)
class Meeting:
    """A worker whose webhooks have receivers that are never well."""

    connection: Connection
    worker: Program
    clients: Clients
    doors: Mapping[str, Door]

    async def tell(self, records: Sequence[str]) -> None:
        """Change records, and wait until every receiver was told once of each."""
        before = await self.connection.fetchval("select count(*) from attempt")
        await self.clients.write(records)
        expected = before + len(records) * len(self.doors)
        await eventually(lambda: self.connection.fetchval(COUNT, expected), within_seconds=REST_SECONDS)

    async def attempts(self) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        """What was attempted, by the name of the behaviour."""
        rows = await self.connection.fetch(ATTEMPTS)
        return {name: [dict(row) for row in rows if row["name"] == name] for name in self.doors}

    def descriptors(self) -> int:
        """How many files and sockets the worker has open."""
        return len(list(Path(f"/proc/{self.worker.pid}/fd").iterdir()))

    async def left_open(self) -> int:
        """How many of them are no connections to the database, of which it keeps as many as it ever needed."""
        pooled: int = await self.connection.fetchval(POOLED)
        return self.descriptors() - pooled

    def resident_bytes(self) -> int:
        """The worker's memory."""
        return int(Path(f"/proc/{self.worker.pid}/statm").read_text().split()[1]) * 4096


@asynccontextmanager
async def meeting(url: str, connection: Connection, behaviours: Sequence[Behaviour]) -> AsyncIterator[Meeting]:
    """The API, a worker, and a webhook for each behaviour, which never ends."""
    settings = {"database_url": url, "allow_addresses": "127.0.0.0/8"}
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(stand.program("serve", "--api", port=0, **settings))
        worker = await stack.enter_async_context(stand.program("serve", "--worker", **settings))
        await worker.until("WorkerStarted")
        address = (await api.until("Started"))["address"]
        clients = await stack.enter_async_context(clients_of(address, await stand.make_key(url)))
        doors: dict[str, Door] = {}
        for each in behaviours:
            never = 3_600 if each.away_seconds else 0
            door = hostile(each.play, scheme=each.scheme, away_seconds=never)
            doors[each.name] = await stack.enter_async_context(door)
            told = {"timeout": TIMEOUT_SECONDS, "retryLimit": 0}
            await clients.add_webhook(each.name, doors[each.name].url, **told)
        yield Meeting(connection, worker, clients, doors)
        assert worker.defects == []


def as_documented(behaviour: Behaviour, attempt: Mapping[str, Any]) -> bool:
    """Tell whether an attempt at a receiver that answers was taken for what it was."""
    if attempt["status"] is None:
        # These receivers close behind their answers without saying so, and a request may just be on its way by then.
        return (attempt["error_class"], attempt["state"]) == ("connection_reset", "failed")
    if behaviour.should is Should.DONE:
        return (attempt["error_class"], attempt["state"], attempt["status"] // 100) == (None, "delivered", 2)
    kind = attempt["status"] // 100
    expected = {1: "http_5xx", 3: "redirect", 4: "http_4xx", 7: "http_5xx"}.get(kind, "http_5xx")
    expected = "http_later" if attempt["status"] in (408, 425, 429) else expected
    return (attempt["error_class"], attempt["state"]) == (expected, "failed")


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux to see what a process has open")
async def test_faults_of_the_network_are_told_apart_and_leave_nothing(database: str, connection: Connection) -> None:
    """Two hundred faults: each is known for what it was, timeouts are kept within a fifth, and no socket is left."""
    behaviours = [each for each in every() if each.name in FAULTS]
    async with meeting(database, connection, behaviours) as met:
        await met.tell(["c-0"])
        await eventually(lambda: not any(door.open for door in met.doors.values()))
        before = await met.left_open()
        await met.tell([f"c-{number}" for number in range(1, RECORDS)])
        attempts = await met.attempts()
        await eventually(lambda: not any(door.open for door in met.doors.values()))

        async def closed() -> bool:
            return await met.left_open() <= before + 2

        await eventually(closed)
        slower = await stretched()
    assert sum(map(len, attempts.values())) == RECORDS * len(FAULTS) >= 200
    for name, made in attempts.items():
        assert {(each["error_class"], each["state"]) for each in made} == {(FAULTS[name], "failed")}, name
        if FAULTS[name] == "timeout":
            told = 1_000 * TIMEOUT_SECONDS
            took = [each["milliseconds"] for each in made]
            assert told - CLOCK_MILLISECONDS <= min(took) <= max(took) <= told * (1 + 0.2 * slower), (name, slower)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux to see the memory of a process")
async def test_receivers_that_misbehave_fill_no_memory(database: str, connection: Connection) -> None:
    """Whatever a receiver answers, the delivery ends in the state that is documented, and the memory stays."""
    # One that wants no more gets no more, and so can't be told of every record.
    behaviours = {each.name: each for each in every() if each.name not in FAULTS and each.should is not Should.STOP}
    assert set(ANSWERING) < set(behaviours)
    async with meeting(database, connection, list(behaviours.values())) as met:
        await met.tell(["c-0", "c-1"])
        before = met.resident_bytes()
        await met.tell([f"c-{number}" for number in range(2, RECORDS)])
        grown = met.resident_bytes() - before
        attempts = await met.attempts()
    for name, made in attempts.items():
        assert len(made) == RECORDS, name
        assert all(as_documented(behaviours[name], each) for each in made), (name, [dict(each) for each in made])
        assert any(each["status"] for each in made), name
        assert all(each["kept"] <= 64 * 1024 for each in made), name
    assert grown < MEMORY_MOST, f"{grown / 1e6:.0f} MB"
    print(f"{grown / 1e6:.1f} MB more after {RECORDS * len(behaviours)} answers")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux to see the memory of a process")
async def test_answers_to_batches_fill_no_memory(database: str, connection: Connection) -> None:
    """Whatever is said of thousands of records at once, the worker has no more memory than with agreed answers."""
    settings = {"database_url": database, "allow_addresses": "127.0.0.0/8"}
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(stand.program("serve", "--api", port=0, **settings))
        worker = await stack.enter_async_context(stand.program("serve", "--worker", **settings))
        address = (await api.until("Started"))["address"]
        clients = await stack.enter_async_context(clients_of(address, await stand.make_key(database)))
        whim = Whim(black_hole)
        door = await stack.enter_async_context(hostile(whim))
        told = {"timeout": TIMEOUT_SECONDS, "retryLimit": 0, "breaker": "off", "concurrency": BATCHES}
        webhook = await clients.add_webhook("batches", door.url, batchSize=BATCH, active=False, **told)
        most: dict[str, int] = {}
        for number, (name, whim.play, error) in enumerate(BATCH_ANSWERS, 1):
            await clients.feed([f"c-{each}" for each in range(BATCHES * BATCH)])
            await clients.change_webhook(webhook, active=True)
            await eventually(partial(attempted, connection, number * BATCHES * BATCH), within_seconds=REST_SECONDS)
            await clients.change_webhook(webhook, active=False)
            found = await connection.fetch("select distinct error_class, status from delivery")
            assert [tuple(each) for each in found] == [(error, "failed" if error else "delivered")], name
            most[name] = most_resident_bytes(worker)
        assert worker.defects == []
    grown = most["too many"] - most["as agreed"]
    assert grown < MEMORY_MOST, {name: f"{each / 1e6:.0f} MB" for name, each in most.items()}
    print(f"{grown / 1e6:.1f} MB more: {most}")


async def attempted(connection: Connection, attempts: int) -> bool:
    """Whether there were so many attempts."""
    return bool(await connection.fetchval(COUNT, attempts))


def most_resident_bytes(program: Program) -> int:
    """The most memory that a process ever had."""
    lines = Path(f"/proc/{program.pid}/status").read_text().splitlines()
    [kilobytes] = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return int(kilobytes) * 1024
