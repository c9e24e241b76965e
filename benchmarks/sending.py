"""The worker's HTTP client as a process of its own, which says how many requests of deliveries it sends a second.

Arguments: the URL of a database, the id of a webhook, how many.
"""

import asyncio
import sys
import time
from collections.abc import Iterator

import uvloop

from retailos.database.pool import acquire, connect
from retailos.deliveries.claim import Claim
from retailos.exchanges.addresses import Policy
from retailos.exchanges.exchange import Request
from retailos.exchanges.transport import Transport
from retailos.records import page
from retailos.resources import RESOURCES
from retailos.sending.request import Item, Told, build_request
from retailos.settings import load
from retailos.webhooks import orders
from retailos.webhooks.webhook import Webhook

#: Sent before the clock starts, so that the connections stand.
WARM_UP = 1_000


async def send(database: str, webhook_id: int, count: int) -> float:
    """Give how many requests a second the client makes."""
    webhook, requests = await _requests(database, webhook_id, count + WARM_UP)
    policy = Policy(allow=load({}, allow_addresses="127.0.0.0/8").allow_addresses)
    transport = Transport(policy, concurrency=webhook.concurrency)
    await _send_all(transport, webhook, iter(requests[:WARM_UP]))
    begun = time.perf_counter()
    await _send_all(transport, webhook, iter(requests[WARM_UP:]))
    return count / (time.perf_counter() - begun)


async def _requests(database: str, webhook_id: int, count: int) -> tuple[Webhook, list[Request]]:
    """The requests of as many deliveries, as a worker makes them."""
    pool = await connect(database, min_size=1, max_size=2, application_name="benchmark", statement_timeout_seconds=60)
    try:
        webhook = await orders.webhook(pool, webhook_id)
        resource = RESOURCES[webhook.resource]
        read = page.by_ids(RESOURCES, resource, resource.webhook_relations)
        async with acquire(pool) as connection:
            ids = [row["record_id"] for row in await connection.fetch("select record_id from delivery limit 5000")]
            records = [Told(**row) for row in await connection.fetch(read, ids)]
    finally:
        await pool.close()
    items = [Item(Claim(each.id, each.id, attempt=1, acknowledged=0), each) for each in records]
    return webhook, [build_request(resource, webhook, [items[i % len(items)]])[1] for i in range(count)]


async def _send_all(transport: Transport, webhook: Webhook, requests: Iterator[Request]) -> None:
    async def one_after_the_other() -> None:
        for request in requests:
            reply = await transport.send(request)
            if reply.status != 200:
                raise RuntimeError(f"expected 200, got {reply.status or reply.error}")

    await asyncio.gather(*(one_after_the_other() for _ in range(webhook.concurrency)))


if __name__ == "__main__":
    print(uvloop.run(send(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))), flush=True)
