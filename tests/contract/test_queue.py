"""Prefer: respond-async: what was sent is accepted at once, and written soon, in the order of its coming."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import asyncpg
import pytest

from retailos.database.pool import Connection
from retailos.declare.resource import Resource
from retailos.jobs import queue
from retailos.records.identity import new_id
from retailos.records.record import Draft
from retailos.resources import RESOURCES
from retailos.settings import Settings
from tests.conftest import eventually
from tests.contract.conftest import VARIED_RESOURCES, Api, Response, check_envelope, full, ground, least, serving
from tests.contract.importing import applied, ndjson, send

LATER = {"Prefer": "respond-async"}
ADA = {"firstName": "Ada", "lastName": "Lovelace"}
#: Statements that wait for a lock.
WAITING = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"


@pytest.fixture
def number(numbers: Iterator[int]) -> int:
    """A number for external ids that no other test uses."""
    return next(numbers)


async def ended(api: Api, job: dict[str, Any]) -> dict[str, Any]:
    """Wait until a job is not queued any more, and give it."""

    async def look() -> dict[str, Any]:
        found: dict[str, Any] = (await api.get(f"/jobs/{job['id']}")).result
        return found if found["status"] != "queued" else {}

    return await eventually(look)


def rows(resource: Resource, *names: str, **fields: Any) -> dict[str, Any]:
    """A bulk body of the least records with these external ids."""
    key = resource.external_id.name
    return {resource.plural: [least(resource, i) | {key: name} | fields for i, name in enumerate(names)]}


@asynccontextmanager
async def held(api: Api, external_id: str) -> AsyncIterator[Connection]:
    """Keep a customer from being written for the length of the block, and with it what is written together with it."""
    connection = await asyncpg.connect(api.database)
    try:
        async with connection.transaction():
            await connection.execute("select from customers where external_id = $1 for update", external_id)
            yield connection
    finally:
        await connection.close()


async def stuck(api: Api, connection: Connection, first: str, *others: str) -> list[dict[str, Any]]:
    """Have customers queued that can't be written, since the first of them is held; their jobs."""
    body = rows(RESOURCES["customer"], first, *others, lastName="queued")
    answer = await api.put("/customers", body, headers=LATER)
    assert answer.status == 202
    assert await eventually(lambda: connection.fetchval(WAITING))
    jobs: list[dict[str, Any]] = answer.result
    return jobs


@VARIED_RESOURCES
async def test_an_upsert_is_accepted_and_then_written(shop: Api, resource: Resource, number: int) -> None:
    """With respond-async a PUT is a 202 and a queued job, which ends as it would have at once, for every resource."""
    await ground(shop, resource, number)
    path, body = f"/{resource.collection}/async-{number}", full(resource, number)
    body[resource.external_id.name] = f"async-{number}"
    answer = await shop.put(path, body, headers=LATER)
    [job] = check_envelope(answer, 202)["result"]
    assert answer.headers["preference-applied"] == "respond-async"
    assert (job["status"], job["outcome"], job["resourceId"], job["completedAt"]) == ("queued", None, None, None)
    done = await ended(shop, job)
    assert (done["status"], done["outcome"], done["version"]) == ("completed", "created", 1)
    assert (done["createdAt"], done["externalId"]) == (job["createdAt"], f"async-{number}")
    assert done["completedAt"] >= done["createdAt"]
    again = await shop.put(path, body)
    assert (again.result[0]["outcome"], again.result[0]["resourceId"]) == ("unchanged", done["resourceId"])


async def test_a_thousand_are_accepted_at_once_and_written(api: Api) -> None:
    """Bad rows of a bulk body are told at once, good ones are queued, and the batch counts them until all are done."""
    body = rows(RESOURCES["customer"], *(f"c-{i}" for i in range(1000)))
    body["customers"][7] = {"externalCustomerId": "c-7", "firstName": 7}
    answer = await api.put("/customers", body, headers=LATER)
    jobs = check_envelope(answer, 202)["result"]
    assert [each["status"] for each in jobs] == ["queued"] * 7 + ["failed"] + ["queued"] * 992
    assert [each["index"] for each in jobs] == list(range(1000))

    async def all_done() -> Any:
        batch = (await api.get(f"/batches/{jobs[0]['batchId']}")).result
        assert batch["count"] == 1000
        return batch["statuses"] == {"completed": 999, "failed": 1} and batch

    assert (await eventually(all_done))["outcomes"] == {"created": 999}
    assert (await api.get("/customers?limit=0")).result["count"] == 999
    assert (await api.stored())["queued"] == 0


async def test_what_can_be_known_is_known_at_once(shop: Api, number: int) -> None:
    """A body that breaks the rules is refused as it would be without the preference, and nothing is queued."""
    before = await shop.stored()
    refused = await shop.put(f"/customers/bad-{number}", {"frstName": "Ada"}, headers=LATER)
    assert (refused.status, refused.error["code"]) == (400, "VALIDATION_ERROR")
    assert await shop.stored() == before


async def test_what_only_the_database_knows_is_told_by_the_job(shop: Api, number: int) -> None:
    """A missing reference or a taken user name ends in a failed job that says so, and its neighbours are written."""
    user = {"firstName": "A", "lastName": "B"}
    body = [
        user | {"externalUserId": f"u-{number}-{i}", "username": f"queued-{number}-{name}"}
        for i, name in enumerate(("a", "b", "a"))
    ]
    users = (await shop.put("/users", {"users": body}, headers=LATER)).result
    lost = ADA | {"registeredAt": {"externalStoreId": "nowhere"}}
    [lonely] = (await shop.put(f"/customers/lost-{number}?onUnresolved=reject", lost, headers=LATER)).result
    ends = [await ended(shop, each) for each in (*users, lonely)]
    assert [each["status"] for each in ends] == ["completed", "completed", "failed", "failed"]
    assert [each["error"]["code"] for each in ends[2:]] == ["NOT_UNIQUE", "REFERENCE_NOT_FOUND"]
    assert ends[3]["error"]["details"]["errors"][0]["path"] == "/registeredAt"
    assert (ends[2]["createdAt"], ends[2]["index"]) == (users[2]["createdAt"], 2)


async def test_what_was_accepted_may_wait_for_other_records(shop: Api, number: int) -> None:
    """An upsert that was queued, and names a store that is not there, goes on waiting for that under the same job."""
    body = ADA | {"registeredAt": {"externalStoreId": f"later-{number}"}}
    [accepted] = (await shop.put(f"/customers/waits-{number}", body, headers=LATER)).result
    waiting = await ended(shop, accepted)
    assert (waiting["status"], waiting["completedAt"]) == ("unresolved", None)
    assert [each["externalId"] for each in waiting["unresolvedReferences"]] == [f"later-{number}"]
    [store] = (await shop.put(f"/stores/later-{number}", {"name": "X"}, headers=LATER)).result
    await ended(shop, store)
    done = await ended(shop, accepted)
    assert (done["status"], done["outcome"], done["createdAt"]) == ("completed", "created", accepted["createdAt"])


async def test_parents_may_come_in_the_same_request(shop: Api, number: int) -> None:
    """Regions of one request that lie below each other are written one after the other."""
    names = [f"r-{number}-{i}" for i in range(3)]
    body = rows(RESOURCES["region"], *names)
    for row, parent in zip(body["regions"][1:], names, strict=False):
        row["parent"] = {"externalRegionId": parent}
    body["regions"].append({"externalRegionId": f"r-{number}-9", "name": "X", "parent": {"externalRegionId": names[2]}})
    ends = [await ended(shop, each) for each in (await shop.put("/regions", body, headers=LATER)).result]
    assert [each["status"] for each in ends] == ["completed"] * 4


@pytest.mark.parametrize("value", ["1234567890.123456789012345678901234567891", "9" * 40, "1e-200"])
async def test_numbers_wait_unchanged(shop: Api, number: int, value: str) -> None:
    """A number in free JSON is, to its last digit, the same whether its record was queued or not."""
    body = f'{{"firstName": "Ada", "details": {{"n": {value}}}}}'.encode()
    path = f"/v2/public/customers/number-{number}"
    answer = await shop.request("PUT", path, body=body, headers=LATER)
    assert (await ended(shop, answer.result[0]))["status"] == "completed"
    assert (await shop.request("PUT", path, body=body)).result[0]["outcome"] == "unchanged"


async def test_upserts_of_one_record_keep_their_order(shop: Api, number: int) -> None:
    """Queued or not, upserts of one record are applied in the order in which they were answered."""
    path = f"/customers/turns-{number}"
    answers = [
        await shop.put(path, {"firstName": "Ada", "details": {"turn": turn}}, headers=LATER if turn % 3 else {})
        for turn in range(60)
    ]
    ends = [await ended(shop, answer.result[0]) for answer in answers]
    assert [each["version"] for each in ends] == list(range(1, 61))
    assert (await shop.get(path)).result["details"] == {"turn": 59}


async def test_nobody_overtakes_what_is_queued(api: Api) -> None:
    """Whoever writes a record of which something waits, by whatever way, comes after it; others are not held up."""
    record_id = (await api.put("/customers/a", ADA)).result[0]["resourceId"]
    overtaking = {
        "b": partial(api.put, "/customers/b", {"firstName": "Grace"}),
        "c": partial(api.put, "/customers", rows(RESOURCES["customer"], "c", firstName="Grace")),
        "d": partial(api.put, "/customers?errorPolicy=rejectEverything", rows(RESOURCES["customer"], "d")),
        "e": partial(api.request, "PATCH", "/v2/public/customers/external/e", json={"firstName": "Grace"}),
        "f": partial(api.request, "DELETE", "/v2/public/customers/external/f"),
        "g": partial(api.put, "/customers/g", {"firstName": "Grace"}, headers={"If-Match": '"1"'}),
        "h": partial(api.post, "/customers", ADA | {"externalCustomerId": "h"}),
        "a": partial(api.put, f"/customers/id/{record_id}", {"firstName": "Grace"}),
    }
    async with held(api, "a") as connection:
        await stuck(api, connection, "a", *(set(overtaking) - {"a"}))
        writes = {name: asyncio.create_task(write()) for name, write in overtaking.items()}
        other = await api.put("/customers/z", ADA)
        assert [name for name, write in writes.items() if write.done()] == []
    answers: dict[str, Response] = {name: await write for name, write in writes.items()}
    assert other.status == 200
    assert {name: each.status for name, each in answers.items()} == dict.fromkeys(answers, 200) | {"h": 409}
    outcomes = {name: each.result[0]["outcome"] for name, each in answers.items() if each.status == 200}
    assert outcomes == dict.fromkeys("abceg", "updated") | {"d": "updated", "f": "deleted"}


async def test_a_merge_comes_after_what_was_accepted_before(api: Api) -> None:
    """What was accepted of a customer before it is merged is part of what is merged, and changes nothing afterwards."""
    _, loser, survivor = [
        (await api.put(f"/customers/{name}", {"firstName": name})).result[0]["resourceId"] for name in "abc"
    ]
    async with held(api, "a") as connection:
        [_, job] = await stuck(api, connection, "a", "b")
        merging = asyncio.create_task(api.post(f"/customers/{survivor}/merge", {"from": [loser]}))
        done, _ = await asyncio.wait([merging], timeout=1)
        assert not done, "it does not wait for what was accepted"
    record = (await merging).result["record"]
    assert (await ended(api, job))["outcome"] == "updated"
    assert (record["firstName"], record["lastName"]) == ("c", "queued")


async def test_a_queued_job_is_found_like_others(api: Api) -> None:
    """While it waits, a job is found by its id, its batch, its record and its status."""
    await api.put("/customers/a", ADA)
    async with held(api, "a") as connection:
        [first, second] = await stuck(api, connection, "a", "b")
        batch = first["batchId"]
        found = [
            [(await api.get(f"/jobs/{second['id']}")).result],
            (await api.get("/jobs?externalId=b&resource=customer")).result["rows"],
            (await api.get(f"/jobs?batchId={batch}&status=queued&limit=1&queueName=scv:customer:upsert")).result[
                "rows"
            ],
        ]
        totals = (await api.get(f"/batches/{batch}")).result
    assert [rows[0]["status"] for rows in found] == ["queued"] * 3
    assert found[0] == found[1] == [second]
    assert (totals["count"], totals["statuses"], totals["outcomes"]) == (2, {"queued": 2}, {})
    assert (await ended(api, second))["outcome"] == "created"


async def test_what_a_process_leaves_the_next_one_writes(settings: Settings, database: str) -> None:
    """Upserts that were accepted by a process that has ended are written by the one after it, before any others."""
    async with serving(settings, database) as api, AsyncExitStack() as stack:
        await api.put("/customers/a", ADA)
        async with held(api, "a") as connection:
            jobs = await stuck(api, connection, "a", "b")
            after = await stack.enter_async_context(serving(settings, database))
            await api.engine.queue.close()
            write = asyncio.create_task(after.put("/customers/b", {"firstName": "Grace"}))
            assert (await after.put("/customers/z", ADA)).status == 200
            assert not write.done()
        assert (await write).result[0]["version"] == 2
        assert [(await ended(after, each))["outcome"] for each in jobs] == ["updated", "created"]


async def test_nobody_overtakes_what_another_process_accepted(shop: Api, number: int) -> None:
    """What one process has accepted is written before what comes later to another, by whatever route it comes."""
    elsewhere = queue.Queue(shop.engine.pool, RESOURCES, after_commit=lambda: None)
    origin = queue.Origin(request_id=new_id(), api_key_id=shop.key[:10])
    for way in ("put", "patch", "bulk"):
        name = f"across-{number}-{way}"
        await shop.put(f"/customers/{name}", ADA)
        draft = Draft(external_id=name, patch={"firstName": "Accepted", "gender": "Unknown"})
        accepted = await elsewhere.accept(RESOURCES["customer"], [(0, draft)], origin)
        body: Any = ADA | {"firstName": "Later"}
        if way == "put":
            answer = await shop.put(f"/customers/{name}", body)
        elif way == "patch":
            path = f"/v2/public/customers/external/{name}"
            answer = await shop.request("PATCH", path, json={"firstName": "Later"})
        else:
            answer = await shop.put("/customers", {"customers": [body | {"externalCustomerId": name}]})
        assert answer.result[0]["version"] == 3, way
        assert (await shop.get(f"/jobs/{accepted[0].id}")).result["version"] == 2
        found = (await shop.get(f"/customers/{name}")).result
        assert (found["firstName"], found["gender"]) == ("Later", "Unknown")


async def test_an_import_takes_a_record_that_is_still_queued(api: Api, number: int) -> None:
    """A row of a file is no defect for being of a record that was accepted before and is not written yet."""
    first, second = f"held-{number}", f"queued-{number}"
    await api.put(f"/customers/{first}", ADA)
    async with held(api, first) as connection:
        jobs = await stuck(api, connection, first, second)
        done = await applied(
            api, await send(api, ndjson([{"externalCustomerId": second, "lastName": "file"}]), "ndjson")
        )
    assert [done["status"], done["failed"]] == ["completed", 0]
    assert [(await ended(api, each))["status"] for each in jobs] == ["completed", "completed"]
