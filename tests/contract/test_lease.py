"""A worker sends only while it knows that its lease holds."""

import time

import asyncpg

from retailos.receiver import Behaviour, Receiver
from tests.conftest import eventually
from tests.contract.conftest import Api
from tests.contract.delivering import webhook, working

LEASE_SECONDS = 1
#: The first answer comes when a lease that was not renewed meanwhile is over.
HOLD_SECONDS = 2.5
CLAIMED = "select count(*) = 2 from delivery where status = 'sending'"
ANSWERED = "select count(*) = 1 from attempt"


async def test_a_worker_that_can_not_renew_its_lease_sends_nothing_more(api: Api) -> None:
    """What it has claimed and not sent when its lease is over by its own clock waits for another lease."""
    async with Receiver.listen(behaviour=Behaviour(delay_seconds=HOLD_SECONDS)) as receiver:
        await webhook(api, receiver, concurrency=1)
        async with working(api, lease_seconds=LEASE_SECONDS):
            for record in ("c-1", "c-2"):
                await api.put(f"/customers/{record}", {"firstName": "Ada"})
            connection = await asyncpg.connect(api.database)
            try:
                await eventually(lambda: connection.fetchval(CLAIMED))
                await receiver.expect(1)
                async with connection.transaction():
                    await connection.execute("select from worker for update")
                    await eventually(lambda: connection.fetchval(ANSWERED))
                    # Long enough for what would be sent as soon as there is a place for it.
                    renewable_at = time.monotonic() + 0.5
                    await eventually(lambda: time.monotonic() > renewable_at)
            finally:
                await connection.close()
            receiver.behave(Behaviour())
            await receiver.expect(2)
    assert receiver.received[1].at >= renewable_at
