"""B10: the change feed read from its beginning, a thousand changes a page, beside a bare select of the same rows."""

import asyncio
import time
from http.client import HTTPConnection
from typing import Final
from urllib.parse import urlsplit

import msgspec

from benchmarks import customers
from benchmarks.figure import Figure
from benchmarks.stage import Stage, connected, paired
from retailos.records import page
from retailos.resources import RESOURCES
from retailos.resources.customer import CUSTOMER

PAGE: Final = 1_000
CHANGES: Final = 100_000
QUICK_CHANGES: Final = 10_000
_IDS: Final = "select record_id from change where resource = 'customer' order by xid, seq limit $1 offset $2"


class _Page(msgspec.Struct):
    #: Counted, and left as they came: what a reader makes of them is its own affair.
    rows: list[msgspec.Raw]
    nextCursor: str


class _Envelope(msgspec.Struct):
    result: _Page


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
    address, since, seen = urlsplit(url), "beginning", 0
    connection = HTTPConnection(str(address.hostname), address.port or 0, timeout=60)
    headers = {"Authorization": f"API_KEY {stage.api_key}"}
    begun = time.perf_counter()
    while seen < count:
        path = f"/v2/public/changes?resources=customer&since={since}&limit={PAGE}"
        await asyncio.to_thread(connection.request, "GET", path, headers=headers)
        read = msgspec.json.decode(await asyncio.to_thread(_body, connection), type=_Envelope).result
        since, seen = read.nextCursor, seen + len(read.rows)
        if not read.rows:
            raise RuntimeError(f"expected {count} changes, got {seen}")
    connection.close()
    return count / (time.perf_counter() - begun)


def _body(connection: HTTPConnection) -> bytes:
    return connection.getresponse().read()


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
