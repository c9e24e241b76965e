"""What changes in a record that others show is told of these, where a webhook asks for it."""

from contextlib import AsyncExitStack
from typing import Any

import pytest

from retailos.receiver import Behaviour, Received, Receiver
from tests.conftest import eventually
from tests.contract.conftest import Api
from tests.contract.delivering import all_settled, settled, webhook, working
from tests.contract.test_scope import customer
from tests.reliability import stand

CUSTOMERS = 50
AT = {"registeredAt": {"externalStoreId": "s-1"}}
#: A webhook that has not dealt with all that its customers show.
BEHIND = """
select exists (
    select from relation_cursor as held join change on (change.xid, change.seq) > (held.xid, held.seq)
    where change.resource in ('store', 'user', 'territory')
    union all select from relation_cursor where changed is distinct from '{}'
)
"""


async def store(api: Api, name: str, external_id: str = "s-1", **fields: Any) -> None:
    """Write a store."""
    answer = await api.put(f"/stores/{external_id}", {"name": name} | fields)
    assert answer.status == 200, answer.body


async def customers(api: Api, count: int) -> None:
    """Write customers that were registered at the store, once that is known to be there."""
    await followed(api)
    rows = [{"externalCustomerId": f"c-{i}", "lastName": "L", **AT} for i in range(count)]
    answer = await api.request("PUT", "/v2/public/customers", json={"customers": rows})
    assert answer.status == 200, answer.body


def shown(received: Received) -> tuple[str, str]:
    """Which customer was told, and the name of the store within."""
    body = received.json()["customer"]
    return body["externalCustomerId"], body["registeredAt"]["name"]


async def followed(api: Api) -> None:
    """Wait until every webhook that follows has dealt with all that has changed by now."""

    async def look() -> bool:
        async with api.engine.pool.acquire() as connection:
            return not await connection.fetchval(BEHIND)

    assert await eventually(look)


async def rows(api: Api) -> list[dict[str, Any]]:
    """All deliveries."""
    found: list[dict[str, Any]] = (await api.admin("GET", "/deliveries?limit=500")).result["rows"]
    return found


async def all_at_rest(api: Api) -> None:
    """Wait until nothing is to be sent."""

    async def look() -> bool:
        return all(row["status"] in ("delivered", "skipped") for row in await rows(api))

    assert await eventually(look)


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_store_that_changes_is_told_of_its_customers(api: Api, workers: int) -> None:
    """Each customer goes out once with the store's new name, whoever of the workers marks it; who ignores gets none."""
    async with AsyncExitStack() as stack:
        receiver, other = [await stack.enter_async_context(Receiver.listen()) for _ in range(2)]
        for _ in range(workers):
            await stack.enter_async_context(working(api))
        await webhook(api, receiver, onRelationChange="mark")
        await webhook(api, other, name="other")
        await store(api, "Old")
        await customers(api, CUSTOMERS)
        await all_settled(api)
        await followed(api)
        await store(api, "New")
        await followed(api)
        await receiver.expect(2 * CUSTOMERS)
        await all_settled(api)
        told = [shown(each) for each in list(receiver.received)[CUSTOMERS:]]
        assert sorted(told) == sorted((f"c-{i}", "New") for i in range(CUSTOMERS))
        assert other.count == CUSTOMERS


async def test_what_is_not_shown_sends_nothing(api: Api) -> None:
    """A change beside the projection is looked at and skipped; a change of the record's own is told as ever."""
    async with Receiver.listen() as receiver, working(api):
        made = await webhook(api, receiver, onRelationChange="mark")
        await store(api, "Old")
        await customers(api, 1)
        await receiver.expect(1)
        await followed(api)
        await all_at_rest(api)
        await store(api, "Old", type="popUp")
        await followed(api)
        assert (await settled(api, made, "c-0", "skipped"))["acknowledged"] == 1
        await customer(api, "c-0", title="Dr")
        await receiver.expect(2)
        assert receiver.received[1].header("x-ra-record-version") == "2"


async def test_what_came_from_there_leaves_the_store_to_be_told(api: Api) -> None:
    """Neither an echo of the customer nor a watched field of its own keeps the store's change from being told."""
    async with Receiver.listen() as receiver, working(api):
        keys = [api.key.split("_")[2]]
        echo = await webhook(api, receiver, onRelationChange="mark", suppressEcho=keys)
        await webhook(api, receiver, name="watched", onRelationChange="mark", whenChanged=["email"])
        await store(api, "Old")
        await customers(api, 1)
        await settled(api, echo, "c-0", "skipped")
        await receiver.expect(1)
        await all_at_rest(api)
        await followed(api)
        await store(api, "New")
        await receiver.expect(3)
        assert [shown(each) for each in receiver.received] == [("c-0", "Old"), ("c-0", "New"), ("c-0", "New")]


async def test_a_paused_webhook_accumulates_and_a_disabled_one_catches_up(api: Api) -> None:
    """While paused the customers are owed; while disabled they are not, and are marked once it is enabled."""
    async with Receiver.listen() as receiver, working(api):
        made = await webhook(api, receiver, onRelationChange="mark")
        await store(api, "One")
        await customers(api, 3)
        await all_settled(api)
        await followed(api)
        await api.admin("POST", f"/webhooks/{made}/pause", json={})
        await store(api, "Two")
        await followed(api)
        assert {row["status"] for row in await rows(api)} == {"owed"}
        await api.admin("POST", f"/webhooks/{made}/resume", json={})
        await receiver.expect(6)
        await all_settled(api)
        await api.admin("POST", f"/webhooks/{made}/disable", json={})
        await store(api, "Three")
        await store(api, "elsewhere", "s-2")
        assert {row["status"] for row in await rows(api)} <= {"delivered", "skipped"}
        await api.admin("POST", f"/webhooks/{made}/enable", json={})
        await receiver.expect(9)
        assert {shown(each)[1] for each in list(receiver.received)[6:]} == {"Three"}


async def test_it_begins_when_it_is_switched_on(api: Api) -> None:
    """What changed before is not told, and after it is switched off nothing is kept of it."""
    async with Receiver.listen() as receiver, working(api):
        made = await webhook(api, receiver)
        await store(api, "One")
        await customers(api, 2)
        await all_settled(api)
        await store(api, "Two")
        await api.admin("PUT", f"/webhooks/{made}", json={"onRelationChange": "mark"})
        await followed(api)
        assert receiver.count == 2
        await store(api, "Three")
        await receiver.expect(4)
        await api.admin("PUT", f"/webhooks/{made}", json={"onRelationChange": "ignore"})
        async with api.engine.pool.acquire() as connection:
            assert await connection.fetchval("select count(*) from relation_cursor") == 0


async def test_what_the_feed_has_forgotten_may_have_changed(api: Api) -> None:
    """Where changes behind the cursor are gone, every record is looked at, and what is new in one is told."""
    async with Receiver.listen() as receiver, working(api):
        made = await webhook(api, receiver, onRelationChange="mark")
        await store(api, "Old")
        await customers(api, 3)
        await customer(api, "elsewhere")
        await all_settled(api)
        await followed(api)
        await api.admin("POST", f"/webhooks/{made}/disable", json={})
        await store(api, "New")
        async with api.engine.pool.acquire() as connection:
            while await connection.fetchval("select drop_history('change', now() + interval '3 days')"):
                pass
            assert await connection.fetchval("select exists (select from change_horizon where resource = 'store')")
        await api.admin("POST", f"/webhooks/{made}/enable", json={})
        await receiver.expect(7)
        await followed(api)
        await all_at_rest(api)
        assert sorted(shown(each) for each in list(receiver.received)[4:]) == [(f"c-{i}", "New") for i in range(3)]


async def test_a_killed_worker_leaves_none_untold(api: Api) -> None:
    """A worker that is killed while customers are marked and sent leaves the rest to another; each gets the name."""
    leased: dict[str, Any] = {"lease_seconds": 2.0, "late_seconds": 0.0}
    settings = {"database_url": api.database, "allow_addresses": "127.0.0.0/8", **leased}
    async with Receiver.listen(behaviour=Behaviour(delay_seconds=0.05)) as receiver:
        await webhook(api, receiver, onRelationChange="mark", concurrency=4, timeout=2)
        await store(api, "Old")
        async with stand.program("serve", "--worker", **settings) as worker:
            await customers(api, 3 * CUSTOMERS)
            await receiver.expect(3 * CUSTOMERS)
            await all_settled(api)
            await store(api, "New")
            await receiver.expect(3 * CUSTOMERS + 20)
            await worker.kill()
        async with working(api, **leased):
            await followed(api)
            await all_at_rest(api)
        newest = dict(shown(each) for each in receiver.received)
        assert newest == {f"c-{i}": "New" for i in range(3 * CUSTOMERS)}
