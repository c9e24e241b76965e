"""Writing a record: one PUT makes it, the next finds it or changes it."""

import re
from datetime import datetime
from itertools import pairwise
from typing import Any
from urllib.parse import quote
from uuid import UUID

import pytest

from retailos.declare.resource import Resource
from tests.contract.conftest import (
    EACH_RESOURCE,
    TIMESTAMP,
    VARIED_RESOURCES,
    Api,
    check_envelope,
    codes,
    full,
    holds,
    least,
    own_names,
)

#: JobQueueMeta: the guide's four fields, then ours.
JOB = (
    *("id", "queueName", "status", "createdAt", "resource", "externalId", "resourceId", "version", "outcome"),
    *("completedAt", "batchId", "index", "error", "unresolvedReferences", "warnings"),
)
DOMAINS = {
    **{"customer": "scv", "user": "org", "client": "org", "region": "org"},
    **{"price": "pim", "stockLevel": "inv", "order": "oms"},
}


async def written(api: Api, path: str, body: Any) -> dict[str, Any]:
    """PUT a body that is taken; give the record as it reads then."""
    put = await api.put(path, body)
    assert put.status == 200, put.body
    shown: dict[str, Any] = (await api.get(path)).result
    return shown


@VARIED_RESOURCES
async def test_a_put_creates_and_the_same_put_again_changes_nothing(shop: Api, resource: Resource, number: int) -> None:
    """A PUT with an unknown external id makes the record; the same again ends unchanged, as does one with defaults."""
    path, body = f"/{resource.collection}/first-{number}", least(resource, number)
    first = await shop.put(path, body)
    before = (await shop.get(path)).body
    again = await shop.put(path, body)
    needed = {each.id_field.name for each in resource.references if each.required}
    defaults = {name: value for name, value in resource.defaults.items() if name not in (*body, *needed)}
    spelled = await shop.put(path, body | {n: v for n, v in defaults.items() if not resource.fields[n].read_only})
    answers = [first, again, spelled]
    assert [check_envelope(each, 200)["result"][0]["outcome"] for each in answers] == [
        "created",
        "unchanged",
        "unchanged",
    ]
    assert [each.result[0]["version"] for each in answers] == [1, 1, 1]
    after = (await shop.get(path)).body
    assert re.sub(rb'"meta":\{[^}]*\}', b"", after) == re.sub(rb'"meta":\{[^}]*\}', b"", before)


@VARIED_RESOURCES
async def test_an_upsert_answers_with_its_job(shop: Api, resource: Resource, number: int) -> None:
    """The answer is an array of one job: the guide's fields first, completed, with what became of the record."""
    key = f"job-{number}"
    answer = await shop.put(f"/{resource.collection}/{key}", least(resource, number))
    envelope = check_envelope(answer, 200)
    assert envelope["action"] == resource.action("UPSERT")
    assert envelope["userMessage"] == resource.title
    [job] = envelope["result"]
    assert tuple(job) == JOB
    assert job["queueName"] == f"{DOMAINS[resource.name]}:{resource.name}:upsert"
    assert (job["status"], job["outcome"], job["version"]) == ("completed", "created", 1)
    assert (job["resource"], job["externalId"], job["index"]) == (resource.name, key, 0)
    assert TIMESTAMP.fullmatch(job["createdAt"])
    assert job["completedAt"] == job["createdAt"]
    assert (job["batchId"], job["error"], job["unresolvedReferences"], job["warnings"]) == (None, None, [], [])
    assert answer.headers["etag"] == '"1"'
    assert job["resourceId"] == (await shop.get(f"/{resource.collection}/{key}")).result["id"]


async def test_every_answered_upsert_leaves_its_job(shop: Api, number: int) -> None:
    """The job that an upsert was answered with is kept, with its outcome, also where nothing changed."""
    jobs = [(await shop.put(f"/customers/kept-{number}", {"firstName": "Ada"})).result[0] for _ in range(2)]
    async with shop.engine.pool.acquire() as connection:
        for job in jobs:
            row = await connection.fetchrow("select * from job where id = $1", UUID(job["id"]))
            assert row is not None
            assert row["warnings"] is None
            assert (row["queue_name"], row["status"], row["outcome"]) == (job["queueName"], "completed", job["outcome"])
            assert (row["external_id"], str(row["record_id"]), row["version"]) == (
                f"kept-{number}",
                job["resourceId"],
                1,
            )


@EACH_RESOURCE
async def test_a_whole_record_reads_as_it_was_sent(shop: Api, resource: Resource, number: int) -> None:
    """Every field of a whole body comes back with its value, in the entity's order, whatever order it was sent in."""
    sent = full(resource, number)
    shown = await written(
        shop, f"/{resource.collection}/{sent[resource.external_id.name]}", dict(reversed(sent.items()))
    )
    assert list(shown) == own_names(resource)
    for name in set(sent) - set(resource.reference):
        field = resource.fields[name]
        expected = field.default if sent[name] is None else sent[name]
        alike = shown[name] == expected or (name in resource.inner and holds(shown[name], expected))
        assert alike or (field.derived and expected is None), name
    for name in set(own_names(resource)) - set(sent):
        if name in resource.defaults and not resource.fields[name].derived and not name.endswith("Id"):
            assert shown[name] == resource.defaults[name], name


@VARIED_RESOURCES
async def test_a_change_counts(shop: Api, resource: Resource, number: int) -> None:
    """Each change adds one to the version and moves updatedAt on, however quickly they follow; createdAt stays."""
    path, body = f"/{resource.collection}/counts-{number}", least(resource, number)
    first = await written(shop, path, body)
    assert first["createdAt"] == first["updatedAt"]
    assert TIMESTAMP.fullmatch(first["createdAt"])
    seen = [first]
    for i in range(5):
        put = await shop.put(path, body | {"details": {"i": i}})
        assert (put.result[0]["outcome"], put.headers["etag"]) == ("updated", f'"{i + 2}"')
        seen.append((await shop.get(path)).result)
    assert [each["version"] for each in seen] == [1, 2, 3, 4, 5, 6]
    stamps = [datetime.fromisoformat(each["updatedAt"]) for each in seen]
    assert all(earlier < later for earlier, later in pairwise(stamps))
    assert {each["createdAt"] for each in seen} == {first["createdAt"]}
    assert {each["id"] for each in seen} == {first["id"]}


async def test_a_put_merges_at_the_top_level(shop: Api, number: int) -> None:
    """What is absent is kept, null clears, and a nested object replaces the one before as a whole."""
    path = f"/customers/merge-{number}"
    address = {"city": "London", "postCode": "SE1 8NW"}
    await written(
        shop, path, {"firstName": "Ada", "lastName": "Lovelace", "address": address, "details": {"a": 1, "b": 2}}
    )
    kept = await written(shop, path, {"firstName": "Ada"})
    assert (kept["lastName"], kept["address"], kept["details"]) == ("Lovelace", address, {"a": 1, "b": 2})
    cleared = await written(
        shop, path, {"firstName": "Ada", "lastName": None, "address": {"city": "Leeds"}, "details": {}}
    )
    assert (cleared["lastName"], cleared["address"], cleared["details"]) == (None, {"city": "Leeds"}, {})
    gone = await written(shop, path, {"firstName": "Ada", "address": None, "details": None, "generalMarketing": None})
    assert (gone["address"], gone["details"], gone["generalMarketing"]) == (None, {}, False)


async def test_consent_is_kept_when_a_profile_is_synchronised(shop: Api, number: int) -> None:
    """A marketing flag that a later upsert does not send stays what it was, and none is ever true by itself."""
    flags = [f"{each}Marketing" for each in ("general", "thirdParty", "store", "sms", "email", "post")]
    path = f"/customers/consent-{number}"
    shown = await written(shop, path, {"firstName": "Ada", "smsMarketing": True})
    assert [shown[each] for each in flags] == [False, False, False, True, False, False]
    shown = await written(shop, path, {"firstName": "Ada", "lastName": "Lovelace"})
    assert [shown[each] for each in flags] == [False, False, False, True, False, False]


@VARIED_RESOURCES
async def test_required_fields_are_checked_on_every_put(shop: Api, resource: Resource, number: int) -> None:
    """What a record needs is demanded on each PUT, all at once, also of a record that exists already."""
    path = f"/{resource.collection}/needs-{number}"
    expected = [(f"/{name}", "REQUIRED") for name in resource.required]
    expected += [("", "REQUIRED")] if resource.requires_one_of else []
    expected += [(f"/{each.name}", "REQUIRED") for each in resource.references if each.required]
    assert expected
    for _ in range(2):
        refused = await shop.put(path, {"details": {}})
        assert check_envelope(refused, 400)["error"]["code"] == "VALIDATION_ERROR"
        assert codes(refused) == expected
        assert (await shop.put(path, least(resource, number))).status == 200
    assert (await shop.get(path)).result["version"] == 1


@pytest.mark.parametrize("name", ["firstName", "lastName", "email", "telephone"])
async def test_a_customer_needs_one_way_to_be_known(shop: Api, name: str, number: int) -> None:
    """Any one of first name, last name, e-mail and telephone makes a customer; empty ones do not."""
    value = "ada@example.com" if name == "email" else "Ada 1"
    assert (await shop.put(f"/customers/one-{name}-{number}", {name: value})).status == 200
    assert (await shop.put(f"/customers/none-{name}-{number}", {name: "", "title": "Mr"})).status == 400


@VARIED_RESOURCES
async def test_a_body_may_stand_under_the_name_of_its_resource(shop: Api, resource: Resource, number: int) -> None:
    """The entity is taken bare or as a webhook sends it; pointers lead into the request as it was sent."""
    path, body = f"/{resource.collection}/wrapped-{number}", least(resource, number)
    assert (await shop.put(path, {resource.name: body})).result[0]["outcome"] == "created"
    assert (await shop.put(path, body)).result[0]["outcome"] == "unchanged"
    assert codes(await shop.put(path, {resource.name: body | {"details": 1}})) == [
        (f"/{resource.name}/details", "WRONG_TYPE")
    ]
    assert codes(await shop.put(path, {resource.name: 1})) == [(f"/{resource.name}", "WRONG_TYPE")]


@VARIED_RESOURCES
async def test_the_ids_in_a_body_must_be_the_records(shop: Api, resource: Resource, number: int) -> None:
    """The external id in a body is the URL's or absent, the id the record's own or absent; others are refused."""
    path, body, key = f"/{resource.collection}/ids-{number}", least(resource, number), resource.external_id.name
    shown = await written(shop, path, body | {key: f"ids-{number}"})
    assert (await shop.put(path, body | {key: None})).result[0]["outcome"] == "unchanged"
    assert (await shop.put(path, body | {"id": shown["id"].upper()})).result[0]["outcome"] == "unchanged"
    assert (await shop.put(path, body | {key: f"IDS-{number}"})).error["code"] == "EXTERNAL_ID_MISMATCH"
    other = {"id": "01999999-7b1e-7c3a-9d52-3f1b2c4d5e6f"}
    by_id = f"/v2/public/{resource.collection}/id/{shown['id']}"
    answers = [
        await shop.put(path, body | other),
        await shop.put(path, body | other, headers={"If-Match": "*"}),
        await shop.request("PUT", by_id, json=body | other),
        await shop.request("PATCH", by_id, json=other),
    ]
    assert [(each.status, each.error["code"]) for each in answers] == [(400, "ID_MISMATCH")] * 4
    assert (await shop.get(path)).result == shown


async def test_the_id_of_another_record_makes_no_second_one(shop: Api) -> None:
    """A new external id beside the id of a record that there is is refused: it means that one, and would be another."""
    [made] = (await shop.put("/customers/twice-1", {"firstName": "Ada"})).result
    body = {"firstName": "Ada", "id": made["resourceId"], "externalCustomerId": "twice-2"}
    alone = await shop.put("/customers/twice-2", body)
    many = (await shop.put("/customers", {"customers": [body]})).result
    created = await shop.post("/customers", body)
    assert [alone.error["code"], many[0]["error"]["code"], created.error["code"]] == ["ID_MISMATCH"] * 3
    assert (await shop.get("/customers/twice-2")).status == 404
    unknown = {"id": "01999999-7b1e-7c3a-9d52-3f1b2c4d5e6f"}
    assert (await shop.put("/customers/twice-2", body | unknown)).result[0]["outcome"] == "created"
    renamed = await shop.request("PUT", f"/v2/public/customers/id/{made['resourceId']}", json=body)
    assert (renamed.status, renamed.error["code"]) == (409, "EXTERNAL_ID_EXISTS")


@VARIED_RESOURCES
async def test_what_only_the_server_sets_is_ignored(shop: Api, resource: Resource, number: int) -> None:
    """Whatever is sent for a read-only field is ignored, so that a record that was read can be sent back."""
    path, body = f"/{resource.collection}/read-{number}", least(resource, number)
    shown = await written(shop, path, body)
    names = [name for name, field in resource.fields.items() if field.read_only and name != "id"]
    assert {"createdAt", "updatedAt", "version", "deletedAt"} <= set(names)
    values: tuple[Any, ...] = ("2001-01-01T00:00:00.000Z", 17, None, {"a": []})
    for value in values:
        put = await shop.put(path, body | dict.fromkeys(names, value))
        assert put.result[0]["outcome"] == "unchanged"
    assert (await shop.put(path, shown)).result[0]["outcome"] == "unchanged"
    assert (await shop.get(path)).result == shown


@VARIED_RESOURCES
async def test_unknown_fields_are_refused_with_the_one_that_was_meant(
    shop: Api, resource: Resource, number: int
) -> None:
    """A misspelt field is an error that names the field and the one that was probably meant."""
    refused = await shop.put(
        f"/{resource.collection}/odd-{number}", least(resource, number) | {"detials": {}, "a/b~c": 1}
    )
    assert codes(refused) == [("/detials", "UNKNOWN_FIELD"), ("/a~1b~0c", "UNKNOWN_FIELD")]
    assert "did you mean details?" in refused.error["details"]["errors"][0]["message"]


async def test_all_problems_are_told_at_once(shop: Api) -> None:
    """One answer lists every problem of a request, each with a pointer, its rule and what to do."""
    wrong = {
        "title": 1,
        "email": "nobody",
        "dob": "31/02/1990",
        "address": {"city": 1, "planet": "x"},
        "fristName": "A",
    }
    refused = await shop.put("/customers/problems", {"customer": wrong | {"smsMarketing": "yes", "storeId": 1}})
    assert sorted(codes(refused)) == [
        ("/customer/address/city", "WRONG_TYPE"),
        ("/customer/address/planet", "UNKNOWN_FIELD"),
        ("/customer/dob", "INVALID_DATE"),
        ("/customer/email", "INVALID_EMAIL"),
        ("/customer/fristName", "UNKNOWN_FIELD"),
        ("/customer/smsMarketing", "WRONG_TYPE"),
        ("/customer/storeId", "UNKNOWN_FIELD"),
        ("/customer/title", "WRONG_TYPE"),
    ]
    assert all(each["message"].startswith("expected ") for each in refused.error["details"]["errors"])
    many = await shop.put("/customers/problems", {"firstName": "Ada"} | {f"x{i}": 1 for i in range(150)})
    assert len(codes(many)) == 101
    assert codes(many)[-1] == ("", "MORE_PROBLEMS")


async def test_a_put_always_addresses_by_external_id(shop: Api, number: int) -> None:
    """A PUT to what looks like one of our ids writes the record with that external id, and leaves the other alone."""
    first = await written(shop, f"/customers/uuid-{number}", {"firstName": "Ada"})
    put = await shop.put(f"/customers/{first['id']}", {"firstName": "Grace"})
    assert put.result[0]["outcome"] == "created"
    assert put.result[0]["resourceId"] != first["id"]
    assert (await shop.get(f"/customers/uuid-{number}")).result == first


@pytest.mark.parametrize(
    ("segment", "external_id"),
    [
        ("a%2Fb", "a/b"),
        ("a%252Fb", "a%2Fb"),
        ("john.d@example.com", "john.d@example.com"),
        ("a%20b", "a b"),
        ("a+b", "a+b"),
    ],
)
async def test_an_external_id_is_one_segment(shop: Api, segment: str, external_id: str) -> None:
    """An external id is percent-encoded as one segment of the URL, a slash included, and decoded once."""
    put = await shop.put(f"/territories/{segment}", {"name": "UK"})
    assert put.result[0]["externalId"] == external_id
    assert (await shop.get(f"/territories/external/{segment}")).result["externalTerritoryId"] == external_id


async def test_external_ids_are_compared_as_they_are(shop: Api) -> None:
    """Ids that differ in case, in composition of their letters or in white space are ids of different records."""
    ids = ["Case", "case", "CASE", "é", "e\u0301", "a b", "a  b", " a b"]
    made = [(await shop.put(f"/clients/{quote(each)}", {"name": "X"})).result[0] for each in ids]
    assert [each["outcome"] for each in made] == ["created"] * len(ids)
    assert len({each["resourceId"] for each in made}) == len(ids)


async def test_an_older_version_of_the_source_is_stale(shop: Api, number: int) -> None:
    """An upsert that is older at its source than what is stored changes nothing; one as old or newer counts."""
    path, when = f"/customers/source-{number}", "2026-01-0{}T00:00:00+01:00"
    outcomes = []
    for day, name in ((2, "Ada"), (1, "Old"), (2, "Ada"), (2, "Eve"), (3, "Eve"), (None, "Mae"), (1, "Old")):
        sent = {"firstName": name} | ({"sourceUpdatedAt": when.format(day)} if day else {})
        outcomes.append((await shop.put(path, sent)).result[0]["outcome"])
    assert outcomes == ["created", "stale", "unchanged", "updated", "updated", "updated", "stale"]
    shown = (await shop.get(path)).result
    assert (shown["firstName"], shown["sourceUpdatedAt"]) == ("Mae", "2026-01-02T23:00:00.000Z")


async def test_upserts_of_one_record_are_applied_in_their_order(shop: Api, number: int) -> None:
    """Upserts of one external id are applied as they were accepted: each is a version, and the last stays."""
    path = f"/v2/public/customers/order-{number}"
    head = f"PUT {path} HTTP/1.1\r\nHost: x\r\nAuthorization: API_KEY {shop.key}\r\nContent-Type: application/json\r\n"
    bodies = [f'{{"firstName": "Ada", "details": {{"i": {i}}}}}' for i in range(20)]
    requests = [f"{head}Content-Length: {len(each)}\r\n\r\n{each}" for each in bodies]
    closing = requests[-1].replace("Host: x", "Host: x\r\nConnection: close")
    came = await shop.raw("".join([*requests[:-1], closing]).encode())
    assert [int(each) for each in re.findall(rb'"version":(\d+)', came)] == list(range(1, 21))
    assert (await shop.get(f"/customers/order-{number}")).result["details"] == {"i": 19}
