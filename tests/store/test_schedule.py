"""Schedules: a tick is done once over all workers, with all that it writes or not at all, by the database's clock."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from retailos.database.pool import Connection, Pool
from retailos.schedule import Schedule, Tick, arm, disarm, every
from retailos.schedule.clock import Clock, run_schedules
from tests.conftest import PATIENCE_SECONDS, eventually
from tests.store.conftest import pooled

SOON = timedelta(milliseconds=20)


@pytest.fixture
async def pool(database: str, connection: Connection) -> AsyncIterator[Pool]:
    """A pool on a database with a table in which ticks write what they do."""
    await connection.execute("create table done (subject text not null, due_at timestamptz not null, now timestamptz)")
    async with pooled(database) as pool:
        yield pool


async def note(connection: Connection, tick: Tick) -> None:
    """Write down that a tick was done."""
    await connection.execute("insert into done values ($1, $2, $3)", tick.subject, tick.due_at, tick.now)


async def again_soon(connection: Connection, tick: Tick) -> datetime:
    """Write a tick down, and be due again soon."""
    await note(connection, tick)
    return tick.due_at + SOON


async def once(connection: Connection, tick: Tick) -> None:
    """Write a tick down, which was the last."""
    await note(connection, tick)


@asynccontextmanager
async def ticking(pool: Pool, *schedules: Schedule) -> AsyncIterator[None]:
    """Do what is due for the length of the block."""
    stop = asyncio.Event()
    running = asyncio.create_task(run_schedules(pool, schedules, stop, look_seconds=0.05))
    try:
        yield
    finally:
        stop.set()
        await running


async def test_a_tick_is_done_once_however_many_look(database: str, pool: Pool) -> None:
    """Eight workers do every tick of five subjects once, none twice, and leave none out."""
    for subject in "abcde":
        await arm(pool, "count", subject)  # type: ignore[arg-type]
    async with AsyncExitStack() as stack:
        for _ in range(8):
            own = await stack.enter_async_context(pooled(database, size=2))
            await stack.enter_async_context(ticking(own, Schedule(kind="count", tick=again_soon)))
        await eventually(lambda: pool.fetchval("select count(*) > 150 from done"))
    rows = await pool.fetch("select subject, due_at from done order by subject, due_at")
    assert max(Counter(rows).values()) == 1
    for one, next_one in pairwise(rows):
        assert one["subject"] != next_one["subject"] or next_one["due_at"] - one["due_at"] == SOON


async def test_what_a_tick_writes_and_the_plan_for_the_next_are_one(pool: Pool, connection: Connection) -> None:
    """A tick that fails leaves nothing behind, is tried again later, and keeps no other from being done."""

    async def fail(connection: Connection, tick: Tick) -> datetime:
        """Write, and fail."""
        await note(connection, tick)
        raise ValueError("a defect")

    await arm(connection, "broken", "")
    await arm(connection, "sound", "")
    due_at = await connection.fetchval("select due_at from schedule where kind = 'broken'")
    clock = Clock(pool, (Schedule(kind="broken", tick=fail), Schedule(kind="sound", tick=once)))
    wait = await clock.look()
    assert await connection.fetchval("select count(*) from done") == 1
    [left] = await connection.fetch("select kind, due_at, ticked_at from schedule")
    assert left["kind"] == "broken"
    assert left["due_at"] > due_at
    assert left["ticked_at"] is None
    assert 50 < wait <= 60


async def test_the_clock_is_the_databases(pool: Pool, connection: Connection) -> None:
    """Nothing is done before its time by the database's clock, and a tick is told that clock's time."""
    await connection.execute("insert into schedule values ('count', 'later', now() + interval '1 hour')")
    await connection.execute("insert into schedule values ('count', 'missed', now() - interval '3 days')")
    await Clock(pool, (Schedule(kind="count", tick=once),)).look()
    [row] = await connection.fetch("select subject, due_at, now, abs(extract(epoch from now - now())) as off from done")
    assert row["subject"] == "missed"
    assert row["off"] < 5
    assert row["now"] - row["due_at"] >= timedelta(days=3)


async def test_a_clock_that_is_put_back_repeats_no_tick(pool: Pool, connection: Connection) -> None:
    """The next moment of a schedule is never the one that it had."""

    async def same(connection: Connection, tick: Tick) -> datetime:
        """Plan no later moment."""
        await note(connection, tick)
        return min(tick.due_at, datetime(2020, 1, 1, tzinfo=UTC))

    await arm(connection, "count", "", datetime(2026, 10, 25, 1, 30, tzinfo=UTC))
    clock = Clock(pool, (Schedule(kind="count", tick=same),))
    async with asyncio.timeout(PATIENCE_SECONDS):
        looking = asyncio.create_task(clock.look())
        await eventually(lambda: connection.fetchval("select count(*) > 3 from done"))
        looking.cancel()
    assert await connection.fetchval("select count(*) = count(distinct due_at) from done")


async def test_what_follows_a_tick_is_done_again_if_its_worker_dies(pool: Pool, connection: Connection) -> None:
    """A tick that plans itself again for when its lease is over is repeated where nobody has disarmed it."""
    died, did = asyncio.Event(), asyncio.Event()

    async def brief(connection: Connection, tick: Tick) -> datetime:
        """Be due again soon, unless it is done."""
        await note(connection, tick)
        return tick.now + timedelta(seconds=0.3)

    async def lease(connection: Connection, tick: Tick) -> datetime:
        """Be due again when it is certainly done."""
        await note(connection, tick)
        return tick.now + timedelta(hours=1)

    async def die(_pool: Pool, _tick: Tick) -> None:
        """Never end."""
        died.set()
        await asyncio.Event().wait()

    async def do(pool: Pool, tick: Tick) -> None:
        """Be done."""
        async with pool.acquire() as connection:
            await disarm(connection, tick.kind, tick.subject)
        did.set()

    await arm(connection, "mail", "1")
    dying = Clock(pool, (Schedule(kind="mail", tick=brief, afterwards=die),))
    await dying.look()
    await died.wait()
    await dying.close(0)
    async with ticking(pool, Schedule(kind="mail", tick=lease, afterwards=do)), asyncio.timeout(PATIENCE_SECONDS):
        await did.wait()
    assert await connection.fetchval("select count(*) from done") == 2
    assert await connection.fetchval("select count(*) from schedule") == 0


async def test_who_is_told_to_stop_leaves_what_is_due(pool: Pool, connection: Connection) -> None:
    """However much is due, a worker that is told to stop does no more of it than it has begun."""
    await arm(connection, "count", "", datetime(2020, 1, 1, tzinfo=UTC))
    async with asyncio.timeout(PATIENCE_SECONDS), ticking(pool, Schedule(kind="count", tick=again_soon)):
        await eventually(lambda: connection.fetchval("select count(*) > 3 from done"))
    assert await connection.fetchval("select due_at < now() from schedule")


async def test_upkeep_begins_when_a_worker_first_knows_of_it(database: str, pool: Pool, connection: Connection) -> None:
    """Standing work is due at once, then when its time has passed, and one worker of several does it."""
    done: list[int] = []

    async def work(_pool: Pool) -> None:
        """Count."""
        done.append(1)

    async with pooled(database, size=2) as other:
        schedule = every(3600, "upkeep", work)
        async with ticking(pool, schedule), ticking(other, schedule):
            await eventually(lambda: connection.fetchval("select ticked_at is not null from schedule"))
            await eventually(lambda: done)
    async with ticking(pool, every(3600, "upkeep", work)):
        pass
    assert done == [1]
    assert await connection.fetchval("select due_at - now() > interval '59 minutes' from schedule")


async def test_upkeep_that_fails_stops_nobody(pool: Pool, connection: Connection) -> None:
    """Work that ends with a defect is done again when its time comes, and the rest is done meanwhile."""

    async def fail(_pool: Pool) -> None:
        """Fail."""
        raise ValueError("a defect")

    await arm(connection, "count", "")
    async with ticking(pool, every(0.01, "broken", fail), Schedule(kind="count", tick=again_soon)):
        await eventually(lambda: connection.fetchval("select count(*) > 3 from done"))
        assert await connection.fetchval("select ticked_at is not null from schedule where kind = 'broken'")
