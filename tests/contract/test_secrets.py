"""What a webhook must not tell is sealed in the database, shown nowhere, and sealed anew when the key changes."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest

from retailos import operations
from retailos.database.pool import Connection
from retailos.receiver import Receiver
from retailos.secrets import new_key
from retailos.settings import Settings
from retailos.timetable import timetable
from tests.conftest import eventually
from tests.contract.conftest import Api, codes, serving
from tests.contract.delivering import settled, webhook, working

TOKEN = "canary-3f6b9d"
HEADERS = {"Authorization": f"API_KEY {TOKEN}"}


async def dumped(database: str) -> str:
    """Everything that the database holds, as text."""
    connection = await asyncpg.connect(database)
    try:
        tables = await connection.fetch("select tablename from pg_tables where schemaname = 'public'")
        rows = [await connection.fetch(f"select to_jsonb(each)::text from {name} as each") for [name] in tables]
        return "\n".join(row[0] for found in rows for row in found)
    finally:
        await connection.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that takes everything."""
    async with Receiver.listen() as receiver:
        yield receiver


async def stored(connection: Connection) -> list[tuple[str, str]]:
    """The secrets of the database: their names, and the ids of the keys that sealed them."""
    return [tuple(row) for row in await connection.fetch("select name, key_id from secret order by owner_row, name")]


async def test_a_secret_is_sealed_and_sent(api: Api, receiver: Receiver) -> None:
    """A header's value arrives at the receiver, and is nowhere in the database nor in an answer."""
    made = await webhook(api, receiver, headers=HEADERS)
    async with working(api):
        await api.put("/customers/sealed", {"firstName": "A"})
        await settled(api, made, "sealed")
    assert receiver.received[-1].header("Authorization") == HEADERS["Authorization"]
    assert TOKEN not in await dumped(api.database)
    for path in (f"/webhooks/{made}", "/webhooks", "/deliveries"):
        assert TOKEN.encode() not in (await api.admin("GET", path)).body
    assert (await api.admin("GET", f"/webhooks/{made}")).result["headers"] == {"Authorization": "***"}


async def test_secrets_are_kept_changed_and_forgotten(api: Api, receiver: Receiver, connection: Connection) -> None:
    """What is absent from a change stays sealed as it was; what is sent anew, or hidden, or empty, takes its place."""
    made = await webhook(api, receiver, headers=HEADERS, active=False)
    [before] = await connection.fetch("select * from secret")
    changed = await api.admin("PUT", f"/webhooks/{made}", json={"timeout": 5})
    assert (changed.status, changed.result["headers"]) == (200, {"Authorization": "***"})
    assert await connection.fetch("select * from secret") == [before]
    body = {"headers": {"authorization": "***", "X-B": "b"}, "active": True}
    assert (await api.admin("PUT", f"/webhooks/{made}", json=body)).status == 200
    async with working(api):
        await api.put("/customers/kept", {"firstName": "A"})
        await settled(api, made, "kept")
    sent = receiver.received[-1]
    assert (sent.header("Authorization"), sent.header("X-B")) == (HEADERS["Authorization"], "b")
    assert (await api.admin("PUT", f"/webhooks/{made}", json={"headers": {}})).status == 200
    assert await stored(connection) == []
    await api.admin("PUT", f"/webhooks/{made}", json={"headers": HEADERS})
    await api.admin("DELETE", f"/webhooks/{made}")
    assert await stored(connection) == []


async def test_without_a_key_no_secret_is_saved(settings: Settings, database: str) -> None:
    """On a PostgreSQL of one's own without a key, a secret is refused with what to do, and all else works."""
    plain = {"name": "plain", "resource": "customer", "url": "http://127.0.0.1:9/x"}
    async with serving(replace(settings, encryption_keys=None), database) as api:
        refused = await api.admin("POST", "/webhooks", json=plain | {"headers": HEADERS})
        assert codes(refused) == [("/headers", "NO_ENCRYPTION_KEY")]
        assert b"retailos secrets new-key" in refused.body
        assert TOKEN.encode() not in refused.body
        made = (await api.admin("POST", "/webhooks", json=plain)).result["id"]
        assert codes(await api.admin("PUT", f"/webhooks/{made}", json={"headers": HEADERS})) == [
            ("/headers", "NO_ENCRYPTION_KEY")
        ]
        assert (await api.admin("PUT", f"/webhooks/{made}", json={"active": False})).status == 200


async def test_a_webhook_whose_key_is_lost_is_owed_and_said(
    api: Api, receiver: Receiver, settings: Settings, database: str
) -> None:
    """Without its key a webhook gets nothing, loses nothing, can be paused, and works again with its secrets anew."""
    made = await webhook(api, receiver, headers=HEADERS)
    other = replace(settings, encryption_keys=new_key())
    async with serving(other, database) as locked, working(locked):
        await locked.put("/customers/locked", {"firstName": "A"})
        assert (await operations.show_secrets(locked.engine.pool, other)).locked == 1
        assert (await locked.admin("PUT", f"/webhooks/{made}", json={"timeout": 5})).status == 200
        hidden = {"headers": {"Authorization": "***"}}
        assert codes(await locked.admin("PUT", f"/webhooks/{made}", json=hidden)) == [
            ("/headers/Authorization", "HIDDEN_VALUE")
        ]
        assert not receiver.received
        assert (await locked.admin("PUT", f"/webhooks/{made}", json={"headers": HEADERS})).status == 200
        await settled(locked, made, "locked")
    assert len(receiver.received) == 1


async def test_secrets_are_sealed_anew_with_the_newest_key(
    api: Api, receiver: Receiver, settings: Settings, connection: Connection
) -> None:
    """After a rotation no secret is left with an older key, what is sent is the same, and no webhook has changed."""
    ids = [await webhook(api, receiver, name=f"w{number}", headers=HEADERS) for number in range(3)]
    before = await connection.fetch("select * from webhook order by id")
    both = replace(settings, encryption_keys=f"{new_key()},{settings.encryption_keys}")
    pool = api.engine.pool
    assert (await operations.show_secrets(pool, both)).older == 3
    assert await operations.rotate_secrets(pool, both) == operations.SecretsRotated(sealed=3, left=0)
    assert await operations.rotate_secrets(pool, both) == operations.SecretsRotated(sealed=0, left=0)
    state = await operations.show_secrets(pool, both)
    assert (state.current, state.older, state.locked, state.clear) == (3, 0, 0, 0)
    assert {key_id for _, key_id in await stored(connection)} == {state.newest}
    assert await connection.fetch("select * from webhook order by id") == before
    newest = replace(settings, encryption_keys=(both.encryption_keys or "").split(",")[0])
    async with serving(newest, api.database) as after, working(after):
        await after.put("/customers/after", {"firstName": "A"})
        await settled(after, ids[0], "after")
    assert receiver.received[-1].header("Authorization") == HEADERS["Authorization"]


async def test_a_rotation_goes_past_what_it_can_not_open(
    api: Api, receiver: Receiver, settings: Settings, connection: Connection
) -> None:
    """A secret that was tampered with is left as it is and counted; the others are sealed anew."""
    for number in range(3):
        await webhook(api, receiver, name=f"w{number}", headers=HEADERS)
    await connection.execute(
        "update secret set sealed = set_byte(sealed, 20, 255 - get_byte(sealed, 20))"
        " where owner_row = (select min(owner_row) from secret)"
    )
    both = replace(settings, encryption_keys=f"{new_key()},{settings.encryption_keys}")
    assert await operations.rotate_secrets(api.engine.pool, both) == operations.SecretsRotated(sealed=2, left=1)


async def test_what_was_stored_in_clear_is_sealed(
    api: Api, receiver: Receiver, settings: Settings, connection: Connection
) -> None:
    """Headers that an earlier version has stored in clear are used as before, and sealed within the hour."""
    made = await webhook(api, receiver)
    clear = json.dumps({"headers": HEADERS})
    await connection.execute("update webhook set settings = settings || $1::jsonb, updated_at = now()", clear)
    unkeyed = replace(settings, encryption_keys=None)
    assert (await operations.show_secrets(api.engine.pool, unkeyed)).clear == 1
    await operations.seal_secrets(unkeyed, api.engine.pool)
    assert await stored(connection) == []
    assert (await api.admin("GET", f"/webhooks/{made}")).result["headers"] == {"Authorization": "***"}
    async with working(api):
        await eventually(lambda: connection.fetchval("select count(*) = 1 from secret"))
        await api.put("/customers/clear", {"firstName": "A"})
        await settled(api, made, "clear")
    assert receiver.received[-1].header("Authorization") == HEADERS["Authorization"]
    assert TOKEN not in await dumped(api.database)
    assert any(each.kind == "seal secrets" for each in timetable(settings))
