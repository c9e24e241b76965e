"""B10: the change feed read from its beginning, a thousand changes a page, beside a bare select of the same rows."""

import time
from typing import Final

import msgspec

from benchmarks import customers
from benchmarks.figure import Figure
from benchmarks.stage import Stage, connected, paired
from retailos.demo.caller import Caller
from retailos.records import page
from retailos.resources import RESOURCES
from retailos.resources.customer import CUSTOMER

PAGE: Final = 1_000
CHANGES: Final = 100_000
QUICK_CHANGES: Final = 10_000
_IDS: Final = "select record_id from change order by xid, seq limit $1 offset $2"


async def measure(stage: Stage) -> list[Figure]:
    """Read all pages one after the other, as a program that keeps up does; each change is another customer's."""
    count = QUICK_CHANGES if stage.quick else CHANGES
    async with stage.database("feed") as database:
        async with connected(database) as connection:
            await customers.write(connection, count)
            await connection.execute("vacuum (analyze)")
        async with stage.running(database, "api") as url:
            rounds = [(await _fed(stage, url, count), await _selected(database, count)) for _ in stage.rounds]
    values, ceilings = paired(rounds)
    return [
        Figure(
            number="B10",
            work=f"change feed of {count:,} changes, {PAGE:,} a page, one reader, in changes",
            values=values,
            unit="/s",
            beside="a select of the same rows as JSON, one connection, in rows",
            ceilings=ceilings,
            ratio_least=0.5,
        )
    ]


async def _fed(stage: Stage, url: str, count: int) -> float:
    caller, since, seen = Caller(port=int(url.rpartition(":")[2]), key=stage.api_key), "beginning", 0
    begun = time.perf_counter()
    while seen < count:
        read = await caller.call("GET", f"/v2/public/changes?resources=customer&since={since}&limit={PAGE}")
        since, seen = read["nextCursor"], seen + len(read["rows"])
        if not read["rows"]:
            raise RuntimeError(f"expected {count} changes, got {seen}")
    return count / (time.perf_counter() - begun)


async def _selected(database: str, count: int) -> float:
    select = page.by_ids(RESOURCES, CUSTOMER, ())
    async with connected(database) as connection:
        begun, taken = time.perf_counter(), 0.0
        for offset in range(0, count, PAGE):
            # Which rows a page has is what the feed finds out; here it is told, and not counted.
            asked = time.perf_counter()
            ids = [row[0] for row in await connection.fetch(_IDS, PAGE, offset)]
            taken += time.perf_counter() - asked
            rows = await connection.fetch(select, ids)
            msgspec.json.encode([msgspec.Raw(row["json"].encode()) for row in rows])
    return count / (time.perf_counter() - begun - taken)
