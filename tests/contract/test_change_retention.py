"""Changes are dropped by the day, and whoever has missed some of them is told so, and nobody else."""

from contextlib import suppress

import asyncpg

from retailos.database import history
from retailos.database.pool import Connection
from retailos.errors import Unavailable
from retailos.records import feed
from tests.conftest import eventually
from tests.contract.conftest import Api, Response, check_envelope
from tests.contract.delivering import working
from tests.contract.streaming import streamed

DAY = "change_20200101"


async def age(connection: Connection) -> None:
    """Make all changes so far old: those of even numbers of a day that has its partition, the others of one without."""
    await connection.execute(
        f"create table if not exists {DAY} partition of change"
        " for values from ('2020-01-01 00:00Z') to ('2020-01-02 00:00Z')"
    )
    await connection.execute(
        "update change set at = case seq % 2 when 0 then '2020-01-01 23:59:59.999Z' else '2019-05-05Z' end::timestamptz"
    )


async def cursors(api: Api, count: int) -> list[str]:
    """The cursors behind each of the first changes."""
    found = ["beginning"]
    for _ in range(count):
        found.append((await api.get(f"/changes?since={found[-1]}&limit=1")).result["nextCursor"])
    return found


async def answered(api: Api, since: str, more: str = "") -> Response:
    """What the feed answers to a cursor."""
    return await api.get(f"/changes?since={since}{more}")


async def test_a_cursor_expires_when_what_is_behind_it_is_dropped(api: Api, connection: Connection) -> None:
    """Every cursor before the last change that was dropped is 410, none behind it is, in pages and in streams."""
    for i in range(4):
        await api.put(f"/customers/c-{i}", {"firstName": "Ada"})
    known = await cursors(api, 4)
    loaded = (await api.get("/customers")).result["changesCursor"]
    await age(connection)
    await history.drop(api.engine.pool, {"change": 90})
    assert await connection.fetchval("select count(*) from change") == 0
    assert await connection.fetchval("select to_regclass($1)", DAY) is None
    await api.put("/customers/c-9", {"firstName": "Grace"})
    for since in known[:4]:
        assert check_envelope(await answered(api, since), 410)["error"]["code"] == "CURSOR_EXPIRED"
        async with streamed(api, f"?since={since}") as stream:
            assert stream.answer.json["error"]["code"] == "CURSOR_EXPIRED"
    for since in (known[4], loaded):
        assert [row["externalId"] for row in (await answered(api, since)).result["rows"]] == ["c-9"]


async def test_a_cursor_expires_for_what_it_is_asked_for(api: Api) -> None:
    """A reader of stores is not sent away because changes of customers were dropped."""
    connection = await asyncpg.connect(api.database)
    try:
        await api.put("/stores/s-1", {"name": "Covent Garden"})
        since = (await answered(api, "beginning")).result["nextCursor"]
        await api.put("/customers/c-1", {"firstName": "Ada"})
        await age(connection)
        await history.drop(api.engine.pool, {"change": 90})
    finally:
        await connection.close()
    assert (await answered(api, since, "&resources=store")).result["rows"] == []
    assert (await answered(api, since, "&resources=store,customer")).status == 410
    assert (await answered(api, "beginning", "&resources=store")).status == 410
    assert (await answered(api, "beginning", "&resources=region")).status == 200


async def test_what_is_young_is_kept(api: Api, connection: Connection) -> None:
    """Dropping leaves the days of the retention as they are, to the millisecond."""
    for i in range(2):
        await api.put(f"/customers/c-{i}", {"firstName": "Ada"})
    await connection.execute(
        "update change set at = date_trunc('day', now() at time zone 'UTC') at time zone 'UTC' - interval '3 days'"
        " - case seq when (select min(seq) from change) then interval '1 ms' else interval '0' end"
    )
    await history.drop(api.engine.pool, {"change": 3})
    assert await connection.fetchval("select count(*) from change") == 1
    await history.drop(api.engine.pool, {"change": 3})
    assert [
        row["externalId"] for row in (await answered(api, (await cursor_of_oldest(connection)))).result["rows"]
    ] == ["c-1"]


async def cursor_of_oldest(connection: Connection) -> str:
    """The cursor behind the last change that was dropped."""
    row = await connection.fetchrow("select xid::text, seq, feed_timeline() from change_horizon")
    assert row
    return feed.written(feed.Position(int(row[0]), row[1], row[2]))


async def test_dropping_makes_nobody_wait(api: Api, connection: Connection) -> None:
    """Where somebody reads what is to be dropped, it stays for now, writers write on, and the worker drops it later."""
    await api.put("/customers/c-1", {"firstName": "Ada"})
    await api.put("/customers/c-2", {"firstName": "Ada"})
    await age(connection)
    async with connection.transaction():
        await connection.fetch("select from change")
        with suppress(Unavailable):
            await history.drop(api.engine.pool, {"change": 90})
        assert (await api.put("/customers/c-3", {"firstName": "Ada"})).status == 200
        assert await connection.fetchval("select to_regclass($1) is not null", DAY)
    async with working(api):
        await eventually(lambda: connection.fetchval("select to_regclass($1) is null", DAY))


async def test_a_cursor_of_another_history_is_none(api: Api, shop: Api) -> None:
    """A cursor of another database, or of a future that this one has not had, is INVALID_CURSOR, never half a feed."""
    await shop.put("/customers/c-1", {"firstName": "Ada"})
    foreign = (await answered(shop, "now")).result["nextCursor"]
    own = (await answered(api, "now")).result["nextCursor"]
    xid, seq, timeline = own.removeprefix("c").split(".")
    strange = [foreign, f"c{int(xid) + 1000}.{seq}.{timeline}", f"c{xid}.{int(seq) + 1}.{timeline}", f"c{xid}.{seq}"]
    for since in (*strange, f"c{xid}.{seq}.{'0' * 8}", f"c{2**63}.0.{timeline}"):
        assert check_envelope(await answered(api, since), 400)["error"]["code"] == "INVALID_CURSOR", since
    assert (await answered(api, own)).status == 200


async def test_a_cursor_moves_on_with_what_it_passes_over(api: Api) -> None:
    """A reader of stores gets a cursor behind all that happened, so that it need not come by it again."""
    for i in range(3):
        await api.put(f"/customers/c-{i}", {"firstName": "Ada"})
    passed = (await answered(api, "beginning", "&resources=store")).result
    assert passed["rows"] == []
    assert passed["nextCursor"] == (await answered(api, "beginning")).result["nextCursor"]
    assert (await answered(api, passed["nextCursor"])).result["nextCursor"] == passed["nextCursor"]
