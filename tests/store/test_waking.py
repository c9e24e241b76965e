"""Parked upserts: of who parks and who makes the missing record, at whatever moment, one sees the other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from retailos.database.pool import Connection, Pool
from retailos.records import sql, waking
from retailos.records.record import Draft, OnUnresolved, Outcome, Want, Written
from retailos.records.resolve import Filled
from retailos.records.upsert import Upsert, write_rows
from retailos.resources import RESOURCES
from tests.conftest import eventually
from tests.store.conftest import Store, stored

CUSTOMER, STORE, USER = RESOURCES["customer"], RESOURCES["store"], RESOURCES["user"]


def customer(name: str = "c-1", store: str = "s-1", **patch: Any) -> Draft:
    """A customer who was registered at a store, and waits for it."""
    want = Want(reference="registeredAt", at="/registeredAt", external_id=store)
    return Draft(external_id=name, patch={"firstName": "Ada"} | patch, wants=(want,), on_unresolved=OnUnresolved.PARK)


def a_store(name: str = "s-1") -> Draft:
    """A store that stands alone."""
    return Draft(external_id=name, patch={"name": "X"})


async def settled(store: Store) -> None:
    """See that nothing is parked or awaited, and each customer has its store."""
    assert await store.value("select count(*) from parked") == 0
    assert await store.value("select count(*) from awaited") == 0
    assert await store.value("select count(*) from job where status = 'unresolved'") == 0
    assert await store.value("select count(*) from customers where registered_at_id is null") == 0


async def is_blocked(pool: Pool) -> bool:
    """Whether somebody waits for a lock."""
    waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    return bool(await pool.fetchval(waiting))


@asynccontextmanager
async def begun(store: Store) -> AsyncIterator[Connection]:
    """A transaction of one connection, committed at the end of the block."""
    async with store.pool.acquire() as connection, connection.transaction():
        yield connection


async def test_who_parks_waits_for_who_is_making_the_record(store: Store) -> None:
    """While another transaction makes the store, a customer of it waits for that, and finds the store."""
    async with begun(store) as making:
        rows = [(Upsert(draft=a_store()), Filled({"name": "X"}))]
        await write_rows(making, STORE, sql.upsert(RESOURCES, STORE), rows)
        parking = asyncio.create_task(store.writer.write(CUSTOMER, customer()))
        await eventually(lambda: is_blocked(store.pool))
    assert (await parking).outcome is Outcome.CREATED
    await settled(store)


async def test_who_makes_the_record_waits_for_who_is_parking(store: Store) -> None:
    """A store that is made while a customer of it is being parked comes after it, and wakes it in one transaction."""
    async with begun(store) as parking:
        [result] = (await waking.write(parking, RESOURCES, CUSTOMER, [Upsert(draft=customer())]))[0].values()
        assert isinstance(result, Written)
        assert result.outcome is Outcome.PARKED
        # Its snapshot is older than the parking's commit, so the statement alone could not know.
        making = asyncio.create_task(store.writer.write(STORE, a_store()))
        await eventually(lambda: is_blocked(store.pool))
    assert (await making).outcome is Outcome.CREATED
    await settled(store)
    changes = await store.pool.fetch("select xid::text, resource from change order by seq")
    assert [each["resource"] for each in changes] == ["store", "customer"]
    assert len({each["xid"] for each in changes}) == 1


async def test_looking_with_the_statement_s_own_snapshot_would_lose_some(store: Store) -> None:
    """The same race, but with the look as a part of the statement: it misses what was parked while it waited."""
    naive = sql.upsert(RESOURCES, STORE).replace(
        "refuse_awaited('store', array_agg(target))",
        "not exists (select from awaited where resource = 'store' and external_id = any(array_agg(target)))",
    )
    assert naive != sql.upsert(RESOURCES, STORE)
    async with begun(store) as parking:
        await waking.write(parking, RESOURCES, CUSTOMER, [Upsert(draft=customer())])

        async def make() -> int:
            async with store.pool.acquire() as connection:
                rows = [(Upsert(draft=a_store()), Filled({"name": "X"}))]
                return len(await write_rows(connection, STORE, naive, rows))

        making = asyncio.create_task(make())
        await eventually(lambda: is_blocked(store.pool))
    assert await making == 1
    assert await store.value("select count(*) from awaited join stores using (external_id)") == 1


async def test_two_who_bring_the_two_last_records_do_not_leave_it_to_each_other(store: Store) -> None:
    """A customer that waits for two records is applied, though each of their transactions can't see the other's."""
    both = customer()
    user = Want(reference="registeredBy", at="/registeredBy", external_id="u-1")
    draft = Draft(external_id="c-1", patch=both.patch, wants=(*both.wants, user), on_unresolved=OnUnresolved.PARK)
    assert (await store.writer.write(CUSTOMER, draft)).outcome is Outcome.PARKED
    async with begun(store) as making:
        [result] = (await waking.write(making, RESOURCES, STORE, [Upsert(draft=a_store())]))[0].values()
        assert isinstance(result, Written)
        other = asyncio.create_task(store.write("user", "u-1", {"username": "n"}))
        await eventually(lambda: is_blocked(store.pool))
    assert (await other).outcome is Outcome.CREATED
    await settled(store)
    assert await store.value("select registered_by_id is not null from customers")


async def test_no_wake_up_is_lost_under_load(store: Store) -> None:
    """Of hundreds of customers and stores that arrive at once through two processes, none is left waiting."""
    async with stored(store.database) as other:
        for turn in range(4):
            writes = [
                (store, other)[i % 2].writer.write(CUSTOMER, customer(f"c-{turn}-{i}", f"s-{turn}-{i % 12}"))
                for i in range(120)
            ]
            writes += [(other, store)[i % 2].writer.write(STORE, a_store(f"s-{turn}-{i}")) for i in range(12)]
            Random(turn).shuffle(writes)
            results = await asyncio.gather(*writes)
            assert {each.outcome for each in results} <= {Outcome.CREATED, Outcome.PARKED}
    await settled(store)
    assert await store.value("select count(*) from customers where version = 1") == 480
    assert await store.value("select count(*) from job where status = 'completed'") == 528


async def test_the_last_word_of_each_sender_stands_in_the_end(store: Store) -> None:
    """While stores come, senders go on through either process: what each sent last is what is there in the end."""
    async with stored(store.database) as other:

        async def send(name: str, random: Random) -> None:
            for i in range(6):
                draft = customer(name, f"s-{random.randrange(40)}", details={"i": i})
                await random.choice((store, other)).writer.write(CUSTOMER, draft)

        async def open_stores() -> None:
            for i in Random(1).sample(range(40), 40):
                await (store, other)[i % 2].writer.write(STORE, a_store(f"s-{i}"))

        await asyncio.gather(*(send(f"c-{i}", Random(i)) for i in range(60)), open_stores())
    await settled(store)
    assert await store.value("select count(*) from customers where body->'details'->>'i' = '5'") == 60
    statuses = await store.pool.fetch("select status, count(*) from job where queue_name like '%customer%' group by 1")
    assert {each["status"] for each in statuses} <= {"completed", "superseded"}
    assert sum(each["count"] for each in statuses) == 360
