"""The change feed: whoever reads on from a cursor sees every committed change, and each record at its newest."""

import asyncio
from typing import Any
from uuid import uuid4

import asyncpg

from retailos import keys
from retailos.database.pool import Connection
from retailos.records import sql
from retailos.resources import RESOURCES
from tests.contract.conftest import Api


async def drain(api: Api, since: str, more: str = "") -> tuple[list[Any], str]:
    """Read on until nothing more is there; the rows and the cursor behind them."""
    rows: list[Any] = []
    while True:
        result = (await api.get(f"/changes?since={since}&limit=50{more}")).result
        rows += result["rows"]
        since = result["nextCursor"]
        if not result["hasMore"]:
            return rows, since


async def upsert(connection: Connection, external_id: str) -> None:
    """Write one customer in the transaction that the connection is in."""
    one = ([external_id], ['{"firstName": "Ada"}'], [uuid4()], [uuid4()], [None], [None], [None], False, [None], [0])
    await connection.execute(sql.upsert(RESOURCES, RESOURCES["customer"]), *one, False, [None])


async def test_a_change_that_commits_late_is_not_skipped(api: Api, database: str) -> None:
    """A change made first and committed last is read in its turn; a cursor of plain sequence numbers skips it."""
    slow, quick = await asyncpg.connect(database), await asyncpg.connect(database)
    try:
        begun = slow.transaction()
        await begun.start()
        await upsert(slow, "slow")
        await upsert(quick, "quick")
        early, cursor = await drain(api, "beginning")
        naive = await quick.fetchval("select max(seq) from change")
        await begun.commit()
        late, _ = await drain(api, cursor)
        seen_by_sequence = await quick.fetchval("select count(*) from change where seq > $1", naive)
    finally:
        await slow.close()
        await quick.close()
    assert [row["externalId"] for row in early + late] == ["slow", "quick"]
    assert seen_by_sequence == 0


async def test_a_reader_beside_many_writers_ends_with_what_the_database_has(api: Api) -> None:
    """A reader that applies the feed while eight writers write ends with every record at its last version."""
    copy: dict[str, int] = {}
    done = asyncio.Event()

    async def write(writer: int) -> None:
        for i in range(40):
            await api.put(f"/customers/c-{(writer * 7 + i) % 60}", {"firstName": f"{writer}-{i}"})

    async def read() -> None:
        cursor = "beginning"
        while True:
            last = done.is_set()
            rows, cursor = await drain(api, cursor)
            for row in rows:
                assert row["version"] >= copy.get(row["externalId"], 0)
                copy[row["externalId"]] = row["version"]
            if last:
                return

    reader = asyncio.create_task(read())
    await asyncio.gather(*(write(each) for each in range(8)))
    done.set()
    await reader
    rows = (await api.get("/customers?limit=500&fields=externalCustomerId,version")).result["rows"]
    assert copy == {row["externalCustomerId"]: row["version"] for row in rows}


async def test_a_full_load_and_then_the_feed_have_no_gap(api: Api) -> None:
    """The changesCursor of a list's first page leads to everything that the list did not show."""
    await api.put("/customers/c-1", {"firstName": "Ada"})
    loaded = (await api.get("/customers")).result
    await api.put("/customers/c-2", {"firstName": "Grace"})
    await api.put("/customers/c-1", {"firstName": "Linus"})
    rows, _ = await drain(api, loaded["changesCursor"])
    assert {row["externalId"]: row["data"]["firstName"] for row in rows} == {"c-2": "Grace", "c-1": "Linus"}


async def test_a_deleted_record_is_told_as_a_tombstone(api: Api) -> None:
    """The feed tells of a deletion with the record's deletedAt, and of a record once, at its newest."""
    await api.put("/customers/c-1", {"firstName": "Ada"})
    await api.request("DELETE", "/v2/public/customers/external/c-1")
    rows, _ = await drain(api, "beginning")
    assert [[row["operation"], row["version"]] for row in rows] == [["delete", 2]]
    assert rows[0]["data"]["deletedAt"] is not None


async def test_the_feed_waits_for_something_to_tell(api: Api) -> None:
    """With wait the answer is held until a change is committed, and comes at once then."""
    since = (await api.get("/changes?since=now")).result["nextCursor"]
    waiting = asyncio.create_task(api.get(f"/changes?since={since}&wait=20"))
    await api.put("/stores/s-1", {"name": "Covent Garden"})
    rows = (await waiting).result["rows"]
    assert [[row["resource"], row["externalId"]] for row in rows] == [["store", "s-1"]]


async def test_a_reader_names_its_resources_and_the_objects_it_wants(api: Api) -> None:
    """resources narrows the feed, expand shows the objects of references, and one that is unknown is refused."""
    await api.put("/stores/s-1", {"name": "Covent Garden"})
    await api.put("/customers/c-1", {"firstName": "Ada", "registeredAt": {"externalStoreId": "s-1"}})
    rows, _ = await drain(api, "beginning", "&resources=customer&expand=registeredAt")
    refused = [await api.get(f"/changes?{each}") for each in ("resources=custmer", "expand=x", "since=x", "limit=0")]
    assert [row["data"]["registeredAt"]["externalStoreId"] for row in rows] == ["s-1"]
    assert [each.status for each in refused] == [400] * 4
    assert refused[2].error["code"] == "INVALID_CURSOR"


async def test_a_key_reads_the_changes_of_what_it_may_read(api: Api) -> None:
    """A key for customers alone reads customers' changes, unasked as well, and is refused those of others."""
    await api.put("/stores/s-1", {"name": "Covent Garden"})
    await api.put("/customers/c-1", {"firstName": "Ada"})
    scopes = ("changes:read", "customer:read")
    made = await keys.create(api.engine.pool, name="c", environment="test", scopes=scopes, pepper=None)
    own = await api.get("/changes", key=made.key)
    others = await api.get("/changes?resources=customer,store", key=made.key)
    assert [row["externalId"] for row in own.result["rows"]] == ["c-1"]
    assert [own.status, others.status] == [200, 403]
