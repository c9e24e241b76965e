"""A POST with an Idempotency-Key: one effect and one answer, however often it is sent."""

import asyncio
from collections import Counter
from collections.abc import Iterator

import asyncpg
import pytest

from retailos.declare.resource import Resource
from tests.conftest import eventually
from tests.contract.conftest import VARIED_RESOURCES, Api, check_envelope, full, ground
from tests.contract.delivering import working

ADA = {"firstName": "Ada", "lastName": "Lovelace"}
#: Statements that wait for a lock, as PostgreSQL shows them to everybody.
WAITING = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
AGED = "update answer set at = at - interval '24 hours'"


@pytest.fixture
def number(numbers: Iterator[int]) -> int:
    """A number for keys and external ids that no other test uses."""
    return next(numbers)


def keyed(key: object) -> dict[str, str]:
    """The header."""
    return {"Idempotency-Key": f"key-{key}"}


@VARIED_RESOURCES
async def test_a_request_that_comes_again_is_answered_as_before(shop: Api, resource: Resource, number: int) -> None:
    """The same request under the same key has the status, the result and the headers that it had, and no effect."""
    await ground(shop, resource, number)
    body, path = full(resource, number), f"/{resource.collection}"
    first = await shop.post(path, body, headers=keyed(number))
    before = await shop.stored()
    again = await shop.post(path, body, headers=keyed(number))
    assert await shop.stored() == before
    assert [first.status, again.status] == [201, 201]
    assert again.result == first.result
    assert [again.headers[name] for name in ("etag", "location")] == [first.headers["etag"], first.headers["location"]]
    assert [each.headers.get("idempotency-replayed") for each in (first, again)] == [None, "true"]
    # It is a request of its own all the same, and named so.
    assert check_envelope(again)["meta"]["requestId"] != check_envelope(first)["meta"]["requestId"]


async def test_what_has_changed_meanwhile_does_not_change_the_answer(shop: Api, number: int) -> None:
    """The answer is the one that was given, whatever became of the record since."""
    first = await shop.post("/customers", ADA, headers=keyed(number))
    await shop.put(f"/customers/{first.result['id']}", {"firstName": "Grace"})
    again = await shop.post("/customers", ADA, headers=keyed(number))
    assert (again.result, again.headers["etag"]) == (first.result, '"1"')


async def test_a_record_with_a_key_is_a_record_like_others(shop: Api, number: int) -> None:
    """What is made under a key has its job, its change and its place among the others, as what is made without."""
    before = await shop.stored()
    await shop.post("/customers", ADA)
    plain = await shop.stored()
    await shop.post("/customers", ADA, headers=keyed(number))
    made = await shop.stored()
    assert {name: made[name] - plain[name] for name in made} == {
        name: plain[name] - before[name] + (name == "answer") for name in plain
    }


@pytest.mark.parametrize(("path", "body"), [("", ADA | {"title": "Mrs"}), ("?unknownFields=ignore", ADA)])
async def test_another_request_under_the_same_key_is_refused(
    shop: Api, number: int, path: str, body: dict[str, object]
) -> None:
    """A key that comes with another body or another query is a mistake of the sender's."""
    await shop.post("/customers", ADA, headers=keyed(number))
    before = await shop.stored()
    refused = await shop.post(f"/customers{path}", body, headers=keyed(number))
    assert check_envelope(refused, 422)["error"]["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert await shop.stored() == before


async def test_a_key_counts_for_one_api_key_and_one_route(shop: Api, number: int) -> None:
    """Two senders who hit on the same key, or one who uses it at two routes, do not meet."""
    answers = [
        await shop.post("/territories", {"name": "UK"}, headers=keyed(number)),
        await shop.post("/territories", {"name": "UK"}, headers=keyed(number), key=shop.admin_key),
        await shop.post("/clients", {"name": "UK"}, headers=keyed(number)),
    ]
    assert [each.status for each in answers] == [201, 201, 201]
    assert len({each.result["id"] for each in answers}) == 3
    assert all("idempotency-replayed" not in each.headers for each in answers)


NOWHERE = {"registeredAt": {"externalStoreId": "none"}}


async def test_what_waits_is_answered_once_too(shop: Api, number: int) -> None:
    """A POST that waits for a store waits once, however often it is sent, and is answered with the same job."""
    answers = [await shop.post("/customers", ADA | NOWHERE, headers=keyed(number)) for _ in range(2)]
    assert [each.status for each in answers] == [202, 202]
    assert answers[0].result == answers[1].result
    waiting = await shop.get(f"/jobs?status=unresolved&externalId={answers[0].result[0]['externalId']}")
    assert [each["id"] for each in waiting.result["rows"]] == [answers[0].result[0]["id"]]


async def test_a_request_without_effect_leaves_its_key_free(shop: Api, number: int) -> None:
    """What was refused, or only tried, is not remembered: the same key may come with a request that is put right."""
    taken = {"externalCustomerId": f"taken-{number}"}
    await shop.post("/customers", ADA | taken)
    answers = [
        await shop.post("/customers", {"frstName": "Ada"}, headers=keyed(number)),
        await shop.post("/customers", ADA | taken, headers=keyed(number)),
        await shop.post("/customers?onUnresolved=reject", ADA | NOWHERE, headers=keyed(number)),
        await shop.post("/customers?dryRun=true", ADA, headers=keyed(number)),
        await shop.post("/customers", ADA, headers=keyed(number)),
    ]
    assert [each.status for each in answers] == [400, 409, 422, 200, 201]
    assert answers[1].error["details"] == {"resourceId": (await shop.get(f"/customers/taken-{number}")).result["id"]}


async def test_a_tree_grows_under_a_key_too(shop: Api, number: int) -> None:
    """A region below another is made under a key, its parent looked at as without one."""
    parent = (await shop.post("/regions", {"name": "South"}, headers=keyed(f"{number}-parent"))).result
    body = {"name": "Coast", "parentId": parent["id"]}
    answers = [await shop.post("/regions", body, headers=keyed(number)) for _ in range(2)]
    assert [each.status for each in answers] == [201, 201]
    assert answers[0].result == answers[1].result
    assert answers[0].result["parentId"] == parent["id"]


async def test_a_request_that_is_still_running_is_not_waited_for(shop: Api, number: int) -> None:
    """While a request is being worked on, whoever sends it again is told so at once, and later has its answer."""
    connection = await asyncpg.connect(shop.database)
    try:
        async with connection.transaction():
            await connection.execute("lock table clients in exclusive mode")
            running = asyncio.create_task(shop.post("/clients", {"name": "A"}, headers=keyed(number)))
            await eventually(lambda: connection.fetchval(WAITING))
            same = await shop.post("/clients", {"name": "A"}, headers=keyed(number))
            assert not running.done()
    finally:
        await connection.close()
    first = await running
    again = await shop.post("/clients", {"name": "A"}, headers=keyed(number))
    assert check_envelope(same, 409)["error"]["code"] == "IDEMPOTENCY_IN_PROGRESS"
    assert (first.status, again.result) == (201, first.result)


async def test_many_at_once_make_one_record(shop: Api, number: int) -> None:
    """Twenty requests with one key at once make one record: each is answered with it, or told to come again."""
    answers = await asyncio.gather(*(shop.post("/clients", {"name": "B"}, headers=keyed(number)) for _ in range(20)))
    made = [each for each in answers if each.status == 201]
    assert Counter(each.status for each in answers).keys() <= {201, 409}
    assert len({each.result["id"] for each in made}) == 1
    assert [each.headers.get("idempotency-replayed") for each in made].count(None) == 1


async def test_two_keys_in_one_request_are_refused(shop: Api, number: int) -> None:
    """Which of two keys would count, nobody can know."""
    refused = await shop.post("/clients", {"name": "A"}, headers=keyed(number) | {"idempotency-key": "other"})
    assert (refused.status, refused.error["code"]) == (400, "BAD_REQUEST")


async def test_an_answer_is_kept_for_a_day(api: Api) -> None:
    """After 24 hours a key is free again, and a worker removes what was answered to it."""
    first = await api.post("/clients", {"name": "A"}, headers=keyed(1))
    async with api.engine.pool.acquire() as connection:
        await connection.execute(AGED)
        second = await api.post("/clients", {"name": "A"}, headers=keyed(1))
        again = await api.post("/clients", {"name": "A"}, headers=keyed(1))
        assert (await api.stored())["answer"] == 1
        await connection.execute(AGED)
    assert second.result["id"] != first.result["id"]
    assert again.result == second.result
    async with working(api):
        await eventually(lambda: _no_answers(api))


async def _no_answers(api: Api) -> bool:
    return (await api.stored())["answer"] == 0
