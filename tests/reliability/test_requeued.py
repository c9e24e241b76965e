"""R8: a receiver is away for longer than the retries, and what failed is requeued: all of it, and each once."""

import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import pytest

from retailos.database.pool import Connection
from retailos.receiver import Behaviour, Receiver, sighting_of
from tests.conftest import eventually
from tests.reliability import stand
from tests.reliability.clients import Clients, clients_of

RECORDS: Final = 50_000 if os.environ.get("RETAILOS_TIER") == "long" else 2_000
#: Others that are delivered, and stay so.
WELL: Final = 100
REST_SECONDS: Final = 60.0 + RECORDS / 100

FAILED: Final = "select count(*) from delivery where status = 'failed'"
FAILED_TWICE: Final = """
select count(*) from (select from attempt where error_class = 'http_5xx' group by record_id having count(*) = 2) as each
"""


@asynccontextmanager
async def standing(url: str, receiver: Receiver) -> AsyncIterator[tuple[Clients, int]]:
    """The API, a worker, and a webhook with a single retry, and without a breaker, which would spare its attempts."""
    settings = {"database_url": url, "allow_addresses": "127.0.0.0/8"}
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(stand.program("serve", "--api", port=0, **settings))
        worker = await stack.enter_async_context(stand.program("serve", "--worker", **settings))
        await worker.until("WorkerStarted")
        address = (await api.until("Started"))["address"]
        clients = await stack.enter_async_context(clients_of(address, await stand.make_key(url)))
        yield clients, await clients.add_webhook("first", receiver.url, retryLimit=1, retryDelay=0.1, breaker="off")
        assert [each.defects for each in (api, worker) if each.defects] == []


@pytest.mark.timeout(1_200)
async def test_what_failed_is_requeued_once_and_whole(database: str, connection: Connection) -> None:
    """Requeued are as many as were counted before, as had failed, and as arrive: each record once, as it is by then."""
    async with Receiver.listen() as receiver, standing(database, receiver) as (clients, webhook):
        await clients.write(f"well-{number}" for number in range(WELL))
        assert await stand.at_rest(database, within_seconds=REST_SECONDS)
        receiver.behave(Behaviour(status=503))
        await clients.write(f"c-{number}" for number in range(RECORDS))
        await eventually(lambda: all_failed(connection), within_seconds=REST_SECONDS)
        assert await connection.fetchval(FAILED_TWICE) == RECORDS
        selected = {"webhook": webhook, "errorClasses": ["http_5xx"]}
        counted = await clients.administer("POST", "/requeues", selected | {"dryRun": True})
        others = {"webhook": webhook, "errorClasses": ["timeout"], "dryRun": True}
        assert (await clients.administer("POST", "/requeues", others))["count"] == 0
        assert await connection.fetchval(FAILED) == counted["count"] == RECORDS
        receiver.received.clear()
        receiver.behave(Behaviour())
        [operation] = (await clients.administer("POST", "/requeues", selected))["operations"]
        done = await eventually(lambda: ended(clients, operation["id"]), within_seconds=REST_SECONDS)
        assert (done["status"], done["total"], done["done"], done["skipped"]) == ("completed", RECORDS, RECORDS, 0)
        assert await stand.at_rest(database, within_seconds=REST_SECONDS)
        arrived = Counter(sighting_of(each, 200).record for each in receiver.received)
    assert arrived == {f"c-{number}": 1 for number in range(RECORDS)}
    assert await connection.fetchval(FAILED) == 0


async def all_failed(connection: Connection) -> bool:
    """Tell whether nothing is attempted any more."""
    return bool(await connection.fetchval(FAILED) == RECORDS)


async def ended(clients: Clients, operation: str) -> Any:
    """An operation, once it has ended."""
    shown = await clients.administer("GET", f"/operations/{operation}")
    return shown if shown["endedAt"] else None
