"""An operator watches what is attempted, whichever worker does it."""

import re
import signal

import asyncpg
import msgspec

from retailos.database.pool import Connection
from tests.acceptance.program import ran, started
from tests.conftest import eventually

LOOKED = """
select count(*) = 2 from pg_stat_activity
where datname = current_database() and application_name like '%tail' and query like '%pg_visible_in_snapshot%'
"""
ATTEMPTED = """
insert into attempt (webhook_id, record_id, version, number, at, request_id, url, status, error_class, milliseconds)
select 1, id, $1, 1, now() - $4 * interval '1 s', gen_random_uuid(), 'u', $2, $3, 12.5 from customers
"""


async def test_attempts_are_shown_as_they_are_settled(database: str, connection: Connection) -> None:
    """Each is a line, once, also where one that began later was committed before, or which the receiver has long kept
    waiting; or only what failed is shown."""
    await connection.execute(
        "insert into customers (id, external_id, version, operation, created_at, updated_at, body)"
        " values (gen_random_uuid(), 'c-1', 1, 'create', now(), now(), '{}')"
    )
    adding = ("webhook", "add", "--name", "erp", "--resource", "customer", "--url", "https://example.com/{id}")
    assert (await ran(*adding, database_url=database)).code == 0
    await connection.execute(ATTEMPTED, 1, 200, None, 0)
    slow = await asyncpg.connect(database)
    try:
        async with (
            started("tail", database_url=database) as people,
            started("tail", "--webhook", "1", "--failed", "--output", "json", database_url=database) as program,
        ):
            await people.says("Following what is attempted; Ctrl-C stops it")
            await eventually(lambda: connection.fetchval(LOOKED))
            async with slow.transaction():
                await slow.execute(ATTEMPTED, 2, 503, "http_5xx", 0)
                await connection.execute(ATTEMPTED, 3, 200, None, 0)
                await people.says(r"Z  erp  c-1  version 3, attempt 1  12 ms  → 200\n")
            await people.says(r"Z  erp  c-1  version 2, attempt 1  12 ms  → 503 http_5xx\n")
            await program.says("http_5xx")
            await connection.execute(ATTEMPTED, 4, None, "timeout", 3600)
            await people.says("version 4, attempt 1  12 ms  → timeout")
            await program.says("timeout")
            assert [await each.end(signal.SIGINT) for each in (people, program)] == [0, 0]
    finally:
        await slow.close()
    assert re.findall(r"version (\d)", people.out) == ["3", "2", "4"]
    shown = [msgspec.json.decode(line) for line in program.out.splitlines()]
    assert [(each["webhook"], each["externalId"], each["version"]) for each in shown] == [
        ("erp", "c-1", 2),
        ("erp", "c-1", 4),
    ]
