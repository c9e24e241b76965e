"""A worker sends only while it knows that its lease holds."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from retailos.receiver import Behaviour, Receiver
from tests.conftest import eventually
from tests.contract.conftest import Api
from tests.contract.delivering import webhook, working

LEASE_SECONDS = 1
#: The first answer comes when a lease that was not renewed meanwhile is over, however long it took to see to that.
HOLD_SECONDS = 4.0
CLAIMED = "select count(*) = 2 from delivery where status = 'sending'"
ANSWERED = "select count(*) = 1 from attempt"
TOKEN = b'{"access_token": "t", "expires_in": 3600}'


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
                async with unrenewable(connection):
                    await eventually(lambda: connection.fetchval(ANSWERED))
                    renewable_at = await later(time.monotonic())
            finally:
                await connection.close()
            receiver.behave(Behaviour())
            await receiver.expect(2)
    assert receiver.received[1].at >= renewable_at


async def test_a_worker_whose_lease_ended_while_it_waited_for_a_token_does_not_send(api: Api) -> None:
    """The lease is looked at again when the token has come, since what was read before may be old by then."""
    answered = Behaviour(body=TOKEN, delay_seconds=HOLD_SECONDS)
    async with Receiver.listen(behaviour=answered) as tokens, Receiver.listen() as receiver:
        client = {"type": "oauth2", "tokenUrl": f"{tokens.url}/token", "clientId": "us", "clientSecret": "s3cret"}
        await webhook(api, receiver, credentials=client)
        async with working(api, lease_seconds=LEASE_SECONDS):
            await api.put("/customers/c-1", {"firstName": "Ada"})
            connection = await asyncpg.connect(api.database)
            try:
                await tokens.expect(1)
                async with unrenewable(connection):
                    renewable_at = await later(tokens.received[0].at + HOLD_SECONDS)
            finally:
                await connection.close()
            await receiver.expect(1)
    assert receiver.received[0].at >= renewable_at
    assert tokens.count == 1


@asynccontextmanager
async def unrenewable(connection: asyncpg.Connection) -> AsyncIterator[None]:
    """Let no lease be renewed for the length of the block."""
    async with connection.transaction():
        await connection.execute("select from worker for update")
        yield


async def later(moment: float) -> float:
    """Wait for long enough after a moment that what would be sent then has been sent; the moment it is by then."""
    until = moment + 0.5
    await eventually(lambda: time.monotonic() > until)
    return until
