"""What a key has begun ends soon after it is taken away or changed: long polls and uploads, as any other call."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from retailos import keys
from retailos.declare.values import printed
from tests.conftest import eventually
from tests.contract.conftest import Api, Response, check_envelope, read
from tests.contract.importing import as_csv
from tests.contract.test_keys import key_for

HEADER = as_csv([["externalCustomerId", "firstName"]])
#: A process knows for two seconds what it read of a key, and looks every two seconds.
SOON_SECONDS = 5.0
Change = Callable[[Api, keys.NewKey], Awaitable[Any]]


def changed(**to: Any) -> Change:
    """What says anew what a key may do."""

    async def change(api: Api, key: keys.NewKey) -> Any:
        body = {name: printed(value()) if callable(value) else value for name, value in to.items()}
        answer = await api.admin("PUT", f"/keys/{key.id}", json=body)
        assert answer.status == 200, answer.body

    return change


async def revoked(api: Api, key: keys.NewKey) -> None:
    """Take a key away."""
    await keys.revoke(api.engine.pool, key.id)


def soon() -> datetime:
    """A moment just to come."""
    return datetime.now(UTC) + timedelta(seconds=1)


#: Each way in which a key may end for what it does, and what it is answered from then on.
TAKEN = (
    (revoked, 401),
    (changed(expiresAt=soon), 401),
    (changed(networks=["203.0.113.0/24"]), 403),
    (changed(scopes=["store:read"]), 403),
)


def begun(api: Api, method: str, path: str, key: keys.NewKey, more: Sequence[str] = ()) -> bytes:
    """The head of a request that goes on."""
    lines = [f"{method} /v2/public{path} HTTP/1.1", "Host: x", "Connection: close", f"Authorization: API_KEY {key.key}"]
    return ("\r\n".join([*lines, *more]) + "\r\n\r\n").encode()


@asynccontextmanager
async def connected(api: Api, sent: bytes) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection on which a request is under way."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    try:
        writer.write(sent)
        yield reader, writer
    finally:
        writer.close()


async def refused(api: Api, key: keys.NewKey) -> bool:
    """Whether a key may not read customers any more."""
    return (await api.get("/customers?limit=1", key=key.key)).status in (401, 403)


async def test_who_waits_for_changes_is_refused_when_his_key_is_taken_away(api: Api) -> None:
    """A long poll ends within seconds, and tells nothing of what happened after every other call was refused."""

    async def waits(take: Change) -> Response:
        key = await key_for(api, "customer:read", "changes:read")
        asked = begun(api, "GET", "/changes?since=now&resources=customer&wait=30", key)
        async with connected(api, asked) as (reader, _):
            # It is waiting once this is answered, on a connection that came after its own.
            assert (await api.get("/changes?since=now", key=key.key)).status == 200
            await take(api, key)
            await eventually(lambda: refused(api, key), within_seconds=SOON_SECONDS)
            async with asyncio.timeout(SOON_SECONDS):
                return read(await reader.read())

    answers = await asyncio.gather(*(waits(take) for take, _ in TAKEN))
    assert [check_envelope(each)["statusCode"] for each in answers] == [status for _, status in TAKEN]


async def test_who_waits_is_told_nothing_once_his_key_is_taken_away(api: Api) -> None:
    """What is written when every other call is refused already is not told to whoever waited before."""
    key = await key_for(api, "customer:read", "changes:read")
    async with connected(api, begun(api, "GET", "/changes?since=now&wait=30", key)) as (reader, _):
        assert (await api.get("/changes?since=now", key=key.key)).status == 200
        await keys.revoke(api.engine.pool, key.id)
        await eventually(lambda: refused(api, key), within_seconds=SOON_SECONDS)
        await api.put("/customers/after", {"firstName": "Ada"})
        assert check_envelope(read(await reader.read()), 401)["result"] is None


async def test_who_waits_with_a_living_key_is_answered(api: Api) -> None:
    """A key that lives is looked at while it waits, and told what happens however late."""
    key = await key_for(api, "customer:read", "changes:read")
    asked = begun(api, "GET", "/changes?since=now&wait=3", key)
    async with connected(api, asked) as (reader, _), connected(api, asked.replace(b"=3", b"=30")) as (longer, _):
        assert check_envelope(read(await reader.read()), 200)["result"]["rows"] == []
        await api.put("/customers/late", {"firstName": "Ada"})
        assert len(check_envelope(read(await longer.read()), 200)["result"]["rows"]) == 1


@pytest.mark.parametrize("more", [(), ("Idempotency-Key: once",)], ids=["plain", "once"])
async def test_an_upload_is_refused_when_its_key_is_taken_away(api: Api, more: Sequence[str]) -> None:
    """A file whose end comes after its key was taken away is not applied, and its import tells why."""
    rows = [b"upload-%d,Ada\n" % i for i in range(10)]
    length = f"Content-Length: {len(HEADER) + sum(map(len, rows))}"

    async def uploads(take: Change) -> Response:
        key = await key_for(api, "customer:read", "customer:write")
        head = begun(api, "POST", "/imports?resource=customer", key, ("Content-Type: text/csv", length, *more))
        async with connected(api, head + HEADER + b"".join(rows[:5])) as (reader, writer):
            await eventually(lambda: uploading(api, len(TAKEN)))
            await take(api, key)
            await eventually(lambda: refused(api, key), within_seconds=SOON_SECONDS)
            writer.write(b"".join(rows[5:]))
            return read(await reader.read())

    answers = await asyncio.gather(*(uploads(take) for take, _ in TAKEN))
    assert [check_envelope(each)["statusCode"] for each in answers] == [status for _, status in TAKEN]
    told = {each.error["details"]["importId"]: ("failed", each.error["code"]) for each in answers}
    made = (await api.get("/imports")).result["rows"]
    assert {each["id"]: (each["status"], each["error"]["code"]) for each in made} == told


async def uploading(api: Api, files: int) -> bool:
    """Whether so many files have begun to come, now or before."""
    return len((await api.get("/imports")).result["rows"]) == files


async def test_an_upload_ends_before_its_file_does(api: Api) -> None:
    """A file without end is refused within seconds of its key's end, and not only behind its last byte."""
    key = await key_for(api, "customer:read", "customer:write")
    head = begun(
        api, "POST", "/imports?resource=customer", key, ("Content-Type: text/csv", "Transfer-Encoding: chunked")
    )
    async with connected(api, head + _chunk(HEADER)) as (reader, writer):
        await eventually(lambda: uploading(api, 1))
        await keys.revoke(api.engine.pool, key.id)
        answering = asyncio.create_task(reader.readuntil(b"\r\n\r\n"))

        async def answered() -> bool:
            writer.write(_chunk(b"upload,Ada\n"))
            await writer.drain()
            return answering.done()

        await eventually(answered, within_seconds=SOON_SECONDS)
        assert read(await answering).status == 401


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
