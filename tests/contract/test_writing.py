"""Writing with conditions, in part, as a trial, and away: what a record's writers may ask for."""

from typing import Any

import pytest

from tests.contract.conftest import Api, codes

ADA = {"firstName": "Ada", "lastName": "Lovelace", "details": {"size": {"shoe": 38, "hat": 55}}}


async def test_a_patch_changes_what_it_names_and_merges_free_json(api: Api) -> None:
    """PATCH keeps what it does not name, merges details member by member, and null removes a member."""
    await api.put("/customers/c-1", ADA)
    answer = await api.request(
        "PATCH",
        "/v2/public/customers/external/c-1",
        json={"lastName": "King", "details": {"size": {"shoe": 39, "hat": None}}},
    )
    shown = (await api.get("/customers/c-1")).result
    assert answer.status == 200
    assert answer.result[0]["version"] == 2
    assert [shown["firstName"], shown["lastName"], shown["details"]] == ["Ada", "King", {"size": {"shoe": 39}}]


MERGE = {"Content-Type": "application/merge-patch+json; charset=utf-8"}


async def test_a_merge_patch_merges_every_object(api: Api) -> None:
    """A PATCH that says so keeps the members that it does not name, and null removes one; plain JSON replaces."""
    path = "/v2/public/customers/external/c-1"
    home = {"city": "London", "postCode": "SE1 8NW", "country": "United Kingdom"}
    await api.put("/customers/c-1", {**ADA, "address": home})
    sent = {"address": {"city": "Leeds", "postCode": None}, "details": {"size": {"hat": None}}, "lastName": None}
    assert (await api.request("PATCH", path, json={"customer": sent}, headers=MERGE)).status == 200
    shown = (await api.get("/customers/c-1")).result
    assert shown["address"] == {"city": "Leeds", "country": "United Kingdom"}
    assert [shown["details"], shown["firstName"], shown["lastName"]] == [{"size": {"shoe": 38}}, "Ada", None]
    nothings: list[dict[str, Any]] = [{"address": {}}, {"details": {}}, {}]
    for nothing in nothings:
        same = await api.request("PATCH", path, json=nothing, headers=MERGE)
        assert (same.status, same.result[0]["outcome"]) == (200, "unchanged")
    refused = await api.request("PATCH", path, json={"address": {"planet": "Earth"}}, headers=MERGE)
    assert codes(refused) == [("/address/planet", "UNKNOWN_FIELD")]
    assert (await api.request("PATCH", path, json={"address": {"city": "York"}})).status == 200
    assert (await api.get("/customers/c-1")).result["address"] == {"city": "York"}
    assert (await api.request("PATCH", path, json={"address": None}, headers=MERGE)).status == 200
    assert (await api.get("/customers/c-1")).result["address"] is None


async def test_only_a_patch_is_a_merge_patch(api: Api) -> None:
    """Whoever replaces a record whole can't announce a part of one."""
    assert (await api.put("/customers/c-1", ADA, headers=MERGE)).status == 415
    assert (await api.post("/customers", ADA, headers=MERGE)).status == 415
    told = (await api.request("GET", "/v2/public/openapi.json", key="")).json["info"]["description"]
    assert "application/merge-patch+json" in told


async def test_a_merge_patch_merges_free_json_of_any_name(api: Api) -> None:
    """What a product has as free JSON is merged like what it has as members."""
    await api.put("/products/p-1", {"name": "Coat", "attributes": {"a": {"b": 1, "c": 2}, "d": [1]}})
    sent = {"attributes": {"a": {"b": None, "e": 3}, "d": [2]}}
    answer = await api.request("PATCH", "/v2/public/products/external/p-1", json=sent, headers=MERGE)
    assert answer.status == 200
    assert (await api.get("/products/p-1")).result["attributes"] == {"a": {"c": 2, "e": 3}, "d": [2]}


@pytest.mark.parametrize("name", ["details", "reporting"])
async def test_free_json_grows_to_its_limit_and_no_further(api: Api, name: str) -> None:
    """What a PATCH merges is held to the limits of a whole: so what is read can be sent back."""
    members = [{f"{half}{i}": "x" * 900 for i in range(60)} for half in "ab"]
    await api.put("/customers/c-1", {"firstName": "Ada", "lastName": "Lovelace"})
    path = "/v2/public/customers/external/c-1"
    assert (await api.request("PATCH", path, json={name: members[0]})).status == 200
    refused = await api.request("PATCH", path, json={"customer": {"lastName": "King", name: members[1]}})
    assert (refused.status, codes(refused)) == (400, [(f"/customer/{name}", "TOO_LARGE")])
    shown = (await api.get("/customers/c-1")).result
    assert (shown["lastName"], shown[name]) == ("Lovelace", members[0])
    assert (await api.put("/customers/c-1", shown)).result[0]["outcome"] == "unchanged"
    instead = dict.fromkeys(members[0]) | members[1]
    assert (await api.request("PATCH", path, json={name: instead})).result[0]["outcome"] == "updated"
    assert (await api.get("/customers/c-1")).result[name] == members[1]


async def test_numbers_of_free_json_stay_what_they_were(api: Api) -> None:
    """Numbers that a PATCH does not name keep each of their digits, and as they are read they can be sent back."""
    numbers = b'"a":1.0000000000000000000000000000000000001,"b":1e300,"c":12345678901234567890123'
    await api.request("PUT", "/v2/public/customers/c-1", body=b'{"firstName":"Ada","details":{%b}}' % numbers)
    before = await api.get("/customers/c-1")
    await api.request("PATCH", "/v2/public/customers/external/c-1", json={"details": {"d": 1}})
    await api.request("PATCH", "/v2/public/customers/external/c-1", json={"details": {"d": None}})
    after = await api.get("/customers/c-1")
    details = [answer.body.partition(b'"details":')[2].partition(b"}")[0] for answer in (before, after)]
    assert details[0] == details[1]
    assert b"1.0000000000000000000000000000000000001" in details[0]
    again = await api.request("PUT", "/v2/public/customers/c-1", body=b'{"firstName":"Ada","details":%b}}' % details[1])
    assert again.result[0]["outcome"] == "unchanged", again.body


async def test_a_patch_of_nobody_is_not_found(api: Api) -> None:
    """PATCH creates nothing: a record that is not there, or is deleted, is a 404."""
    absent = await api.request("PATCH", "/v2/public/customers/external/c-1", json={"lastName": "King"})
    await api.put("/customers/c-1", ADA)
    await api.request("DELETE", "/v2/public/customers/external/c-1")
    gone = await api.request("PATCH", "/v2/public/customers/external/c-1", json={"lastName": "King"})
    assert [absent.status, gone.status] == [404, 404]


async def test_a_patch_leaves_what_a_record_must_have(api: Api) -> None:
    """PATCH can't take away the last of the fields of which a customer needs one."""
    await api.put("/customers/c-1", {"email": "ada@example.com"})
    answer = await api.request("PATCH", "/v2/public/customers/external/c-1", json={"email": None})
    assert [answer.status, answer.error["code"]] == [400, "VALIDATION_ERROR"]


async def test_a_deleted_record_is_a_tombstone_until_it_is_put_again(api: Api) -> None:
    """DELETE hides a record, twice is unchanged, includeDeleted shows it, and a PUT undeletes it."""
    await api.put("/customers/c-1", ADA)
    first = await api.request("DELETE", "/v2/public/customers/external/c-1")
    again = await api.request("DELETE", "/v2/public/customers/external/c-1")
    hidden = await api.get("/customers/c-1")
    shown = await api.get("/customers/c-1?includeDeleted=true")
    listed = await api.get("/customers")
    all_listed = await api.get("/customers?includeDeleted=true")
    back = await api.put("/customers/c-1", ADA)
    assert [first.result[0]["outcome"], first.result[0]["version"]] == ["deleted", 2]
    assert [again.result[0]["outcome"], again.result[0]["version"]] == ["unchanged", 2]
    assert hidden.status == 404
    assert shown.result["deletedAt"] is not None
    assert [listed.result["count"], len(listed.result["rows"])] == [0, 0]
    assert [all_listed.result["count"], len(all_listed.result["rows"])] == [1, 1]
    assert [back.result[0]["outcome"], back.result[0]["version"]] == ["undeleted", 3]
    assert (await api.get("/customers")).result["count"] == 1


async def test_replace_resets_what_is_absent(api: Api) -> None:
    """With mode=replace absent optional fields take their defaults; without it they are kept."""
    await api.put("/customers/c-1", ADA | {"generalMarketing": True, "email": "ada@example.com"})
    await api.put("/customers/c-1?mode=replace", {"firstName": "Ada"})
    shown = (await api.get("/customers/c-1")).result
    assert [shown["lastName"], shown["email"], shown["generalMarketing"], shown["details"]] == [None, None, False, {}]


async def test_a_trial_writes_nothing_and_says_what_would_happen(api: Api) -> None:
    """dryRun answers as the write would, and leaves no record, no version and no tombstone."""
    created = await api.put("/customers/c-1?dryRun=true", ADA)
    absent = await api.get("/customers/c-1")
    await api.put("/customers/c-1", ADA)
    deleted = await api.request("DELETE", "/v2/public/customers/external/c-1?dryRun=true")
    assert [created.result[0]["outcome"], created.result[0]["dryRun"]] == ["created", True]
    assert absent.status == 404
    assert deleted.result[0]["outcome"] == "deleted"
    assert (await api.get("/customers/c-1")).result["version"] == 1


async def test_if_match_writes_only_to_the_version_it_names(api: Api) -> None:
    """A write under If-Match of another version is a 412 that names the current one, and changes nothing."""
    await api.put("/customers/c-1", ADA)
    right = await api.put("/customers/c-1", {"firstName": "Grace"}, headers={"If-Match": '"1"'})
    wrong = await api.put("/customers/c-1", {"firstName": "Linus"}, headers={"If-Match": '"1"'})
    any_version = await api.put("/customers/c-1", {"firstName": "Grace"}, headers={"If-Match": "*"})
    assert [right.status, wrong.status, any_version.status] == [200, 412, 200]
    assert [wrong.error["code"], wrong.error["details"]] == ["VERSION_CONFLICT", {"currentVersion": 2}]
    assert (await api.get("/customers/c-1")).result["firstName"] == "Grace"


async def test_if_match_star_wants_a_record_that_is_there(api: Api) -> None:
    """Under If-Match: * a PUT makes no record and brings none back: both are a 412, as RFC 9110 has it."""
    nobody = await api.put("/customers/c-2", ADA, headers={"If-Match": "*"})
    await api.put("/customers/c-3", ADA)
    await api.request("DELETE", "/v2/public/customers/external/c-3")
    deleted = await api.put("/customers/c-3", ADA, headers={"If-Match": "*"})
    assert [each.error["code"] for each in (nobody, deleted)] == ["VERSION_CONFLICT"] * 2
    assert [nobody.status, nobody.error["details"]] == [412, {"currentVersion": None}]
    assert [(await api.get(f"/customers/{each}")).status for each in ("c-2", "c-3")] == [404, 404]


async def test_if_none_match_star_only_creates(api: Api) -> None:
    """If-None-Match: * makes a PUT create only, and on a GET a known version is a 304 without a body."""
    first = await api.put("/customers/c-1", ADA, headers={"If-None-Match": "*"})
    second = await api.put("/customers/c-1", {"firstName": "Grace"}, headers={"If-None-Match": "*"})
    same = await api.get("/customers/c-1", headers={"If-None-Match": first.headers["etag"]})
    assert [first.status, second.status, same.status] == [200, 412, 304]
    assert same.body == b""


async def test_a_garbled_condition_is_refused(api: Api) -> None:
    """A conditional header that holds no entity tags is a 400, not a condition that is ignored."""
    answer = await api.put("/customers/c-1", ADA, headers={"If-Match": "one"})
    assert [answer.status, answer.error["code"]] == [400, "BAD_REQUEST"]


async def test_a_record_gets_another_external_id_and_keeps_the_old_one(api: Api) -> None:
    """PUT by id with another external id re-keys; a sender who knows the old one updates the same record."""
    record_id = (await api.post("/customers", ADA)).result["id"]
    moved = await api.put(f"/customers/id/{record_id}", ADA | {"externalCustomerId": "c-1"})
    old = await api.put(f"/customers/{record_id}", {"firstName": "Grace"})
    shown = (await api.get("/customers/c-1")).result
    assert [moved.status, moved.result[0]["outcome"], moved.result[0]["version"]] == [200, "updated", 2]
    assert old.result[0]["externalId"] == "c-1"
    assert [shown["id"], shown["firstName"], shown["version"]] == [record_id, "Grace", 3]
    assert (await api.get("/customers")).result["count"] == 1


async def test_a_taken_external_id_is_not_taken_over(api: Api) -> None:
    """Re-keying to an external id that another record has is a 409, and nothing moves."""
    await api.put("/customers/c-1", ADA)
    record_id = (await api.post("/customers", {"firstName": "Grace"})).result["id"]
    answer = await api.put(f"/customers/id/{record_id}", {"firstName": "Grace", "externalCustomerId": "c-1"})
    assert [answer.status, answer.error["code"]] == [409, "EXTERNAL_ID_EXISTS"]


async def test_unknown_fields_are_ignored_where_that_is_asked_for(api: Api) -> None:
    """unknownFields=ignore passes over what is unknown; without it, and under handling=strict, it is refused."""
    asked = await api.put("/customers/c-1?unknownFields=ignore", ADA | {"shoeSize": 38})
    strict = await api.put(
        "/customers/c-1?unknownFields=ignore", ADA | {"shoeSize": 38}, headers={"Prefer": "handling=strict"}
    )
    assert [asked.status, strict.status] == [200, 400]


async def test_the_record_comes_along_where_that_is_preferred(api: Api) -> None:
    """Prefer: return=representation shows the record inside its job."""
    answer = await api.put("/customers/c-1", ADA, headers={"Prefer": "return=representation"})
    assert answer.result[0]["record"]["firstName"] == "Ada"
    assert "record" not in (await api.put("/customers/c-1", ADA)).result[0]
