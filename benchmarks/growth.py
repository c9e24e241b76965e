"""B12: whether what is fast with few records is as fast with many, and what a worker holds while all are owed."""

import asyncio
from dataclasses import dataclass
from typing import Final

from benchmarks import customers, programs
from benchmarks.figure import Figure
from benchmarks.reads import LIST, READERS
from benchmarks.stage import CONCURRENCY, Stage, connected, resident_megabytes
from retailos.database.pool import Connection

FEW: Final = 100_000
QUICK_FEW, QUICK_MANY = 20_000, 50_000
MEMORY_MOST: Final = 300
#: What a plan, a cache or a connection costs once is paid before the clock starts.
_WARM_UP_SECONDS: Final = 2
_OWE: Final = """
with register as (insert into delivery (webhook_id, record_id, wanted) select $1, id, version from customers)
insert into due (webhook_id, record_id, due_at) select $1, id, now() from customers
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """What a database of one size can do: B1, B4, B5 and B6 in their units a second, and its worker's megabytes."""

    rates: dict[str, float]
    megabytes: float


async def measure(stage: Stage) -> list[Figure]:
    """Measure with FEW customers and with as many as the stage says, every one of them owed."""
    few, many = (QUICK_FEW, QUICK_MANY) if stage.quick else (FEW, stage.records)
    small, large = await _grown(stage, few), await _grown(stage, many)
    compared = [
        Figure(
            number="B12", work=f"{name} with {many:,} customers, all owed", values=[large.rates[name]], unit="/s",
            beside=f"with {few:,}", ceilings=[small.rates[name]], ratio_least=0.8,
        )
        for name in small.rates
    ]  # fmt: skip
    work = f"memory of the workers with {many:,} deliveries owed"
    return [*compared, Figure(number="B12", work=work, values=[large.megabytes], unit="MB", most=MEMORY_MOST)]


async def _grown(stage: Stage, count: int) -> Grown:
    async with stage.database("grown") as database, connected(database) as connection:
        webhook_id = await stage.add_webhook(database)
        await customers.insert(connection, count)
        await connection.execute(_OWE, webhook_id, timeout=600)
        await connection.execute("vacuum (analyze) delivery, due", timeout=600)
        async with stage.running(database, "api") as url:
            rates = await _asked(stage, url, count)
        async with stage.running(database, "worker"):
            delivered = await _delivered(stage, connection)
            return Grown(rates=rates | {"B6": delivered}, megabytes=resident_megabytes())


async def _asked(stage: Stage, url: str, count: int) -> dict[str, float]:
    """Requests a second: writes, then reads of one, then pages of a list."""
    body = stage.directory / "customer.json"
    body.write_text(customers.BODY)

    async def load(script: str, connections: int, *arguments: str) -> float:
        run = (stage.programs, url, script, stage.api_key, *arguments)
        await programs.wrk(*run, connections=connections, seconds=_WARM_UP_SECONDS)
        return (await programs.wrk(*run, connections=connections, seconds=2 * stage.seconds)).rate

    one, page = customers.path("external/known-NUMBER"), f"{customers.path('')[:-1]}?{LIST}"
    return {
        "B1": await load("writes.lua", CONCURRENCY, str(count), str(body)),
        "B4": await load("reads.lua", CONCURRENCY, one, str(count)),
        "B5": await load("reads.lua", READERS, page, "1"),
    }


async def _delivered(stage: Stage, connection: Connection) -> float:
    """Deliveries a second in the midst of many."""
    await asyncio.sleep(_WARM_UP_SECONDS)
    before = await connection.fetchrow("select count(*), clock_timestamp() as at from attempt")
    await asyncio.sleep(2 * stage.seconds)
    after = await connection.fetchrow("select count(*), clock_timestamp() as at from attempt")
    settled: int = after["count"] - before["count"]
    seconds: float = (after["at"] - before["at"]).total_seconds()
    return settled / seconds
