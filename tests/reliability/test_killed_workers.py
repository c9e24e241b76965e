"""R1: workers are killed at random times, and every receiver still ends on every record's newest version."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from random import Random
from types import MappingProxyType

import pytest

from retailos.database.pool import Connection
from retailos.receiver import Receiver, Sighting
from tests.reliability import stand
from tests.reliability.clients import AT_ONCE, Clients, clients_of
from tests.reliability.stand import PATHS, WEBHOOKS, Program

KILLS = 20
CHANGES = 20_000
RECORDS = 2_000
WORKERS = 2
LEASE_SECONDS = 2.0
#: The receiver takes up to so long for each request; far less than the lease, as timeouts are in earnest.
APPLY_SECONDS = 0.05
#: Nothing is applied later than a timeout after its worker was killed, and what was in doubt is confirmed then.
TIMEOUT_SECONDS, LATE_SECONDS = 2.0, 0.0
#: After the last kill: its lease, a look for dead workers, what was left to send, and what is confirmed.
REST_SECONDS = 90.0

SINGLE: Mapping[str, Mapping[str, object]] = MappingProxyType({name: {} for name in WEBHOOKS})
HELD = """
select count(*) from delivery join worker on worker.id = worker_id
where status = 'sending' and worker.name like '%:' || $1::text
"""


class Workers:
    """The workers that run, of which one is killed and replaced now and then."""

    def __init__(self, stack: AsyncExitStack, url: str) -> None:
        self.all: list[Program] = []
        self.running: list[Program] = []
        self._stack, self._url = stack, url

    async def add(self) -> None:
        """Start a worker, and wait until it delivers."""
        settings = {
            "database_url": self._url,
            "lease_seconds": LEASE_SECONDS,
            "late_seconds": LATE_SECONDS,
            "allow_addresses": "127.0.0.0/8",
        }
        worker = await self._stack.enter_async_context(stand.program("serve", "--worker", **settings))
        self.all.append(worker)
        await worker.until("WorkerStarted")
        self.running.append(worker)

    async def kill_one(self, random: Random, connection: Connection) -> int:
        """Kill any of them and start another; give how many deliveries it held."""
        worker = random.choice(self.running)
        self.running.remove(worker)
        await worker.kill()
        held: int = await connection.fetchval(HELD, str(worker.pid))
        await self.add()
        return held


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A system under load: its API, its workers, its clients, and what its receiver sees."""

    api: Program
    workers: Workers
    clients: Clients
    sightings: list[Sighting]

    async def kill(self, random: Random, connection: Connection, *, kills: int, changes: int, records: int) -> int:
        """Make so many changes of so many records, killing workers meanwhile; how many deliveries these held."""
        held, share = 0, changes // kills
        for number in range(kills):
            names = [f"c-{random.randrange(records)}" for _ in range(share)]
            async with asyncio.TaskGroup() as group:
                writing = group.create_task(self.clients.write(names))
                await self.clients.reached(number * share + random.randrange(share))
                held += await self.workers.kill_one(random, connection)
                await writing
        return held


@asynccontextmanager
async def running(
    url: str,
    seed: int,
    receiving: Callable[..., AbstractAsyncContextManager[Receiver]] = stand.receiving,
    webhooks: Mapping[str, Mapping[str, object]] = SINGLE,
) -> AsyncIterator[Run]:
    """The API, the workers, a receiver with its webhooks, and clients; nothing of it outlives the block."""
    sightings: list[Sighting] = []
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(receiving(sightings, Random(seed), seconds=APPLY_SECONDS))
        settings = {"database_url": url, "port": 0, "allow_addresses": "127.0.0.0/8"}
        api = await stack.enter_async_context(stand.program("serve", "--api", **settings))
        workers = Workers(stack, url)
        await asyncio.gather(*(workers.add() for _ in range(WORKERS)))
        address = (await api.until("Started", role="api"))["address"]
        clients = await stack.enter_async_context(clients_of(address, await stand.make_key(url)))
        for name, values in webhooks.items():
            await clients.add_webhook(name, receiver.url, timeout=TIMEOUT_SECONDS, **values)
        yield Run(api=api, workers=workers, clients=clients, sightings=sightings)


@pytest.mark.timeout(1_200)
async def test_killed_workers_leave_no_receiver_behind(database: str, connection: Connection) -> None:
    """Twenty workers killed during 20,000 changes lose nothing, send nothing out of order and leave nothing stuck."""
    seed = stand.seed()
    random = Random(seed)
    async with running(database, seed) as run:
        held = await run.kill(random, connection, kills=KILLS, changes=CHANGES, records=RECORDS)
        rested = await stand.at_rest(database, within_seconds=REST_SECONDS)
        findings = await stand.judge(database, PATHS, run.clients.told, run.sightings)
    figures = f"seed {seed}: {len(run.clients.told)} told, {len(run.sightings)} sent, {held} held by the killed workers"
    print(f"{figures}; {findings.report()}")
    assert (rested, findings.faults) == (True, 0), f"{figures}\n  {findings.report()}"
    assert run.clients.strange == []
    # A dead worker refuses nobody; a machine that is too busy for a moment refuses what comes in it.
    assert run.clients.refused <= AT_ONCE
    # What was held goes out once more, and again to confirm it.
    assert findings.duplicates <= 2 * held, f"{figures}\n  {findings.report()}"
    assert [each.defects for each in (run.api, *run.workers.all) if each.defects] == []
