"""API keys at the door: how they are sent, what they open, and how soon one that is taken away opens nothing."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from retailos import keys
from retailos.api.server import all_operations
from retailos.database.pool import connect
from retailos.declare.values import moment
from retailos.keys.key import scopes as all_scopes
from retailos.keys.text import taken_apart, written
from retailos.keys.used import LastUsed
from retailos.resources import RESOURCES
from tests.conftest import eventually
from tests.contract.conftest import Api, check_envelope, read
from tests.contract.test_hostile import path_of


async def key_for(api: Api, *scopes: str) -> keys.NewKey:
    """A new key that allows these scopes."""
    return await keys.create(api.engine.pool, name="test", environment="test", scopes=scopes, pepper=None)


@pytest.mark.parametrize("scheme", ["API_KEY", "api_key", "Api_Key", "Bearer", "bearer", "BEARER"])
async def test_a_key_is_sent_in_the_guides_way_or_as_bearer(shop: Api, scheme: str) -> None:
    """The guide's scheme is taken in any case, and Bearer too, which generated clients speak."""
    answer = await shop.get("/customers", key="", headers={"Authorization": f"{scheme} {shop.key}"})
    assert check_envelope(answer, 200)


@pytest.mark.parametrize("header", ["API_KEY  {}", "API_KEY {} ", "  API_KEY {}"])
async def test_white_space_around_a_key_does_no_harm(shop: Api, header: str) -> None:
    """A key that was pasted with white space around it is recognised."""
    assert (await shop.get("/customers", key="", headers={"Authorization": header.format(shop.key)})).status == 200


def spoiled(key: str) -> Iterator[str]:
    """A key with one thing wrong with it."""
    yield key[:-1]
    yield key + "x"
    yield key[:20] + ("a" if key[20] != "a" else "b") + key[21:]
    yield key.swapcase()
    yield key.replace("_", "-")
    yield key.partition("_")[2]
    yield f"{key},{key}"
    yield f'"{key}"'


async def test_a_key_with_a_mistake_opens_nothing(shop: Api) -> None:
    """A key that is cut, mistyped or in another case is refused, and the answer does not repeat it."""
    for each in spoiled(shop.key):
        answer = await shop.get("/customers", key=each)
        error = check_envelope(answer, 401)["error"]
        assert (error["code"], error["message"]) == ("UNAUTHORIZED", "Request unauthorized")
        assert error["details"]["reason"]
        assert answer.headers["www-authenticate"].startswith("API_KEY")
        assert each.encode() not in answer.body


async def test_two_keys_in_one_request_are_refused(shop: Api) -> None:
    """A request with two headers Authorization is nobody's, even where both are good."""
    head = f"GET /v2/public/customers HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: API_KEY {shop.key}\r\n"
    came = await shop.raw(f"{head}Authorization: API_KEY {shop.key}\r\n\r\n".encode())
    assert check_envelope(read(came), 401)


def covers(scope: str, asked: str) -> bool:
    """Whether a scope opens a route whose endpoint alone can tell which resource it is about."""
    return scope != keys.ADMIN and (asked == keys.ANY_VERB or (asked == keys.ANY_WRITE and scope.endswith(":write")))


async def test_every_route_asks_for_its_scope(shop: Api) -> None:
    """A key opens a route if it has the route's scope or one that covers it, and is told which one it lacks."""
    operations = all_operations(shop.engine)
    assert {each.scope.partition(":")[2] for each in operations} == {"read", "write", "requeue", "*"}
    assert {each.scope for each in operations} - {keys.ANY_WRITE, keys.ANY_VERB} <= set(all_scopes(RESOURCES))
    wrong, scopes = [], sorted({each.scope for each in operations} - {keys.ANY_WRITE, keys.ANY_VERB})
    for i, scope in enumerate(scopes):
        key = (await key_for(shop, scope)).key
        # What it opens, what its neighbours open, among them that of the same resource, and what two others do.
        near = {scope, *(scopes[(i + far) % len(scopes)] for far in (-1, 1, 5, 17))}
        for operation in [each for each in operations if each.scope in near]:
            answer = await shop.request(operation.method, path_of(operation), key=key)
            if (answer.status == 403) is (scope == operation.scope or covers(scope, operation.scope)):
                wrong.append(f"{operation.method} {operation.path} with {scope}: {answer.status}")
            if answer.status == 403 and operation.scope not in check_envelope(answer)["error"]["message"]:
                wrong.append(f"{operation.path}: the refusal does not name {operation.scope}")
    assert not wrong, "\n".join(wrong[:20])


async def test_scopes_for_all_resources_leave_the_administration_closed(shop: Api) -> None:
    """*:read and *:write open every resource's routes of that kind, and none of the administration's."""
    for verb in ("read", "write"):
        key = (await key_for(shop, f"*:{verb}")).key
        for operation in all_operations(shop.engine):
            answer = await shop.request(operation.method, path_of(operation), key=key)
            opened = operation.scope.endswith(f":{verb}") or operation.scope == keys.ANY_VERB
            assert (answer.status != 403) is opened, operation.path


async def test_what_a_key_may_not_write_is_not_written(shop: Api) -> None:
    """A key that may only read changes nothing, however good the request is."""
    key = (await key_for(shop, "customer:read", "store:write")).key
    before = await shop.stored()
    assert (await shop.put("/customers/scoped", {"firstName": "Ada"}, key=key)).error["code"] == "FORBIDDEN"
    assert (await shop.post("/customers", {"firstName": "Ada"}, key=key)).status == 403
    assert (await shop.get("/stores", key=key)).status == 403
    assert await shop.stored() == before
    assert (await shop.get("/customers", key=key)).status == 200
    assert (await shop.put("/stores/scoped", {"name": "X"}, key=key)).status == 200


async def test_a_revoked_key_opens_nothing_within_five_seconds(api: Api) -> None:
    """A key that is taken away is refused by every process within 5 s, and others are not touched by it."""
    made = await key_for(api, "customer:read")
    assert (await api.get("/customers", key=made.key)).status == 200
    await keys.revoke(api.engine.pool, made.id)

    async def refused() -> bool:
        return (await api.get("/customers", key=made.key)).status == 401

    await eventually(refused, within_seconds=5)
    assert (await api.get("/customers")).status == 200


async def opens(api: Api, key: str) -> bool:
    """Whether a key opens what it should."""
    return (await api.get("/customers?limit=1", key=key)).status == 200


async def rotated(api: Api, key_id: str, grace_seconds: int) -> dict[str, Any]:
    """Rotate a key, and give it as it is shown then."""
    answer = await api.admin("POST", f"/keys/{key_id}/rotations", json={"graceSeconds": grace_seconds})
    shown: dict[str, Any] = check_envelope(answer, 200)["result"]
    assert taken_apart(shown["key"])
    return shown


async def refused(api: Api, key: str) -> bool:
    """Whether a key opens nothing."""
    return not await opens(api, key)


async def test_an_expired_key_opens_nothing(shop: Api) -> None:
    """A key whose time is over is refused from that moment on, however lately it was recognised."""
    soon = datetime.now(UTC) + timedelta(seconds=4)
    made = await keys.create(
        shop.engine.pool, name="x", environment="test", scopes=("*:read",), pepper=None, expires_at=soon
    )
    assert await opens(shop, made.key)
    await eventually(lambda: datetime.now(UTC) >= soon)
    assert await refused(shop, made.key)


async def test_a_key_of_another_environment_opens_nothing(shop: Api) -> None:
    """A key that was made for another environment is refused, though this database knows it."""
    made = await keys.create(shop.engine.pool, name="x", environment="live", scopes=("*:read",), pepper=None)
    assert made.key.startswith("rk_live_")
    assert (await shop.get("/customers", key=made.key)).status == 401
    parts = taken_apart(made.key)
    assert parts
    assert await opens(shop, written(parts._replace(environment="test")))


async def test_a_key_has_two_secrets_while_it_is_rotated(shop: Api) -> None:
    """From a rotation on the new text opens, and the old one until its grace is over; a third is never alive."""
    made = await key_for(shop, "*:read")
    first = made.key
    second = await rotated(shop, made.id, 3600)
    assert second["rotatingUntil"] > made.created_at
    assert [await opens(shop, each) for each in (first, second["key"])] == [True, True]
    third = await rotated(shop, made.id, 3600)
    await eventually(lambda: refused(shop, first), within_seconds=5)
    assert [await opens(shop, each) for each in (second["key"], third["key"])] == [True, True]


async def test_a_former_secret_ends_with_its_grace(shop: Api) -> None:
    """The secret from before a rotation opens for as long as was said, and then no more."""
    made = await key_for(shop, "*:read")
    second = await rotated(shop, made.id, 4)
    assert await opens(shop, made.key)
    await eventually(lambda: refused(shop, made.key))
    assert datetime.now(UTC) >= moment(second["rotatingUntil"])
    assert await opens(shop, second["key"])


async def test_without_grace_the_former_secret_ends_at_once(shop: Api) -> None:
    """A rotation without grace leaves the new secret alone."""
    made = await key_for(shop, "*:read")
    second = await rotated(shop, made.id, 0)
    assert second["rotatingUntil"] is None
    assert [await opens(shop, each) for each in (made.key, second["key"])] == [False, True]


async def test_a_new_secret_opens_at_once_in_every_process(shop: Api) -> None:
    """What another process knows of a key from before is no reason to refuse the secret that it has now."""
    ring, made = keys.KeyRing(shop.engine.pool, None, "test"), await key_for(shop, "*:read")
    assert await ring.recognise(made.key)
    for _ in range(2):
        second = await rotated(shop, made.id, 3600)
        assert await ring.recognise(second["key"]), "the key as it was before the rotation is what counts"
    parts = taken_apart(made.key)
    assert parts
    mistaken = written(parts._replace(secret=parts.secret[::-1]))
    assert await ring.recognise(mistaken) is None


async def test_a_key_that_is_made_late_opens_at_once_in_every_process(shop: Api) -> None:
    """Who came with a key before it was carried over to this database is let in as soon as it is there."""
    ring, made = keys.KeyRing(shop.engine.pool, None, "test"), await key_for(shop, "*:read")
    async with shop.engine.pool.acquire() as connection:
        row = await connection.fetchrow("delete from api_key where id = $1 returning *", made.id)
        assert row
        assert await ring.recognise(made.key) is None
        columns = ", ".join(row.keys())
        places = ", ".join(f"${i}" for i in range(1, len(row) + 1))
        await connection.execute(f"insert into api_key ({columns}) values ({places})", *row.values())
    assert await ring.recognise(made.key)


async def test_a_key_remembers_when_it_was_used(shop: Api) -> None:
    """A key that was used says so, to the minute, and one that never was or was mistyped says nothing."""
    one, other = await key_for(shop, "*:read"), await key_for(shop, "*:read")
    before = datetime.now(UTC).replace(second=0, microsecond=0)
    assert await opens(shop, one.key)
    assert not await opens(shop, other.key.swapcase())

    async def used() -> str:
        return (await shop.admin("GET", f"/keys/{one.id}")).result["lastUsedAt"] or ""

    at = moment(await eventually(used))
    assert before <= at <= datetime.now(UTC)
    assert at.second == at.microsecond == 0
    assert (await shop.admin("GET", f"/keys/{other.id}")).result["lastUsedAt"] is None


async def test_a_key_in_use_is_written_down_once_a_minute(shop: Api) -> None:
    """However often a key is used, its row is written once a minute by each process."""
    made, used = await key_for(shop, "*:read"), LastUsed(shop.engine.pool)
    forget = "update api_key set last_used_at = null where id = $1 returning true"
    for times, written_down in ((20, True), (20, False)):
        for _ in range(times):
            used.note(made.id)
        await used.close()
        async with shop.engine.pool.acquire() as connection:
            shown = await connection.fetchval("select last_used_at from api_key where id = $1", made.id)
            assert (shown is not None) is written_down
            assert await connection.fetchval(forget, made.id)


async def test_a_change_counts_within_five_seconds(shop: Api) -> None:
    """What a key may do and from where is what was said last, within 5 s, and no key has to be made anew for it."""
    made = await key_for(shop, "*:read")
    assert await opens(shop, made.key)
    await shop.admin("PUT", f"/keys/{made.id}", json={"scopes": ["*:write"]})

    async def forbidden() -> bool:
        return (await shop.get("/customers?limit=1", key=made.key)).status == 403

    await eventually(forbidden, within_seconds=5)


async def test_a_key_of_another_installation_opens_nothing(shop: Api, database: str) -> None:
    """A key that was made elsewhere is refused, and so is one whose row was carried over without its pepper."""
    elsewhere = await connect(database, min_size=1, max_size=2, application_name="tests", statement_timeout_seconds=5)
    await elsewhere.execute("update instance set pepper = decode(repeat('ab', 32), 'hex')")
    made = [
        await keys.create(elsewhere, name="x", environment="test", scopes=("customer:read",), pepper=None)
        for _ in range(2)
    ]
    row = await elsewhere.fetchrow("select id, name, digest, scopes, created_at from api_key where id = $1", made[1].id)
    await elsewhere.close()
    assert row is not None
    async with shop.engine.pool.acquire() as connection:
        insert = "insert into api_key (id, name, digest, scopes, created_at) values ($1, $2, $3, $4, $5)"
        await connection.execute(insert, *row)
    assert [(await shop.get("/customers", key=each.key)).status for each in made] == [401, 401]


async def test_the_database_does_not_know_the_key(shop: Api) -> None:
    """What is kept of a key opens nothing: its secret stands nowhere in the database."""
    made = await key_for(shop, "customer:read")
    secret = made.key.split("_")[3]
    async with shop.engine.pool.acquire() as connection:
        row = await connection.fetchval("select row_to_json(api_key)::text from api_key where id = $1", made.id)
    assert made.id in row
    assert secret not in row
    assert secret.encode().hex() not in row


async def test_every_write_remembers_its_key(shop: Api) -> None:
    """A change tells which key made it and in which request."""
    put = await shop.put("/customers/remembered", {"firstName": "Ada"})
    async with shop.engine.pool.acquire() as connection:
        row = await connection.fetchrow(
            "select api_key_id, request_id from change where record_id = $1::uuid", put.result[0]["resourceId"]
        )
    assert row is not None
    assert row["api_key_id"] == shop.key.split("_")[2]
    assert str(row["request_id"]) == put.json["meta"]["requestId"]
