"""R3: PostgreSQL is killed while records are written and delivered, and nothing that was acknowledged is gone."""

import os
import signal
import time
from asyncio import TaskGroup
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import asyncpg

from retailos.database import embedded, place, postmaster
from retailos.database.pool import is_outage
from retailos.receiver import Behaviour, Receiver, Sighting
from tests.conftest import eventually
from tests.reliability import stand
from tests.reliability.clients import Clients, clients_of
from tests.reliability.stand import WEBHOOKS, Program

#: What happens to it, each once while clients write and once while there are deliveries only.
FAULTS: Final = ("postmaster killed", "backend killed", "stopped at once")
CHANGES = 3_000
RECORDS = 1_000
LEASE_SECONDS = 2.0
#: The receivers take their time, so that deliveries are left when the clients are done.
ANSWER_SECONDS = 0.02
ACCEPTS_SECONDS = 20.0
SERVES_SECONDS = 10.0
REST_SECONDS = 20.0

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
async def running(data_dir: Path, random: Random) -> AsyncIterator[Run]:
    """`retailos serve` on its embedded database, a slow receiver with webhooks, and clients."""
    sightings: list[Sighting] = []
    settings = {"lease_seconds": LEASE_SECONDS, "allow_addresses": "127.0.0.0/8"}
    behaviour = Behaviour(delay_seconds=ANSWER_SECONDS)
    async with (
        stand.receiving(sightings, behaviour) as receiver,
        stand.program("serve", "--data-dir", str(data_dir), "--port", "0", **settings) as program,
    ):
        address = (await program.until("Started", role="api"))["address"]
        await program.until("WorkerStarted")
        database = (await embedded.start(data_dir)).url
        async with clients_of(address, await stand.make_key(database)) as clients:
            for name in WEBHOOKS:
                await clients.add_webhook(name, receiver.url)
            yield Run(
                program=program,
                database=database,
                data_dir=data_dir,
                clients=clients,
                receiver=receiver,
                sightings=sightings,
                random=random,
            )


async def strike(run: Run, fault: str) -> float:
    """Do this to PostgreSQL, and give how long after it accepts connections again a write is acknowledged."""
    probe = await asyncpg.connect(run.database)
    try:
        server = postmaster.read(place.at(run.data_dir).data)
        assert server is not None
        backends = [row["pid"] for row in await probe.fetch(BACKENDS)]
        if fault == "backend killed":
            os.kill(run.random.choice(backends), signal.SIGKILL)
        else:
            os.kill(server.pid, signal.SIGKILL if fault == "postmaster killed" else signal.SIGQUIT)
        await eventually(probe.is_closed)
    finally:
        probe.terminate()
    await eventually(lambda: _accepts(run.database), within_seconds=ACCEPTS_SECONDS)
    accepting = time.monotonic()
    await run.clients.write(run.some_records(1))
    return time.monotonic() - accepting


async def _accepts(url: str) -> bool:
    try:
        connection = await asyncpg.connect(url)
    except Exception as error:
        if is_outage(error):
            return False
        raise
    await connection.close()
    return True


async def test_killed_postgresql_forgets_nothing_it_acknowledged(data_dir: Path) -> None:
    """PostgreSQL killed or stopped at once during writes and deliveries costs some 503s, and nothing else."""
    seed = stand.seed()
    random = Random(seed)
    async with running(data_dir, random) as run:
        for fault in random.sample(FAULTS, len(FAULTS)):
            before = len(run.clients.told)
            async with TaskGroup() as group:
                group.create_task(run.clients.write(run.some_records(CHANGES)))
                await run.clients.reached(before + random.randrange(CHANGES // 2))
                while_writing = await strike(run, fault)
            await run.receiver.expect(run.receiver.count + random.randrange(RECORDS // 2))
            while_delivering = await strike(run, fault)
            rested = await stand.at_rest(run.database, within_seconds=REST_SECONDS)
            findings = await stand.judge(
                run.database, [f"/{name}" for name in WEBHOOKS], run.clients.told, run.sightings
            )
            figures = (
                f"seed {seed}, {fault}: {len(run.clients.told)} told, {run.clients.refused} refused, "
                f"{len(run.sightings)} sent, serving again after {while_writing:.2f} s and {while_delivering:.2f} s"
            )
            print(f"{figures}; {findings.report()}")
            assert (rested, findings.faults) == (True, 0), f"{figures}\n  {findings.report()}"
            assert max(while_writing, while_delivering) < SERVES_SECONDS
    assert run.clients.strange == []
    assert run.clients.refused > 0
    assert run.program.defects == []
