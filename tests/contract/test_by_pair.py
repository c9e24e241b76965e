"""Rows that say which two records they are about, and no id of their own: in bulk, in files, alone, and waiting."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from retailos.records import body, parked, waking
from retailos.records.resent import SAMPLE
from retailos.records.upsert import Upsert
from tests.conftest import eventually
from tests.contract.conftest import Api, codes
from tests.contract.importing import applied, as_csv, ndjson, refused_rows, send
from tests.contract.test_natural_keys import Row, a_variant, on_hand, pair, put_stock, stock

__all__ = ["pair"]

WAITING = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
OWN = "externalStockLevelId"


async def test_a_csv_file_needs_no_ids_of_stock(shop: Api, pair: tuple[str, str], number: int) -> None:
    """The column of the external id may be left out: it follows, and a record that has another is found."""
    store, variant = pair
    other = await a_variant(shop, number, f"w-{number}")
    await shop.put(f"/stock-levels/own-{number}", stock(store, other, 1))
    header = ["store.externalStoreId", "variant.externalVariantId", "onHand"]
    file = as_csv([header, [store, variant, "7"], [store, other, "8"], [store, "nowhere", "x"]])
    done = await applied(shop, await send(shop, file, query="resource=stockLevel"))
    assert (done["outcomes"], done["failed"]) == ({"created": 1, "updated": 1}, 1)
    assert (await on_hand(shop, f"{store}:{variant}"), await on_hand(shop, f"own-{number}")) == (7, 8)
    again = (await refused_rows(shop, done["id"])).decode().splitlines()
    assert again[0] == ",".join([*header, "_error", "_line"])
    assert again[1].startswith(f"{store},nowhere,x,")


@pytest.mark.parametrize(
    ("header", "missing"),
    [
        ("onHand", ["externalStockLevelId"]),
        ("onHand,storeId", ["externalStockLevelId"]),
        ("storeId,variantId", ["onHand"]),
    ],
)
async def test_a_csv_file_names_its_records_one_way_or_the_other(shop: Api, header: str, missing: list[str]) -> None:
    """Without the external ids and without what they follow from, no row could be applied: the header is refused."""
    answer = await send(shop, f"{header}\n1,1\n".encode(), query="resource=stockLevel")
    assert (answer.status, codes(answer)) == (400, [(each, "REQUIRED") for each in missing])


async def in_bulk(shop: Api, rows: list[Row]) -> list[Any]:
    """What comes of rows that are sent in one request."""
    return [each["outcome"] for each in (await shop.put("/stock-levels", {"stockLevels": rows})).result]


async def all_or_none(shop: Api, rows: list[Row]) -> list[Any]:
    """What comes of rows that are applied whole or not at all."""
    answer = await shop.put("/stock-levels?errorPolicy=rejectEverything", {"stockLevels": rows})
    return [each["outcome"] for each in answer.result]


async def later(shop: Api, rows: list[Row]) -> list[Any]:
    """What comes of rows that are queued."""
    prefer = {"Prefer": "respond-async"}
    sent = await shop.request("PUT", "/v2/public/stock-levels", json={"stockLevels": rows}, headers=prefer)
    assert sent.status == 202
    await shop.engine.queue.let_pass(shop.engine.resources["stockLevel"])
    return [(await shop.get(f"/jobs/{each['id']}")).result["outcome"] for each in sent.result]


async def in_a_file(shop: Api, rows: list[Row]) -> list[Any]:
    """What comes of rows of a file."""
    done = await applied(shop, await send(shop, ndjson(rows), "ndjson", query="resource=stockLevel"))
    return [outcome for outcome, count in done["outcomes"].items() for _ in range(count)]


WAYS = pytest.mark.parametrize("sent", [in_bulk, all_or_none, later, in_a_file], ids=lambda way: way.__name__)
Way = Callable[[Api, list[Row]], Any]


@WAYS
async def test_rows_find_the_record_of_their_pair(shop: Api, pair: tuple[str, str], number: int, sent: Way) -> None:
    """A record under an id of its own, one whose store has another id by now, and pairs named by our ids are found."""
    store, variant = pair
    second, third = await a_variant(shop, number, f"w-{number}"), await a_variant(shop, number, f"x-{number}")
    await shop.put(f"/stock-levels/own-{number}", stock(store, variant, 1))
    await put_stock(shop, store, second, 2)
    store_id = (await shop.get(f"/stores/{store}")).result["id"]
    third_id = (await shop.get(f"/variants/{third}")).result["id"]
    renamed = await shop.put(f"/stores/id/{store_id}", {"externalStoreId": f"new-{number}", "name": "Leeds"})
    assert renamed.status == 200
    by_ids = {"storeId": store_id, "variantId": third_id, "onHand": 13}
    rows = [stock(f"new-{number}", variant, 11), stock(f"new-{number}", second, 12), by_ids]
    assert sorted(await sent(shop, rows)) == ["created", "updated", "updated"]
    for name, count in ((f"own-{number}", 11), (f"{store}:{second}", 12), (f"new-{number}:{third}", 13)):
        assert await on_hand(shop, name) == count
    assert await sent(shop, rows) == ["unchanged"] * 3
    assert (await shop.get(f"/stock-levels?limit=0&storeId={store_id}")).result["count"] == 3


@pytest.mark.parametrize("sent", [in_bulk, in_a_file], ids=lambda way: way.__name__)
async def test_rows_go_in_their_order_whatever_they_call_a_record(
    shop: Api, pair: tuple[str, str], number: int, sent: Way
) -> None:
    """A record is made by its own id, and written by its pair, in one request; the last row is what holds."""
    row = stock(*pair, 1)
    assert sorted(await sent(shop, [row | {OWN: f"own-{number}"}, row | {"onHand": 2}])) == ["created", "updated"]
    assert await on_hand(shop, f"own-{number}") == 2
    rows = [row | {"onHand": 3}, row | {OWN: f"own-{number}", "onHand": 4}]
    assert await sent(shop, rows) == ["updated", "updated"]
    assert await on_hand(shop, f"own-{number}") == 4


@pytest.mark.parametrize("sent", [in_bulk, later, in_a_file], ids=lambda way: way.__name__)
async def test_a_record_that_another_is_just_making_is_found(
    shop: Api, pair: tuple[str, str], number: int, sent: Way
) -> None:
    """A row waits for who is making a record of its pair under an id of its own, and then writes that record."""
    resource = shop.engine.resources["stockLevel"]
    own = body.draft(shop.engine.resources, resource, stock(*pair, 1), "", f"own-{number}")
    async with shop.engine.pool.acquire() as connection, connection.transaction():
        await waking.write_one(connection, shop.engine.resources, resource, Upsert(draft=own))
        writing = asyncio.create_task(sent(shop, [stock(*pair, 2)]))
        await eventually(lambda: shop.engine.pool.fetchval(WAITING))
    assert await writing == ["updated"]
    assert await on_hand(shop, f"own-{number}") == 2


async def test_one_record_twice_is_refused_where_all_go_together(shop: Api, pair: tuple[str, str], number: int) -> None:
    """Rows that turn out to be of one record can't be applied in one statement: none of them is."""
    await shop.put(f"/stock-levels/own-{number}", stock(*pair, 1))
    rows = [stock(*pair, 2), stock(*pair, 3, **{OWN: f"own-{number}"})]
    answer = await shop.put("/stock-levels?errorPolicy=rejectEverything", {"stockLevels": rows})
    assert (answer.status, [code for _, code in codes(answer)]) == (400, ["DUPLICATE_IN_BATCH"])
    assert await on_hand(shop, f"own-{number}") == 1


async def test_a_post_makes_the_record_of_a_pair_once(shop: Api, pair: tuple[str, str], number: int) -> None:
    """A new record has the id that follows; where the pair has one, whatever it is called, it is told which."""
    made = await shop.request("POST", "/v2/public/stock-levels", json=stock(*pair, 1))
    assert (made.status, made.result[OWN]) == (201, ":".join(pair))
    other = await a_variant(shop, number, f"w-{number}")
    own = (await shop.put(f"/stock-levels/own-{number}", stock(pair[0], other, 1))).result[0]["resourceId"]
    again = await shop.request("POST", "/v2/public/stock-levels", json=stock(pair[0], other, 2))
    assert (again.status, again.error["code"]) == (409, "EXTERNAL_ID_EXISTS")
    assert again.error["details"]["resourceId"] == own


async def test_what_is_not_there_is_named(shop: Api, pair: tuple[str, str]) -> None:
    """A pair named by an id that there is not is refused at the reference, and not for want of an external id."""
    nobody = "01999999-7b1e-7c3a-9d52-3f1b2c4d5e6f"
    row = {"storeId": nobody, "variant": {"externalVariantId": pair[1]}, "onHand": 1}
    [job] = (await shop.put("/stock-levels", {"stockLevels": [row]})).result
    assert job["error"]["code"] == "REFERENCE_NOT_FOUND"
    assert [each["path"] for each in job["error"]["details"]["errors"]] == ["/stockLevels/0/storeId"]
    claims = stock(*pair, 1, id=nobody)
    await put_stock(shop, *pair, 1)
    [job] = (await shop.put("/stock-levels", {"stockLevels": [claims]})).result
    assert job["error"]["code"] == "ID_MISMATCH"


async def test_what_waited_finds_the_record_of_its_pair(shop: Api, pair: tuple[str, str], number: int) -> None:
    """Upserts that wait for the same variant, one by its own id and one by the pair, are of one record in the end."""
    store, late = pair[0], f"late-{number}"
    rows = [stock(store, late, 1, **{OWN: f"own-{number}"}), stock(store, late, 2)]
    for row in rows:
        [job] = (await shop.put("/stock-levels", {"stockLevels": [row]})).result
        assert job["status"] == "unresolved", job
    await a_variant(shop, number, late)
    assert await on_hand(shop, f"own-{number}") == 2
    assert (await shop.get(f"/stock-levels/{store}:{late}")).status == 404


async def test_stock_that_is_sent_again_is_not_read_again(shop: Api, pair: tuple[str, str], number: int) -> None:
    """Rows that say pairs are known by their bytes, as those with ids are, until their records are others."""
    variants = [await a_variant(shop, number, f"v-{number}-{i}") for i in range(SAMPLE)]
    await shop.put(f"/stock-levels/own-{number}", stock(pair[0], variants[0], 0))
    rows = [stock(pair[0], each, i) for i, each in enumerate(variants)]
    for expected in ("created", "unchanged", "unchanged"):
        assert set((await in_bulk(shop, rows))[1:]) == {expected}
    past = "update stock_levels set body = body || '{\"onHand\": 99}' where external_id = any($1)"
    await shop.engine.pool.execute(past, [f"own-{number}", f"{pair[0]}:{variants[7]}"])
    # Past the program, so whoever does not read what is sent does not see it.
    assert await in_bulk(shop, rows) == ["updated", *["unchanged"] * (SAMPLE - 1)]
    assert (await put_stock(shop, pair[0], variants[8], 77)).result[0]["outcome"] == "updated"
    assert (await in_bulk(shop, rows))[8] == "updated"


async def test_a_row_that_is_refused_says_its_pair(shop: Api, pair: tuple[str, str], number: int) -> None:
    """A refused row has the external id that would follow from its two, in the answer, its job and its import."""
    store, variant = pair
    bad = stock(store, variant, 1) | {"onHand": "x"}
    unnamed = [{"store": {"externalStoreId": store}, "onHand": 1}, bad | {OWN: 7}, bad | {"variant": 7}]
    told = (await shop.put("/stock-levels", {"stockLevels": [bad, *unnamed]})).result
    assert [each["externalId"] for each in told] == [f"{store}:{variant}", None, None, None]
    done = await applied(shop, await send(shop, ndjson([bad, *unnamed]), "ndjson", query="resource=stockLevel"))
    asked = f"/jobs?externalId={store}%3A{variant}&status=failed"
    assert {each["batchId"] for each in (await shop.get(asked)).result["rows"]} == {told[0]["batchId"], done["id"]}


async def test_what_failed_finds_the_record_of_its_pair_when_it_is_requeued(
    shop: Api, pair: tuple[str, str], number: int
) -> None:
    """Two upserts of one pair, whose store was renamed, are requeued at once and applied in turn."""
    new, late, jobs = f"new-{number}", f"late-{number}", []
    for count, store in enumerate((pair[0], new), start=2):
        jobs += (await shop.put("/stock-levels", {"stockLevels": [stock(store, late, count)]})).result
    await parked.expire(shop.engine.pool, 0, 168)
    store_id = (await shop.get(f"/stores/{pair[0]}")).result["id"]
    await shop.put(f"/stores/id/{store_id}", {"externalStoreId": new, "name": "Leeds"})
    await a_variant(shop, number, late)
    assert (await shop.put(f"/stock-levels/own-{number}", stock(new, late, 1))).status == 200
    chosen = {"ids": [each["id"] for each in jobs]}
    answer = await shop.post("/jobs/requeues", chosen, key=shop.admin_key)
    assert answer.status == 200, answer.body
    assert answer.result["count"] == 2
    for each in jobs:
        done = (await shop.get(f"/jobs/{each['id']}")).result
        assert (done["status"], done["externalId"]) == ("completed", f"own-{number}")
    assert await on_hand(shop, f"own-{number}") == 3


async def test_what_waits_by_its_pair_is_not_another_records(shop: Api, pair: tuple[str, str], number: int) -> None:
    """Writes of a record that has the id which would follow don't give up what waits, nor take its place."""
    store, late = pair[0], f"late-{number}"
    [job] = (await shop.put("/stock-levels", {"stockLevels": [stock(store, late, 2)]})).result
    named = await shop.put(f"/stock-levels/{store}:{late}", stock(*pair, 1))
    assert named.result[0]["outcome"] == "created"
    assert (await shop.get(f"/jobs/{job['id']}")).result["status"] == "unresolved"
    newer = (await shop.put("/stock-levels", {"stockLevels": [stock(store, late, 3)]})).result[0]
    assert (await shop.get(f"/jobs/{job['id']}")).result["status"] == "superseded"
    await a_variant(shop, number, late)
    failed = (await shop.get(f"/jobs/{newer['id']}")).result
    assert (failed["status"], failed["error"]["code"]) == ("failed", "EXTERNAL_ID_EXISTS")
    assert await on_hand(shop, f"{store}:{late}") == 1


async def test_what_waits_by_its_pair_is_given_up_by_its_name(shop: Api, pair: tuple[str, str], number: int) -> None:
    """Deleting the record that would be made gives up what waits to make it."""
    store, late = pair[0], f"late-{number}"
    [job] = (await shop.put("/stock-levels", {"stockLevels": [stock(store, late, 2)]})).result
    assert (await shop.request("DELETE", f"/v2/public/stock-levels/external/{store}:{late}")).status == 200
    await a_variant(shop, number, late)
    assert (await shop.get(f"/jobs/{job['id']}")).result["status"] == "superseded"
    assert (await shop.get(f"/stock-levels/{store}:{late}")).status == 404
