"""The change feed as a stream: every change as it is committed, on from any event, and never a burden to the server."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import count
from typing import Any

from retailos import keys
from retailos.api.change_stream import Source, change_events
from retailos.records import feed
from retailos.records.feed import Read
from retailos.resources import RESOURCES
from retailos.settings import Settings
from tests.conftest import PATIENCE_SECONDS, eventually
from tests.contract.conftest import Api, check_envelope, serving
from tests.contract.streaming import Stream, streamed

NONE_BUSY = """
select count(*) = 0 from pg_stat_activity
where datname = current_database() and application_name = 'retailos api' and state <> 'idle'
    and pid <> pg_backend_pid()
"""


async def test_a_change_is_streamed_as_it_is_committed(shop: Api) -> None:
    """Each change arrives as an event with the row that the feed gives, its id the cursor to go on from."""
    async with streamed(shop, "?since=now&resources=store,customer&expand=registeredAt") as stream:
        assert stream.answer.headers["content-type"].startswith("text/event-stream")
        assert stream.answer.headers["cache-control"] == "no-store"
        since = (await shop.get("/changes?since=now")).result["nextCursor"]
        await shop.put("/stores/s-1", {"name": "Covent Garden"})
        await shop.put("/customers/c-1", {"firstName": "Ada", "registeredAt": {"externalStoreId": "s-1"}})
        seen = await stream.events(2)
    page = (await shop.get(f"/changes?since={since}&expand=registeredAt")).result
    assert seen == page["rows"]
    assert seen[1]["data"]["registeredAt"]["externalStoreId"] == "s-1"
    assert stream.last_id == page["nextCursor"]


async def test_a_stream_goes_on_behind_its_last_event(shop: Api) -> None:
    """Whoever comes back with Last-Event-ID gets what followed that event, whatever the URL says, and nothing twice."""
    since = (await shop.get("/changes?since=now")).result["nextCursor"]
    for i in range(7):
        await shop.put(f"/customers/on-{i % 5}", {"firstName": f"Ada {i}"})
    seen, last = [], ""
    for _ in range(5):
        async with streamed(shop, f"?since={since}", last_id=last) as stream:
            seen.append((await stream.event())["externalId"])
            last = stream.last_id
    # The first two were written again, so each comes once, at its newest.
    assert seen == ["on-2", "on-3", "on-4", "on-0", "on-1"]
    async with streamed(shop, f"?since={since}", last_id=last) as stream:
        await shop.put("/customers/on-5", {"firstName": "Grace"})
        assert (await stream.event())["externalId"] == "on-5"


async def test_a_stream_from_now_has_its_place_before_anything_happens(shop: Api) -> None:
    """A reader that lost a stream from now, before its first event, misses nothing when it comes back."""
    async with streamed(shop, "?since=now") as stream:
        await eventually(lambda: marked(stream))
    await shop.put("/customers/meanwhile", {"firstName": "Ada"})
    async with streamed(shop, "?since=now", last_id=stream.last_id) as again:
        assert (await again.event())["externalId"] == "meanwhile"


async def test_a_reader_that_knows_no_chunks_has_its_events_as_they_are(shop: Api) -> None:
    """Over HTTP/1.0 a stream is no more than its events, and the connection's end is its own."""
    await shop.put("/customers/plain", {"firstName": "Ada"})
    reader, writer = await asyncio.open_connection("127.0.0.1", shop.port)
    ask = "GET /v2/public/changes HTTP/1.0\r\nAccept: text/event-stream\r\nAuthorization: API_KEY"
    writer.write(f"{ask} {shop.key}\r\n\r\n".encode())
    async with asyncio.timeout(PATIENCE_SECONDS):
        head = await reader.readuntil(b"\r\n\r\n")
        first = await reader.readuntil(b"\n\n")
    writer.close()
    assert head.startswith(b"HTTP/1.1 200")
    assert b"transfer-encoding" not in head.lower()
    assert b"connection: close" in head
    assert first == b"retry: 2000\n\n"
    plain = await shop.raw(f"{ask.replace('text/event-stream', '*/*')} {shop.key}\r\n\r\n".encode())
    head, _, listed = plain.partition(b"\r\n\r\n")
    assert f"content-length: {len(listed)}".encode() in head


async def marked(stream: Stream) -> bool:
    """Read on until there is a mark; there is one soon, and no event is awaited."""
    try:
        async with asyncio.timeout(0.2):
            await stream.event()
    except TimeoutError:
        pass
    return bool(stream.marks)


async def test_a_stream_beside_many_writers_has_no_gap(api: Api) -> None:
    """A reader that is cut off again and again, while writers write, ends with every record at its last version."""
    copy: dict[str, int] = {}

    async def write(writer: int) -> None:
        for i in range(30):
            await api.put(f"/customers/c-{(writer * 7 + i) % 50}", {"firstName": f"{writer}-{i}"})

    async def listen() -> None:
        last = ""
        for patience in count(5, 3):
            async with streamed(api, "?limit=20", last_id=last) as stream:
                for _ in range(patience):
                    row = await stream.event()
                    assert row["version"] >= copy.get(row["externalId"], 0)
                    copy[row["externalId"]] = row["version"]
                    last = stream.last_id
                    if row["externalId"] == "the-last":
                        return

    listener = asyncio.create_task(listen())
    await asyncio.gather(*(write(each) for each in range(8)))
    await api.put("/customers/the-last", {"firstName": "Ada"})
    await listener
    rows = (await api.get("/customers?limit=500&fields=externalCustomerId,version")).result["rows"]
    assert copy == {row["externalCustomerId"]: row["version"] for row in rows}


async def test_a_quiet_stream_is_kept_awake(shop: Api) -> None:
    """Where nothing happens the stream says how far it is: proxies keep it, and the reader's cursor moves on."""
    engine = shop.engine

    async def read(position: feed.Position) -> Read:
        return await feed.read(engine.pool, RESOURCES, ["store"], position, 10, {})

    async def check() -> None:
        return None

    first = await read(await feed.now(engine.pool))
    events = change_events(Source(watch=engine.watch, read=read, check=check, heartbeat_seconds=0.05), first)
    assert [await anext(events) for _ in range(2)] == [b"retry: 2000\n\n", mark(first)]
    assert await anext(events) == mark(first)
    await shop.put("/customers/not-a-store", {"firstName": "Ada"})
    await eventually(lambda: moved(events, mark(first)))
    await events.aclose()


def mark(read: Read) -> bytes:
    """What says how far a stream is."""
    return b": here\nid: %b\n\n" % feed.written(read.position).encode()


async def moved(events: Any, before: bytes) -> bool:
    """Whether the next heartbeat is further on."""
    return bool(await anext(events) != before)


async def test_what_is_wrong_with_a_stream_is_told_in_the_envelope(shop: Api, api: Api) -> None:
    """A stream that can't begin is refused like any other request; one is not given where JSON is asked for too."""
    foreign = (await api.get("/changes?since=now")).result["nextCursor"]
    refused = {"?since=x": "INVALID_CURSOR", "?wait=5": "VALIDATION_ERROR", f"?since={foreign}": "INVALID_CURSOR"}
    for query, code in refused.items():
        async with streamed(shop, query) as stream:
            assert check_envelope(stream.answer, 400)["error"]["code"] == code
    async with streamed(shop, last_id="garbage") as stream:
        assert stream.answer.json["error"]["code"] == "INVALID_CURSOR"
    async with streamed(shop, key="rk_test_none") as stream:
        assert stream.answer.status == 401
    both = await shop.get("/changes", headers={"Accept": "text/event-stream, application/json"})
    assert check_envelope(both, 200)["action"] == "CHANGE_GET_ALL"
    assert (await shop.get("/customers", headers={"Accept": "text/event-stream"})).status == 406
    async with streamed(shop, method="HEAD") as stream:
        assert stream.answer.headers["content-type"].startswith("text/event-stream")


async def test_a_stream_ends_when_its_key_is_taken_away(shop: Api) -> None:
    """A revoked key's stream ends within the seconds in which every other call of it is refused."""
    made = await keys.create(shop.engine.pool, name="s", environment="test", scopes=keys.DEFAULT_SCOPES, pepper=None)
    async with streamed(shop, "?since=now", key=made.key) as stream:
        await keys.revoke(shop.engine.pool, made.id)
        await stream.end()
        assert stream.ended
    async with streamed(shop, last_id=stream.last_id, key=made.key) as stream:
        assert stream.answer.status == 401


async def test_a_server_keeps_so_many_streams_and_no_more(settings: Settings, database: str) -> None:
    """One stream beyond the limit is told to come later, and when one ends there is room again."""
    async with serving(replace(settings, stream_limit=2), database) as api:
        async with streamed(api, "?since=now") as first, streamed(api, "?since=now"):
            async with streamed(api) as third:
                assert check_envelope(third.answer, 503)["error"]["code"] == "UNAVAILABLE"
                assert third.answer.headers["retry-after"] == "5"
            assert first.answer.status == 200

        async def again() -> bool:
            async with streamed(api) as stream:
                return stream.answer.status == 200

        assert await eventually(again)


async def test_streams_end_before_the_server_does(settings: Settings, database: str) -> None:
    """A server that is told to stop ends its streams politely, and answers at once whoever waits for changes."""
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(serving(settings, database))
        async with streamed(api, "?since=now") as stream:
            waiting = asyncio.create_task(api.get("/changes?since=now&wait=30"))
            # Both are there once this is answered, on connections that came after theirs.
            await api.get("/changes?since=now")
            stopping = asyncio.create_task(stack.aclose())
            await stream.end()
            assert stream.ended
            assert (await waiting).result["rows"] == []
            await stopping


async def test_who_reads_nothing_holds_nothing(settings: Settings, database: str) -> None:
    """Streams that nobody reads hold no connection to the database and no more than a page; others are served."""
    async with serving(replace(settings, api_pool_size=2), database) as api:
        text = "x" * 60_000
        for i in range(30):
            await api.put(f"/customers/c-{i}", {"firstName": "Ada", "details": {"text": text}})
        async with streamed(api), streamed(api), streamed(api), streamed(api, "?limit=1000"):
            for i in range(10):
                assert (await api.put(f"/customers/d-{i}", {"firstName": "Ada"})).status == 200
            # Whatever is looked for now and then is not looked for all the time.
            assert await eventually(lambda: api.engine.pool.fetchval(NONE_BUSY))
