"""Circles of parked upserts: of two transactions that each bring what the other one misses, one closes the circle."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import msgspec

from retailos.records import body, careful, parked, sql, waking
from retailos.records.careful import Demand, Origin
from retailos.records.identity import new_id
from retailos.records.record import Draft, Outcome, Written
from retailos.records.resolve import Unresolved, resolve
from retailos.records.upsert import Upsert
from retailos.resources import RESOURCES
from tests.conftest import eventually
from tests.store.conftest import Store
from tests.store.test_waking import begun, is_blocked

LINE: Final = {"externalOrderLineId": "1", "sku": "s", "name": "J", "quantity": 1, "unitPrice": "1.00", "total": "1.00"}
ORDER: Final = {"placedAt": "2026-11-01T10:00:00.000Z", "currency": "GBP", "total": "1.00", "lines": [LINE]}
VISIT: Final = {"startAt": "2026-11-01T10:00:00.000Z", "endAt": "2026-11-01T11:00:00.000Z"}


def draft(kind: str, name: str, content: Mapping[str, Any], **refers: tuple[str, str]) -> Draft:
    """A record that refers to others: each reference to a resource and an external id."""
    nested = {each: {RESOURCES[to].external_id.name: key} for each, (to, key) in refers.items()}
    return body.read(RESOURCES, RESOURCES[kind], msgspec.json.encode({**content, **nested}), external_id=name)


def basket(name: str = "b", order: str = "o") -> Draft:
    """A basket of which an order was made."""
    return draft("basket", name, {"currency": "GBP"}, order=("order", order))


def order(name: str = "o", **refers: tuple[str, str]) -> Draft:
    """An order, of the basket b unless it says otherwise."""
    return draft("order", name, ORDER, **refers or {"basket": ("basket", "b")})


def orders(count: int) -> list[Draft]:
    """Orders each of which names the next, and the last the first."""
    return [order(f"o-{i}", originalOrder=("order", f"o-{(i + 1) % count}")) for i in range(count)]


async def within(transaction: Any, kind: str, one: Draft) -> Written:
    """Write a draft in a transaction, or park it."""
    return await waking.write_one(transaction, RESOURCES, RESOURCES[kind], Upsert(draft=one))


async def whole(store: Store, jobs: int) -> None:
    """See that nothing waits any more, and that every job has made its record."""
    assert await store.value("select count(*) from parked") + await store.value("select count(*) from awaited") == 0
    assert await store.value("select count(*) from job where status = 'completed' and outcome = 'created'") == jobs
    assert await store.value("select count(*) from job") == jobs


async def test_two_who_close_a_circle_at_once_do_not_leave_it_to_each_other(store: Store) -> None:
    """A basket and its order that are parked at the same time, each unseen by the other: who comes second closes it."""
    async with begun(store) as parking:
        assert (await within(parking, "basket", basket())).outcome is Outcome.PARKED
        other = asyncio.create_task(store.writer.write(RESOURCES["order"], order()))
        await eventually(lambda: is_blocked(store.pool))
    assert (await other).outcome is Outcome.CREATED
    await whole(store, 2)
    assert await store.value("select count(*) from orders join baskets on order_id = orders.id") == 1
    assert await store.value("select count(*) from baskets join orders on basket_id = baskets.id") == 1


async def test_those_who_share_no_record_do_not_leave_it_to_each_other(store: Store) -> None:
    """Of four orders in a circle two wait, and the others, which name neither each other nor the same, come at once."""
    ring = orders(4)
    for i in (0, 2):
        assert (await store.writer.write(RESOURCES["order"], ring[i])).outcome is Outcome.PARKED
    async with begun(store) as parking:
        assert (await within(parking, "order", ring[1])).outcome is Outcome.PARKED
        other = asyncio.create_task(store.writer.write(RESOURCES["order"], ring[3]))
        await eventually(lambda: is_blocked(store.pool))
    assert (await other).outcome is Outcome.CREATED
    await whole(store, 4)
    assert await store.value("select count(distinct original_order_id) from orders") == 4


async def an_appointment(store: Store) -> Draft:
    """Park an appointment that waits for its store and its order; give the order, which waits for the appointment."""
    visit = draft("appointment", "a", VISIT, store=("store", "s"), order=("order", "o"))
    assert (await store.writer.write(RESOURCES["appointment"], visit)).outcome is Outcome.PARKED
    return order(appointment=("appointment", "a"))


async def test_who_brings_what_a_circle_waits_for_and_who_closes_it_see_each_other(store: Store) -> None:
    """A store that an appointment waits for, and the order that it waits for too, come at once, the store first."""
    last = await an_appointment(store)
    async with begun(store) as making:
        await within(making, "store", draft("store", "s", {"name": "X"}))
        other = asyncio.create_task(store.writer.write(RESOURCES["order"], last))
        await eventually(lambda: is_blocked(store.pool))
    assert (await other).outcome is Outcome.CREATED
    await whole(store, 3)


async def test_who_closes_a_circle_and_who_brings_what_it_waits_for_see_each_other(store: Store) -> None:
    """The same, and the order is parked first: the store that comes meanwhile waits for that, and closes the circle."""
    last = await an_appointment(store)
    async with begun(store) as parking:
        assert (await within(parking, "order", last)).outcome is Outcome.PARKED
        other = asyncio.create_task(store.write("store", "s", {"name": "X"}))
        await eventually(lambda: is_blocked(store.pool))
    assert (await other).outcome is Outcome.CREATED
    await whole(store, 3)


async def test_a_member_that_is_given_up_meanwhile_is_not_written(store: Store) -> None:
    """While a basket's deletion is being committed its order comes, waits for that, and then waits for a basket."""
    await store.writer.write(RESOURCES["basket"], basket())
    async with begun(store) as deleting:
        await careful.delete(deleting, RESOURCES["basket"], Demand(external_id="b"), Origin())
        other = asyncio.create_task(store.writer.write(RESOURCES["order"], order()))
        await eventually(lambda: is_blocked(store.pool))
    assert (await other).outcome is Outcome.PARKED
    assert await store.value("select count(*) from orders") + await store.value("select count(*) from baskets") == 0
    assert (await store.writer.write(RESOURCES["basket"], basket())).outcome is Outcome.CREATED
    assert await store.value("select count(*) from parked") == 0


async def last_of(store: Store, ring: list[Draft]) -> asyncio.Task[Written]:
    """Bring the last order of a ring whose others wait, while another transaction is in the way."""
    last = asyncio.create_task(store.writer.write(RESOURCES["order"], ring[-1]))
    await eventually(lambda: is_blocked(store.pool))
    return last


async def test_a_member_that_is_replaced_meanwhile_is_written_as_it_is_then(store: Store) -> None:
    """While a newer upsert takes the place of one that is on a circle, the circle waits, and is closed with it."""
    ring = orders(3)
    for each in ring[:2]:
        await store.writer.write(RESOURCES["order"], each)
    newer = msgspec.structs.replace(ring[1], patch={**ring[1].patch, "note": "newer"})
    async with begun(store) as replacing:
        await parked.supersede(replacing, RESOURCES["order"], {("o-1", False): newer})
        [finding] = await resolve(replacing, RESOURCES, RESOURCES["order"], [newer])
        assert isinstance(finding, Unresolved)
        await parked.keep(replacing, RESOURCES["order"], [(Upsert(draft=newer), finding)], {})
        last = await last_of(store, ring)
    assert (await last).outcome is Outcome.CREATED
    assert await store.value("select count(*) from parked") == 0
    assert await store.value("select body->>'note' from orders where external_id = 'o-1'") == "newer"


async def test_a_reference_is_to_the_record_that_is_there(store: Store) -> None:
    """An order that was made past those who look, while its circle was being closed: the others refer to that one."""
    ring = orders(3)
    for each in ring[:2]:
        await store.writer.write(RESOURCES["order"], each)
    there: UUID = new_id()
    async with begun(store) as making:
        await making.execute(sql.keep_places(RESOURCES["order"]), [there], ["o-1"])
        last = await last_of(store, ring)
    assert (await last).outcome is Outcome.CREATED
    assert await store.value("select count(*) from parked") == 0
    assert await store.value("select id from orders where external_id = 'o-1'") == there
    assert await store.value("select original_order_id from orders where external_id = 'o-0'") == there


async def test_what_can_stand_in_no_circle_is_not_looked_at(store: Store) -> None:
    """A customer waits for a store, which never waits for a customer: so his place is not taken."""
    customer = draft("customer", "c", {"firstName": "Ada"}, registeredAt=("store", "s"))
    async with begun(store) as parking:
        assert (await within(parking, "customer", customer)).outcome is Outcome.PARKED
        assert (await store.write("customer", "c", {"firstName": "Eve"})).outcome is Outcome.CREATED
