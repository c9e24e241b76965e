"""Natural keys: an external id that follows from two others is no other pair's, and names nothing but the pair."""

from typing import Any

import pytest

from tests.contract.conftest import Api, Response

Row = dict[str, Any]


@pytest.fixture
async def pair(shop: Api, number: int) -> tuple[str, str]:
    """The external ids of a store and of a variant."""
    assert (await shop.put(f"/stores/s-{number}", {"name": "Leeds"})).status == 200
    assert (await shop.put(f"/products/p-{number}", {"name": "Oxford Shirt"})).status == 200
    return f"s-{number}", await a_variant(shop, number, f"v-{number}")


async def a_variant(shop: Api, number: int, name: str) -> str:
    """A further variant of the product that there is."""
    body = {"product": {"externalProductId": f"p-{number}"}}
    assert (await shop.put(f"/variants/{name.replace(':', '%3A')}", body)).status == 200
    return name


def stock(store: str, variant: str, on_hand: int, **more: Any) -> Row:
    """What a row says of the stock of a variant in a store."""
    return {"store": {"externalStoreId": store}, "variant": {"externalVariantId": variant}, "onHand": on_hand} | more


async def put_stock(shop: Api, store: str, variant: str, on_hand: int, query: str = "", **more: Any) -> Response:
    """PUT stock by its natural key."""
    path = f"/stores/external/{store}/stock/{variant}".replace(":", "%3A").replace("~", "%7E")
    return await shop.put(path + query, {"onHand": on_hand} | more)


async def on_hand(shop: Api, external_id: str) -> int:
    """How many a stock level tells of."""
    shown = await shop.get(f"/stock-levels/{external_id.replace(':', '%3A').replace('~', '%7E')}")
    return int(shown.result["onHand"])


async def test_ids_that_follow_from_two_others_do_not_collide(shop: Api, pair: tuple[str, str], number: int) -> None:
    """Colons and tildes within the two are told from the colon between them, and each pair has a record of its own."""
    n = number
    named: dict[tuple[str, str], str] = {}
    for store, variant in ((f"a:{n}:b", "c"), (f"a:{n}", "b:c"), (f"a~1{n}", "b~c"), (f"a:{n}", "b~c")):
        assert (await shop.put(f"/stores/{store.replace(':', '%3A').replace('~', '%7E')}", {"name": "X"})).status == 200
        await a_variant(shop, n, variant)
        made = await put_stock(shop, store, variant, len(named))
        assert made.result[0]["outcome"] == "created", (store, variant)
        named[store, variant] = made.result[0]["externalId"]
    assert list(named.values()) == [f"a~1{n}~1b:c", f"a~1{n}:b~1c", f"a~01{n}:b~0c", f"a~1{n}:b~0c"]
    assert [await on_hand(shop, each) for each in named.values()] == [0, 1, 2, 3]


async def test_an_id_that_would_be_too_long_is_a_digest(shop: Api, pair: tuple[str, str], number: int) -> None:
    """Two ids that are too long together make one that is not, and it is always the same."""
    store, variant = f"s{number}" + "x" * 200, await a_variant(shop, number, f"v{number}" + "x" * 100)
    assert (await shop.put(f"/stores/{store}", {"name": "X"})).status == 200
    waits = await shop.put("/stock-levels", {"stockLevels": [stock(store, variant, 1)]})
    assert waits.result[0]["outcome"] == "created"
    again = await put_stock(shop, store, variant, 2)
    assert (again.result[0]["outcome"], again.result[0]["externalId"]) == ("updated", waits.result[0]["externalId"])
    assert len(again.result[0]["externalId"]) <= 255


@pytest.mark.parametrize("query", ["", "?dryRun=true", "?mode=replace"])
async def test_the_record_of_another_pair_is_not_taken_over(
    shop: Api, pair: tuple[str, str], number: int, query: str
) -> None:
    """Where another pair's record has the id that would follow, the write is refused, and says what to do."""
    store, variant = pair
    other = await a_variant(shop, number, f"w-{number}")
    taken = f"{store}:{other}"
    record = (await shop.put(f"/stock-levels/{taken}", stock(store, variant, 1))).result[0]["resourceId"]
    refused = await put_stock(shop, store, other, 2, query)
    assert (refused.status, refused.error["code"]) == (409, "EXTERNAL_ID_EXISTS")
    assert refused.error["details"]["resourceId"] == record
    assert "externalStockLevelId" in refused.error["message"]
    assert await on_hand(shop, taken) == 1
    own = await put_stock(shop, store, other, 2, externalStockLevelId=f"own-{number}")
    assert own.result[0]["outcome"] == "created"
    found = await put_stock(shop, store, other, 3)
    assert (found.result[0]["outcome"], found.result[0]["externalId"]) == ("updated", f"own-{number}")


@pytest.mark.parametrize("gone", [False, True])
async def test_a_record_that_moved_away_is_left_where_it_is(
    shop: Api, pair: tuple[str, str], number: int, gone: bool
) -> None:
    """A record that was moved to another store keeps its id and its stock, be it deleted by now."""
    store, variant = pair
    await shop.put(f"/stores/t-{number}", {"name": "York"})
    await put_stock(shop, store, variant, 1)
    path = f"/v2/public/stock-levels/external/{store}:{variant}"
    moved = await shop.request("PATCH", path, json={"store": {"externalStoreId": f"t-{number}"}})
    assert moved.status == 200, moved.body
    if gone:
        assert (await shop.request("DELETE", path)).status == 200
    for refused in (
        await put_stock(shop, store, variant, 2),
        await shop.put("/stock-levels?errorPolicy=rejectEverything", {"stockLevels": [stock(store, variant, 2)]}),
        await shop.request("POST", "/v2/public/stock-levels", json=stock(store, variant, 2)),
    ):
        assert (refused.status, refused.error["code"]) == (409, "EXTERNAL_ID_EXISTS")
    rows = (await shop.put("/stock-levels", {"stockLevels": [stock(store, variant, 2)]})).result
    assert [each["error"]["code"] for each in rows] == ["EXTERNAL_ID_EXISTS"]
    if not gone:
        assert await on_hand(shop, f"{store}:{variant}") == 1
        there = await put_stock(shop, f"t-{number}", variant, 3)
        assert there.result[0]["externalId"] == f"{store}:{variant}"


async def test_a_deleted_record_comes_back_by_its_pair(shop: Api, pair: tuple[str, str]) -> None:
    """The tombstone of the same pair is no other's: it lives again."""
    await put_stock(shop, *pair, 1)
    assert (await shop.request("DELETE", f"/v2/public/stock-levels/external/{':'.join(pair)}")).status == 200
    assert (await put_stock(shop, *pair, 2)).result[0]["outcome"] == "undeleted"


async def test_rows_of_different_pairs_are_no_duplicates(shop: Api, pair: tuple[str, str], number: int) -> None:
    """An id that is sent and one that follows may be the same text; they are two rows, and the second is refused."""
    store, variant = pair
    other = await a_variant(shop, number, f"w-{number}")
    named = stock(store, variant, 1, externalStockLevelId=f"{store}:{other}")
    rows = (await shop.put("/stock-levels", {"stockLevels": [named, stock(store, other, 2)]})).result
    assert rows[0]["outcome"] == "created"
    assert rows[1]["error"]["code"] == "EXTERNAL_ID_EXISTS"
    twice = {"stockLevels": [stock(store, variant, 3), stock(store, variant, 4)]}
    rows = (await shop.put("/stock-levels", twice)).result
    assert (rows[0]["outcome"], rows[1]["error"]["code"]) == ("updated", "DUPLICATE_IN_BATCH")
    assert await on_hand(shop, f"{store}:{other}") == 3


async def test_a_put_by_our_id_gives_no_other_external_id(shop: Api, pair: tuple[str, str], number: int) -> None:
    """Who writes a record by our id and names its pair, but no external id, does not rename it."""
    made = await shop.put(f"/stock-levels/own-{number}", stock(*pair, 1))
    put = await shop.put(f"/stock-levels/id/{made.result[0]['resourceId']}", stock(*pair, 2))
    assert (put.result[0]["outcome"], put.result[0]["externalId"]) == ("updated", f"own-{number}")


async def test_conditions_are_of_the_pairs_own_record(shop: Api, pair: tuple[str, str], number: int) -> None:
    """If-Match by natural key is held against the pair's record, whatever its id, and never against another's."""
    made = await shop.put(f"/stock-levels/own-{number}", stock(*pair, 1))
    path = f"/v2/public/stores/external/{pair[0]}/stock/{pair[1]}"
    for tag, status in (('"7"', 412), ('"1"', 200)):
        put = await shop.request("PUT", path, json={"onHand": 2}, headers={"If-Match": tag})
        assert put.status == status
    assert made.result[0]["externalId"] == put.result[0]["externalId"]
    again = await shop.request("PUT", path, json={"onHand": 3}, headers={"If-None-Match": "*"})
    assert again.status == 412
