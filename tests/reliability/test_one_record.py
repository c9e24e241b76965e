"""R11: many clients write one record at once, through two processes."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

from pyreqwest.client import ClientBuilder

from retailos.database.pool import Connection
from tests.reliability import stand

CLIENTS = 50
WRITES = 200
PROCESSES = 2

VERSIONS = "select array_agg(version order by seq) from change"
RECORDS = "select count(*), count(distinct record_id) from job"


async def test_one_record_takes_all_that_is_written_to_it(database: str, connection: Connection) -> None:
    """Fifty clients with 200 PUTs each of one external id, to two processes, make one record with gapless versions."""
    told: list[int] = []
    answers: Counter[int] = Counter()
    key = await stand.make_key(database)
    async with AsyncExitStack() as stack:
        settings = {"database_url": database, "port": 0}
        starting = [stack.enter_async_context(stand.program("serve", "--api", **settings)) for _ in range(PROCESSES)]
        programs = await asyncio.gather(*starting)
        addresses = [(await each.until("Started", role="api"))["address"] for each in programs]
        builder = ClientBuilder().no_proxy().http1_only().default_headers({"Authorization": f"API_KEY {key}"})
        client = await stack.enter_async_context(builder.build())

        async def write(number: int) -> None:
            url = f"{addresses[number % PROCESSES]}/v2/public/customers/c-1"
            for turn in range(WRITES):
                body = {"firstName": "Ada", "lastName": f"Lovelace {number} {turn}"}
                answer = await client.put(url).body_json(body).build().send()
                answers[answer.status] += 1
                told.append((await answer.json())["result"][0]["version"])

        await asyncio.gather(*(write(number) for number in range(CLIENTS)))
    every = list(range(1, CLIENTS * WRITES + 1))
    assert answers == {200: CLIENTS * WRITES}
    assert sorted(told) == every
    assert await connection.fetchval(VERSIONS) == every
    assert tuple(await connection.fetchrow(RECORDS) or ()) == (CLIENTS * WRITES, 1)
    assert [each.defects for each in programs if each.defects] == []
