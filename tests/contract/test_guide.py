"""The integration guide's own samples: what it shows inbound is taken, what it shows outbound is sent."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from retailos.database.pool import Pool
from retailos.declare.resource import Resource
from retailos.records import page, sql
from retailos.records.identity import new_id
from retailos.resources import RESOURCES
from tests.contract.conftest import Api, check_envelope

CUSTOMER = RESOURCES["customer"]
LISTED = "?limit=3&sort=-updatedAt&fields=id,externalCustomerId,firstName,lastName,email,createdAt,updatedAt"


def sample(name: str) -> Any:
    """One of the guide's samples, as it stands there."""
    return msgspec.json.decode((Path(__file__).parent / "guide" / f"{name}.json").read_bytes())


async def seed(pool: Pool, resource: Resource, record: Mapping[str, Any]) -> None:
    """Write a record with the guide's own id, what only the server sets, and its moments."""
    body = {name: value for name, value in record.items() if name in resource.defaults}
    external_id = record.get(resource.external_id.name, f"example-{resource.name}-id")
    async with pool.acquire() as connection:
        columns = ([external_id], [msgspec.json.encode(body).decode()], [UUID(record["id"])], [new_id()])
        rest = ([None], [None], [None], False, [None], [0], False, [None])
        await connection.fetch(sql.upsert(RESOURCES, resource), *columns, *rest)
        stamps = [record.get(name) for name in ("createdAt", "updatedAt")]
        await connection.execute(
            f"update {resource.table} set created_at = coalesce($2, least(created_at, $3)),"
            " updated_at = coalesce($3, updated_at) where external_id = $1",
            external_id,
            *(stamp and datetime.fromisoformat(stamp) for stamp in stamps),
        )


async def seed_webhook(pool: Pool) -> dict[str, Any]:
    """Write the customer of the guide's webhook with those that it refers to; give it as the guide sends it."""
    customer: dict[str, Any] = sample("webhook")["customer"]
    await seed(pool, RESOURCES["user"], customer["registeredBy"])
    await seed(pool, RESOURCES["store"], customer["registeredAt"])
    await seed(pool, RESOURCES["territory"], customer["territory"])
    await seed(pool, CUSTOMER, customer)
    return customer


def is_subsequence(wanted: Sequence[str], given: Sequence[str]) -> bool:
    """Whether the one's names stand in the other, in their order."""
    rest = iter(given)
    return all(name in rest for name in wanted)


def assert_shown_as(shown: Mapping[str, Any], guide: Mapping[str, Any]) -> None:
    """See that a record has the guide's keys, in the guide's order, with the guide's values; it may have others too."""
    assert is_subsequence(list(guide), list(shown)), list(shown)
    assert {name: shown[name] for name in guide} == guide


async def test_the_list_of_section_7(api: Api) -> None:
    """The guide's list request gets the guide's rows: exactly its keys, in its order, the latest first."""
    expected = sample("list")
    for row in reversed(expected["result"]["rows"]):
        await seed(api.engine.pool, CUSTOMER, row)
    older = {"id": str(new_id()), "externalCustomerId": "older", "firstName": "Older"}
    await seed(
        api.engine.pool,
        CUSTOMER,
        older | {"createdAt": "2019-01-01T00:00:00.000Z", "updatedAt": "2019-01-01T00:00:00.000Z"},
    )
    envelope = check_envelope(await api.get(f"/customers{LISTED}"), 200)
    for name in ("statusCode", "statusMessage", "userMessage", "error", "action"):
        assert envelope[name] == expected[name]
    assert list(envelope["result"])[:2] == ["count", "rows"]
    assert envelope["result"]["count"] == 4
    assert [list(row.items()) for row in envelope["result"]["rows"]] == [
        list(row.items()) for row in expected["result"]["rows"]
    ]


async def test_the_customer_of_section_7(api: Api) -> None:
    """The guide's request for one customer by its id gets the guide's fields in the guide's order."""
    expected = sample("one")
    await seed(api.engine.pool, CUSTOMER, expected["result"])
    envelope = check_envelope(await api.get(f"/customers/{expected['result']['id']}"), 200)
    for name in ("statusCode", "statusMessage", "userMessage", "error", "action"):
        assert envelope[name] == expected[name]
    assert_shown_as(envelope["result"], expected["result"])
    assert list(envelope["result"]["address"].items()) == list(expected["result"]["address"].items())


@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "under its name"])
async def test_the_inbound_customer_of_section_6(api: Api, wrapped: bool) -> None:
    """The guide's request body is taken by PUT and by POST as it is, and reads back as it was sent."""
    inbound = sample("inbound")
    sent = {"customer": inbound} if wrapped else inbound
    put = await api.put("/customers/example-customer-id", sent)
    assert [job["outcome"] for job in check_envelope(put, 200)["result"]] == ["created"]
    assert_shown_as((await api.get("/customers/example-customer-id")).result, inbound)
    other = inbound | {"externalCustomerId": "another"}
    post = await api.post("/customers", {"customer": other} if wrapped else other)
    assert_shown_as(check_envelope(post, 201)["result"], other)


async def test_the_answer_to_an_upsert_of_section_6(api: Api) -> None:
    """An upsert is answered with an array of jobs whose first four fields are the guide's, and without $$ref."""
    expected = sample("upserted")["result"][0]
    answer = await api.put("/customers/example-customer-id", sample("inbound"))
    job = answer.result[0]
    assert list(job)[:4] == [name for name in expected if name != "$$ref"]
    assert b"$$ref" not in answer.body
    assert job["queueName"] == expected["queueName"]
    assert UUID(job["id"])


async def test_the_refusal_of_section_6(api: Api) -> None:
    """Whoever has no key gets the guide's error: its code, its message, and an object of details."""
    expected = sample("unauthorized")["error"]
    error = check_envelope(await api.get("/customers", key=""), 401)["error"]
    assert list(error) == list(expected)
    assert (error["code"], error["message"]) == (expected["code"], expected["message"])


async def test_the_webhook_body_of_section_11_goes_out(api: Api) -> None:
    """A customer goes out with the guide's fields in its order, the user, store and territory exactly as there."""
    guide = await seed_webhook(api.engine.pool)
    statement = page.by_ids(RESOURCES, CUSTOMER, CUSTOMER.webhook_relations)
    async with api.engine.pool.acquire() as connection:
        row = await connection.fetchrow(statement, [UUID(guide["id"])])
    assert row is not None
    shown = msgspec.json.decode(row["json"])
    assert_shown_as(shown, guide)
    for relation, size in (("registeredBy", 20), ("registeredAt", 10), ("territory", 3)):
        assert list(shown[relation].items()) == list(guide[relation].items())
        assert len(shown[relation]) == size
    assert list(shown["address"].items()) == list(guide["address"].items())


async def test_the_webhook_body_of_section_11_comes_in(api: Api) -> None:
    """The guide's webhook body, PUT as it is, is the record; what is nested in it is referred to, never written."""
    guide = await seed_webhook(api.engine.pool)
    before = await api.stored()
    back = await api.put("/customers/example-customer-id", sample("webhook"))
    assert check_envelope(back, 200)["result"][0]["outcome"] == "unchanged"
    changed = {"customer": guide | {"firstName": "Other", "registeredAt": guide["registeredAt"] | {"name": "Ignored"}}}
    assert (await api.put("/customers/example-customer-id", changed)).result[0]["outcome"] == "updated"
    assert (await api.get("/stores/example-store-id")).result["name"] == "Example store name"
    after = await api.stored()
    assert {name: after[name] for name in ("customers", "users", "stores", "territories")} == {
        name: before[name] for name in ("customers", "users", "stores", "territories")
    }


async def test_the_webhook_body_makes_a_customer_elsewhere(api: Api) -> None:
    """A webhook's body makes the customer where it is not known yet, with an id of that system's own."""
    guide = sample("webhook")["customer"]
    for relation, name in (("registeredBy", "user"), ("registeredAt", "store"), ("territory", "territory")):
        await seed(api.engine.pool, RESOURCES[name], guide[relation])
    assert (await api.put("/customers/example-customer-id", sample("webhook"))).result[0]["outcome"] == "created"
    shown = (await api.get("/customers/example-customer-id?expand=registeredBy,registeredAt,territory")).result
    own = ("id", "createdAt", "updatedAt")
    assert_shown_as(shown, {name: shown[name] if name in own else value for name, value in guide.items()})


async def test_the_shorter_body_of_section_7_is_part_of_the_longer(api: Api) -> None:
    """The webhook body that the guide shows without its relations has the same fields in the same order."""
    guide = await seed_webhook(api.engine.pool)
    short = sample("webhook-short")["customer"]
    assert is_subsequence(list(short), list(guide))
    shown = (await api.get(f"/customers/id/{guide['id']}")).result
    assert_shown_as(shown, short)


async def test_the_guides_typing_error_is_none_of_ours(api: Api) -> None:
    """The guide's `custmers` is a slip for `customers`: ours is the declared plural, and the slip is no field."""
    assert (CUSTOMER.name, CUSTOMER.plural, CUSTOMER.collection) == ("customer", "customers", "customers")
    assert (await api.put("/customers/x", {"custmers": [sample("inbound")]})).error["code"] == "VALIDATION_ERROR"
    assert (await api.get("/custmers")).error["code"] == "ROUTE_NOT_FOUND"
    for slip in ("/custmers", "/customer/x", "/custmers/x"):
        assert (await api.put(slip, {})).error["message"].endswith(" Did you mean /v2/public/customers?")
    assert "Did you mean" not in (await api.get("/customers/x/y/z")).error["message"]
