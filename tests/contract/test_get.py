"""Reading one record: by our id, by the caller's, or by whichever of the two it is."""

from typing import Any

import pytest

from retailos.declare.resource import Resource
from retailos.declare.rules import AtMostOne
from retailos.resources import RESOURCES
from tests.contract.conftest import VARIED_RESOURCES, Api, check_envelope, codes, full, ground, least, own_names

UNKNOWN = "01999999-7b1e-7c3a-9d52-3f1b2c4d5e6f"


async def made(api: Api, resource: Resource, number: int) -> dict[str, Any]:
    """A record that was just made."""
    record: dict[str, Any] = (await api.post(f"/{resource.collection}", full(resource, number))).result
    return record


@VARIED_RESOURCES
async def test_a_record_has_three_addresses(shop: Api, resource: Resource, number: int) -> None:
    """A record is found by its id, by its external id, and by either where the path does not say which."""
    record = await made(shop, resource, number)
    key = record[resource.external_id.name]
    for path in (record["id"], record["id"].upper(), key, f"id/{record['id']}", f"external/{key}"):
        answer = await shop.get(f"/{resource.collection}/{path}")
        envelope = check_envelope(answer, 200)
        assert (envelope["action"], envelope["userMessage"]) == (resource.action("GET_ONE"), resource.title)
        assert envelope["result"] == record
        assert list(envelope["result"]) == own_names(resource)
        assert answer.headers["etag"] == '"1"'


@VARIED_RESOURCES
async def test_what_does_not_exist_is_not_found(shop: Api, resource: Resource) -> None:
    """An id that leads to no record is a 404 whose code tells it from a route that does not exist."""
    for path in (UNKNOWN, f"id/{UNKNOWN}", f"external/{UNKNOWN}", "nobody", "external/nobody"):
        envelope = check_envelope(await shop.get(f"/{resource.collection}/{path}"), 404)
        assert envelope["error"]["code"] == "RESOURCE_NOT_FOUND"
        assert envelope["action"] == resource.action("GET_ONE")
    assert codes(await shop.get(f"/{resource.collection}/id/nobody")) == [("id", "INVALID_UUID")]


async def test_our_id_comes_before_an_external_id_that_looks_like_it(shop: Api, number: int) -> None:
    """A path that is one record's id and another's external id leads to the first; explicit forms tell them apart."""
    first = (await shop.post("/customers", {"firstName": "Ada", "externalCustomerId": f"own-{number}"})).result
    second = (await shop.put(f"/customers/{first['id']}", {"firstName": "Eve"})).result[0]["resourceId"]
    assert second != first["id"]
    assert (await shop.get(f"/customers/{first['id']}")).result["id"] == first["id"]
    assert (await shop.get(f"/customers/id/{first['id']}")).result["id"] == first["id"]
    assert (await shop.get(f"/customers/external/{first['id']}")).result["id"] == second


async def test_an_external_id_that_looks_like_ours_is_found(shop: Api) -> None:
    """A uuid that is nobody's id is taken for an external id, in the case that it was sent in."""
    for key in ("B1F0D1A2-0000-4000-8000-00000000000A", "b1f0d1a2-0000-4000-8000-00000000000b"):
        put = await shop.put(f"/stores/{key}", {"name": "X"})
        assert (await shop.get(f"/stores/{key}")).result["id"] == put.result[0]["resourceId"]
        assert (await shop.get(f"/stores/{key.swapcase()}")).status == 404


@VARIED_RESOURCES
async def test_fields_are_shown_as_asked_in_the_entitys_order(shop: Api, resource: Resource, number: int) -> None:
    """`fields` picks what is shown; the order stays the entity's, and twice is once."""
    record = await made(shop, resource, number)
    path = f"/{resource.collection}/{record['id']}"
    for names in (["updatedAt", "id"], ["details"], own_names(resource)[::-1], ["version", "id", "version"]):
        shown = (await shop.get(f"{path}?fields={','.join(names)}")).result
        assert list(shown) == [name for name in own_names(resource) if name in names]
        assert shown == {name: record[name] for name in names}
    wrong = await shop.get(f"{path}?fields=id,detials")
    assert codes(wrong) == [("fields", "UNKNOWN_FIELD")]
    assert "did you mean details?" in wrong.error["details"]["errors"][0]["message"]


async def linked(api: Api, resource: Resource, number: int) -> dict[str, Any]:
    """A record, as it was sent, that refers to a new record with each of its references."""
    body = least(resource, number)
    alternatives = {name for rule in resource.rules if isinstance(rule, AtMostOne) for name in rule.fields[1:]}
    for i, reference in enumerate(resource.references):
        if reference.id_field.name in alternatives:
            continue
        target = RESOURCES[reference.to]
        key = f"to-{number}-{i}"
        await ground(api, target, number * 100 + i)
        put = await api.put(
            f"/{target.collection}/{key}", full(target, number * 100 + i) | {target.external_id.name: key}
        )
        assert put.status == 200, put.body
        found = {target.external_id.name: key}
        body[reference.name] = [found] if reference.ids else found
    put = await api.put(f"/{resource.collection}/from-{number}", body)
    assert put.status == 200, put.body
    return body


@pytest.mark.parametrize(
    "resource", [each for each in RESOURCES.values() if each.references], ids=lambda each: each.name
)
async def test_references_are_shown_when_asked_for(shop: Api, resource: Resource, number: int) -> None:
    """`expand` shows the records that are referred to, one level deep, with the fields that are theirs to show."""
    body, path = await linked(shop, resource, number), f"/{resource.collection}/from-{number}"
    plain = (await shop.get(path)).result
    assert not set(resource.reference) & set(plain)
    names = list(resource.reference)
    shown = (await shop.get(f"{path}?expand={','.join(names)}")).result
    assert list(shown) == [each.name for each in resource.shown]
    for name in set(resource.reference) & set(body):
        reference = resource.reference[name]
        expected = list(reference.projection or RESOURCES[reference.to].projection)
        projected = shown[name][0] if reference.ids else shown[name]
        assert list(projected) == expected
        target = (await shop.get(f"/{RESOURCES[reference.to].collection}/id/{projected['id']}")).result
        assert projected == {each: target[each] for each in expected}
        assert shown[reference.id_field.name] == ([target["id"]] if reference.ids else target["id"])
        sent = body[name][0] if reference.ids else body[name]
        assert target | sent == target
        only = (await shop.get(f"{path}?fields=id&expand={name}")).result
        assert set(only) == {"id", name}
        assert (await shop.get(f"{path}?fields={name},id")).result == only


@pytest.mark.parametrize(
    "resource", [each for each in RESOURCES.values() if each.references], ids=lambda each: each.name
)
async def test_references_that_are_not_set_are_shown_as_null(shop: Api, resource: Resource, number: int) -> None:
    """A reference that leads nowhere is null, and an array of none is empty."""
    await shop.put(f"/{resource.collection}/alone-{number}", least(resource, number))
    shown = (await shop.get(f"/{resource.collection}/alone-{number}?expand={','.join(resource.reference)}")).result
    for name, reference in resource.reference.items():
        if reference.required:
            continue
        assert shown[name] == ([] if reference.ids else None)
        assert shown[reference.id_field.name] == ([] if reference.ids else None)


async def test_a_record_is_found_by_an_id_that_it_had_before(shop: Api, number: int) -> None:
    """A former external id leads to the record still: a GET shows it, a PUT updates it, and no second one is made."""
    record = (await shop.put(f"/customers/new-{number}", {"firstName": "Ada"})).result[0]["resourceId"]
    async with shop.engine.pool.acquire() as connection:
        insert = "insert into alias (resource, external_id, record_id) values ('customer', $1, $2::uuid)"
        await connection.execute(insert, f"old-{number}", record)
    for path in (f"/customers/old-{number}", f"/customers/external/old-{number}"):
        shown = (await shop.get(path)).result
        assert (shown["id"], shown["externalCustomerId"]) == (record, f"new-{number}")
    count = (await shop.get("/customers?limit=0")).result["count"]
    put = await shop.put(f"/customers/old-{number}", {"firstName": "Eve"})
    assert (put.result[0]["outcome"], put.result[0]["resourceId"]) == ("updated", record)
    assert put.result[0]["externalId"] == f"new-{number}"
    assert (await shop.get(f"/customers/new-{number}")).result["firstName"] == "Eve"
    assert (await shop.get("/customers?limit=0")).result["count"] == count
    assert (await shop.get(f"/stores/old-{number}")).status == 404


async def test_a_version_is_the_tag(shop: Api, number: int) -> None:
    """The ETag of a record is its version, on PUT, POST and GET alike."""
    for version in (1, 2):
        put = await shop.put(f"/clients/tag-{number}", {"name": f"X{version}"})
        got = await shop.get(f"/clients/tag-{number}")
        assert put.headers["etag"] == got.headers["etag"] == f'"{version}"'
        assert got.result["version"] == version
