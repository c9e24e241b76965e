"""The writer: concurrent upserts share statements and commits, in order, and a bad one hurts nobody else."""

import asyncio
from collections import Counter
from itertools import pairwise
from random import Random
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from retailos.database.pool import Pool
from retailos.errors import (
    IdMismatch,
    NotUnique,
    ReferenceConflict,
    ReferenceNotFound,
    RetailOSError,
    Unavailable,
    ValidationFailed,
)
from retailos.records.record import Draft, Outcome, Want, Written
from retailos.records.writer import BATCH_MOST, WAITING_MOST
from retailos.resources import RESOURCES
from tests.conftest import eventually
from tests.store.conftest import Store, add_webhook, stored

CUSTOMER, USER, REGION = RESOURCES["customer"], RESOURCES["user"], RESOURCES["region"]
NOBODY = UUID(int=1)
WAITING = "select count(*) > 0 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"


async def changes_of(pool: Pool, record_id: UUID) -> list[Any]:
    """The changes of a record, in the order of their versions."""
    rows: list[Any] = await pool.fetch("select * from change where record_id = $1 order by version", record_id)
    return rows


async def tally_is_the_count(pool: Pool) -> None:
    """See that the tally of each resource is the number of its living records."""
    for resource in RESOURCES.values():
        count = await pool.fetchval(f"select count(*) from {resource.table} where deleted_at is null")
        tally = "select coalesce(sum(delta), 0)::bigint from tally where resource = $1"
        assert await pool.fetchval(tally, resource.name) == count, resource.name


async def test_concurrent_upserts_of_one_record_make_one_record(store: Store) -> None:
    """Fifty writers with forty upserts each of one external id make one record, its versions gapless, none lost."""

    async def write(who: int) -> list[Written]:
        return [await store.write("customer", "c-1", {"details": {"who": who, "turn": turn}}) for turn in range(40)]

    results = [each for many in await asyncio.gather(*(write(who) for who in range(50))) for each in many]
    assert Counter(each.outcome for each in results) == {Outcome.CREATED: 1, Outcome.UPDATED: 1999}
    assert sorted(each.version for each in results) == list(range(1, 2001))
    assert len({each.record_id for each in results}) == 1
    [row] = await store.pool.fetch("select * from customers")
    assert (row["version"], row["external_id"]) == (2000, "c-1")
    last = next(each for each in results if each.version == 2000)
    changes = await changes_of(store.pool, last.record_id)
    assert [each["version"] for each in changes] == list(range(1, 2001))
    assert all(earlier["at"] < later["at"] for earlier, later in pairwise(changes))
    assert changes[-1]["at"] == row["updated_at"]
    assert await store.value("select count(*) from job where outcome in ('created', 'updated')") == 2000
    await tally_is_the_count(store.pool)


async def test_what_waits_goes_together(store: Store) -> None:
    """Upserts of different records that arrive at once share a few commits."""
    await asyncio.gather(*(store.write("customer", f"c-{i}", {"firstName": "Ada"}) for i in range(1000)))
    assert len(store.commits) <= 1000 / BATCH_MOST + 2
    assert await store.value("select count(*) from customers") == 1000
    await tally_is_the_count(store.pool)


async def test_upserts_are_applied_in_the_order_of_their_coming(store: Store) -> None:
    """However they are batched, upserts of one external id are applied as they came."""
    keys = [f"c-{i % 7}" for i in range(210)]
    writes = [store.write("customer", key, {"details": {"i": i}}) for i, key in enumerate(keys)]
    results = await asyncio.gather(*writes)
    for key in set(keys):
        own = [each.version for each, owner in zip(results, keys, strict=True) if owner == key]
        assert own == list(range(1, 31))
        last = max(i for i, owner in enumerate(keys) if owner == key)
        assert await store.value("select body->'details'->>'i' from customers where external_id = $1", key) == str(last)


async def test_a_bad_row_fails_alone(store: Store) -> None:
    """A user whose name is taken, a reference that is missing and an id that is wrong fail alone among many good."""

    def user(i: int, **fields: Any) -> Draft:
        return Draft(external_id=f"u-{i}", patch={"username": f"name-{i}"} | fields)

    drafts = [user(i) for i in range(40)]
    drafts[7] = user(7, username="NAME-3")
    drafts[9] = Draft(
        external_id="u-9",
        patch={"username": "name-9"},
        wants=(Want(reference="currentStore", at="/currentStore", external_id="nobody"),),
        at="/user",
    )
    await store.write("user", "u-20", {"username": "name-20"})
    drafts[20] = Draft(external_id="u-20", patch={"username": "name-20"}, claimed_id=NOBODY)
    results = await asyncio.gather(*(store.writer.write(USER, each) for each in drafts), return_exceptions=True)
    failed = {i: each for i, each in enumerate(results) if isinstance(each, BaseException)}
    assert {i: type(each) for i, each in failed.items()} == {7: NotUnique, 9: ReferenceNotFound, 20: IdMismatch}
    assert isinstance(failed[7], NotUnique)
    assert [(each.path, each.code) for each in failed[7].problems] == [("/username", "NOT_UNIQUE")]
    assert isinstance(failed[9], ReferenceNotFound)
    assert [each.path for each in failed[9].problems] == ["/user/currentStore"]
    assert all(isinstance(each, Written) for i, each in enumerate(results) if i not in failed)
    assert await store.value("select count(*) from users") == 38
    await tally_is_the_count(store.pool)


async def test_two_who_want_one_name_do_not_both_get_it(store: Store) -> None:
    """Of two users who ask for one username at once, one gets it."""
    writes = (store.write("user", f"u-{i}", {"username": "same"}) for i in range(2))
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert {type(each) for each in results} == {Written, NotUnique}
    assert await store.value("select count(*) from users") == 1


async def test_two_processes_make_the_same_records_once(store: Store) -> None:
    """Two writers that make the same records with the same content at once make each once, and both are answered."""
    async with stored(store.database) as other:
        for turn in range(15):
            drafts = [Draft(external_id=f"c-{turn}-{i}", patch={"firstName": "Ada"}) for i in range(30)]
            shuffled = Random(turn).sample(drafts, len(drafts))
            results = await asyncio.gather(
                *(store.writer.write(CUSTOMER, each) for each in drafts),
                *(other.writer.write(CUSTOMER, each) for each in shuffled),
            )
            outcomes: dict[str, list[str]] = {}
            for each in results:
                outcomes.setdefault(each.external_id, []).append(each.outcome)
            assert {tuple(sorted(each)) for each in outcomes.values()} == {("created", "unchanged")}
            assert {each.version for each in results} == {1}
    assert await store.value("select count(*) from customers") == 450
    assert await store.value("select count(*) from change") == 450
    await tally_is_the_count(store.pool)


async def test_two_processes_that_change_the_same_records_lose_nothing(store: Store) -> None:
    """Two writers that change the same records at once leave gapless versions and a change for each."""
    async with stored(store.database) as other:
        random = Random(3)
        writes = [
            (store, other)[i % 2].write("customer", f"c-{random.randrange(20)}", {"details": {"i": i}})
            for i in range(600)
        ]
        results = await asyncio.gather(*writes)
    versions: dict[UUID, list[int]] = {}
    for each in results:
        versions.setdefault(each.record_id, []).append(each.version)
    for record_id, own in versions.items():
        assert sorted(own) == list(range(1, len(own) + 1))
        assert [each["version"] for each in await changes_of(store.pool, record_id)] == sorted(own)
    assert await store.value("select sum(version) from customers") == 600
    await tally_is_the_count(store.pool)


async def test_who_is_chosen_to_give_way_writes_again(store: Store) -> None:
    """Where a batch and another transaction wait for each other, and PostgreSQL undoes the batch, it is done again."""
    for external_id in ("c-1", "c-2"):
        await store.write("customer", external_id, {"firstName": "A"})
    change = "update customers set version = version + 1, updated_at = updated_at + interval '1 ms'"
    async with store.pool.acquire() as other, other.transaction():
        # It is not the other one that finds out and gives way.
        await other.execute("set local deadlock_timeout = '1 min'")
        await other.execute(f"{change} where external_id = 'c-2'")
        writes = [asyncio.create_task(store.write("customer", f"c-{i}", {"firstName": "B"})) for i in (1, 2)]
        await eventually(lambda: store.value(WAITING))
        await other.execute(f"{change} where external_id = 'c-1'")
    written = await asyncio.gather(*writes)
    assert {each.outcome for each in written} == {Outcome.UPDATED}
    # Once the batch is undone, either of the two may be the first at c-1; at c-2 the other one was.
    assert (written[0].version in (2, 3), written[1].version) == (True, 3)
    assert [row["version"] for row in await store.pool.fetch("select version from customers")] == [3, 3]


async def test_what_changes_nothing_touches_nothing(store: Store) -> None:
    """An upsert that changes nothing leaves the very row as it was, and no change, and owes nothing."""
    await add_webhook(store.pool)
    body = {"firstName": "Ada", "details": {"b": 1, "a": [1, 2]}, "smsMarketing": False}
    first = await store.write("customer", "c-1", body)
    before = await store.pool.fetchrow("select xmin::text, ctid::text, * from customers")
    for same in (body, {}, {"details": {"a": [1, 2], "b": 1}}, {"emailMarketing": False, "title": None}):
        again = await store.write("customer", "c-1", same)
        assert (again.outcome, again.version, again.record_id) == (Outcome.UNCHANGED, 1, first.record_id)
    assert await store.pool.fetchrow("select xmin::text, ctid::text, * from customers") == before
    assert await store.value("select count(*) from change") == 1
    assert await store.value("select wanted from delivery") == 1


async def test_a_deleted_record_comes_back(store: Store) -> None:
    """An upsert of a deleted record brings it back, as a change, and it is counted again."""
    await add_webhook(store.pool)
    first = await store.write("customer", "c-1", {"firstName": "Ada"})
    await store.pool.execute("update customers set deleted_at = now(); insert into tally values ('customer', -1)")
    await tally_is_the_count(store.pool)
    again = await store.write("customer", "c-1", {"firstName": "Ada"})
    assert (again.outcome, again.version, again.record_id) == (Outcome.UNDELETED, 2, first.record_id)
    assert [each["operation"] for each in await changes_of(store.pool, first.record_id)] == ["create", "undelete"]
    assert await store.value("select wanted from delivery") == 2
    await tally_is_the_count(store.pool)


async def test_only_create_touches_nothing_that_exists(store: Store) -> None:
    """A write that may only create tells that a record exists, and leaves it alone, whatever goes beside it."""
    made = await store.write("customer", "c-1", {"firstName": "Ada"})
    writes = [
        store.write("customer", "c-1", {"firstName": "Eve"}, create_only=True),
        store.write("customer", "c-2", {"firstName": "Eve"}),
        store.write("customer", "c-3", {"firstName": "Eve"}, create_only=True),
        store.write("customer", None, {"firstName": "Eve"}, create_only=True),
        store.write("customer", None, {"firstName": "Eve"}, create_only=True),
    ]
    taken, *others = await asyncio.gather(*writes)
    assert (taken.outcome, taken.version, taken.record_id) == (Outcome.EXISTS, 1, made.record_id)
    assert [each.outcome for each in others] == [Outcome.CREATED] * 4
    assert [each.external_id for each in others[2:]] == [str(each.record_id) for each in others[2:]]
    assert await store.value("select body->>'firstName' from customers where external_id = 'c-1'") == "Ada"


async def test_a_create_keeps_its_place_in_the_order(store: Store) -> None:
    """A write that may only create is done before the upserts of its record that came after it."""
    results = await asyncio.gather(
        store.write("customer", "other", {"firstName": "Ada"}),
        store.write("customer", "c-1", {"firstName": "Ada"}, create_only=True),
        store.write("customer", "c-1", {"firstName": "Eve"}),
        store.write("customer", "c-1", {"firstName": "Mae"}, create_only=True),
    )
    assert [each.outcome for each in results[1:]] == [Outcome.CREATED, Outcome.UPDATED, Outcome.EXISTS]
    assert await store.value("select body->>'firstName' from customers where external_id = 'c-1'") == "Eve"


async def test_a_former_id_leads_to_the_record(store: Store) -> None:
    """An upsert of an id that a record had before changes that record, also beside one of its present id."""
    made = await store.write("customer", "new", {"firstName": "Ada"})
    await store.pool.execute("insert into alias values ('customer', 'old', $1)", made.record_id)
    old = await store.write("customer", "old", {"firstName": "Eve"})
    assert (old.outcome, old.external_id, old.record_id, old.version) == (Outcome.UPDATED, "new", made.record_id, 2)
    results = await asyncio.gather(
        store.write("customer", "old", {"title": "Ms"}), store.write("customer", "new", {"gender": "Female"})
    )
    assert sorted(each.version for each in results) == [3, 4]
    row = await store.pool.fetchrow("select body->>'title' as title, body->>'gender' as gender from customers")
    assert row is not None
    assert tuple(row) == ("Ms", "Female")


async def test_references_of_a_batch_are_found_together(store: Store) -> None:
    """Drafts of one batch may want the same and different records, by id and by external id, and get theirs."""
    stores = [await store.write("store", f"s-{i}", {"name": "X"}) for i in range(5)]

    def draft(i: int) -> Draft:
        found = stores[i % 5]
        by_id = Want(reference="registeredAt", at="/registeredAtId", id=found.record_id)
        by_name = Want(reference="registeredAt", at="/registeredAt", external_id=found.external_id)
        both = Want(reference="registeredAt", at="/registeredAt", id=found.record_id, external_id=found.external_id)
        return Draft(external_id=f"c-{i}", patch={"firstName": "A"}, wants=((by_id, by_name, both)[i % 3],))

    await asyncio.gather(*(store.writer.write(CUSTOMER, draft(i)) for i in range(60)))
    rows = await store.pool.fetch("select external_id, registered_at_id from customers")
    assert {row[0]: row[1] for row in rows} == {f"c-{i}": stores[i % 5].record_id for i in range(60)}
    torn = Want(reference="registeredAt", at="/registeredAt", id=stores[0].record_id, external_id="s-1")
    with pytest.raises(ReferenceConflict):
        await store.writer.write(CUSTOMER, Draft(external_id="x", patch={}, wants=(torn,)))


async def test_a_tree_has_no_circle_whoever_writes_at_once(store: Store) -> None:
    """Two records that become each other's parent at once do not both succeed."""

    async def below(name: str, parent: str) -> None:
        want = Want(reference="parent", at="/parent", external_id=parent)
        await store.writer.write(REGION, Draft(external_id=name, patch={"name": "X"}, wants=(want,)))

    for turn in range(20):
        one, two = f"a-{turn}", f"b-{turn}"
        for name in (one, two):
            await store.write("region", name, {"name": "X"})
        results = await asyncio.gather(below(one, two), below(two, one), return_exceptions=True)
        assert any(isinstance(each, ValidationFailed) for each in results), turn


async def test_more_than_can_be_done_soon_is_refused_at_once(store: Store) -> None:
    """When too much waits, another write is told to come back, and all that was taken in is written."""
    writes = [
        asyncio.ensure_future(store.write("customer", f"c-{i}", {"firstName": "A"})) for i in range(WAITING_MOST + 50)
    ]
    results = await asyncio.gather(*writes, return_exceptions=True)
    refused = [each for each in results if isinstance(each, Unavailable)]
    assert len(refused) == 50
    assert all(each.headers["Retry-After"] for each in refused)
    assert await store.value("select count(*) from customers") == WAITING_MOST


async def test_who_stops_waiting_stops_nobody(store: Store) -> None:
    """A caller that gives up takes nothing from the others of its batch."""
    writes = [asyncio.ensure_future(store.write("customer", f"c-{i}", {"firstName": "A"})) for i in range(20)]
    await asyncio.wait(writes, timeout=0)
    writes[3].cancel()
    results = await asyncio.gather(*writes, return_exceptions=True)
    assert [isinstance(each, Written) for each in results] == [i != 3 for i in range(20)]


async def test_closing_waits_for_what_was_taken_in(store: Store) -> None:
    """A writer that is closed has written everything that it took in."""
    writes = [asyncio.ensure_future(store.write("customer", f"c-{i}", {"firstName": "A"})) for i in range(300)]
    await asyncio.wait(writes, timeout=0)
    await store.writer.close()
    assert await store.value("select count(*) from customers") == 300
    assert all(each.done() for each in writes)


async def test_what_can_not_be_committed_is_not_acknowledged(store: Store) -> None:
    """Whoever writes is answered behind the commit: where that fails, nobody was told of a success."""
    await store.pool.execute(
        """
        create function refuse() returns trigger language plpgsql as $$
        begin raise exception 'not this one' using errcode = 'check_violation'; end $$;
        create constraint trigger refuse after insert on customers deferrable initially deferred
            for each row when (new.external_id = 'c-2') execute function refuse()
        """
    )
    await store.write("customer", "c-1", {"firstName": "A"})
    with pytest.raises((asyncpg.PostgresError, RetailOSError)):
        await store.write("customer", "c-2", {"firstName": "A"})
    assert await store.value("select count(*) from customers") == 1


async def test_an_outage_is_told_and_passes(store: Store) -> None:
    """While statements can't be made every caller is told Unavailable; afterwards the writer writes again."""
    async with store.pool.acquire() as connection:
        await connection.execute("alter table customers rename to elsewhere")
        with pytest.raises(Exception, match="customers") as caught:
            await store.write("customer", "c-1", {"firstName": "A"})
        assert not isinstance(caught.value, RetailOSError)
        await connection.execute("alter table elsewhere rename to customers")
    await store.pool.fetch(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where application_name = 'tests' and pid <> pg_backend_pid()"
    )
    results = await asyncio.gather(
        *(store.write("customer", f"c-{i}", {"firstName": "A"}) for i in range(5)), return_exceptions=True
    )
    assert {type(each) for each in results} <= {Written, Unavailable}
    assert (await store.write("customer", "c-9", {"firstName": "A"})).version == 1
