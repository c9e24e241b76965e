"""The test stand of the fault tests: the real program as processes that can be killed, and what is left at the end."""

import asyncio
import hashlib
import os
import secrets
import signal
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from random import Random
from typing import Any, Final

import asyncpg
import msgspec
import pytest

from retailos import keys
from retailos.app import open_pool
from retailos.database.pool import Connection
from retailos.receiver import Behaviour, Received, Receiver, Sighting, sighting_of
from retailos.records import page
from retailos.resources import RESOURCES
from retailos.resources.customer import CUSTOMER
from tests.child import Child, spawn
from tests.conftest import PATIENCE_SECONDS, eventually
from tests.reliability.checker import Findings, Register, Stored, Told, check

#: The program, ended by the kernel if the test's own process dies, however it dies.
LEASHED: Final = """
import ctypes, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, int(signal.SIGKILL))
from retailos.cli import main
main()
"""
#: A process begins within a second or two where it has a processor to itself; these only end what would hang.
START_SECONDS: Final = PATIENCE_SECONDS
STOP_SECONDS: Final = 20.0
WEBHOOKS: Final = ("first", "second", "third")
#: What the receiver knows them by: how the paths of their URLs begin.
PATHS: Final = tuple(f"/{name}" for name in WEBHOOKS)

REGISTERS: Final = """
select webhook.name, customers.external_id, wanted, acknowledged, status, token is not null as claimed,
    exists (select from due where (due.webhook_id, due.record_id) = (delivery.webhook_id, delivery.record_id)) as due
from delivery join webhook on webhook.id = webhook_id join customers on customers.id = record_id
"""
OWED: Final = "select count(*) from delivery where acknowledged < wanted"
AT_REST: Final = """
select not exists (select from delivery where status <> 'delivered' or acknowledged < wanted)
    and not exists (select from due)
"""


def sized(*, quick: int, long: int) -> int:
    """How much of something this run takes: RETAILOS_TIER=long takes more than fits into the minutes of all tests."""
    return long if os.environ.get("RETAILOS_TIER") == "long" else quick


def seed() -> int:
    """The seed of this run, printed; RETAILOS_SEED repeats one."""
    chosen = int(os.environ.get("RETAILOS_SEED") or secrets.randbits(32))
    print(f"RETAILOS_SEED={chosen}")
    return chosen


class Program:
    """A process of the program: what it has said so far, and its end."""

    def __init__(self, process: Child) -> None:
        self.pid = process.pid
        #: Its observations as it wrote them; what is none stands as `{"text": …}`.
        self.said: list[dict[str, Any]] = []
        self._process = process
        self._reading = asyncio.create_task(self._read())

    async def until(self, event: str, **fields: object) -> dict[str, Any]:
        """The first observation of this kind with these fields, as soon as it is made."""
        wanted = {"event": event, **fields}

        def found() -> dict[str, Any] | None:
            if self._process.returncode is not None:
                pytest.fail(f"a process ended with {self._process.returncode} before {wanted}: {self.said}")
            return next((each for each in self.said if wanted.items() <= each.items()), None)

        return await eventually(found, within_seconds=START_SECONDS) or {}

    async def kill(self, order: signal.Signals = signal.SIGKILL) -> None:
        """Send it a signal that ends it, and see it gone."""
        if self._process.returncode is None:
            self._process.send_signal(order)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reading

    @property
    def defects(self) -> list[dict[str, Any]]:
        """What it said that only a defect of ours makes it say."""
        return [each for each in self.said if each["event"] in ("DefectFound", "text")]

    async def _read(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            try:
                self.said.append(msgspec.json.decode(line))
            except msgspec.DecodeError:
                self.said.append({"event": "text", "text": line.decode(errors="replace")})


def program(*arguments: str, **settings: object) -> AbstractAsyncContextManager[Program]:
    """Run `retailos` with these arguments and settings; at the end of the block it is told to stop.

    One key may send as much as the machine takes. A worker is one process, so that it can be killed or stopped.
    """
    return surrounded({}, *arguments, **settings)


def surrounded(
    surroundings: Mapping[str, str], *arguments: str, **settings: object
) -> AbstractAsyncContextManager[Program]:
    """Run `retailos` as `program` does, with further variables in its environment."""
    return run_within((), surroundings, arguments, settings)


@asynccontextmanager
async def run_within(
    within: Sequence[str], surroundings: Mapping[str, str], arguments: Sequence[str], settings: Mapping[str, object]
) -> AsyncIterator[Program]:
    """Run `retailos` as `surrounded` does; `within` stands before the command, where it is to be run elsewhere."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RETAILOS_")}
    given = {"requests_per_second": 0, "worker_processes": 1, **settings}
    environment |= {f"RETAILOS_{name.upper()}": str(value) for name, value in given.items()}
    process = await spawn(
        *(*within, sys.executable, "-P", "-c", LEASHED, *arguments),
        stderr=PIPE,
        env=environment | dict(surroundings) | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    running = Program(process)
    try:
        yield running
    finally:
        await running.kill(signal.SIGTERM)


async def make_key(url: str) -> str:
    """A key that may do everything."""
    async with open_pool(url, "test") as pool:
        scopes = (*keys.DEFAULT_SCOPES, keys.ADMIN)
        return (await keys.create(pool, name="test", environment="dev", scopes=scopes, pepper=None)).key


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connection]:
    """A connection to a database."""
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def receiving(
    sightings: list[Sighting], random: Random, *, seconds: float = 0.0, host: str = "127.0.0.1"
) -> AsyncIterator[Receiver]:
    """A receiver that applies each request after a time of its own, up to `seconds`, and then answers it.

    Two requests for one record that are under way at once can so be applied in either order.
    """

    def apply(received: Received) -> Behaviour:
        delay = random.uniform(0, seconds)
        sightings.append(sighting_of(replace(received, at=received.at + delay), 200))
        return Behaviour(delay_seconds=delay)

    async with Receiver.listen(host, behaviour=apply, remember=0) as receiver:
        yield receiver


async def at_rest(url: str, *, within_seconds: float) -> bool:
    """Wait until the registers say that everything is delivered; False if that takes too long."""
    connection = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(within_seconds):
            await eventually(lambda: connection.fetchval(AT_REST), within_seconds=2 * within_seconds)
    except TimeoutError:
        return False
    finally:
        await connection.close()
    return True


async def owed(url: str) -> int:
    """How many deliveries are owed just now."""
    connection = await asyncpg.connect(url)
    try:
        return int(await connection.fetchval(OWED))
    finally:
        await connection.close()


async def judge(url: str, webhooks: Sequence[str], told: Sequence[Told], sightings: Sequence[Sighting]) -> Findings:
    """What the checker says of everything so far; webhooks are named by the path of their URLs."""
    connection = await asyncpg.connect(url)
    try:
        stored, registers = await _stored(connection), await _registers(connection)
    finally:
        await connection.close()
    applied = sorted(sightings, key=lambda each: each.at)
    return check(webhooks, told=told, stored=stored, registers=registers, sightings=applied)


async def _stored(connection: Connection) -> Sequence[Stored]:
    """Every customer, with the hash of the body that a webhook is sent of it."""
    ids = [row["id"] for row in await connection.fetch("select id from customers")]
    rows = await connection.fetch(page.by_ids(RESOURCES, CUSTOMER, CUSTOMER.webhook_relations), ids)
    return [Stored(row["external_id"], row["version"], _hashed(row["json"])) for row in rows]


async def _registers(connection: Connection) -> Sequence[Register]:
    """Every register."""
    return [
        Register(
            webhook=f"/{row['name']}",
            record=row["external_id"],
            wanted=row["wanted"],
            acknowledged=row["acknowledged"],
            status=row["status"],
            claimed=row["claimed"],
            due=row["due"],
        )
        for row in await connection.fetch(REGISTERS)
    ]


def _hashed(json: str) -> bytes:
    return hashlib.blake2b(f'{{"customer":{json}}}'.encode(), digest_size=8).digest()
