"""A worker beside the API of a test, webhooks to a receiver, and what became of their deliveries."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg

from retailos.database.pool import Connection, connect
from retailos.receiver import Received, Receiver
from retailos.resources import RESOURCES
from retailos.sending.worker import Worker
from retailos.timetable import run_timetable
from tests.conftest import eventually
from tests.contract.conftest import Api

#: How long a receiver keeps an answer back, where it is seen how many requests are under way at once.
HOLD_SECONDS = 0.05


@asynccontextmanager
async def working(api: Api, **settings: Any) -> AsyncIterator[None]:
    """Deliver, and do what the timetable says, for the length of the block."""
    pool = await connect(api.database, min_size=1, max_size=12, application_name="tests", statement_timeout_seconds=10)
    stop = asyncio.Event()
    try:
        given = replace(api.engine.settings, **settings)
        worker = Worker(pool, RESOURCES, given)
        await worker.start()
        clock = asyncio.create_task(run_timetable(pool, given, stop))
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(worker.close(), clock)
        assert not worker.broken.done(), worker.broken
    finally:
        await pool.close()


@asynccontextmanager
async def transaction_of(api: Api) -> AsyncIterator[Connection]:
    """A transaction that may do nothing for long, as one of the API's own pool may not."""
    connection = await asyncpg.connect(api.database)
    try:
        async with connection.transaction():
            yield connection
    finally:
        await connection.close()


async def webhook(api: Api, receiver: Receiver, resource: str = "customer", **fields: Any) -> int:
    """Add a webhook that tells the receiver at once and again after a tenth of a second, with no breaker; its id."""
    url = f"{receiver.url}/v1/retailos/{resource}/{{{RESOURCES[resource].external_id.name}}}"
    told = {
        "name": f"{resource}-webhook",
        "resource": resource,
        "url": url,
        "retryLimit": 2,
        "retryDelay": 0.1,
        "breaker": "off",
    }
    answer = await api.admin("POST", "/webhooks", json=told | fields)
    assert answer.status == 201, answer.body
    made: int = answer.result["id"]
    return made


async def delivery(api: Api, webhook_id: int, external_id: str) -> dict[str, Any]:
    """What a webhook is owed of a record, with its attempts."""
    found = await api.admin("GET", f"/deliveries?webhook={webhook_id}&externalId={external_id}")
    [row] = found.result["rows"]
    shown: dict[str, Any] = (await api.admin("GET", f"/deliveries/{row['id']}")).result
    return shown


async def settled(api: Api, webhook_id: int, external_id: str, status: str = "delivered") -> dict[str, Any]:
    """Wait until a delivery is in a state, and give it."""

    async def look() -> dict[str, Any]:
        shown = await delivery(api, webhook_id, external_id)
        return shown if shown["status"] == status else {}

    return await eventually(look)


async def all_settled(api: Api, status: str = "delivered") -> None:
    """Wait until every delivery of every webhook is in a state."""

    async def look() -> bool:
        rows = (await api.admin("GET", "/deliveries?limit=500")).result["rows"]
        return bool(rows) and all(row["status"] == status for row in rows)

    assert await eventually(look)


def most_at_once(received: Sequence[Received], hold_seconds: float) -> int:
    """How many requests were under way at once, each as long as its answer was held back."""
    edges = sorted([(each.at, 1) for each in received] + [(each.at + hold_seconds, -1) for each in received])
    count = most = 0
    for _, edge in edges:
        count += edge
        most = max(most, count)
    return most
