"""API keys at the door: how they are sent, what they open, and how soon one that is taken away opens nothing."""

from collections.abc import Iterator

import pytest

from retailos import keys
from retailos.api.server import all_operations
from retailos.database.pool import connect
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


async def test_every_route_asks_for_its_scope(shop: Api) -> None:
    """A key opens a route if it has the route's scope or one that covers it, and is told which one it lacks."""
    operations = all_operations(shop.engine)
    assert {each.scope.partition(":")[2] for each in operations} == {"read", "write", "*"}
    wrong, scopes = [], sorted({each.scope for each in operations})
    for i, scope in enumerate(scopes):
        key = (await key_for(shop, scope)).key
        # What it opens, what its neighbours open, among them that of the same resource, and what two others do.
        near = {scope, *(scopes[(i + far) % len(scopes)] for far in (-1, 1, 5, 17))}
        for operation in [each for each in operations if each.scope in near]:
            answer = await shop.request(operation.method, path_of(operation), key=key)
            if (answer.status == 403) is (scope == operation.scope):
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
            assert (answer.status != 403) is operation.scope.endswith(f":{verb}"), operation.path


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


async def test_an_expired_key_opens_nothing(shop: Api) -> None:
    """A key whose time is over is refused."""
    made = await key_for(shop, "customer:read")
    async with shop.engine.pool.acquire() as connection:
        await connection.execute("update api_key set expires_at = now() - interval '1 s' where id = $1", made.id)
    assert (await shop.get("/customers", key=made.key)).status == 401


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
