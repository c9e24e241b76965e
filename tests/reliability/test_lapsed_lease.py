"""A worker stands still for longer than its lease, and then goes on."""

import os
import signal
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack

from retailos.database.pool import Connection
from retailos.receiver import Behaviour, Received, Receiver, Sighting, sighting_of
from tests.conftest import eventually
from tests.reliability import stand
from tests.reliability.clients import clients_of

LEASE_SECONDS = 1
#: Longer than a lease, a rescue and a new lease take together.
HOLD_SECONDS = 5.0
#: After these nothing is applied any more, and what was in doubt is confirmed.
TIMEOUT_SECONDS, LATE_SECONDS = HOLD_SECONDS + 1, 0.0

CLAIMS = "select count(*) from delivery join worker on worker.id = worker_id where worker.name like '%:' || $1::text"
ATTEMPTS = "select count(*) from attempt join customers on customers.id = record_id where external_id = $1"
LEASES = "select count(*) from worker where name like '%:' || $1::text"


def hold_the_first(sightings: list[Sighting]) -> Callable[[Received], Behaviour]:
    """Note all that comes, and let the very first request wait for its answer."""

    def answer(received: Received) -> Behaviour:
        sightings.append(sighting_of(received, 200))
        return Behaviour(delay_seconds=HOLD_SECONDS if len(sightings) == 1 else 0.0)

    return answer


def versions(sightings: Iterable[Sighting], record: str) -> list[int]:
    """The versions of a record that were sent, in their order."""
    return [each.version for each in sightings if each.record == record]


async def test_a_claim_under_a_lease_that_is_over_is_neither_sent_nor_settled(
    database: str, connection: Connection
) -> None:
    """A worker that gets a new lease leaves alone what it had claimed under the old one, since others have done it."""
    sightings: list[Sighting] = []
    allowed = {
        "database_url": database,
        "allow_addresses": "127.0.0.0/8",
        "lease_seconds": LEASE_SECONDS,
        "late_seconds": LATE_SECONDS,
    }
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(Receiver.listen(behaviour=hold_the_first(sightings)))
        api = await stack.enter_async_context(stand.program("serve", "--api", port=0, **allowed))
        address = (await api.until("Started"))["address"]
        clients = await stack.enter_async_context(clients_of(address, await stand.make_key(database)))
        await clients.add_webhook("first", receiver.url, concurrency=1, timeout=TIMEOUT_SECONDS)
        paused = await stack.enter_async_context(stand.program("serve", "--worker", **allowed))
        await paused.until("WorkerStarted")
        await clients.write(["c-1"])
        await receiver.expect(1)
        await clients.write(["c-2"])
        await eventually(lambda: _is(connection, CLAIMS, paused.pid, 2))
        os.kill(paused.pid, signal.SIGSTOP)
        try:
            other = await stack.enter_async_context(stand.program("serve", "--worker", **allowed))
            await other.until("ClaimsRescued", count=2)
            await receiver.expect(3)
            await clients.write(["c-1", "c-2"])
            await receiver.expect(5)
        finally:
            os.kill(paused.pid, signal.SIGCONT)
        await eventually(lambda: _is(connection, LEASES, paused.pid, 1))
        # The answer that it waits for gives what it had claimed besides its turn.
        await eventually(lambda: _is(connection, ATTEMPTS, "c-1", 3))
        await paused.kill(signal.SIGTERM)
        assert await stand.at_rest(database, within_seconds=60)
    # At last what others had sent meanwhile is confirmed.
    assert versions(sightings, "c-1") == [1, 1, 2, 2]
    assert versions(sightings, "c-2") == [1, 2, 2]


async def _is(connection: Connection, statement: str, of: object, expected: int) -> bool:
    return bool(await connection.fetchval(statement, str(of)) == expected)
