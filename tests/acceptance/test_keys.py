"""Keys from the command line, and what becomes of them in processes that run apart."""

import asyncio
import re
from contextlib import AsyncExitStack
from http.client import HTTPConnection
from typing import Any

import msgspec

from tests.acceptance.program import SERVES, ran, started
from tests.conftest import eventually


async def printed(database: str, *arguments: str) -> Any:
    """What a command about keys that goes well prints for programs."""
    ended = await ran("keys", *arguments, "--output", "json", database_url=database)
    assert ended.code == 0, ended.err
    return msgspec.json.decode(ended.out)


def status(port: int, key: str) -> int:
    """How the API at a port answers to a key."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/v2/public/customers?limit=1", headers={"Authorization": f"API_KEY {key}"})
        return connection.getresponse().status
    finally:
        connection.close()


async def test_a_revoked_key_is_refused_by_every_process_within_five_seconds(database: str) -> None:
    """Two API processes that both know a key refuse it, once it is revoked elsewhere, within 5 s, and not others."""
    gone, stays = [await printed(database, "create", "--name", name) for name in ("gone", "stays")]
    async with AsyncExitStack() as stack:
        processes = [
            await stack.enter_async_context(
                started("serve", "--api", "--port", "0", database_url=database, api_processes="1")
            )
            for _ in range(2)
        ]
        ports = [int((await each.says(SERVES))[1]) for each in processes]

        async def statuses(made: Any) -> list[int]:
            return [await asyncio.to_thread(status, port, made["key"]) for port in ports]

        assert await statuses(gone) == [200, 200]
        assert (await printed(database, "revoke", gone["id"]))["revoked"] is True

        async def refused() -> bool:
            return await statuses(gone) == [401, 401]

        await eventually(refused, within_seconds=5)
        assert await statuses(stays) == [200, 200]


async def test_a_key_is_rotated_and_changed(database: str) -> None:
    """An operator gives a key another secret and other rights, and is told when the old secret ends."""
    made = await printed(database, "create", "--name", "erp", "--networks", "10.0.0.0/8", "--expires-in", "90d")
    assert (made["networks"], made["rotatingUntil"]) == (["10.0.0.0/8"], None)
    rotated = await printed(database, "rotate", made["id"])
    assert rotated["key"].startswith(f"rk_dev_{made['id']}_")
    assert rotated["key"] != made["key"]
    assert made["createdAt"] < rotated["rotatingUntil"] < made["expiresAt"]
    asked = ("--name", "ERP", "--scopes", "customer:read", "--networks", "anywhere", "--expires-in", "30m")
    changed = await printed(database, "change", made["id"], *asked)
    assert (changed["name"], changed["scopes"], changed["networks"]) == ("ERP", ["customer:read"], [])
    assert changed["expiresAt"] < rotated["rotatingUntil"]
    said = await ran("keys", "rotate", made["id"], "--grace", "0", database_url=database)
    assert re.match(
        rf"rk_dev_{made['id']}_\w+\n\nThis is the key ERP from now on; the one before opens no more", said.out
    )
    table = await ran("keys", "list", database_url=database)
    assert re.search(rf"{made['id']} +ERP +customer:read .+ never +until \d{{4}}-", table.out), table.out


async def test_a_key_is_opened_to_every_network_by_that_word_alone(database: str) -> None:
    """Whose variable for the networks is empty is told so, and makes no key that opens from anywhere."""
    made = await printed(database, "create", "--name", "erp", "--networks", "10.0.0.0/8")
    empty = [("create", "--name", "x", "--networks", each) for each in ("", ",", "anywhere,10.0.0.0/8")]
    asked = [*empty, ("change", made["id"], "--networks", "")]
    for refused in await asyncio.gather(*(ran("keys", *each, database_url=database) for each in asked)):
        assert (refused.code, refused.out) == (2, "")
        assert "anywhere" in refused.err
    assert [each["networks"] for each in await printed(database, "list")] == [["10.0.0.0/8"]]
    assert (await printed(database, "create", "--name", "x", "--networks", "anywhere"))["networks"] == []
