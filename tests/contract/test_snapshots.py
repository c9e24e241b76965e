"""Whatever writes a record keeps its change whole where somebody wants every change, and nowhere else."""

from typing import Any
from uuid import UUID

import msgspec
import pytest

from retailos.declare.resource import Resource
from retailos.records.told_sql import Wanted, reading
from retailos.resources import RESOURCES
from tests.contract.conftest import EACH_RESOURCE, Api, full, ground
from tests.contract.importing import applied, ndjson, send

#: Versions of records that are not known as they were then.
MISSING = "select count(*) from change where snapshot is null"


@pytest.fixture
async def asked(api: Api) -> Api:
    """An API on whose every resource there is a webhook that wants every change, though not now."""
    async with api.engine.pool.acquire() as connection:
        await connection.execute(
            "insert into webhook (name, resource, settings, active, created_at, updated_at)"
            """ select 'all', name, '{"url": "https://x", "sends": "every"}', false, now(), now()"""
            " from unnest($1::text[]) as name",
            list(RESOURCES),
        )
    return api


async def read(api: Api, resource: Resource, record_id: UUID, behind: int | None = None) -> dict[str, Any]:
    """A record as it is told: as it is now, or from the first snapshot behind a version."""
    statement, _ = reading(RESOURCES, resource, Wanted(show=resource.shown, every=behind is not None))
    given = ([record_id],) if behind is None else ([record_id], [0], [behind])
    async with api.engine.pool.acquire() as connection:
        [row] = await connection.fetch(statement, *given)
    return {**row, "json": msgspec.json.decode(row["json"])}


async def value(api: Api, statement: str, *arguments: Any) -> Any:
    """The one value that a statement gives."""
    async with api.engine.pool.acquire() as connection:
        return await connection.fetchval(statement, *arguments)


@pytest.fixture
async def telling(api: Api) -> Api:
    """An API on whose every resource there is a webhook that wants the newest state, and no worker to send it."""
    async with api.engine.pool.acquire() as connection:
        await connection.execute(
            "insert into webhook (name, resource, settings, active, created_at, updated_at)"
            """ select 'newest', name, '{"url": "https://x"}', true, now(), now() from unnest($1::text[]) as name""",
            list(RESOURCES),
        )
    return api


@EACH_RESOURCE
async def test_a_snapshot_shows_what_the_record_was(asked: Api, resource: Resource) -> None:
    """Every field and every projection of a record reads from its change's snapshot as from the record itself."""
    await ground(asked, resource, 1)
    body = full(resource, 1)
    name = body[resource.external_id.name]
    answer = await asked.put(f"/{resource.collection}/{name}", body)
    assert answer.status == 200, answer.body
    [written] = answer.result
    record_id = UUID(written["resourceId"])
    now = await read(asked, resource, record_id)
    assert now["version"] == 1
    assert await read(asked, resource, record_id, behind=0) == now
    assert (await asked.request("DELETE", f"/v2/public/{resource.collection}/external/{name}")).status == 200
    assert await read(asked, resource, record_id, behind=0) == now
    gone = await read(asked, resource, record_id, behind=1)
    assert (gone["version"], gone["deleted"], gone["operation"]) == (2, True, "delete")
    assert await value(asked, MISSING) == 0


async def write_in_every_way(api: Api) -> None:
    """Write customers, and what comes with them, in every way that there is."""
    one, two = "/customers/external/w-1", "/customers/external/w-2"
    answers = [
        await api.put("/customers/w-1", {"firstName": "Ada", "emailMarketing": True}),
        await api.put("/customers/w-1", {"firstName": "Augusta", "emailMarketing": False}),
        await api.post("/customers", {"externalCustomerId": "w-2", "lastName": "King"}),
        await api.request("PATCH", f"/v2/public{one}", json={"details": {"a": 1}}),
        await api.put("/customers/w-1", {"firstName": "Ada"}, headers={"If-Match": '"3"'}),
        await api.put("/customers", {"customers": [{"externalCustomerId": "w-3", "lastName": "Byron"}]}),
        await api.request("DELETE", f"/v2/public{two}"),
        await api.put("/customers/w-2", {"lastName": "King"}),
        await api.put("/customers/w-4?onUnresolved=park", {"firstName": "A", "registeredAt": {"externalStoreId": "w"}}),
        await api.put("/stores/w", {"name": "W"}),
    ]
    assert [each.status for each in answers] == [200, 200, 201, 200, 200, 200, 200, 200, 202, 200]
    await applied(api, await send(api, ndjson([{"externalCustomerId": "w-5", "firstName": "I"}]), "ndjson"))
    two_id = (await api.get(two)).result["id"]
    renamed = await api.put(f"/customers/id/{two_id}", {"externalCustomerId": "w-2b", "lastName": "King"})
    assert renamed.status == 200, renamed.body
    await api.put("/customer-notes/n-1", {"text": "Likes blue", "customer": {"externalCustomerId": "w-3"}})
    one_id, three_id = [(await api.get(f"/customers/external/{each}")).result["id"] for each in ("w-1", "w-3")]
    merged = await api.post(f"/customers/{one_id}/merge", {"from": [three_id, two_id]})
    assert merged.status == 200, merged.body


async def test_every_way_of_writing_captures(asked: Api) -> None:
    """API, bulk, import, parked upserts, other external ids, deletions, merges and what these re-point: all of it."""
    await write_in_every_way(asked)
    async with asked.engine.pool.acquire() as connection:
        told = await connection.fetch("select resource, operation, count(*) from change group by 1, 2")
        wrong = await connection.fetch(
            "select resource, record_id, version from change where (snapshot->>'version')::int <> version"
            " or snapshot->>'operation' <> operation or (snapshot->>'id')::uuid <> record_id"
        )
    counts = {(row["resource"], row["operation"]): row["count"] for row in told}
    assert await value(asked, MISSING) == 0
    assert wrong == []
    assert {operation for resource, operation in counts if resource == "customer"} == {
        *("create", "update", "delete", "undelete", "merge")
    }
    assert counts["customerNote", "update"] == 1
    assert counts["consentEvent", "create"] == 2
    assert counts["customer", "create"] == 5


async def test_every_way_of_writing_owes(telling: Api) -> None:
    """API, bulk, import, parked upserts, deletions, merges and what these re-point: each webhook is owed all of it."""
    await write_in_every_way(telling)
    written = {}
    for resource in RESOURCES.values():
        rows = await values(
            telling,
            f"select external_id, record.version, delivery.wanted from {resource.table} as record"
            " left join (delivery join webhook on webhook.id = webhook_id and resource = $1) on record_id = record.id",
            resource.name,
        )
        assert all(row["wanted"] == row["version"] for row in rows), (resource.name, rows)
        written[resource.name] = {row["external_id"] for row in rows}
    assert written["customer"] >= {"w-1", "w-2b", "w-3", "w-4", "w-5"}
    assert written["customerNote"] == {"n-1"}
    assert written["store"] == {"w"}
    assert len(written["consentEvent"]) == 2


async def values(api: Api, statement: str, *arguments: Any) -> list[Any]:
    """The rows that a statement gives."""
    async with api.engine.pool.acquire() as connection:
        return list(await connection.fetch(statement, *arguments))


async def test_without_a_demand_nothing_is_captured(api: Api) -> None:
    """A change keeps no snapshot where no webhook of its resource sends every change."""
    await write_in_every_way(api)
    assert await value(api, MISSING) == await value(api, "select count(*) from change") > 10


async def test_what_was_sent_whole_is_known_to_be_so(api: Api) -> None:
    """A change says whether the record is by then what the caller sent: not if it was led elsewhere, or cut."""
    await api.put("/customers/a-1", {"firstName": "Ada", "smsMarketing": True})
    await api.put("/customers/a-1?onUnresolved=null", {"registeredAt": {"externalStoreId": "nowhere"}, "title": "Dr"})
    await api.put("/customers/a-2", {"firstName": "Augusta"})
    ids = [(await api.get(f"/customers/external/{each}")).result["id"] for each in ("a-1", "a-2")]
    assert (await api.post(f"/customers/{ids[0]}/merge", {"from": [ids[1]]})).status == 200
    await api.put("/customers/a-2", {"lastName": "King"})
    await api.request("DELETE", "/v2/public/customers/external/a-1")
    async with api.engine.pool.acquire() as connection:
        rows = await connection.fetch("select record_id, version, operation, as_sent, resource from change")
    known = {(str(row["record_id"]), row["version"]): row["as_sent"] for row in rows if row["resource"] == "customer"}
    # Written, written with a warning, led on from the one that was merged, deleted.
    assert [known[ids[0], version] for version in (1, 2, 3, 4)] == [True, False, False, True]
    assert [known[ids[1], version] for version in (1, 2)] == [True, False]
    # Nobody sent what was written down of the consent that was given, and of the merge that withdrew it.
    assert [row["as_sent"] for row in rows if row["resource"] == "consentEvent"] == [False, False]
