"""Two who make one record at once: who comes second is answered by what there is then, and not told to come back."""

import asyncio
from typing import Any

import pytest

from retailos.records import body, waking
from retailos.records.upsert import Upsert
from retailos.resources import RESOURCES
from tests.conftest import eventually
from tests.contract.conftest import Api

CUSTOMER = RESOURCES["customer"]
WAITING = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"

#: The method, the query, the headers, and the status and the code or the outcome that a record which is there leads to.
WAYS: dict[str, tuple[str, str, dict[str, str], int, str]] = {
    "PUT": ("PUT", "", {}, 200, "updated"),
    "trial": ("PUT", "?dryRun=true", {}, 200, "updated"),
    "only new": ("PUT", "", {"If-None-Match": "*"}, 412, "VERSION_CONFLICT"),
    "POST": ("POST", "", {}, 409, "EXTERNAL_ID_EXISTS"),
    "POST, tried": ("POST", "?dryRun=true", {}, 409, "EXTERNAL_ID_EXISTS"),
    "POST, once": ("POST", "", {"Idempotency-Key": "{name}"}, 409, "EXTERNAL_ID_EXISTS"),
    "all or none": ("bulk", "?errorPolicy=rejectEverything", {}, 200, "updated"),
    "many, tried": ("bulk", "?dryRun=true", {}, 200, "updated"),
}


@pytest.mark.parametrize("way", WAYS)
async def test_whoever_comes_second_finds_what_is_there(shop: Api, way: str) -> None:
    """A write that waits for who is just making its record is done, or refused, as if the record had been there."""
    method, query, headers, status, expected = WAYS[way]
    name = f"way-{list(WAYS).index(way)}"
    first = body.draft(RESOURCES, CUSTOMER, {"firstName": "Ada"}, "", name)
    sent: dict[str, Any] = {"externalCustomerId": name, "firstName": "Eve"}
    path = f"/v2/public/customers{f'/{name}' if method == 'PUT' else ''}{query}"
    told = {each: value.replace("{name}", name) for each, value in headers.items()}
    async with shop.engine.pool.acquire() as connection, connection.transaction():
        await waking.write_one(connection, RESOURCES, CUSTOMER, Upsert(draft=first))
        verb, json = ("PUT", {"customers": [sent]}) if method == "bulk" else (method, sent)
        writing = asyncio.create_task(shop.request(verb, path, json=json, headers=told))
        await eventually(lambda: shop.engine.pool.fetchval(WAITING))
    answer = await writing
    assert (answer.status, answer.error["code"] if answer.error else answer.result[0]["outcome"]) == (status, expected)
