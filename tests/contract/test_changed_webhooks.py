"""A webhook that is changed while it sends: its requests keep their number, and nothing of it is forgotten."""

import asyncio
import time
from contextlib import AsyncExitStack
from uuid import uuid4

from retailos.database.pool import acquire
from retailos.deliveries import register
from retailos.receiver import Behaviour, Receiver
from retailos.sending.lanes import DRAIN_SECONDS
from retailos.sending.lost import LostClaims
from retailos.sending.worker import LOOK_SECONDS
from tests.conftest import PATIENCE_SECONDS, eventually
from tests.contract.conftest import Api
from tests.contract.delivering import all_settled, most_at_once, transaction_of, webhook, working

#: Longer than a worker takes to hear of a change of a webhook, where it is not kept from looking.
LONG_SECONDS = LOOK_SECONDS * 1.5
ADA = {"firstName": "Ada", "lastName": "Lovelace"}


async def write(api: Api, count: int) -> None:
    """Write so many customers at once."""
    sent = [ADA | {"externalCustomerId": f"c-{number}"} for number in range(count)]
    assert (await api.put("/customers", {"customers": sent})).status == 200


async def change(api: Api, webhook_id: int, retry_limit: int) -> None:
    """Change something of a webhook, so that it is sent for by another lane from then on."""
    assert (await api.admin("PUT", f"/webhooks/{webhook_id}", json={"retryLimit": retry_limit})).status == 200


async def test_a_webhook_that_changes_sends_no_more_at_once(api: Api) -> None:
    """However often a webhook is changed, what was under way before counts until it has ended."""
    async with Receiver.listen(behaviour=Behaviour(delay_seconds=LONG_SECONDS)) as receiver, working(api):
        made = await webhook(api, receiver, concurrency=1)
        await write(api, 4)
        for number in range(1, 4):
            await receiver.expect(number)
            await change(api, made, number)
        await receiver.expect(4)
        receiver.behave(Behaviour())
        await all_settled(api)
    assert len(receiver.received) == 4
    assert most_at_once(receiver.received, LONG_SECONDS * 0.95) == 1


#: Locks what is claimed and was not sent.
UNSENT = """
select from delivery join customers on id = record_id where status = 'sending' and external_id <> all($1::text[])
for update of delivery
"""
#: Cuts off whoever waits for such locks to give claims back.
CUT_OFF = """
select bool_or(pg_terminate_backend(pid)) from pg_stat_activity
where datname = current_database() and wait_event_type = 'Lock' and query like '%released%'
"""


async def test_what_a_changed_webhook_can_not_give_back_is_given_back_later(api: Api) -> None:
    """The connection breaks, again and again, while claims that nobody will send are given back; all arrive."""
    async with Receiver.listen(behaviour=Behaviour(delay_seconds=3 * LONG_SECONDS)) as receiver, working(api):
        made = await webhook(api, receiver, concurrency=2)
        await write(api, 20)
        sent = [each.path.rpartition("/")[2] for each in await receiver.expect(2)]
        async with acquire(api.engine.pool) as operator, transaction_of(api) as writing:
            await writing.execute(UNSENT, sent)
            await change(api, made, 3)
            for _ in range(3):
                assert await eventually(lambda: operator.fetchval(CUT_OFF))
        receiver.behave(Behaviour())
        await all_settled(api)
    assert {each.path.rpartition("/")[2] for each in receiver.received} == {f"c-{number}" for number in range(20)}


#: A worker is about to read the secrets of a webhook that it knows.
READS = """
select count(*) > 0 from pg_stat_activity
where datname = current_database() and wait_event_type = 'Lock' and query like '%name, key_id, sealed from secret%'
"""
ELSEWHERE = """
update webhook set settings = jsonb_set(settings, '{url}', to_jsonb($2::text)), updated_at = updated_at + interval '1 s'
where id = $1
"""


async def test_a_former_receiver_gets_no_secret_that_was_saved_later(api: Api) -> None:
    """A webhook that is changed between a worker's look at it and at its secrets sends as it is by then."""
    pool = api.engine.pool
    async with Receiver.listen() as former, Receiver.listen() as receiver, AsyncExitStack() as stack:
        made = await webhook(api, former)
        await write(api, 3)
        async with acquire(pool) as operator, transaction_of(api) as changing:
            await changing.execute("lock table secret in access exclusive mode")
            await stack.enter_async_context(working(api))
            assert await eventually(lambda: operator.fetchval(READS))
            await changing.execute(ELSEWHERE, made, f"{receiver.url}/{{externalCustomerId}}")
        await all_settled(api)
        assert (former.count, receiver.count) == (0, 3)


#: Cuts off whoever waits to claim.
CLAIM_CUT_OFF = """
select bool_or(pg_terminate_backend(pid)) from pg_stat_activity
where datname = current_database() and wait_event_type = 'Lock' and query like '%taken as materialized%'
"""


async def test_nobody_waits_for_a_lost_claim_of_a_worker_that_stops(api: Api) -> None:
    """A worker that is told to stop leaves claims whose answer was lost, also those of webhooks as they were before."""
    async with Receiver.listen() as receiver, AsyncExitStack() as stack:
        await stack.enter_async_context(working(api))
        made = await webhook(api, receiver)
        async with acquire(api.engine.pool) as operator, transaction_of(api) as holding:
            await holding.execute("select from worker for update")
            await write(api, 2)
            assert await eventually(lambda: operator.fetchval(CLAIM_CUT_OFF))
        url = f"{receiver.url}/changed/{{externalCustomerId}}"
        assert (await api.admin("PUT", f"/webhooks/{made}", json={"url": url})).status == 200
        await write(api, 3)
        await receiver.wait_until(lambda each: any(received.path == "/changed/c-2" for received in each.received))
        asked = time.monotonic()
        await stack.aclose()
    assert time.monotonic() - asked < DRAIN_SECONDS / 2


async def test_a_claim_that_is_made_after_it_was_looked_for_is_found_all_the_same(api: Api) -> None:
    """What nobody has heard of may be claimed late: it is looked for once more when it can't be any later."""
    async with Receiver.listen() as receiver:
        made = await webhook(api, receiver)
        await write(api, 3)
        lost, token = LostClaims(api.engine.pool, made, late_seconds=2.0), uuid4()
        lost.add(token)
        assert lost.due
        await lost.give_back()
        assert (len(lost), lost.due) == (1, False)
        worker = await register.enlist(api.engine.pool, "w", 60.0)
        assert len(await register.claim(api.engine.pool, made, 3, worker, token)) == 3
        async with asyncio.timeout(PATIENCE_SECONDS):
            await eventually(lambda: lost.due)
        await lost.give_back()
        assert len(lost) == 0
        assert len(await register.claim(api.engine.pool, made, 3, worker, uuid4())) == 3
