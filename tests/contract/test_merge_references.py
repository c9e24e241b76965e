"""Whatever refers to a merged record comes to refer to the survivor, however much it is, whoever writes meanwhile."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest

from retailos.database.embedded import Cluster
from retailos.database.pool import Connection
from retailos.declare.field import CREATED_AT, DETAILS, UPDATED_AT, Reference, text
from retailos.declare.resource import Resource, Resources
from retailos.receiver import Receiver
from retailos.records.record import Draft
from retailos.records.table import create_table
from retailos.resources import RESOURCES
from retailos.settings import Settings
from tests.conftest import with_database
from tests.contract.conftest import Api, serving
from tests.contract.delivering import all_settled, webhook, working
from tests.contract.test_merge import made, merged

#: Something that refers to customers in every way there is.
VOUCHER = Resource(
    name="voucher",
    plural="vouchers",
    domain="scv",
    members=(
        text("name", 100, "10 %"),
        Reference(name="customer", to="customer"),
        Reference(name="payer", to="customer", indexed=False),
        Reference(name="guests", to="customer", ids="guestIds", indexed=False),
        DETAILS,
        CREATED_AT,
        UPDATED_AT,
    ),
    projection=("id", "externalVoucherId"),
)
DECLARED = Resources((*RESOURCES.values(), VOUCHER))


@pytest.fixture(scope="module")
async def shop(
    settings: Settings, server: Cluster, administrator: Connection, template: str, numbers: Iterator[int]
) -> AsyncIterator[Api]:
    """The API of an installation that has vouchers too."""
    name = f"vouchers_{next(numbers)}"
    await administrator.execute(f"create database {name} template {template} strategy wal_log")
    url = with_database(server.url, name)
    connection = await asyncpg.connect(url)
    await connection.execute(create_table(VOUCHER))
    await connection.close()
    try:
        async with serving(settings, url, DECLARED) as running:
            yield running
    finally:
        await administrator.execute(f"drop database {name} with (force)")


async def voucher(api: Api, external_id: str, **references: Any) -> None:
    """Write a voucher."""
    answer = await api.put(f"/vouchers/{external_id}", {"name": "10 %"} | references)
    assert answer.status == 200, answer.body


async def referring(api: Api, external_id: str) -> Any:
    """To whom a voucher refers, and its version."""
    found = (await api.get(f"/vouchers/external/{external_id}?includeDeleted=true")).result
    return found["customerId"], found["payerId"], found["guestIds"], found["version"]


async def test_every_reference_is_led_on(shop: Api) -> None:
    """Each record that referred to a loser, once or more, living or not, is changed once, counted, told and owed."""
    survivor, loser, other = [await made(shop, f"e-{i}") for i in range(3)]
    told = {"name": "vouchers", "resource": "voucher", "url": "http://127.0.0.1:9/x"}
    order = await shop.admin("POST", "/webhooks", json=told)
    assert order.status == 201, order.body
    await voucher(shop, "v-1", customerId=loser, payerId=loser, guestIds=[other, loser, survivor])
    await voucher(shop, "v-2", customerId=other, payerId=survivor, guestIds=[survivor])
    await voucher(shop, "v-3", guestIds=[loser])
    await voucher(shop, "v-4", payerId=loser)
    await shop.request("DELETE", "/v2/public/vouchers/external/v-4")
    since = (await shop.get("/changes?since=now")).result["nextCursor"]
    pool = shop.engine.pool
    await pool.execute("update delivery set acknowledged = wanted, status = 'delivered'; delete from due")
    preview = (await merged(shop, survivor, loser, query="?dryRun=true")).result
    result = (await merged(shop, survivor, loser)).result
    assert preview["repointed"] == result["repointed"]
    assert result["repointed"]["voucher"] == sum(result["repointed"].values()) == 3
    assert await referring(shop, "v-1") == (survivor, survivor, [other, survivor], 2)
    assert await referring(shop, "v-2") == (other, survivor, [survivor], 1)
    assert await referring(shop, "v-3") == (None, None, [survivor], 2)
    assert await referring(shop, "v-4") == (None, survivor, [], 3)
    rows = (await shop.get(f"/changes?since={since}&resources=voucher")).result["rows"]
    assert {row["externalId"]: (row["operation"], row["version"]) for row in rows} == {
        **{"v-1": ("update", 2), "v-3": ("update", 2), "v-4": ("delete", 3)}
    }
    owed = await pool.fetch(
        "select external_id, wanted from due join delivery using (webhook_id, record_id)"
        " join vouchers on vouchers.id = record_id order by external_id"
    )
    assert [tuple(row) for row in owed] == [("v-1", 2), ("v-3", 2), ("v-4", 3)]
    assert (await shop.admin("DELETE", f"/webhooks/{order.result['id']}")).status == 200


async def test_thousands_of_references_are_led_on_at_once(shop: Api) -> None:
    """A customer with thousands of vouchers is merged in one transaction, none is forgotten, and others can write."""
    survivor, loser, other = [await made(shop, f"t-{i}") for i in range(3)]
    for begin in range(0, 3_000, 1_000):
        many = [{"externalVoucherId": f"many-{begin + i}", "customerId": loser} for i in range(1_000)]
        assert (await shop.put("/vouchers", {"vouchers": many})).status == 200
    merging = asyncio.create_task(merged(shop, survivor, loser))
    await made(shop, "t-meanwhile")
    await voucher(shop, "v-meanwhile", customerId=other)
    assert (await merging).result["repointed"]["voucher"] == 3_000
    counts = await shop.engine.pool.fetchrow(
        "select count(*), count(distinct version), max(version) from vouchers where customer_id = $1", survivor
    )
    assert counts is not None
    assert tuple(counts) == (3_000, 1, 2)


async def test_a_reference_to_a_merged_record_is_one_to_the_survivor(shop: Api) -> None:
    """Whoever still refers to a merged record, by its external id or by ours, refers to the survivor."""
    survivor, loser = await made(shop, "a-1"), await made(shop, "a-2")
    await merged(shop, survivor, loser)
    ways: list[dict[str, Any]] = [
        {"customerId": loser, "guestIds": [loser]},
        {"customer": {"externalCustomerId": "a-2"}, "guests": [{"externalCustomerId": "a-2"}]},
        {"customer": {"externalCustomerId": "a-2", "id": loser}, "guests": [{"id": loser}]},
    ]
    for i, way in enumerate(ways):
        await voucher(shop, f"way-{i}", **way)
        assert await referring(shop, f"way-{i}") == (survivor, None, [survivor], 1)


async def test_no_reference_is_left_behind_by_who_writes_meanwhile(shop: Api) -> None:
    """References that are written while their record is merged away, in any way, end at the survivor, too."""
    for turn in range(5):
        survivor, loser = await made(shop, f"m-{turn}"), await made(shop, f"n-{turn}")
        answers = await asyncio.gather(
            *(voucher(shop, f"w-{turn}-{i}", customerId=loser, guestIds=[loser]) for i in range(12)),
            merged(shop, survivor, loser),
            *(voucher(shop, f"x-{turn}-{i}", payer={"externalCustomerId": f"n-{turn}"}) for i in range(12)),
            merged(shop, survivor, loser),
        )
        assert {each.status for each in answers if each is not None} == {200}
    left = await shop.engine.pool.fetchval(
        "select count(*) from vouchers as v join customers as c on c.merged_into_id is not null and"
        " (c.id = v.customer_id or v.body->>'payerId' = c.id::text or v.body->'guestIds' ? c.id::text)"
    )
    assert left == 0


async def test_the_race_is_lost_by_nobody(shop: Api) -> None:
    """A reference that was found before a merge, and is written after it, is led on by the statement that writes it."""
    survivor, loser = await made(shop, "z-1"), await made(shop, "z-2")
    await merged(shop, survivor, loser)
    # What the writer has in hand when the merge comes between its finding the reference and its writing the record.
    patch = {"name": "late", "customerId": loser, "payerId": None, "guestIds": [loser, survivor]}
    await shop.engine.writer.write(VOUCHER, Draft(external_id="late", patch=patch))
    found = (await shop.get("/vouchers/external/late")).result
    assert (found["customerId"], found["payerId"]) == (survivor, None)
    assert set(found["guestIds"]) == {survivor}


async def test_merges_amid_all_other_work_fail_nobody(shop: Api) -> None:
    """Merges, careful writes of losers and of what refers to them, and deliveries, at once: nobody is refused."""
    async with Receiver.listen() as receiver, working(shop):
        await webhook(shop, receiver, name="amid")
        pairs = [(await made(shop, f"h-{i}"), await made(shop, f"i-{i}")) for i in range(4)]
        for i, (_, loser) in enumerate(pairs):
            await voucher(shop, f"amid-{i}", customerId=loser)

        async def tug(i: int) -> list[int]:
            survivor, loser = pairs[i]
            own, theirs = f"/v2/public/customers/external/i-{i}", f"/v2/public/vouchers/external/amid-{i}"
            answers = await asyncio.gather(
                *(shop.request("PATCH", own, json={"title": f"{n}"}) for n in range(3)),
                *(shop.request("PATCH", theirs, json={"customerId": loser, "name": f"{n}"}) for n in range(3)),
                merged(shop, survivor, loser),
                merged(shop, survivor, loser),
                shop.put(f"/customers/i-{i}", {"firstName": "Eve"}),
            )
            return [each.status for each in answers]

        assert {status for each in await asyncio.gather(*map(tug, range(4))) for status in each} == {200}
        for i, (survivor, _) in enumerate(pairs):
            assert (await referring(shop, f"amid-{i}"))[0] == survivor
        await all_settled(shop)
