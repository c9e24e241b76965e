"""B6, B7: deliveries, single and in batches, from the first claim to the last settled attempt."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from benchmarks import customers
from benchmarks.figure import Figure
from benchmarks.stage import CONCURRENCY, Stage, connected, helper, paired, said, until
from retailos.database.pool import Connection

OWED: Final = 60_000
QUICK_OWED: Final = 10_000
#: Records in a request, where they go in batches.
BATCH: Final = 100
#: What the HTTP client sends in a round.
SENT: Final = 20_000
_LOOK_SECONDS: Final = 0.25
_TOLD: Final = """
select count(*) as deliveries, count(*) filter (where status = 'delivered' and acknowledged = wanted) as delivered,
    extract(epoch from max(settled_at))::float8 as last, (select count(*) from attempt) as attempts
from delivery
"""


async def measure(stage: Stage) -> list[Figure]:
    """Measure a worker that delivers everything owed, and the client that it sends with."""
    count = QUICK_OWED if stage.quick else OWED
    async with _owed(stage, count) as webhook_id:
        rounds = [(await _delivered(stage, count), await _sent(stage, webhook_id)) for _ in stage.rounds]
        held = [await _delivered(stage, count, held=True) for _ in stage.rounds]
    values, ceilings = paired(rounds)
    return [
        Figure(
            number="B6",
            work=f"{count:,} deliveries of single customers, claim to settled attempt, {CONCURRENCY} at once",
            values=values,
            unit="/s",
            beside=f"the HTTP client alone, same bodies, same receiver, {CONCURRENCY} at once",
            ceilings=ceilings,
            ratio_least=0.5,
            least=10_000,
        ),
        Figure(
            number="B6",
            work="the same while another session holds a snapshot open, so that nothing can be cleared away",
            values=held,
            unit="/s",
            beside="the same without that",
            ceilings=values,
            ratio_least=0.8,
        ),
    ]


async def measure_batches(stage: Stage) -> list[Figure]:
    """Measure a worker that delivers everything owed in batches, and one that delivers it record by record."""
    count = QUICK_OWED if stage.quick else OWED
    async with _owed(stage, count) as webhook_id:
        batched = {"id": webhook_id, "batchSize": BATCH, "url": f"{stage.receiver_url}/customers"}
        rounds = [(await _delivered(stage, count, batched), await _delivered(stage, count)) for _ in stage.rounds]
    values, ceilings = paired(rounds)
    return [
        Figure(
            number="B7",
            work=f"{count:,} deliveries of customers, {BATCH} in a request, {CONCURRENCY} requests at once",
            values=values,
            unit="/s",
            beside="the same deliveries as single requests (B6)",
            ceilings=ceilings,
            ratio_least=5,
        )
    ]


async def rate(stage: Stage) -> float:
    """Deliveries a second in one short round."""
    async with _owed(stage, QUICK_OWED):
        return await _delivered(stage, QUICK_OWED)


@asynccontextmanager
async def _owed(stage: Stage, count: int) -> AsyncIterator[int]:
    """A database `owed`, for copies: so many customers, and the webhook that is owed them; its id."""
    async with stage.database("owed") as template:
        webhook_id = await stage.add_webhook(template)
        async with connected(template) as connection:
            await customers.write(connection, count)
            await connection.execute("vacuum (analyze)")
        yield webhook_id


async def _delivered(stage: Stage, count: int, change: Mapping[str, Any] | None = None, *, held: bool = False) -> float:
    """Deliveries a second, from the worker's lease to the last settlement by the clock of this machine."""
    async with (
        stage.database("delivered", "owed") as database,
        connected(database) as connection,
        connected(database) as other,
    ):
        if change:
            await stage.change_webhook(database, change)
        if held:
            await other.execute("begin isolation level repeatable read; select from delivery limit 1")
        async with stage.running(database, "worker"):
            begun = time.time()
            await until(lambda: _all_delivered(connection), every_seconds=_LOOK_SECONDS)
        told = await connection.fetchrow(_TOLD)
    if not told["deliveries"] == told["delivered"] == told["attempts"] == count:
        raise RuntimeError(f"expected {count} deliveries, each acknowledged by one attempt, got {dict(told)}")
    return count / float(told["last"] - begun)


async def _all_delivered(connection: Connection) -> bool:
    owed = await connection.fetchval("select exists (select from delivery where status <> 'delivered')")
    return not owed


async def _sent(stage: Stage, webhook_id: int) -> float:
    """Requests a second of the client alone, while nothing else runs."""
    async with (
        stage.database("sent", "owed") as database,
        helper("sending", database, str(webhook_id), str(SENT)) as process,
    ):
        return float(await said(process))
