"""Settlements: what receivers have answered is written down together, and no record keeps another from it."""

import pytest

from retailos.database.pool import acquire
from retailos.receiver import Behaviour, Receiver
from retailos.sending.answered import GATHER_SECONDS
from tests.conftest import eventually
from tests.contract.conftest import Api
from tests.contract.delivering import all_settled, delivery, settled, transaction_of, webhook, working

ADA = {"firstName": "Ada", "lastName": "Lovelace"}
#: By then after a request, a register can be locked that is to be settled.
LOCKED_SECONDS = 2.5


async def write(api: Api, count: int) -> None:
    """Write so many customers at once, `c-0` the first of them."""
    sent = [ADA | {"externalCustomerId": f"c-{number}"} for number in range(count)]
    assert (await api.put("/customers", {"customers": sent})).status == 200


async def test_answers_are_settled_together_while_many_come(api: Api) -> None:
    """While a receiver is kept busy, its answers are settled by the tenth of a second, the last ones at once."""
    async with Receiver.listen(behaviour=Behaviour(delay_seconds=0.02)) as receiver, working(api):
        await webhook(api, receiver, concurrency=16)
        await write(api, 400)
        received = await receiver.expect(400)
        await all_settled(api)
    # Each settlement is a transaction of its own.
    async with acquire(api.engine.pool) as connection:
        sets = await connection.fetchval("select count(distinct xmin::text) from attempt")
    seconds = received[-1].at - received[0].at
    assert sets <= seconds / GATHER_SECONDS + 4


@pytest.mark.parametrize("size", [1, 4])
async def test_a_record_that_is_written_for_long_delays_no_other(api: Api, size: int) -> None:
    """While somebody has a record's register locked, the others are settled; that one is as soon as it is let go."""
    path = "customers" if size > 1 else "customers/{externalCustomerId}"
    async with Receiver.listen(behaviour=Behaviour(delay_seconds=LOCKED_SECONDS)) as receiver, working(api):
        made = await webhook(api, receiver, url=f"{receiver.url}/{path}", batchSize=size, batchAnswer="status")
        await write(api, 8)
        await receiver.expect(8 // size)
        async with transaction_of(api) as writing:
            locked = "select from delivery join customers on id = record_id where external_id = 'c-0' for update"
            await writing.execute(locked)
            assert await eventually(lambda: counted(api, made, "delivered", 7))
            assert await counted(api, made, "sending", 1)
            # It is waited for while others come and go.
            assert (await api.put("/customers/later", ADA)).status == 200
            await settled(api, made, "later")
            assert (await delivery(api, made, "c-0"))["attemptHistory"] == []
        await all_settled(api)
        assert len((await delivery(api, made, "c-0"))["attemptHistory"]) == 1
    async with acquire(api.engine.pool) as connection:
        batches = await connection.fetchval("select count(*) from batch")
    assert batches == (len(receiver.received) if size > 1 else 0)
    assert len(receiver.received) == 8 // size + 1


#: As many as a worker has connections.
WEBHOOKS = 12
LOCKED = "select from delivery join customers on id = record_id where external_id = 'c-0' for update"
#: Some wait to settle what was answered of that.
WAIT = "select count(*) > 1 from pg_stat_activity where wait_event_type = 'Lock' and query like '%from delivery%'"


async def test_a_record_that_is_written_for_long_leaves_a_worker_its_connections(api: Api) -> None:
    """However many webhooks tell of it, all that they have to tell of others arrives meanwhile."""
    async with Receiver.listen(behaviour=Behaviour(delay_seconds=LOCKED_SECONDS)) as receiver, working(api):
        for number in range(WEBHOOKS):
            await webhook(api, receiver, name=f"w-{number}")
        await write(api, 1)
        await receiver.expect(WEBHOOKS)
        async with acquire(api.engine.pool) as operator, transaction_of(api) as writing:
            await writing.execute(LOCKED)
            receiver.behave(Behaviour())
            assert await eventually(lambda: operator.fetchval(WAIT))
            for number in range(3):
                assert (await api.put(f"/customers/later-{number}", ADA)).status == 200
                await receiver.expect(WEBHOOKS * (number + 2))
        await all_settled(api)


async def counted(api: Api, webhook_id: int, status: str, count: int) -> bool:
    """Whether so many deliveries of a webhook are in a state."""
    return len((await api.admin("GET", f"/deliveries?webhook={webhook_id}&status={status}")).result["rows"]) == count
