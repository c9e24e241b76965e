"""What a key may not read is not shown to it within what it may: each reference asks for its own resource's scope."""

from collections.abc import Iterator
from typing import Any

import pytest

from retailos.declare.field import Reference
from retailos.declare.resource import Resource
from retailos.resources import RESOURCES
from tests.contract.conftest import Api, check_envelope, ground, least
from tests.contract.streaming import streamed
from tests.contract.test_keys import key_for

REFERRING = pytest.mark.parametrize(
    "resource", [each for each in RESOURCES.values() if each.references], ids=lambda each: each.name
)


def asking(resource: Resource, names: str, number: int, record_id: str) -> Iterator[str]:
    """Every way to read a record, or what happened to it, with the objects of these references."""
    root, key = f"/{resource.collection}", f"guarded-{number}"
    for shown in (f"expand={names}", f"fields=id,{names}", f"fields=id&expand={names}"):
        yield f"{root}?{shown}"
        yield from (f"{root}/{path}?{shown}" for path in (key, record_id, f"external/{key}", f"id/{record_id}"))
        if resource.name == "price":
            yield f"/variants/ground-{number}/price?{shown}"
    for held in ("", "&since=now&wait=30"):
        yield f"/changes?resources={resource.name}&expand={names}{held}"
    yield f"/changes?expand={names}"


async def guarded(shop: Api, resource: Resource, number: int) -> str:
    """Make a record of a resource; its id."""
    await ground(shop, resource, number)
    put = await shop.put(f"/{resource.collection}/guarded-{number}", least(resource, number))
    assert put.status == 200, put.body
    record_id: str = put.result[0]["resourceId"]
    return record_id


def elsewhere(resource: Resource) -> list[Reference]:
    """The references to records of other kinds, which a scope of the resource's own does not open."""
    return [each for each in resource.references if each.to != resource.name]


@REFERRING
async def test_a_reference_is_shown_to_who_may_read_where_it_leads(shop: Api, resource: Resource, number: int) -> None:
    """Without the target's scope each `expand`, and each `fields` of a reference, is a 403 that names that scope."""
    record_id = await guarded(shop, resource, number)
    key = (await key_for(shop, f"{resource.name}:read", "changes:read")).key
    for reference in elsewhere(resource):
        for path in asking(resource, reference.name, number, record_id):
            error = check_envelope(await shop.get(path, key=key), 403)["error"]
            assert (error["code"], f"{reference.to}:read" in error["message"]) == ("FORBIDDEN", True), path
        query = f"?resources={resource.name}&expand={reference.name}"
        async with streamed(shop, query, key=key) as stream:
            assert f"{reference.to}:read" in check_envelope(stream.answer, 403)["error"]["message"]


@REFERRING
async def test_a_key_that_may_read_both_is_shown_both(shop: Api, resource: Resource, number: int) -> None:
    """With the scopes of a record and of all that it refers to, every reference is shown, and without a wish none."""
    record_id = await guarded(shop, resource, number)
    own = f"{resource.name}:read"
    narrow = (await key_for(shop, own)).key
    wide = (await key_for(shop, own, *{f"{each.to}:read" for each in resource.references})).key
    path, names = f"/{resource.collection}/{record_id}", ",".join(resource.reference)
    assert (await shop.get(path, key=narrow)).result == (await shop.get(path)).result
    shown = await shop.get(f"{path}?expand={names}", key=wide)
    assert set(resource.reference) <= set(check_envelope(shown, 200)["result"])
    inside = [each.name for each in resource.references if each.to == resource.name]
    if inside:
        assert (await shop.get(f"{path}?expand={','.join(inside)}", key=narrow)).status == 200


async def test_all_that_is_missing_is_named_at_once(shop: Api, number: int) -> None:
    """Who asks for several references is told every scope that the key lacks, and none that it has."""
    await guarded(shop, RESOURCES["order"], number)
    key = (await key_for(shop, "order:read", "store:read")).key
    names = ",".join(RESOURCES["order"].reference)
    error = check_envelope(await shop.get(f"/orders?expand={names}", key=key), 403)["error"]
    lacking = {each.to for each in RESOURCES["order"].references} - {"order", "store"}
    assert all(f"{name}:read" in error["message"] for name in lacking)
    assert "store:read" not in error["message"]


async def test_a_stream_ends_when_what_it_shows_may_not_be_read_any_more(shop: Api) -> None:
    """A stream that shows references ends when the key loses the scope of one, as it does when it loses its own."""
    made = await key_for(shop, "changes:read", "customer:read", "store:read")
    async with streamed(shop, "?since=now&resources=customer&expand=registeredAt", key=made.key) as stream:
        scopes = ["changes:read", "customer:read"]
        assert (await shop.admin("PUT", f"/keys/{made.id}", json={"scopes": scopes})).status == 200
        await stream.end()
        assert stream.ended


@pytest.mark.parametrize(("method", "path"), [("PUT", "{key}"), ("PUT", "id/{id}"), ("PATCH", "id/{id}")])
async def test_a_write_shows_its_record_to_who_may_read_it(shop: Api, number: int, method: str, path: str) -> None:
    """A key that may only write is not shown, by `return=representation`, what is there besides what it sent."""
    record_id = await guarded(shop, RESOURCES["customer"], number)
    path = f"/v2/public/customers/{path.format(id=record_id, key=f'guarded-{number}')}"
    writes, both = [(await key_for(shop, *each)).key for each in (("customer:write",), ("customer:write", "*:read"))]
    asked: dict[str, Any] = {"json": {"firstName": "Ada"}, "headers": {"Prefer": "return=representation"}}
    refused = await shop.request(method, path, key=writes, **asked)
    assert "customer:read" in check_envelope(refused, 403)["error"]["message"]
    assert (await shop.get(f"/customers/{record_id}")).result["version"] == 1
    assert (await shop.request(method, path, key=both, **asked)).result[0]["record"]["firstName"] == "Ada"
    assert (await shop.request(method, path, key=writes, json={"firstName": "Eve"})).status == 200
