"""References: a record names others by their external ids or ours, and they are found, refused or cleared."""

from typing import Any
from urllib.parse import quote

import pytest

from retailos.declare.field import Reference
from retailos.declare.resource import Resource
from retailos.resources import RESOURCES
from tests.contract.conftest import Api, check_envelope, codes, ground, least, required

UNKNOWN = "01999999-7b1e-7c3a-9d52-3f1b2c4d5e6f"
#: Of each resource the first reference that may be absent: they are read by the same code.
SINGLE = [
    (each, next(reference for reference in each.references if not (reference.ids or reference.required)))
    for each in RESOURCES.values()
    if not each.write_once and any(not (reference.ids or reference.required) for reference in each.references)
]
EACH_REFERENCE = pytest.mark.parametrize(
    ("resource", "reference"), SINGLE, ids=[f"{resource.name}.{reference.name}" for resource, reference in SINGLE]
)
TREES = [(each, reference) for each in RESOURCES.values() for reference in each.references if reference.levels]
EACH_TREE = pytest.mark.parametrize(("resource", "reference"), TREES, ids=[each.name for each, _ in TREES])


async def target_of(api: Api, reference: Reference, key: str, number: int) -> tuple[str, str]:
    """Make a record that can be referred to; the name of its external id, and our id of it."""
    target = RESOURCES[reference.to]
    await ground(api, target, number)
    put = await api.put(f"/{target.collection}/{quote(key, safe='')}", least(target, number))
    assert put.status == 200, put.body
    return target.external_id.name, put.result[0]["resourceId"]


async def referred(api: Api, path: str, reference: Reference) -> Any:
    """Our id of what a record refers to."""
    return (await api.get(path)).result[reference.id_field.name]


@EACH_REFERENCE
async def test_a_reference_is_taken_by_external_id_by_id_or_by_both(
    shop: Api, resource: Resource, reference: Reference, number: int
) -> None:
    """The nested object with the external id, with our id, with both, and the plain id all mean the same record."""
    key, found = await target_of(shop, reference, f"a/b {number}", number + 1)
    path, body = f"/{resource.collection}/by-{number}", least(resource, number + 2) | required(resource, number)
    name, id_name = reference.name, reference.id_field.name
    forms: list[dict[str, Any]] = [
        {name: {key: f"a/b {number}"}},
        {id_name: found},
        {id_name: found.upper()},
        {name: {"id": found}},
        {name: {"id": found, key: f"a/b {number}"}},
        {name: {key: f"a/b {number}", "name": "ignored", "id": None}, id_name: found},
        {name: {"id": found}, id_name: found.upper()},
    ]
    before = least(resource, number + 2) if reference.required else body | {name: None}
    for form in forms:
        assert (await shop.put(path, before)).status == 200
        assert await referred(shop, path, reference) != found
        put = await shop.put(path, body | form)
        assert put.status == 200, (form, put.body)
        assert put.result[0]["outcome"] == "updated", form
        assert await referred(shop, path, reference) == found, form
    last = forms[-1] if reference.required else {}
    assert (await shop.put(path, body | last)).result[0]["outcome"] == "unchanged"
    assert await referred(shop, path, reference) == found


@EACH_REFERENCE
async def test_null_clears_a_reference(shop: Api, resource: Resource, reference: Reference, number: int) -> None:
    """null for the object, for the id or for both takes the reference away."""
    _, found = await target_of(shop, reference, f"null-{number}", number + 1)
    path, body = (
        f"/{resource.collection}/null-from-{number}",
        least(resource, number + 2) | required(resource, number),
    )
    name, id_name = reference.name, reference.id_field.name
    for cleared in ({name: None}, {id_name: None}, {name: None, id_name: None}):
        assert (await shop.put(path, body | {id_name: found})).status == 200
        if reference.required:
            assert codes(await shop.put(path, body | cleared)) == [(f"/{list(cleared)[-1]}", "REQUIRED")]
            continue
        assert (await shop.put(path, body | cleared)).result[0]["outcome"] == "updated"
        assert await referred(shop, path, reference) is None


@EACH_REFERENCE
async def test_a_reference_that_contradicts_itself_is_refused(
    shop: Api, resource: Resource, reference: Reference, number: int
) -> None:
    """The id and the nested object must name one record; where they do not, nothing is written."""
    key, one = await target_of(shop, reference, f"one-{number}", number + 1)
    _, two = await target_of(shop, reference, f"two-{number}", number + 2)
    path, body = f"/{resource.collection}/torn-{number}", least(resource, number + 3) | required(resource, number)
    name, id_name = reference.name, reference.id_field.name
    for torn in (
        {name: {key: f"one-{number}"}, id_name: two},
        {name: {"id": one}, id_name: two},
        {name: {"id": one, key: f"two-{number}"}},
        {name: None, id_name: two},
        {name: {key: f"one-{number}"}, id_name: None},
    )[: 4 if reference.required else 5]:
        refused = await shop.put(path, {resource.name: body | torn})
        assert check_envelope(refused, 400)["error"]["code"] == "REFERENCE_CONFLICT", torn
        assert codes(refused) == [(f"/{resource.name}/{name}", "REFERENCE_CONFLICT")]
    assert (await shop.get(path)).status == 404


@pytest.mark.parametrize(
    ("resource", "reference"),
    [each for each in SINGLE if each[1].unknown == "refused"],
    ids=lambda each: each.name,
)
async def test_a_missing_reference_is_refused(shop: Api, resource: Resource, reference: Reference, number: int) -> None:
    """Where that is asked for, a missing reference is a 422 that points at it, and nothing is written.

    By id it always is, since ids are made here and one that is unknown will never come.
    """
    key = RESOURCES[reference.to].external_id.name
    path, body = f"/{resource.collection}/lost-{number}", least(resource, number)
    name, id_name = reference.name, reference.id_field.name
    before = await shop.stored()
    for missing, at in (
        ({name: {key: f"nobody-{number}"}}, name),
        ({name: {"id": UNKNOWN}}, name),
        ({id_name: UNKNOWN}, id_name),
        ({name: {"id": UNKNOWN, key: f"nobody-{number}"}}, name),
    ):
        asked = "" if UNKNOWN in str(missing) else "?onUnresolved=reject"
        for sent, start in ((body | missing, ""), ({resource.name: body | missing}, f"/{resource.name}")):
            refused = await shop.put(path + asked, sent)
            assert check_envelope(refused, 422)["error"]["code"] == "REFERENCE_NOT_FOUND"
            assert codes(refused) == [(f"{start}/{at}", "REFERENCE_NOT_FOUND")]
        assert (await shop.post(f"/{resource.collection}{asked}", body | missing)).status == 422
    assert await shop.stored() == before


async def test_all_missing_references_are_told_at_once(shop: Api) -> None:
    """One answer names every reference that leads nowhere."""
    body = {
        "firstName": "Ada",
        "registeredAt": {"externalStoreId": "nobody"},
        "registeredById": UNKNOWN,
        "territory": {"id": UNKNOWN},
        "region": None,
    }
    refused = await shop.put("/customers/lost-all", body)
    assert sorted(codes(refused)) == [
        (f"/{at}", "REFERENCE_NOT_FOUND") for at in ("registeredAt", "registeredById", "territory")
    ]


async def test_what_is_nested_is_never_written(shop: Api, number: int) -> None:
    """Other members of a nested object are ignored: what is referred to stays as it is, and none is made."""
    await shop.put(f"/stores/nested-{number}", {"name": "Covent Garden"})
    store = (await shop.get(f"/stores/nested-{number}")).result
    nested = {"externalStoreId": f"nested-{number}", "name": "Other", "salesTarget": 1, "nonsense": [], "version": 9}
    assert (await shop.put(f"/customers/nested-{number}", {"firstName": "Ada", "registeredAt": nested})).status == 200
    assert (await shop.get(f"/stores/nested-{number}")).result == store


async def test_a_reference_leads_to_one_kind_of_record(shop: Api, number: int) -> None:
    """An id of a record of another kind is not found, whatever it is called."""
    user = least(RESOURCES["user"], number)
    found = (await shop.put(f"/users/kind-{number}", user)).result[0]["resourceId"]
    for sent in ({"registeredAt": {"externalStoreId": f"kind-{number}"}}, {"registeredAtId": found}):
        put = await shop.put(f"/customers/kind-{number}?onUnresolved=reject", {"firstName": "Ada"} | sent)
        assert put.status == 422


async def test_a_reference_by_a_former_id_is_found(shop: Api, number: int) -> None:
    """A record is referred to by an external id that it had before, too."""
    store = (await shop.put(f"/stores/now-{number}", {"name": "X"})).result[0]["resourceId"]
    async with shop.engine.pool.acquire() as connection:
        insert = "insert into alias (resource, external_id, record_id) values ('store', $1, $2::uuid)"
        await connection.execute(insert, f"then-{number}", store)
    sent = {"firstName": "Ada", "registeredAt": {"externalStoreId": f"then-{number}"}}
    assert (await shop.put(f"/customers/former-{number}", sent)).status == 200
    assert (await shop.get(f"/customers/former-{number}")).result["registeredAtId"] == store


async def stores(api: Api, number: int) -> list[tuple[str, str]]:
    """Three stores: their external ids and ours."""
    keys = [f"many-{number}-{i}" for i in range(3)]
    return [(key, (await api.put(f"/stores/{key}", {"name": "X"})).result[0]["resourceId"]) for key in keys]


async def test_a_record_may_refer_to_many(shop: Api, number: int) -> None:
    """A user works in several stores: the array of objects or of ids is the whole new set, in its order."""
    made = await stores(shop, number)
    (a, a_id), (b, b_id), (c, c_id) = made
    user, path = least(RESOURCES["user"], number), f"/users/many-{number}"
    forms: list[tuple[dict[str, Any], list[str]]] = [
        ({"stores": [{"externalStoreId": a}, {"externalStoreId": c}]}, [a_id, c_id]),
        ({"storeIds": [b_id]}, [b_id]),
        ({"stores": [{"id": c_id}, {"externalStoreId": b}, {"id": a_id, "externalStoreId": a}]}, [c_id, b_id, a_id]),
        ({"stores": [{"externalStoreId": a}, {"id": b_id}], "storeIds": [a_id, b_id]}, [a_id, b_id]),
        ({"stores": []}, []),
        ({"storeIds": [a_id, b_id]}, [a_id, b_id]),
        ({"storeIds": None}, []),
        ({"storeIds": [c_id]}, [c_id]),
        ({"stores": None}, []),
    ]
    for sent, expected in forms:
        put = await shop.put(path, user | sent)
        assert put.status == 200, (sent, put.body)
        assert (await shop.get(path)).result["storeIds"] == expected, sent
    await shop.put(path, user | {"storeIds": [a_id]})
    assert (await shop.put(path, user)).result[0]["outcome"] == "unchanged"
    shown = (await shop.get(f"{path}?expand=stores")).result["stores"]
    assert shown == [{"id": a_id, "externalStoreId": a, "name": "X"}]


async def test_many_references_that_contradict_or_miss_are_refused(shop: Api, number: int) -> None:
    """Arrays of ids and of objects must name the same records, each of which must exist."""
    (a, a_id), (b, b_id), _ = await stores(shop, number)
    user, path = least(RESOURCES["user"], number), f"/users/torn-many-{number}"
    for torn in (
        {"stores": [{"id": a_id}], "storeIds": [b_id]},
        {"stores": [{"externalStoreId": a}], "storeIds": [b_id]},
        {"stores": [{"externalStoreId": a}], "storeIds": [a_id, b_id]},
        {"stores": [{"externalStoreId": a}, {"externalStoreId": b}], "storeIds": [a_id]},
        {"stores": [{"externalStoreId": a}, {"externalStoreId": b}], "storeIds": [b_id, a_id]},
        {"stores": [{"externalStoreId": a, "id": b_id}]},
        {"stores": None, "storeIds": [b_id]},
        {"stores": [{"externalStoreId": a}], "storeIds": None},
    ):
        refused = await shop.put(path, user | torn)
        assert (refused.status, refused.error["code"]) == (400, "REFERENCE_CONFLICT"), torn
    nobody = {"stores": [{"externalStoreId": a}, {"externalStoreId": "nobody"}]}
    missing = await shop.put(f"{path}?onUnresolved=reject", user | nobody)
    assert (missing.status, codes(missing)) == (422, [("/stores/1", "REFERENCE_NOT_FOUND")])
    missing = await shop.put(path, user | {"storeIds": [UNKNOWN, a_id]})
    assert (missing.status, codes(missing)) == (422, [("/storeIds/0", "REFERENCE_NOT_FOUND")])
    assert (await shop.get(path)).status == 404


@EACH_TREE
async def test_a_tree_has_no_circle(shop: Api, resource: Resource, reference: Reference, number: int) -> None:
    """A record can't be its own parent, nor that of one above it; whoever tries is told where."""
    root, key = f"/{resource.collection}", resource.external_id.name

    def below(parent: str | None) -> dict[str, Any]:
        return {"name": "X", reference.name: None if parent is None else {key: f"{parent}-{number}"}}

    for name, parent in (("a", None), ("b", "a"), ("c", "b")):
        assert (await shop.put(f"{root}/{name}-{number}", below(parent))).status == 200
    for name, parent in (("a", "a"), ("a", "b"), ("a", "c"), ("b", "c"), ("c", "c")):
        refused = await shop.put(f"{root}/{name}-{number}", below(parent))
        assert (refused.status, codes(refused)) == (400, [(f"/{reference.name}", "CIRCLE")]), (name, parent)
    assert (await shop.put(f"{root}/c-{number}", below("a"))).status == 200


@EACH_TREE
async def test_a_tree_has_a_limit(shop: Api, resource: Resource, reference: Reference, number: int) -> None:
    """A tree has ten levels; a record on the eleventh is refused."""
    root, key = f"/{resource.collection}", resource.external_id.name
    for level in range(reference.levels + 1):
        parent = {reference.name: {key: f"level-{level - 1}-{number}"}} if level else {}
        put = await shop.put(f"{root}/level-{level}-{number}", {"name": "X"} | parent)
        if level < reference.levels:
            assert put.status == 200, put.body
        else:
            assert (put.status, codes(put)) == (400, [(f"/{reference.name}", "TOO_DEEP")])
