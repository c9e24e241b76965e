"""Reads that share a statement: each caller gets its own record, whoever else asks, fails or goes away."""

import asyncio
import contextlib
import time

import asyncpg
import pytest

from retailos.database.pool import ACQUIRE_SECONDS
from retailos.errors import Unavailable
from retailos.records.reader import BATCH_MOST, Reader
from tests.store.conftest import Store

#: Gives with each key how many were read with it.
TOGETHER = "select asked, count(*) over ()::integer as together from unnest($1::text[]) as given(asked)"
VERSION = "select asked, version from unnest($1::text[]) as given(asked) join customers on external_id = asked"
#: Takes numbers, none of which may be 0.
DIVIDED = "select asked, 12 / asked as result from unnest($1::integer[]) as given(asked)"


async def test_who_asks_at_once_is_read_together(store: Store) -> None:
    """A hundred callers need a few statements, none of them too large; each gets what it asked for."""
    reader = Reader(store.pool)
    names = [f"c-{number % 90}" for number in range(100)]
    rows = await asyncio.gather(*(reader.read(TOGETHER, name) for name in names))
    assert [row and row["asked"] for row in rows] == names
    sizes = [row["together"] for row in rows if row]
    assert 16 < max(sizes) <= BATCH_MOST
    alone = await reader.read(TOGETHER, "c-1")
    assert alone
    assert alone["together"] == 1


async def test_who_comes_meanwhile_sees_what_is_committed(store: Store) -> None:
    """A record that was written while others were read is seen by who asks after that."""
    reader = Reader(store.pool)
    found = []
    for number in range(50):
        reading = asyncio.gather(*(reader.read(VERSION, f"c-{other}") for other in range(number)))
        await store.write("customer", f"c-{number}", {"firstName": "A"})
        found.append(await reader.read(VERSION, f"c-{number}"))
        await reading
    assert [row and row["version"] for row in found] == [1] * 50
    assert await reader.read(VERSION, "c-50") is None


async def test_what_fails_is_told_to_all_and_ends_nothing(store: Store) -> None:
    """Where a statement fails, everyone who was read by it hears why, and the next are read."""
    reader = Reader(store.pool)
    broken = await asyncio.gather(*(reader.read(DIVIDED, number) for number in (0, 0)), return_exceptions=True)
    assert {type(each) for each in broken} == {asyncpg.DivisionByZeroError}
    row = await reader.read(DIVIDED, 3)
    assert row
    assert row["result"] == 4


async def test_while_the_database_is_away_everyone_hears_it_at_once(store: Store) -> None:
    """Those who wait behind a batch that finds no connection do not wait for one, too, one batch after the other."""
    reader = Reader(store.pool)
    async with contextlib.AsyncExitStack() as taken:
        for _ in range(store.pool.get_max_size()):
            await taken.enter_async_context(store.pool.acquire())
        begun = time.monotonic()
        told = await asyncio.gather(*(reader.read(TOGETHER, f"c-{i}") for i in range(300)), return_exceptions=True)
    assert {type(each) for each in told} == {Unavailable}
    assert time.monotonic() - begun < 2 * ACQUIRE_SECONDS
    assert await reader.read(TOGETHER, "c-1")


async def test_who_goes_away_takes_nobody_along(store: Store) -> None:
    """A caller that does not wait for its answer leaves the others theirs."""
    reader = Reader(store.pool)
    tasks = [asyncio.create_task(reader.read(TOGETHER, f"c-{number}")) for number in range(9)]
    # Once all of them have asked.
    asyncio.get_running_loop().call_soon(tasks[0].cancel)
    rows = await asyncio.gather(*tasks[1:])
    assert [row and row["asked"] for row in rows] == [f"c-{number}" for number in range(1, 9)]
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
