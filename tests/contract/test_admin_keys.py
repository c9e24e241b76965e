"""API keys as operators keep them: made, shown, changed, rotated and revoked, and refused where they make no sense."""

from typing import Any

import pytest

from tests.contract.conftest import Api, check_envelope, codes

LISTED = (*("id", "name", "scopes", "networks", "createdAt", "expiresAt", "revokedAt", "rotatingUntil", "lastUsedAt"),)
WRONG: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "nothing": ({}, [("/name", "REQUIRED"), ("/scopes", "REQUIRED")]),
    "everything": (
        {"name": "", "scopes": [], "networks": ["x"], "expiresAt": "soon", "nmae": 1},
        [
            ("/nmae", "UNKNOWN_FIELD"),
            ("/name", "TOO_SHORT"),
            ("/networks/0", "INVALID_NETWORK"),
            ("/expiresAt", "INVALID_TIMESTAMP"),
            ("/scopes", "REQUIRED"),
        ],
    ),
    "a name of controls": ({"name": "a\nb"}, [("/name", "INVALID_NAME")]),
    "a name that can't be kept": ({"name": "a\x00"}, [("/name", "UNSTORABLE_TEXT")]),
    "a name too long": ({"name": "x" * 101}, [("/name", "TOO_LONG")]),
    "an unknown scope": ({"scopes": ["custmer:read"]}, [("/scopes/0", "UNKNOWN_CHOICE")]),
    "another verb": (
        {"scopes": ["customer:delete", "*:*"]},
        [("/scopes/0", "UNKNOWN_CHOICE"), ("/scopes/1", "UNKNOWN_CHOICE")],
    ),
    "scopes as text": ({"scopes": "*:read"}, [("/scopes", "WRONG_TYPE")]),
    "too many scopes": ({"scopes": ["*:read"] * 101}, [("/scopes", "TOO_MANY")]),
    "bits behind the prefix": ({"networks": ["10.0.0.1/8"]}, [("/networks/0", "INVALID_NETWORK")]),
    "a network with a zone": ({"networks": ["fe80::1%eth0"]}, [("/networks/0", "INVALID_NETWORK")]),
    "a name for a network": (
        {"networks": ["localhost", 7]},
        [("/networks/0", "INVALID_NETWORK"), ("/networks/1", "WRONG_TYPE")],
    ),
    "too many networks": ({"networks": ["10.0.0.0/8"] * 101}, [("/networks", "TOO_MANY")]),
    "null for no networks": ({"networks": None}, [("/networks", "REQUIRED")]),
    "a moment that is over": ({"expiresAt": "2020-01-01T00:00:00Z"}, [("/expiresAt", "OUT_OF_RANGE")]),
}


async def test_keys_are_kept_through_the_admin_api(shop: Api) -> None:
    """A key is made, shown, changed and revoked over HTTP; its text is shown when it is made, and nowhere else."""
    told = {"name": "erp", "scopes": ["customer:read", "customer:read"], "networks": ["10.0.0.0/8", "::ffff:127.0.0.1"]}
    answer = await shop.admin("POST", "/keys", json=told | {"expiresAt": "2999-01-01T01:00:00+01:00"})
    made = check_envelope(answer, 201)["result"]
    shown = {name: value for name, value in made.items() if name != "key"}
    assert tuple(made) == (*LISTED, "key")
    assert answer.headers["location"] == f"/v2/admin/keys/{made['id']}"
    assert (made["scopes"], made["networks"]) == (["customer:read"], ["10.0.0.0/8", "127.0.0.1/32"])
    assert made["expiresAt"] == "2999-01-01T00:00:00.000Z"
    assert [made[name] for name in ("revokedAt", "rotatingUntil", "lastUsedAt")] == [None] * 3
    one = f"/keys/{made['id']}"
    assert (await shop.admin("GET", one)).result == shown
    assert shown in (await shop.admin("GET", "/keys")).result["rows"]
    changed = await shop.admin("PUT", one, json=shown | {"name": "ERP", "expiresAt": None, "networks": []})
    after = check_envelope(changed, 200)["result"]
    assert after == shown | {"name": "ERP", "expiresAt": None, "networks": [], "lastUsedAt": after["lastUsedAt"]}
    assert (await shop.admin("PUT", one, json={})).result == after
    gone = (await shop.admin("DELETE", one)).result
    assert gone == after | {"revokedAt": gone["revokedAt"]}
    assert gone["revokedAt"]
    assert (await shop.admin("DELETE", one)).result == gone
    for method, path in (("PUT", one), ("POST", f"{one}/rotations")):
        assert check_envelope(await shop.admin(method, path, json={}), 409)["error"]["code"] == "KEY_REVOKED"
    seen = [answer.body for answer in (changed, await shop.admin("GET", one), await shop.admin("GET", "/keys"))]
    assert not any(made["key"].split("_")[3].encode() in body for body in seen)


@pytest.mark.parametrize(("body", "problems"), WRONG.values(), ids=list(WRONG))
async def test_a_key_that_makes_no_sense_is_refused(
    shop: Api, body: dict[str, Any], problems: list[tuple[str, str]]
) -> None:
    """What is wrong with a key is told field by field, all at once, whether it is made or changed."""
    good = {"name": "x", "scopes": ["*:read"]}
    before = await shop.stored()
    made = await shop.admin("POST", "/keys", json=good | body if body else {})
    assert (made.status, codes(made)) == (400, problems)
    if body:
        changed = await shop.admin("PUT", f"/keys/{shop.key.split('_')[2]}", json=body)
        assert (changed.status, codes(changed)) == (400, problems)
    assert await shop.stored() == before
    assert (await shop.get("/customers?limit=1")).status == 200


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ({"graceSeconds": -1}, [("/graceSeconds", "OUT_OF_RANGE")]),
        ({"graceSeconds": 2_592_001}, [("/graceSeconds", "OUT_OF_RANGE")]),
        ({"graceSeconds": None}, [("/graceSeconds", "REQUIRED")]),
        ({"graceSeconds": 0.5}, [("/graceSeconds", "WRONG_TYPE")]),
        ({"graceSeconds": "24h", "grace": 1}, [("/grace", "UNKNOWN_FIELD"), ("/graceSeconds", "WRONG_TYPE")]),
        ([], [("", "WRONG_TYPE")]),
    ],
)
async def test_a_grace_that_makes_no_sense_is_refused(shop: Api, body: Any, problems: list[tuple[str, str]]) -> None:
    """A rotation takes up to thirty days of grace in whole seconds, and changes nothing where they are no such."""
    one = f"/keys/{shop.key.split('_')[2]}"
    answer = await shop.admin("POST", f"{one}/rotations", json=body)
    assert (answer.status, codes(answer)) == (400, problems)
    assert (await shop.admin("GET", one)).result["rotatingUntil"] is None


async def test_a_key_is_not_opened_by_an_oversight(shop: Api) -> None:
    """A key is opened to every network by saying that there is none; null, which nobody may have meant, is refused."""
    made = (
        await shop.admin("POST", "/keys", json={"name": "x", "scopes": ["*:read"], "networks": ["10.0.0.0/8"]})
    ).result
    one = f"/keys/{made['id']}"
    refused = await shop.admin("PUT", one, json={"networks": None})
    assert check_envelope(refused, 400)["error"]["details"]["errors"] == [
        {"path": "/networks", "code": "REQUIRED", "message": "expected a value, got null; send [] where that is meant"}
    ]
    assert (await shop.admin("GET", one)).result["networks"] == ["10.0.0.0/8"]
    assert (await shop.admin("PUT", one, json={"networks": []})).result["networks"] == []


@pytest.mark.parametrize("key_id", ["0123456789", "nobody", "a%2Fb", "%F0%9F%98%80", "x" * 300])
async def test_a_key_that_is_not_there_is_not_found(shop: Api, key_id: str) -> None:
    """Whatever is not the id of a key leads to none."""
    for method, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/rotations")):
        answer = await shop.admin(method, f"/keys/{key_id}{path}", json=None if method in ("GET", "DELETE") else {})
        assert check_envelope(answer, 404)["error"]["code"] == "RESOURCE_NOT_FOUND"
