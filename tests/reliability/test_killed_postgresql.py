"""R3: PostgreSQL is killed while records are written and delivered, and nothing that was acknowledged is gone."""

import os
import signal
import time
from asyncio import TaskGroup
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import asyncpg

from retailos.database import embedded, place, postmaster
from retailos.database.pool import Connection, is_outage
from retailos.receiver import Receiver, Sighting
from tests.acceptance.program import stretched
from tests.conftest import eventually
from tests.reliability import stand
from tests.reliability.clients import Clients, clients_of
from tests.reliability.stand import PATHS, WEBHOOKS, Program

#: What happens to it, in any order.
FAULTS: Final = ("postmaster killed", "backend killed", "stopped at once")
CHANGES = stand.sized(quick=1_500, long=3_000)
RECORDS = 1_000
LEASE_SECONDS = 2.0
#: The receiver takes up to so long for each request, so that deliveries are left when the clients are done.
ANSWER_SECONDS = 0.08
ACCEPTS_SECONDS = 60.0
#: On a machine that has little else to do.
SERVES_SECONDS = 10.0
#: Nothing is applied later than a timeout after it was given up, and what was in doubt is confirmed then.
TIMEOUT_SECONDS, LATE_SECONDS = 2.0, 0.0
REST_SECONDS = 60.0

BACKENDS = "select pid from pg_stat_activity where application_name like 'retailos%' order by pid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The program as an operator runs it, its clients, and what its receiver sees."""

    program: Program
    database: str
    data_dir: Path
    clients: Clients
    receiver: Receiver
    sightings: list[Sighting]
    random: Random

    def some_records(self, count: int) -> list[str]:
        """Names of records, any of them, some more than once."""
        return [f"c-{self.random.randrange(RECORDS)}" for _ in range(count)]


@asynccontextmanager
async def running(data_dir: Path, seed: int, webhooks: Sequence[str]) -> AsyncIterator[Run]:
    """`retailos serve` on its embedded database, a slow receiver with these webhooks, and clients."""
    sightings: list[Sighting] = []
    settings = {"lease_seconds": LEASE_SECONDS, "late_seconds": LATE_SECONDS, "allow_addresses": "127.0.0.0/8"}
    async with (
        stand.receiving(sightings, Random(seed), seconds=ANSWER_SECONDS) as receiver,
        stand.program("serve", "--data-dir", str(data_dir), "--port", "0", **settings) as program,
    ):
        address = (await program.until("Started", role="api"))["address"]
        await program.until("WorkerStarted")
        database = (await embedded.start(data_dir)).url
        async with clients_of(address, await stand.make_key(database)) as clients:
            for name in webhooks:
                await clients.add_webhook(name, receiver.url, timeout=TIMEOUT_SECONDS)
            yield Run(
                program=program,
                database=database,
                data_dir=data_dir,
                clients=clients,
                receiver=receiver,
                sightings=sightings,
                random=Random(seed),
            )


async def strike(run: Run, fault: str) -> float:
    """Do this to PostgreSQL, and give how long after it accepts connections again a write is acknowledged."""
    probe = await asyncpg.connect(run.database)
    try:
        server = postmaster.read(place.at(run.data_dir).data)
        assert server is not None
        if fault == "backend killed":
            await eventually(lambda: _kill_backend(run.random, probe))
        else:
            os.kill(server.pid, signal.SIGKILL if fault == "postmaster killed" else signal.SIGQUIT)
        await eventually(probe.is_closed)
    finally:
        probe.terminate()
    await eventually(lambda: _accepts(run.database), within_seconds=ACCEPTS_SECONDS)
    accepting = time.monotonic()
    await run.clients.write(run.some_records(1))
    return time.monotonic() - accepting


async def _kill_backend(random: Random, probe: Connection) -> bool:
    """Kill one of the program's; False if there was none, or it had just ended by itself."""
    backends = [row["pid"] for row in await probe.fetch(BACKENDS)]
    with suppress(ProcessLookupError, IndexError):
        os.kill(random.choice(backends), signal.SIGKILL)
        return True
    return False


async def _accepts(url: str) -> bool:
    try:
        connection = await asyncpg.connect(url)
    except Exception as error:
        if is_outage(error):
            return False
        raise
    await connection.close()
    return True


async def strike_amid_writes(run: Run, fault: str, changes: int) -> float:
    """Do this to PostgreSQL at a random moment while clients write; give how soon it served again, as `strike` does."""
    before = len(run.clients.told)
    async with TaskGroup() as group:
        group.create_task(run.clients.write(run.some_records(changes)))
        await run.clients.reached(before + run.random.randrange(changes // 2))
        return await strike(run, fault)


async def strike_amid_deliveries(run: Run, fault: str) -> float:
    """Do this to PostgreSQL at a random moment of the deliveries that are left; give how soon it served again."""
    left = await stand.owed(run.database)
    await run.receiver.expect(run.receiver.count + run.random.randrange(max(left // 2, 1)))
    return await strike(run, fault)


async def test_killed_postgresql_has_every_write_that_it_acknowledged(data_dir: Path) -> None:
    """PostgreSQL killed or stopped at once while nothing but writes makes it sync its disk has all that it told of."""
    seed = stand.seed()
    async with running(data_dir, seed, webhooks=()) as run:
        for fault in run.random.sample(FAULTS, len(FAULTS)):
            serving = await strike_amid_writes(run, fault, CHANGES)
            findings = await stand.judge(run.database, (), run.clients.told, ())
            figures = f"seed {seed}, {fault}: {len(run.clients.told)} told, serving again after {serving:.2f} s"
            print(f"{figures}; {findings.report()}")
            assert findings.faults == 0, f"{figures}\n  {findings.report()}"
            assert serving < SERVES_SECONDS * await stretched()
    assert run.clients.strange == []
    assert run.clients.refused > 0
    assert run.program.defects == []


async def test_killed_postgresql_leaves_no_receiver_behind(data_dir: Path) -> None:
    """PostgreSQL killed or stopped at once during writes and deliveries costs some 503s, and nothing else."""
    seed = stand.seed()
    async with running(data_dir, seed, WEBHOOKS) as run:
        for fault in run.random.sample(FAULTS, len(FAULTS)):
            serving = await strike_amid_writes(run, fault, CHANGES)
            serving = max(serving, await strike_amid_deliveries(run, fault))
            rested = await stand.at_rest(run.database, within_seconds=REST_SECONDS)
            findings = await stand.judge(run.database, PATHS, run.clients.told, run.sightings)
            figures = (
                f"seed {seed}, {fault}: {len(run.clients.told)} told, {run.clients.refused} refused, "
                f"{len(run.sightings)} sent, serving again after {serving:.2f} s"
            )
            print(f"{figures}; {findings.report()}")
            assert (rested, findings.faults) == (True, 0), f"{figures}\n  {findings.report()}"
            assert serving < SERVES_SECONDS * await stretched()
    assert run.clients.strange == []
    assert run.clients.refused > 0
    assert run.program.defects == []
