"""The catalogue: prices that hold, stock by its natural key, trees with levels, and rules over several fields."""

from typing import Any

import pytest

from tests.contract.conftest import Api, check_envelope, codes

AT = "2026-11-27T10:00:00.000Z"


@pytest.fixture
async def variant(shop: Api, number: int) -> str:
    """The external id of a variant of its own product, which may be stocked and priced."""
    assert (await shop.put(f"/products/p-{number}", {"name": "Oxford Shirt"})).status == 200
    body = {"product": {"externalProductId": f"p-{number}"}}
    assert (await shop.put(f"/variants/v-{number}", body)).status == 200
    return f"v-{number}"


async def priced(api: Api, variant: str, key: str, amount: Any, **more: Any) -> Any:
    """PUT a price of a variant; the answer."""
    body = {"variant": {"externalVariantId": variant}, "currency": "GBP", "amount": amount} | more
    return await api.put(f"/prices/{key}", body)


async def test_an_amount_comes_back_as_its_currency_writes_it(shop: Api, variant: str) -> None:
    """An amount comes as text or a number, is shown with its currency's digits, and the same again changes nothing."""
    for currency, sent, shown in (("GBP", 12.5, "12.50"), ("JPY", "1200.0", "1200"), ("KWD", "1.25", "1.250")):
        key = f"{variant}-{currency}"
        assert (await priced(shop, variant, key, sent, currency=currency)).result[0]["outcome"] == "created"
        assert (await shop.get(f"/prices/{key}")).result["amount"] == shown
        for same in (sent, shown):
            put = await priced(shop, variant, key, same, currency=currency)
            assert put.result[0]["outcome"] == "unchanged"
    patch = {"amount": "2"}
    await shop.request("PATCH", f"/v2/public/prices/external/{variant}-KWD", json=patch)
    assert (await shop.get(f"/prices/{variant}-KWD")).result["amount"] == "2.000"


async def test_a_rule_holds_for_what_is_stored_too(shop: Api, variant: str, number: int) -> None:
    """A rule over several fields is kept whether they come together, one after the other, or in a part."""
    await shop.put(f"/stores/s-{number}", {"name": "Leeds"})
    await shop.put(f"/territories/t-{number}", {"name": "UK"})
    store = {"store": {"externalStoreId": f"s-{number}"}}
    territory = {"territory": {"externalTerritoryId": f"t-{number}"}}
    both = await priced(shop, variant, f"r-{number}", "1", **store, **territory)
    assert (check_envelope(both, 400)["error"]["code"], codes(both)) == ("VALIDATION_ERROR", [("", "AT_MOST_ONE")])
    assert (await priced(shop, variant, f"r-{number}", "1", **store, validFrom=AT)).status == 200
    late = {"validUntil": "2026-11-27T09:00:00Z"}
    refused = [
        (await priced(shop, variant, f"r-{number}", "1", **territory), ("", "AT_MOST_ONE")),
        (await priced(shop, variant, f"r-{number}", "1", **late), ("/validUntil", "NOT_LATER")),
        (
            await shop.request("PATCH", f"/v2/public/prices/external/r-{number}", json={"price": late}),
            ("/price/validUntil", "NOT_LATER"),
        ),
        (await priced(shop, variant, f"r-{number}?dryRun=true", "1", **territory), ("", "AT_MOST_ONE")),
    ]
    for answer, problem in refused:
        assert check_envelope(answer, 400)["error"]["code"] == "VALIDATION_ERROR"
        assert codes(answer) == [problem]
    moved = await priced(shop, variant, f"r-{number}", "1", **territory, store=None)
    assert moved.result[0]["outcome"] == "updated"
    assert (await shop.get(f"/prices/r-{number}")).result["version"] == 2


async def test_a_combination_is_unique_with_what_is_absent(shop: Api, variant: str, number: int) -> None:
    """What is absent counts as its default: two prices of one variant differ in something, or the second is refused."""
    assert (await priced(shop, variant, f"u-{number}", "1")).status == 200
    again = await priced(shop, variant, f"w-{number}", "2", priceList="default", minQuantity=1, type="regular")
    assert (check_envelope(again, 409)["error"]["code"], codes(again)) == ("NOT_UNIQUE", [("", "NOT_UNIQUE")])
    assert "variantId, currency, storeId" in again.error["details"]["errors"][0]["message"]
    others: list[dict[str, Any]] = [{"minQuantity": 10}, {"type": "sale"}, {"priceList": "staff"}, {"validFrom": AT}]
    for i, other in enumerate(others):
        assert (await priced(shop, variant, f"w-{number}-{i}", "2", **other)).status == 200
    rows = [
        {
            "externalPriceId": f"x-{number}-{i}",
            "variant": {"externalVariantId": variant},
            "currency": "EUR",
            "amount": 1,
        }
        for i in range(2)
    ]
    whole = await shop.put("/prices?errorPolicy=rejectEverything", {"prices": rows})
    assert (whole.status, whole.error["code"]) == (409, "NOT_UNIQUE")
    assert (await shop.request("DELETE", f"/v2/public/prices/external/u-{number}")).status == 200
    assert (await priced(shop, variant, f"w-{number}", "2")).status == 200


async def test_a_customer_has_one_primary_and_each_associate_once(shop: Api, number: int) -> None:
    """A customer is in an associate's client book once, and one associate at most comes first."""
    await shop.put(f"/customers/c-{number}", {"firstName": "Ada"})
    for i in range(3):
        user = {"firstName": "A", "lastName": "B", "username": f"assigned-{number}-{i}"}
        await shop.put(f"/users/u-{number}-{i}", user)

    async def assigned(key: str, user: int, **more: Any) -> Any:
        customer = {"customer": {"externalCustomerId": f"c-{number}"}}
        who = {"user": {"externalUserId": f"u-{number}-{user}"}}
        return await shop.put(f"/customer-assignments/{key}-{number}", customer | who | more)

    assert (await assigned("a", 0, role="primary")).status == 200
    assert (await assigned("b", 1)).status == 200
    assert codes(await assigned("c", 1)) == [("", "NOT_UNIQUE")]
    assert codes(await assigned("c", 2, role="primary")) == [("", "NOT_UNIQUE")]
    assert (await assigned("a", 0, role="secondary")).status == 200
    assert (await assigned("c", 2, role="primary")).status == 200


async def look_up(api: Api, variant: str, query: str = "") -> Any:
    """The amount of the price that holds, or the error's code."""
    answer = await api.get(f"/variants/{variant}/price?{query}")
    return answer.error["code"] if answer.error else answer.result["amount"]


async def test_the_price_that_holds_is_found(shop: Api, variant: str, number: int) -> None:
    """Store, region, territory, everywhere; then reduced before regular, larger quantities, and the latest."""
    await shop.put(f"/territories/t-{number}", {"name": "UK"})
    territory = {"territory": {"externalTerritoryId": f"t-{number}"}}
    await shop.put(f"/regions/up-{number}", {"name": "North"} | territory)
    await shop.put(f"/regions/in-{number}", {"name": "Leeds", "parent": {"externalRegionId": f"up-{number}"}})
    for key, region in (("s", "in"), ("next", "up")):
        await shop.put(f"/stores/{key}-{number}", {"name": "S", "region": {"externalRegionId": f"{region}-{number}"}})
    here, at = f"store=s-{number}&at={AT}", f"at={AT}"
    assert await look_up(shop, variant, here) == "RESOURCE_NOT_FOUND"
    steps = [
        ({}, "100", "100.00", "100.00"),
        (territory, "90", "90.00", "90.00"),
        ({"region": {"externalRegionId": f"up-{number}"}}, "80", "80.00", "80.00"),
        ({"region": {"externalRegionId": f"in-{number}"}}, "70", "70.00", "80.00"),
        ({"store": {"externalStoreId": f"s-{number}"}}, "60", "60.00", "80.00"),
    ]
    for i, (scope, amount, in_store, next_door) in enumerate(steps):
        assert (await priced(shop, variant, f"l-{number}-{i}", amount, **scope)).status == 200
        assert await look_up(shop, variant, here) == in_store
        assert await look_up(shop, variant, f"store=next-{number}") == next_door
        assert await look_up(shop, variant, at) == "100.00"
    store = {"store": {"externalStoreId": f"s-{number}"}}
    late = {"validFrom": "2026-11-27T00:00:00Z", "validUntil": "2026-11-28T00:00:00Z"}
    await priced(shop, variant, f"l-{number}-5", "55", **store, validFrom="2026-11-01T00:00:00Z")
    await priced(shop, variant, f"l-{number}-6", "50", **store, **late, type="sale")
    await priced(shop, variant, f"l-{number}-7", "45", **store, minQuantity=10)
    await priced(shop, variant, f"l-{number}-8", "40", **store, priceList="staff")
    await priced(shop, variant, f"l-{number}-9", "35", **store, currency="EUR")
    found = {
        f"{here}&currency=GBP": "50.00",
        f"store=s-{number}&currency=GBP&at=2026-11-28T00:00:00Z": "55.00",
        f"store=s-{number}&currency=GBP&at=2026-10-28T00:00:00Z": "60.00",
        f"store=s-{number}&currency=GBP&at=2026-12-28T00:00:00Z&quantity=12": "45.00",
        f"{here}&priceList=staff": "40.00",
        f"{here}&currency=EUR": "35.00",
        f"{here}&currency=USD": "RESOURCE_NOT_FOUND",
    }
    assert {query: await look_up(shop, variant, query) for query in found} == found
    await shop.put(f"/stores/s-{number}", {"name": "S", "currency": "EUR"})
    assert await look_up(shop, variant, here) == "35.00"
    ours = (await shop.get(f"/variants/{variant}")).result["id"]
    answer = await shop.get(f"/variants/{ours}/price?{here}&fields=amount&expand=variant")
    assert answer.result == {
        "amount": "35.00",
        "variant": {"id": ours, "externalVariantId": variant, "sku": variant},
    }


@pytest.mark.parametrize(
    ("query", "status", "path"),
    [
        ("store=nowhere", 400, "store"),
        ("store=", 400, "store"),
        ("at=today", 400, "at"),
        ("currency=pounds", 400, "currency"),
        ("quantity=0", 400, "quantity"),
        ("quantity=1000001", 400, "quantity"),
        ("fields=nothing", 400, "fields"),
    ],
)
async def test_a_look_up_that_makes_no_sense_is_refused(
    shop: Api, variant: str, query: str, status: int, path: str
) -> None:
    """What a price is looked up by is checked, and an unknown store is not everywhere."""
    refused = await shop.get(f"/variants/{variant}/price?{query}")
    assert check_envelope(refused, status)["error"]["code"] == "VALIDATION_ERROR"
    assert [each for each, _ in codes(refused)] == [path]


async def test_an_unknown_variant_has_no_price(shop: Api) -> None:
    """A variant that is not there is a 404."""
    assert (await shop.get("/variants/nobody/price")).error["code"] == "RESOURCE_NOT_FOUND"


async def test_what_is_deleted_has_no_price_and_is_no_place(shop: Api, variant: str, number: int) -> None:
    """A deleted variant is not found and a deleted store is none, by either of their ids, until they are put again."""
    await shop.put(f"/stores/s-{number}", {"name": "Leeds"})
    await priced(shop, variant, f"d-{number}", "10")
    store = (await shop.get(f"/stores/s-{number}")).result["id"]
    ours = (await shop.get(f"/variants/{variant}")).result["id"]
    for path in (f"stores/external/s-{number}", f"variants/external/{variant}"):
        assert (await shop.request("DELETE", f"/v2/public/{path}")).status == 200
    for name in (variant, ours):
        assert check_envelope(await shop.get(f"/variants/{name}/price"), 404)["error"]["code"] == "RESOURCE_NOT_FOUND"
    assert (await shop.put(f"/variants/{variant}", {"product": {"externalProductId": f"p-{number}"}})).status == 200
    for name in (f"s-{number}", store):
        refused = await shop.get(f"/variants/{variant}/price?store={name}")
        assert (refused.status, codes(refused)) == (400, [("store", "REFERENCE_NOT_FOUND")])
    await shop.put(f"/stores/s-{number}", {"name": "Leeds"})
    for name in (f"s-{number}", store):
        assert await look_up(shop, variant, f"store={name}") == "10.00"


async def test_a_currency_is_asked_for_where_there_are_several(shop: Api, variant: str, number: int) -> None:
    """Without a currency, nor one of the store's or its territory's, it is not chance that chooses between several."""
    await shop.put(f"/territories/t-{number}", {"name": "EU", "currency": "EUR"})
    await shop.put(f"/regions/r-{number}", {"name": "R", "territory": {"externalTerritoryId": f"t-{number}"}})
    await shop.put(f"/stores/a-{number}", {"name": "A"})
    await shop.put(f"/stores/b-{number}", {"name": "B", "region": {"externalRegionId": f"r-{number}"}})
    await shop.put(
        f"/stores/c-{number}", {"name": "C", "region": {"externalRegionId": f"r-{number}"}, "currency": "GBP"}
    )
    for currency, more in (("EUR", {}), ("GBP", {}), ("USD", {"priceList": "staff"}), ("JPY", {"validUntil": AT})):
        await priced(shop, variant, f"m-{number}-{currency}", "10", currency=currency, **more)
    for query in ("", f"store=a-{number}"):
        refused = await shop.get(f"/variants/{variant}/price?at={AT}&{query}")
        assert check_envelope(refused, 400)["error"]["code"] == "VALIDATION_ERROR"
        assert codes(refused) == [("currency", "REQUIRED")]
        assert "EUR, GBP" in refused.error["details"]["errors"][0]["message"]
    found = {
        "currency=EUR": "EUR",
        "currency=GBP": "GBP",
        "priceList=staff": "USD",
        f"store=b-{number}": "EUR",
        f"store=c-{number}": "GBP",
        f"store=c-{number}&currency=EUR": "EUR",
    }
    for query, currency in found.items():
        assert (await shop.get(f"/variants/{variant}/price?at={AT}&{query}")).result["currency"] == currency, query


async def test_stock_is_written_by_store_and_variant(shop: Api, variant: str, number: int) -> None:
    """The natural key makes a stock level with an external id of both, finds it again, and takes what was delivered."""
    await shop.put(f"/stores/s%2F{number}", {"name": "Leeds"})
    path = f"/stores/external/s%2F{number}/stock/{variant}"
    made = await shop.put(path, {"onHand": 12, "reserved": 2, "safetyStock": 1})
    assert check_envelope(made, 200)["action"] == "STOCK_LEVEL_UPSERT"
    assert (made.result[0]["outcome"], made.result[0]["externalId"]) == ("created", f"s/{number}:{variant}")
    shown = (await shop.get(f"/stock-levels/s%2F{number}:{variant}?expand=variant,store")).result
    assert (shown["available"], shown["variant"]["sku"], shown["store"]["name"]) == (9, variant, "Leeds")
    assert (await shop.put(path, {"stockLevel": shown})).result[0]["outcome"] == "unchanged"
    assert (await shop.put(path, {"onHand": 20})).result[0]["outcome"] == "updated"
    assert (await shop.get(f"/stock-levels/id/{shown['id']}?fields=available")).result == {"available": 17}
    found = (await shop.get(f"/stock-levels?sku={variant}&available[gt]=16")).result["rows"]
    assert [each["id"] for each in found] == [shown["id"]]


async def test_stock_keeps_the_external_id_that_it_has(shop: Api, variant: str, number: int) -> None:
    """A stock level that was made under another external id is found by its natural key; contradictions are refused."""
    await shop.put(f"/stores/s-{number}", {"name": "Leeds"})
    refer = {"store": {"externalStoreId": f"s-{number}"}, "variant": {"externalVariantId": variant}}
    await shop.put(f"/stock-levels/own-{number}", refer | {"onHand": 1})
    path = f"/stores/external/s-{number}/stock/{variant}"
    put = await shop.put(path, {"onHand": 2})
    assert (put.result[0]["outcome"], put.result[0]["externalId"]) == ("updated", f"own-{number}")
    assert (await shop.put(f"{path}?dryRun=true", {"onHand": 3})).result[0]["outcome"] == "updated"
    for wrong, code in (
        ({"store": {"externalStoreId": "elsewhere"}}, "EXTERNAL_ID_MISMATCH"),
        ({"externalStockLevelId": "another"}, "EXTERNAL_ID_MISMATCH"),
        ({"storeId": "01999999-7b1e-7c3a-9d52-3f1b2c4d5e6f"}, "REFERENCE_NOT_FOUND"),
        ({"store": "Leeds"}, "VALIDATION_ERROR"),
    ):
        assert (await shop.put(path, {"onHand": 3} | wrong)).error["code"] == code
    missing = await shop.put(f"/stores/external/nowhere/stock/{variant}?onUnresolved=reject", {"onHand": 1})
    assert (missing.status, codes(missing)) == (422, [("/store", "REFERENCE_NOT_FOUND")])
    assert (await shop.get(f"/stock-levels/own-{number}")).result["onHand"] == 2


async def test_what_is_sent_is_no_longer_worked_out(shop: Api, variant: str, number: int) -> None:
    """A source that knows better sends what is available; null lets it follow from the others again."""
    await shop.put(f"/stores/s-{number}", {"name": "Leeds"})
    path, key = f"/stores/external/s-{number}/stock/{variant}", f"/stock-levels/s-{number}:{variant}"
    for sent, available in (
        ({"onHand": 10}, 10),
        ({"onHand": 10, "available": 4}, 4),
        ({"onHand": 12}, 4),
        ({"onHand": 12, "available": None}, 12),
        ({"onHand": 12, "reserved": 2, "safetyStock": 0, "available": 10}, 10),
        ({"onHand": 9}, 7),
    ):
        assert (await shop.put(path, sent)).status == 200
        assert (await shop.get(key)).result["available"] == available, sent


async def test_a_variant_with_the_options_of_another_is_taken_with_a_warning(shop: Api, number: int) -> None:
    """Two variants of a product that differ in none of their options are told of, however the second one comes."""
    for key in (f"p-{number}", f"q-{number}"):
        await shop.put(f"/products/{key}", {"name": "Shirt"})

    def of(product: str, **options: Any) -> dict[str, Any]:
        return {"product": {"externalProductId": f"{product}-{number}"}, "options": options}

    async def warned(path: str, body: Any, method: str = "PUT") -> list[list[str]]:
        answer = await shop.request(method, f"/v2/public/variants{path}", json=body)
        assert answer.status in (200, 201), answer.body
        return [[f"{each['path']} {each['code']}" for each in job["warnings"]] for job in answer.result]

    navy, same = f"/navy-{number}", of("p", size="M", colour="Navy")
    assert await warned(navy, of("p", colour="Navy", size="M")) == [[]]
    assert await warned(navy, same) == [[]]
    for path in (f"/second-{number}", f"/second-{number}", f"/second-{number}?dryRun=true"):
        assert await warned(path, same) == [[" NOT_UNIQUE"]]
    assert await warned(f"/second-{number}", {"variant": same}) == [["/variant NOT_UNIQUE"]]
    for i, other in enumerate((of("p", colour="Navy"), of("q", colour="Navy", size="M"), of("p"), of("p"))):
        assert await warned(f"/other-{number}-{i}", other) == [[]]
    names = [f"many-{number}-{i}" for i in range(4)]
    options = (of("p", size="S"), same, of("p", size="S"), of("q", size="S"))
    many = {"variants": [{"externalVariantId": name} | each for name, each in zip(names, options, strict=True)]}
    expected = [[], ["/variants/1 NOT_UNIQUE"], ["/variants/2 NOT_UNIQUE"], []]
    for query in ("?errorPolicy=rejectEverything", ""):
        assert await warned(query, many) == (expected if query else [["/variants/0 NOT_UNIQUE"], *expected[1:]])
    for name in (f"navy-{number}", names[1]):
        assert (await shop.request("DELETE", f"/v2/public/variants/external/{name}")).status == 200
    assert await warned(f"/second-{number}", same) == [[]]


async def test_a_sku_is_the_external_id_until_it_is_sent(shop: Api, variant: str, number: int) -> None:
    """A variant has its external id as its SKU, follows it to another one, and never takes the SKU of another."""
    before = (await shop.get(f"/variants/{variant}")).result
    assert before["sku"] == variant
    assert (await shop.put(f"/variants/{variant}", before)).result[0]["outcome"] == "unchanged"
    product = {"product": {"externalProductId": f"p-{number}"}}
    taken = await shop.put(f"/variants/w-{number}", product | {"sku": variant})
    assert (taken.status, codes(taken)) == (409, [("", "NOT_UNIQUE")])
    assert (await shop.put(f"/variants/w-{number}", product | {"sku": f"n-{number}"})).status == 200
    path = f"/variants/id/{before['id']}"
    taken = await shop.put(path, product | {"externalVariantId": f"n-{number}"})
    assert (taken.status, codes(taken)) == (409, [("", "NOT_UNIQUE")])
    assert (await shop.put(path, product | {"externalVariantId": f"m-{number}"})).status == 200
    assert (await shop.get(path)).result["sku"] == f"m-{number}"
    await shop.put(f"/clients/c-{number}", {"name": "Northwind"})
    client = {"client": {"externalClientId": f"c-{number}"}}
    assert (await shop.put(f"/variants/x-{number}", product | client | {"sku": f"n-{number}"})).status == 200


async def test_a_category_knows_where_it_stands(shop: Api, number: int) -> None:
    """Path and level are those of the tree as it is now, also after a record above has moved."""
    ids = []
    for i in range(4):
        parent = {"parent": {"externalCategoryId": f"k-{number}-{i - 1}"}} if i else {}
        put = await shop.put(f"/categories/k-{number}-{i}", {"name": "K"} | parent)
        ids.append(put.result[0]["resourceId"])
    for i in range(4):
        shown = (await shop.get(f"/categories/k-{number}-{i}")).result
        assert (shown["path"], shown["level"]) == (ids[: i + 1], i + 1)
    await shop.put(f"/categories/k-{number}-2", {"name": "K", "parent": None})
    shown = (await shop.get(f"/categories/k-{number}-3?fields=path,level")).result
    assert shown == {"path": ids[2:], "level": 2}
    circle = {"name": "K", "parent": {"externalCategoryId": f"k-{number}-3"}}
    assert codes(await shop.put(f"/categories/k-{number}-2", circle)) == [("/parent", "CIRCLE")]
