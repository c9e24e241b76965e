"""History goes by the day: every table has its days ahead, loses those whose time is over, and no other row."""

from contextlib import suppress

import pytest

from retailos.database import history
from retailos.database.pool import Connection
from retailos.errors import Unavailable
from retailos.settings import load
from retailos.timetable import kept_days
from tests.conftest import eventually
from tests.store.conftest import Store

KEPT = kept_days(load({}))
TABLES = pytest.mark.parametrize("table", [each for each in KEPT if each != "change"])
#: A row of each table, at a moment ($1).
INSERT = {
    "attempt": "insert into attempt (webhook_id, record_id, version, number, at, request_id, url, milliseconds)"
    " values (1, gen_random_uuid(), 1, 1, $1, gen_random_uuid(), 'https://x', 1)",
    "delivery_minute": "insert into delivery_minute values (1, $1, 1, 0, 0, 0, 1, 1)",
    "report_row": "insert into report_row (issue_id, at, number, queue_name, resource, error_class)"
    " values (gen_random_uuid(), $1, 1, 'q', 'customer', 'timeout')",
    "batch": "insert into batch (request_id, at, url, size, bytes, milliseconds)"
    " values (gen_random_uuid(), $1, 'https://x', 1, 1, 1)",
    "job": "insert into job (id, queue_name, status, created_at) values (gen_random_uuid(), 'q', 'completed', $1)",
}
TODAY = "(date_trunc('day', now() at time zone 'UTC') at time zone 'UTC')"


async def insert(connection: Connection, table: str, when: str) -> None:
    """A row of a moment, which is written in SQL."""
    await connection.execute(INSERT[table].replace("$1", when))


async def make_an_old_day(connection: Connection, table: str) -> None:
    """A day long ago that has its partition."""
    span = "from ('2020-01-01 00:00Z') to ('2020-01-02 00:00Z')"
    await connection.execute(f"create table {table}_20200101 partition of {table} for values {span}")


async def test_every_table_that_is_kept_by_the_day_has_its_retention(connection: Connection) -> None:
    """No history grows for ever: what is partitioned is dropped, and has its days made ahead."""
    rows = await connection.fetch("select relname from pg_partitioned_table join pg_class on oid = partrelid")
    assert {row["relname"] for row in rows} == set(KEPT)
    for table in KEPT:
        days = await connection.fetchval(
            "select count(*) from pg_inherits join pg_class on oid = inhrelid"
            " where inhparent = $1::text::regclass and relname ~ '_[0-9]{8}$'",
            table,
        )
        assert days >= 8, table


@TABLES
async def test_days_are_dropped_when_their_time_is_over(store: Store, connection: Connection, table: str) -> None:
    """Rows of old days go, with their partition or out of the default one; those of the days that are kept stay."""
    await make_an_old_day(connection, table)
    for when in ("'2020-01-01 23:59:59.999Z'", "'2019-05-05Z'", f"{TODAY} - interval '3 days 1 ms'"):
        await insert(connection, table, when)
    for when in (f"{TODAY} - interval '3 days'", "now()"):
        await insert(connection, table, when)
    await history.drop(store.pool, {table: 3})
    assert await connection.fetchval(f"select count(*) from {table}") == 2
    assert await connection.fetchval("select to_regclass($1)", f"{table}_20200101") is None
    await history.drop(store.pool, {table: 1})
    assert await connection.fetchval(f"select count(*) from {table}") == 1


@TABLES
async def test_a_drop_gives_way(store: Store, connection: Connection, table: str) -> None:
    """While somebody reads what is to be dropped it stays, writers go on, and a later call drops it."""
    await make_an_old_day(connection, table)
    async with connection.transaction():
        await connection.fetch(f"select from {table}")
        with pytest.raises(Unavailable):
            await history.drop(store.pool, {table: 3})
        async with store.pool.acquire() as writer:
            await insert(writer, table, "now()")
        assert await store.value("select to_regclass($1) is not null", f"{table}_20200101")

    async def dropped() -> bool:
        with suppress(Unavailable):
            await history.drop(store.pool, {table: 3})
        return bool(await store.value("select to_regclass($1) is null", f"{table}_20200101"))

    assert await eventually(dropped)
