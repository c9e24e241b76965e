"""R5: a worker is killed at each step of a delivery, and what it had begun is neither lost nor left out of order.

It is stopped where it is wanted by a lock on what it needs next, so that the program knows nothing of these tests. A
backend of PostgreSQL whose worker is dead goes on when it gets its lock: what was under way is then committed all the
same, unless that backend is ended first.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import asyncpg
import pytest

from retailos.database.pool import Connection
from retailos.receiver import Behaviour, Received, Receiver, Sighting, sighting_of
from tests.conftest import eventually
from tests.reliability import stand
from tests.reliability.clients import Clients, clients_of
from tests.reliability.stand import Program

ROUNDS = 3
LEASE_SECONDS, TIMEOUT_SECONDS, LATE_SECONDS = 1.0, 3.0, 0.0
#: Where the lock that stops a worker keeps its lease from being renewed, too, the lease must last until it is there.
HELD_LEASE_SECONDS = 5.0
#: Longer than it takes to kill a worker, or to lock what it needs next.
HOLD_SECONDS = 2.0
REST_SECONDS = 90.0

WORKER = "select id from worker where name like '%:' || $1::text for update"
#: A settlement waits for it; what else writes the history would, too.
HISTORY = "lock table attempt in share mode"
REGISTERS = "select from delivery order by webhook_id, record_id for update"
#: A worker's share of what may go out at once, which it has when those that died before it are seen to be gone.
SHARES = "select slots from share join worker on worker.id = worker_id where slots > 0 and name like '%:' || $1::text"
WAITING = """
select pid from pg_stat_activity
where datname = current_database() and application_name = 'retailos worker' and wait_event_type = 'Lock'
    and query ~ $1
"""


@dataclass(slots=True, kw_only=True)
class Stand:
    """The API, its clients, a receiver that takes its time when told, and a second session of the database."""

    clients: Clients
    receiver: Receiver
    webhook: int
    database: str
    connection: Connection
    sightings: list[Sighting] = field(default_factory=list)
    slow: bool = False

    def answer(self, received: Received) -> Behaviour:
        """Apply at once, and answer then or later."""
        self.sightings.append(sighting_of(received, 200))
        return Behaviour(delay_seconds=HOLD_SECONDS if self.slow else 0.0)

    @asynccontextmanager
    async def locked(self, statement: str, *arguments: object) -> AsyncIterator[None]:
        """Keep what a statement locks for the length of the block."""
        connection = await asyncpg.connect(self.database)
        try:
            async with connection.transaction():
                await connection.fetch(statement, *arguments)
                yield
        finally:
            await connection.close()

    async def waits(self, query: str) -> int:
        """Wait until a statement of a worker's waits for a lock, and give its backend's pid."""
        return await eventually(lambda: self.connection.fetchval(WAITING, query))

    async def end(self, backend: int) -> None:
        """End a backend, and what it had begun."""
        await self.connection.execute("select pg_terminate_backend($1)", backend)

        async def gone() -> bool:
            return not await self.connection.fetchval("select count(*) from pg_stat_activity where pid = $1", backend)

        await eventually(gone)


async def during_the_claim(stand_: Stand, worker: Program, record: str) -> None:
    """The claim is on its way, and is made after its worker's death."""
    await eventually(lambda: stand_.connection.fetchval(SHARES, str(worker.pid)))
    async with stand_.locked(WORKER, str(worker.pid)):
        await stand_.clients.write([record])
        await stand_.waits("for key share")
        await worker.kill()


async def before_sending(stand_: Stand, worker: Program, record: str) -> None:
    """The claim is made, and the record is about to be read."""
    await stand_.clients.change_webhook(stand_.webhook, active=False)
    await stand_.clients.write([record])
    async with stand_.locked("lock table customers in access exclusive mode"):
        await stand_.clients.change_webhook(stand_.webhook, active=True)
        await stand_.waits("^select r.id")
        await worker.kill()


async def after_sending(stand_: Stand, worker: Program, record: str) -> None:
    """The receiver has applied the request, and has not answered yet."""
    stand_.slow = True
    before = stand_.receiver.count
    await stand_.clients.write([record])
    await stand_.receiver.expect(before + 1)
    await worker.kill()
    stand_.slow = False


async def before_the_commit(stand_: Stand, worker: Program, record: str) -> None:
    """The answer has come, and its settlement is given up."""
    await _while_settling(stand_, worker, record, undo=True)


async def after_the_commit(stand_: Stand, worker: Program, record: str) -> None:
    """The settlement is committed, and its worker does not live to hear of it."""
    await _while_settling(stand_, worker, record, undo=False)


async def _while_settling(stand_: Stand, worker: Program, record: str, *, undo: bool) -> None:
    stand_.slow = True
    before = stand_.receiver.count
    await stand_.clients.write([record])
    await stand_.receiver.expect(before + 1)
    async with stand_.locked(HISTORY):
        backend = await stand_.waits("after_seconds")
        await worker.kill()
        if undo:
            await stand_.end(backend)
    stand_.slow = False


STEPS: tuple[Callable[[Stand, Program, str], Awaitable[None]], ...] = (
    during_the_claim,
    before_sending,
    after_sending,
    before_the_commit,
    after_the_commit,
)


@pytest.mark.parametrize("step", STEPS)
async def test_a_worker_killed_at_any_step_leaves_nothing_undone(
    database: str, connection: Connection, step: Callable[[Stand, Program, str], Awaitable[None]]
) -> None:
    """Killed three times at one step, workers lose nothing and leave nothing stale, at the cost of some duplicates."""
    allowed = {"database_url": database, "allow_addresses": "127.0.0.0/8"}
    timing = {
        "lease_seconds": HELD_LEASE_SECONDS if step is during_the_claim else LEASE_SECONDS,
        "late_seconds": LATE_SECONDS,
    }
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(Receiver.listen())
        api = await stack.enter_async_context(stand.program("serve", "--api", port=0, **allowed))
        address = (await api.until("Started"))["address"]
        clients = await stack.enter_async_context(clients_of(address, await stand.make_key(database)))
        webhook = await clients.add_webhook("first", receiver.url, timeout=TIMEOUT_SECONDS)
        on = Stand(clients=clients, receiver=receiver, webhook=webhook, database=database, connection=connection)
        receiver.behave(on.answer)
        workers = []
        for number in range(ROUNDS):
            worker = await stack.enter_async_context(stand.program("serve", "--worker", **allowed, **timing))
            await worker.until("WorkerStarted")
            workers.append(worker)
            await step(on, worker, f"c-{number % 2}")
        last = await stack.enter_async_context(stand.program("serve", "--worker", **allowed, **timing))
        rested = await stand.at_rest(database, within_seconds=REST_SECONDS)
        findings = await stand.judge(database, ["/first"], clients.told, on.sightings)
        await asyncio.gather(*(each.kill() for each in workers))
    assert (rested, findings.faults) == (True, 0), findings.report()
    # Each round has at most two records in flight, each of which goes out again, and once more to confirm it.
    assert findings.duplicates <= 2 * 2 * ROUNDS, findings.report()
    assert [each.defects for each in (api, last, *workers) if each.defects] == []
