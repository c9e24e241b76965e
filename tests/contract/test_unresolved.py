"""Unresolved references: an upsert waits for the records that it names, and is applied with the last of them."""

from collections.abc import Iterator
from typing import Any

import pytest

from retailos.declare.field import Reference
from retailos.declare.resource import Resource
from retailos.declare.rules import AtMostOne
from retailos.resources import RESOURCES
from tests.contract.conftest import Api, check_envelope, codes, full, ground, least

NOBODY = "01999999-7b1e-7c3a-9d52-3f1b2c4d5e6f"


@pytest.fixture
def n(numbers: Iterator[int]) -> int:
    """A number for external ids that no other test uses."""
    return next(numbers)


def customer(n: int, **more: Any) -> dict[str, Any]:
    """A customer who was registered at a store and by a user."""
    references = {"registeredAt": {"externalStoreId": f"s-{n}"}, "registeredBy": {"externalUserId": f"u-{n}"}}
    return {"firstName": "Ada"} | references | more


def user(n: int, **more: Any) -> dict[str, Any]:
    """A user of a store."""
    store = {"externalStoreId": f"s-{n}"}
    return {"firstName": "A", "lastName": "B", "username": f"name-{n}", "currentStore": store} | more


async def job(api: Api, job_id: str) -> Any:
    """A job as it stands."""
    return (await api.get(f"/jobs/{job_id}")).result


async def test_an_upsert_waits_for_what_it_names(shop: Api, n: int) -> None:
    """The answer is a 202 with a job that names what it waits for; the last missing record applies it, in a cascade."""
    put = await shop.put(f"/customers/c-{n}", customer(n))
    [parked] = check_envelope(put, 202)["result"]
    assert (parked["status"], parked["resourceId"], parked["version"], parked["outcome"]) == ("unresolved", *[None] * 3)
    assert parked["unresolvedReferences"] == [
        {"path": "/registeredAt", "resource": "store", "externalId": f"s-{n}"},
        {"path": "/registeredBy", "resource": "user", "externalId": f"u-{n}"},
    ]
    assert "etag" not in put.headers
    assert (await shop.get(f"/customers/c-{n}")).status == 404
    [second] = (await shop.put(f"/users/u-{n}", user(n))).result
    assert second["status"] == "unresolved"
    assert (await shop.put(f"/stores/s-{n}", {"name": "X"})).status == 200
    for each in (parked, second):
        done = await job(shop, each["id"])
        assert (done["status"], done["outcome"], done["version"]) == ("completed", "created", 1)
        assert (done["createdAt"], done["unresolvedReferences"]) == (each["createdAt"], [])
        assert done["completedAt"] >= done["createdAt"]
    found = (await shop.get(f"/customers/c-{n}?expand=registeredAt,registeredBy")).result
    assert found["registeredAt"]["externalStoreId"] == f"s-{n}"
    assert found["registeredBy"]["externalUserId"] == f"u-{n}"


REFERRING = [each for each in RESOURCES.values() if each.references]


def together(resource: Resource) -> list[Reference]:
    """The references that one record may have at once, and waits for."""
    others = {name for rule in resource.rules if isinstance(rule, AtMostOne) for name in rule.fields[1:]}
    return [each for each in resource.references if each.id_field.name not in others and each.unknown != "null"]


@pytest.mark.parametrize("resource", REFERRING, ids=lambda each: each.name)
async def test_what_waited_is_what_was_sent(shop: Api, n: int, resource: Resource) -> None:
    """A whole record of any kind waits for all that it refers to, and is then exactly as if it had been sent then."""
    path, body = f"/{resource.collection}/full-{n}", full(resource, n)
    body |= {resource.external_id.name: f"full-{n}", "details": {"exact": [1.10, 10**30, "\u2028"]}}
    references = together(resource)
    for each in references:
        one = {RESOURCES[each.to].external_id.name: f"{each.to}-{n}"}
        body[each.name] = [one] if each.ids else one
    [parked] = check_envelope(await shop.put(path, body), 202)["result"]
    awaited = sorted((f"/{each.name}{'/0' * bool(each.ids)}", each.to) for each in references)
    assert [(each["path"], each["resource"]) for each in parked["unresolvedReferences"]] == awaited
    for name in {each.to for each in references}:
        target = RESOURCES[name]
        await ground(shop, target, n + 500_000)
        assert (await shop.put(f"/{target.collection}/{name}-{n}", least(target, n + 500_000))).status == 200
    assert (await job(shop, parked["id"]))["outcome"] == "created"
    assert (await shop.put(path, body)).result[0]["outcome"] == "unchanged"


async def test_what_is_there_is_not_awaited(shop: Api, n: int) -> None:
    """Of several references only those that are missing are named, wherever they stand in the request."""
    await shop.put(f"/stores/s-{n}", {"name": "X"})
    [parked] = (await shop.put(f"/customers/c-{n}", {"customer": customer(n)})).result
    assert [each["path"] for each in parked["unresolvedReferences"]] == ["/customer/registeredBy"]
    [another] = (
        await shop.put(f"/users/v-{n}", user(n, stores=[{"externalStoreId": f"{i}-{n}"} for i in "aab"]))
    ).result
    assert {each["externalId"] for each in another["unresolvedReferences"]} == {f"a-{n}", f"b-{n}"}
    assert (
        await shop.put("/stores", {"stores": [{"externalStoreId": f"{i}-{n}", "name": "X"} for i in "ab"]})
    ).status == 200
    assert len((await shop.get(f"/users/v-{n}")).result["storeIds"]) == 3


async def test_a_parked_job_is_found(shop: Api, n: int) -> None:
    """Jobs that wait are listed by their status with what they wait for; of a batch they are counted."""
    rows = [{"externalCustomerId": f"c-{n}"} | customer(n), {"externalCustomerId": f"d-{n}", "firstName": "Eve"}]
    put = await shop.put("/customers", {"customers": rows})
    assert (put.status, [each["status"] for each in put.result]) == (200, ["unresolved", "completed"])
    assert put.result[0]["unresolvedReferences"][0]["path"] == "/customers/0/registeredAt"
    batch = put.result[0]["batchId"]
    found = (await shop.get(f"/jobs?status=unresolved&batchId={batch}")).result["rows"]
    assert found == [put.result[0]]
    assert await job(shop, put.result[0]["id"]) == put.result[0]
    assert (await shop.get(f"/batches/{batch}")).result["statuses"] == {"unresolved": 1, "completed": 1}
    await shop.put(f"/stores/s-{n}", {"name": "X"})
    await shop.put(f"/users/u-{n}", user(n))
    assert (await shop.get(f"/batches/{batch}")).result["outcomes"] == {"created": 2}
    assert (await job(shop, put.result[0]["id"]))["index"] == 0


WAYS = ["put", "bulk", "all or none", "post", "condition", "another id", "put by id"]


@pytest.mark.parametrize("way", WAYS)
async def test_however_the_record_comes_it_wakes(shop: Api, n: int, way: str) -> None:
    """A record wakes those that wait for it, whichever way it is made, or given the external id that they name."""
    [parked] = (
        await shop.put(f"/customers/c-{n}", {"firstName": "A", "registeredAt": {"externalStoreId": f"s-{n}"}})
    ).result
    one = {"externalStoreId": f"s-{n}", "name": "X"}
    if way == "put":
        made = await shop.put(f"/stores/s-{n}", one)
    elif way in ("bulk", "all or none"):
        made = await shop.put(f"/stores{'?errorPolicy=rejectEverything' * (way != 'bulk')}", {"stores": [one]})
    elif way == "post":
        made = await shop.post("/stores", one)
    elif way == "condition":
        made = await shop.put(f"/stores/s-{n}", one, headers={"If-None-Match": "*"})
    else:
        other = (await shop.put(f"/stores/other-{n}", {"name": "X"})).result[0]["resourceId"]
        made = await shop.put(f"/stores/id/{other}", one)
    assert made.status in (200, 201), made.body
    assert (await job(shop, parked["id"]))["status"] == "completed"
    assert (await shop.get(f"/customers/c-{n}")).result["registeredAtId"] is not None


async def test_a_trial_parks_nothing_and_wakes_nothing(shop: Api, n: int) -> None:
    """With dryRun an upsert that would wait says so, and a record that would wake others leaves them waiting."""
    before = await shop.stored()
    put = await shop.put(f"/customers/c-{n}?dryRun=true", customer(n))
    assert (put.status, put.result[0]["status"], put.result[0]["dryRun"]) == (202, "unresolved", True)
    assert await shop.stored() == before
    [parked] = (await shop.put(f"/users/u-{n}", user(n))).result
    assert (await shop.put(f"/stores/s-{n}?dryRun=true", {"name": "X"})).result[0]["outcome"] == "created"
    assert (await job(shop, parked["id"]))["status"] == "unresolved"


async def test_a_post_may_wait(shop: Api, n: int) -> None:
    """A POST that waits is a 202 with its job; the record gets the id that it was to have, also as its external id."""
    posted = await shop.post("/customers", customer(n))
    [parked] = check_envelope(posted, 202)["result"]
    await shop.put(f"/stores/s-{n}", {"name": "X"})
    await shop.put(f"/users/u-{n}", user(n))
    done = await job(shop, parked["id"])
    assert done["resourceId"] == parked["externalId"] == done["externalId"]
    [named] = (await shop.post("/customers", customer(n + 500_000, externalCustomerId=f"p-{n}"))).result
    assert named["externalId"] == f"p-{n}"


async def test_a_reference_is_cleared_where_that_is_asked_for(shop: Api, n: int) -> None:
    """With onUnresolved=null a missing reference becomes null, with a warning that points at it."""
    put = await shop.put(f"/customers/c-{n}?onUnresolved=null", customer(n, territory={"id": NOBODY}))
    assert put.status == 200
    assert [(each["path"], each["code"]) for each in put.result[0]["warnings"]] == [
        (f"/{each}", "REFERENCE_NOT_FOUND") for each in ("registeredBy", "registeredAt", "territory")
    ]
    record = (await shop.get(f"/customers/c-{n}")).result
    assert (record["registeredAtId"], record["registeredById"], record["territoryId"]) == (None, None, None)
    await shop.put(f"/stores/s-{n}", {"name": "X"})
    await shop.put(f"/customers/c-{n}", {"firstName": "A", "registeredAt": {"externalStoreId": f"s-{n}"}})
    gone = {"registeredAt": {"externalStoreId": f"nowhere-{n}"}}
    patched = await shop.request("PATCH", f"/v2/public/customers/id/{record['id']}?onUnresolved=null", json=gone)
    assert (patched.status, len(patched.result[0]["warnings"])) == (200, 1)
    assert (await shop.get(f"/customers/c-{n}")).result["registeredAtId"] is None
    stores = [{"externalStoreId": f"s-{n}"}, {"externalStoreId": f"nowhere-{n}"}]
    assert (await shop.put(f"/users/u-{n}?onUnresolved=null", user(n, stores=stores))).result[0]["warnings"]
    assert len((await shop.get(f"/users/u-{n}")).result["storeIds"]) == 1
    assert (await shop.put(f"/customers/c-{n}?onUnresolved=no", customer(n))).status == 400


async def test_what_is_conditional_does_not_wait(shop: Api, n: int) -> None:
    """Under a condition, in part, by id, and with ids that nobody knows, a missing reference is refused at once."""
    made = (await shop.put(f"/customers/c-{n}", {"firstName": "A"})).result[0]["resourceId"]
    body = {"firstName": "B", "registeredAt": {"externalStoreId": f"s-{n}"}}
    for method, path, headers in (
        ("PUT", f"c-{n}", {"If-Match": '"1"'}),
        ("PUT", f"d-{n}", {"If-None-Match": "*"}),
        ("PUT", f"id/{made}", {}),
        ("PATCH", f"external/c-{n}", {}),
    ):
        refused = await shop.request(method, f"/v2/public/customers/{path}", json=body, headers=headers)
        assert (refused.status, codes(refused)) == (422, [("/registeredAt", "REFERENCE_NOT_FOUND")]), (method, path)
    refused = await shop.put(f"/customers/c-{n}", body | {"registeredById": NOBODY})
    assert (refused.status, len(codes(refused))) == (422, 2)
    own = {"name": "X", "parent": {"externalRegionId": f"r-{n}"}}
    assert (await shop.put(f"/regions/r-{n}", own)).status == 422
    together = await shop.put(
        "/customers?errorPolicy=rejectEverything", {"customers": [body | {"externalCustomerId": "x"}]}
    )
    assert (together.status, codes(together)) == (400, [("/customers/0/registeredAt", "REFERENCE_NOT_FOUND")])
