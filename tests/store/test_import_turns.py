"""Whose turn it is: one import at a time, one runner at a time, and whoever lost its hold applies nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from uuid import UUID

import pytest

from retailos.database.pool import transaction
from retailos.errors import BadRequest, Unavailable
from retailos.imports import imports, upload
from retailos.imports.apply import Hold, apply_chunk
from retailos.imports.imports import Import
from retailos.imports.rows import cut, layout_of, read_row
from retailos.imports.runner import Runner, run_next
from retailos.imports.upload import Asked, Limits
from retailos.records.identity import new_id
from retailos.resources import RESOURCES
from tests.store.conftest import Store

CUSTOMER = RESOURCES["customer"]
LAYOUT = layout_of(RESOURCES, CUSTOMER, None)
LIMITS = Limits(record_bytes=10_000, file_bytes=10_000_000)
LAPSE = "update import set lease_until = now() - interval '1 s'"


def file(name: str, count: int = 2) -> bytes:
    """Lines of JSON."""
    return b"".join(b'{"externalCustomerId": "c-%d", "firstName": "%s"}\n' % (i, name.encode()) for i in range(count))


async def sent(store: Store, data: bytes, *, breaks: bool = False) -> Import:
    """An import whose file came, or broke off."""

    async def body() -> AsyncIterator[bytes]:
        yield data
        if breaks:
            raise BadRequest("it broke off")

    asked = Asked(
        id=new_id(),
        resource=CUSTOMER,
        format="ndjson",
        gzip=False,
        max_error_rate=1.0,
        request_id=None,
        api_key_id=None,
    )
    received = await upload.receive(store.pool, RESOURCES, asked, LIMITS, body())
    async with store.pool.acquire() as connection:
        return await upload.queue(connection, received)


def runner_of(store: Store) -> Runner:
    """A runner of its own."""
    return Runner(pool=store.pool, resources=RESOURCES, lease_seconds=60.0, days=30, after_commit=lambda: None)


async def stopped_after_one(store: Store, runner: Runner, import_id: UUID) -> None:
    """Let a runner apply one chunk, and no more."""
    stop = asyncio.Event()
    await run_next(replace(runner, after_commit=stop.set), stop)
    assert await store.value("select applied from import where id = $1", import_id) == 1


async def test_whoever_lost_its_hold_applies_nothing(store: Store) -> None:
    """A runner whose lease ran out and was taken over can't apply the chunk that it still has in hand."""
    held = await sent(store, file("Ada"))
    stale, fresh = runner_of(store), runner_of(store)
    await store.pool.execute("update import set status = 'active', runner = $1, lease_until = now()", stale.id)
    rows = [read_row(RESOURCES, LAYOUT, each) for each in cut(LAYOUT, 1, file("Stale"))]
    await store.pool.execute(LAPSE)
    assert await run_next(fresh, asyncio.Event())
    for runner, number in ((stale, 1), (stale, 2), (fresh, 1)):
        hold = Hold(import_id=held.id, layout=LAYOUT, runner=runner.id, lease_seconds=60.0)
        async with transaction(store.pool) as connection:
            assert await apply_chunk(connection, RESOURCES, hold, number, rows) is None
    names = await store.pool.fetch("select distinct body->>'firstName' as name, version from customers")
    assert [(row["name"], row["version"]) for row in names] == [("Ada", 1)]


async def test_a_chunk_that_is_not_next_is_not_applied(store: Store) -> None:
    """Chunks are applied in their order, each once: one before the checkpoint and one after the next are refused."""
    held = await sent(store, file("Ada", 3_000))
    runner = runner_of(store)
    await stopped_after_one(store, runner, held.id)
    await store.pool.execute("update import set runner = $1", runner.id)
    hold = Hold(import_id=held.id, layout=LAYOUT, runner=runner.id, lease_seconds=60.0)
    for number, status in ((1, None), (3, None), (2, "active")):
        async with transaction(store.pool) as connection:
            assert await apply_chunk(connection, RESOURCES, hold, number, ()) == status


async def test_one_import_is_applied_at_a_time(store: Store) -> None:
    """While one import is held nobody begins another, and whoever stops politely gives its import back at once."""
    first, second = await sent(store, file("Ada", 3_000)), await sent(store, file("Grace"))
    await stopped_after_one(store, runner_of(store), first.id)
    assert await store.value("select lease_until is null from import where id = $1", first.id)
    await store.pool.execute("update import set lease_until = now() + interval '1 h' where id = $1", first.id)
    assert not await run_next(runner_of(store), asyncio.Event())
    await store.pool.execute(LAPSE)
    other = runner_of(store)
    assert [await run_next(other, asyncio.Event()) for _ in range(3)] == [True, True, False]
    assert [(await imports.find(store.pool, each.id)).status for each in (first, second)] == ["completed"] * 2
    assert await store.value("select body->>'firstName' from customers where external_id = 'c-1'") == "Grace"


async def test_two_runners_share_the_work_without_doing_any_of_it_twice(store: Store) -> None:
    """Runners that go for the same imports at once apply each row once, whoever gets which."""
    for name in ("Ada", "Grace", "Eve"):
        await sent(store, file(name, 1_500))
    runners = [runner_of(store) for _ in range(3)]

    async def work(runner: Runner) -> None:
        while await store.value("select count(*) from import where status in ('queued', 'active')"):
            await run_next(runner, asyncio.Event())

    await asyncio.gather(*map(work, runners))
    assert await store.value("select count(*) from job") == 4_500
    rows = await store.pool.fetch("select version, body->>'firstName' as name, count(*) from customers group by 1, 2")
    assert [tuple(row) for row in rows] == [(3, "Eve", 1_500)]


@pytest.mark.parametrize("status", ["uploading", "failed"])
async def test_a_file_that_is_not_here_is_never_applied(store: Store, status: str) -> None:
    """What came of a file is not applied while the rest is still to come, nor after it broke off."""
    with suppress(BadRequest):
        await sent(store, file("Ada", 1_200), breaks=True)
    await store.pool.execute("update import set status = $1, ended_at = case when $1 = 'failed' then now() end", status)
    assert await store.value("select chunks from import") == 1
    assert not await run_next(runner_of(store), asyncio.Event())
    assert await store.value("select count(*) from customers") == 0


BREAK_AT_CHECKPOINT = """
create function break_off() returns trigger language plpgsql as $$
begin raise exception 'gone' using errcode = 'admin_shutdown'; end $$;
create trigger break_off before update on import for each row when (new.applied = 2) execute function break_off();
"""


async def test_rows_and_their_checkpoint_are_one(store: Store) -> None:
    """Where it ends between a chunk and its checkpoint, nothing of the chunk stays, and all of it comes again."""
    held = await sent(store, file("Ada", 1_500) + b"{}\n")
    runner = runner_of(store)
    await store.pool.execute(BREAK_AT_CHECKPOINT)
    with pytest.raises(Unavailable):
        await run_next(runner, asyncio.Event())
    counts = [await store.value(f"select count(*) from {each}") for each in ("customers", "job", "import_failure")]
    assert counts == [1_000, 1_000, 0]
    await store.pool.execute("drop trigger break_off on import")
    assert await run_next(runner, asyncio.Event())
    done = await imports.find(store.pool, held.id)
    assert (done.status, done.rows_read, done.failed, done.outcomes) == ("completed", 1_501, 1, {"created": 1_500})
    assert await store.value("select count(*) from job") == 1_501


async def test_only_so_many_imports_wait_at_once(store: Store) -> None:
    """One import more than may wait is refused for now, and taken once another has ended."""
    waiting = await sent(store, file("Ada"))
    more = "insert into import (id, resource, format, max_error_rate, created_at, touched_at)"
    more += " select gen_random_uuid(), 'customer', 'csv', 1, now(), now() from generate_series(2, $1)"
    await store.pool.execute(more, upload.WAITING_MOST)
    with pytest.raises(Unavailable):
        await sent(store, file("Ada"))
    await imports.cancel(store.pool, waiting.id)
    assert (await sent(store, file("Ada"))).status == "queued"


async def test_a_column_that_is_gone_fails_the_import(store: Store) -> None:
    """Where a later version does not know a column of a file that waits, the import fails and says so."""
    held = await sent(store, file("Ada"))
    await store.pool.execute("update import set header = 'externalCustomerId,shoeSize'")
    assert await run_next(runner_of(store), asyncio.Event())
    failed = await imports.find(store.pool, held.id)
    assert (failed.status, failed.error["details"]["errors"][0]["path"]) == ("failed", "shoeSize")


async def test_an_import_that_we_break_over_fails(store: Store) -> None:
    """A defect of ours fails the import with an error, and the next one has its turn."""
    first, second = await sent(store, file("Ada")), await sent(store, file("Grace"))
    await store.pool.execute("update import set resource = 'gone' where id = $1", first.id)
    runner = runner_of(store)
    assert [await run_next(runner, asyncio.Event()) for _ in range(2)] == [True, True]
    failed, done = [await imports.find(store.pool, each.id) for each in (first, second)]
    assert (failed.status, failed.error["code"], done.status) == ("failed", "INTERNAL_ERROR", "completed")
