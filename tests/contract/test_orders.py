"""Orders, baskets and wishlists: records with arrays of objects, each of which is the same object in every upsert."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from retailos.resources import RESOURCES
from tests.contract.conftest import Api, codes, full, holds
from tests.contract.selling import catalogue, line, order, written

UNKNOWN = "01999999-7b1e-7c3a-9d52-3f1b2c4d5e6f"
AGGREGATES = pytest.mark.parametrize("name", ["order", "basket", "wishlist"])


@pytest.fixture
def number(numbers: Iterator[int]) -> int:
    """A number for external ids that no other test uses."""
    return next(numbers)


@AGGREGATES
async def test_what_was_read_can_be_sent_back(shop: Api, name: str, number: int) -> None:
    """A whole record, its arrays full and their references shown, ends unchanged when it is PUT back as it reads."""
    resource, known = RESOURCES[name], await catalogue(shop, number)
    for i in range(6):
        sent = full(resource, 10 * number + i, known)
        path = f"/{resource.collection}/back-{number}-{i}"
        del sent[resource.external_id.name]
        assert (await shop.put(path, sent)).result[0]["outcome"] == "created"
        shown = (await shop.get(f"{path}?expand={','.join(resource.reference)}")).result
        for array in resource.inner:
            assert holds(shown[array], sent.get(array) or []), array
        again = await shop.put(path, {name: shown})
        assert (again.status, again.result[0]["outcome"]) == (200, "unchanged"), again.body


async def test_an_item_is_shown_whole(shop: Api, number: int) -> None:
    """An item has its id first, then every member in the order of the declaration, its references with external ids."""
    known = await catalogue(shop, number)
    sent = line("1", variant={"externalVariantId": known["variant"][0]}, soldBy={"externalUserId": known["user"][0]})
    shown = await written(shop, f"/orders/whole-{number}", order(sent))
    [item] = shown["lines"]
    assert list(item) == [
        *("id", "externalOrderLineId", "position", "variantId", "variant", "sku", "gtin", "name", "options"),
        *("imageUrl", "quantity", "unitPrice", "listPrice", "discountTotal", "taxRate", "taxTotal", "total", "type"),
        *("fulfilledQuantity", "deliveredQuantity", "returnedQuantity", "cancelledQuantity"),
        *("soldById", "soldBy", "details"),
    ]
    assert list(item["variant"]) == ["id", "externalVariantId", "sku"]
    assert item["variant"]["id"] == item["variantId"]
    assert item["variant"]["externalVariantId"] == known["variant"][0]
    assert list(item["soldBy"]) == ["id", "externalUserId", "firstName", "lastName"]
    assert (item["type"], item["options"], item["details"], item["position"]) == ("product", {}, {}, None)
    assert [shown[each] for each in ("discounts", "payments", "fulfilments", "returns", "refunds")] == [[]] * 5


async def test_an_item_keeps_its_id(shop: Api, number: int) -> None:
    """The id of an item follows its external id through every upsert, whatever else changes; another's is another."""
    path = f"/orders/ids-{number}"
    first = (await written(shop, path, order(line("a"), line("b"))))["lines"]
    second = (await written(shop, path, order(line("b", quantity=2), line("c"), line("a")), "updated"))["lines"]
    assert [each["id"] for each in second][::2] == [first[1]["id"], first[0]["id"]]
    assert len({each["id"] for each in (*first, *second)}) == 3
    assert all(UUID(each["id"]).version == 8 for each in second)
    other = (await written(shop, f"/orders/ids-other-{number}", order(line("a"))))["lines"]
    assert other[0]["id"] != first[0]["id"]
    named = (await written(shop, path, order(line("a") | {"id": UNKNOWN}), "updated"))["lines"]
    assert [each["id"] for each in named] == [first[0]["id"]]


async def test_an_array_is_kept_or_replaced_whole(shop: Api, number: int) -> None:
    """An array that is absent stays as it is; one that is sent is all there is; null and [] empty it."""
    path = f"/orders/merge-{number}"
    payments = [{"externalPaymentId": each, "amount": "5.00"} for each in ("p1", "p2")]
    await written(shop, path, order(payments=payments))
    kept = await written(shop, path, order(note="x"), "updated")
    assert [each["externalPaymentId"] for each in kept["payments"]] == ["p1", "p2"]
    fewer = await written(shop, path, order(payments=payments[1:]), "updated")
    assert [each["externalPaymentId"] for each in fewer["payments"]] == ["p2"]
    for nothing in (list[Any](), None):
        assert (await written(shop, path, order(payments=nothing), "updated"))["payments"] == []
        await written(shop, path, order(payments=payments), "updated")
    patched = await shop.request("PATCH", f"/v2/public/orders/external/merge-{number}", json={"payments": payments[:1]})
    assert patched.result[0]["outcome"] == "updated"
    assert len((await shop.get(path)).result["payments"]) == 1


async def test_items_that_are_wrong_are_told_with_pointers(shop: Api, number: int) -> None:
    """All that is wrong with an order's items is told at once, each with a pointer into the request."""
    path = f"/orders/wrong-{number}"
    wrong = {
        **order(),
        "lines": [
            line("1"),
            line("1") | {"quantity": 0},
            line("2") | {"unitPrice": [], "colour": "navy", "variant": {"externalVariantId": ""}},
            {"externalOrderLineId": "3", "sku": "s"},
            17,
        ],
        "payments": [{"externalPaymentId": "p", "amount": "1", "last4": "123"}],
    }
    refused = await shop.put(path, {"order": wrong})
    assert sorted(codes(refused)) == sorted(
        [
            ("/order/lines/1/quantity", "OUT_OF_RANGE"),
            ("/order/lines/1/externalOrderLineId", "DUPLICATE"),
            ("/order/lines/2/unitPrice", "WRONG_TYPE"),
            ("/order/lines/2/colour", "UNKNOWN_FIELD"),
            ("/order/lines/2/variant/externalVariantId", "TOO_SHORT"),
            *((f"/order/lines/3/{each}", "REQUIRED") for each in ("name", "quantity", "unitPrice", "total")),
            ("/order/lines/4", "WRONG_TYPE"),
            ("/order/payments/0/last4", "INVALID_CODE"),
        ]
    )
    moved = [{"externalFulfilmentId": "f", "lines": [{"externalOrderLineId": "a\x01", "quantity": 1}]}]
    controls = order(line("\x01"), line("."), payments=[{"externalPaymentId": "p\x7f", "amount": "1"}])
    assert sorted(codes(await shop.put(path, controls | {"fulfilments": moved}))) == [
        ("/fulfilments/0/lines/0/externalOrderLineId", "CONTROL_CHARACTER"),
        ("/fulfilments/0/lines/0/externalOrderLineId", "NOT_IN_RECORD"),
        ("/lines/0/externalOrderLineId", "CONTROL_CHARACTER"),
        ("/lines/1/externalOrderLineId", "NOT_A_SEGMENT"),
        ("/payments/0/externalPaymentId", "CONTROL_CHARACTER"),
    ]
    assert codes(await shop.put(path, order() | {"lines": []})) == [("/lines", "TOO_FEW")]
    assert codes(await shop.put(path, order() | {"lines": None})) == [("/lines", "REQUIRED")]
    assert (await shop.get(path)).status == 404


async def test_what_names_a_line_must_name_one_of_the_order(shop: Api, number: int) -> None:
    """Discounts, fulfilments and returns name lines, refunds name returns and payments: of this order, and no other."""
    path, moved = f"/orders/names-{number}", [{"externalOrderLineId": "2", "quantity": 1}]
    strange = {
        "discounts": [{"name": "x", "amount": "0", "externalOrderLineId": "2"}],
        "fulfilments": [{"externalFulfilmentId": "f", "lines": moved}],
        "returns": [{"externalReturnId": "r", "lines": moved}],
        "payments": [{"externalPaymentId": "p", "amount": "1"}],
        "refunds": [{"externalRefundId": "x", "amount": "1", "externalReturnId": "q", "externalPaymentId": "q"}],
    }
    refused = await shop.put(path, order() | strange)
    assert sorted(codes(refused)) == [
        ("/discounts/0/externalOrderLineId", "NOT_IN_RECORD"),
        ("/fulfilments/0/lines/0/externalOrderLineId", "NOT_IN_RECORD"),
        ("/refunds/0/externalPaymentId", "NOT_IN_RECORD"),
        ("/refunds/0/externalReturnId", "NOT_IN_RECORD"),
        ("/returns/0/lines/0/externalOrderLineId", "NOT_IN_RECORD"),
    ]
    named = strange | {"refunds": [{"externalRefundId": "x", "amount": "1", "externalReturnId": "r"}]}
    assert (await shop.put(path, order(line("1"), line("2")) | named)).status == 200


@pytest.mark.parametrize("form", ["external id", "id", "both", "field"])
async def test_a_line_names_its_variant_as_a_record_names_another(shop: Api, number: int, form: str) -> None:
    """A reference within an item is taken by external id, by id or by both, and refused where they disagree."""
    known = await catalogue(shop, number)
    found = (await shop.get(f"/variants/{known['variant'][0]}")).result["id"]
    key = {"externalVariantId": known["variant"][0]}
    forms = {
        "external id": {"variant": key},
        "id": {"variant": {"id": found}},
        "both": {"variant": key | {"id": found}, "variantId": found.upper()},
        "field": {"variantId": found},
    }
    shown = await written(shop, f"/orders/variant-{number}", order(line("1", **forms[form])))
    assert shown["lines"][0]["variantId"] == found
    assert shown["lines"][0]["variant"]["externalVariantId"] == known["variant"][0]
    torn = await shop.put(f"/orders/torn-{number}", order(line("1", variant=None, variantId=found)))
    assert (torn.error["code"], codes(torn)) == ("REFERENCE_CONFLICT", [("/lines/0/variant", "REFERENCE_CONFLICT")])
    cleared = await written(shop, f"/orders/variant-{number}", order(line("1", variant=None)), "updated")
    assert (cleared["lines"][0]["variantId"], cleared["lines"][0]["variant"]) == (None, None)


async def test_history_loads_without_what_it_refers_to(shop: Api, number: int) -> None:
    """A variant, promotion, seller or store that nobody knows is left out of an order, with a warning for each."""
    sent = order(
        line("1", variant={"externalVariantId": "gone"}),
        line("2", variantId=UNKNOWN, soldBy={"externalUserId": "gone"}),
        discounts=[{"name": "x", "amount": "0.00", "promotion": {"externalPromotionId": "gone"}}],
        fulfilments=[{"externalFulfilmentId": "f", "store": {"externalStoreId": "gone"}}],
        soldBy={"externalUserId": "gone"},
    )
    put = await shop.put(f"/orders/history-{number}", {"order": sent})
    assert (put.status, put.result[0]["outcome"]) == (200, "created")
    warnings = put.result[0]["warnings"]
    assert [list(each) for each in warnings] == [["path", "code", "message"]] * 6
    assert sorted((each["path"], each["code"]) for each in warnings) == [
        ("/order/discounts/0/promotion", "REFERENCE_UNKNOWN"),
        ("/order/fulfilments/0/store", "REFERENCE_UNKNOWN"),
        ("/order/lines/0/variant", "REFERENCE_UNKNOWN"),
        ("/order/lines/1/soldBy", "REFERENCE_UNKNOWN"),
        ("/order/lines/1/variantId", "REFERENCE_UNKNOWN"),
        ("/order/soldBy", "REFERENCE_UNKNOWN"),
    ]
    job = (await shop.get(f"/jobs/{put.result[0]['id']}")).result
    assert job["warnings"] == warnings
    shown = (await shop.get(f"/orders/history-{number}")).result
    assert [each["variantId"] for each in shown["lines"]] == [None, None]
    assert (shown["soldById"], shown["lines"][0]["sku"]) == (None, "sku-1")
    lost = await shop.put(f"/orders/lost-{number}?onUnresolved=reject", order(customer={"externalCustomerId": "gone"}))
    assert codes(lost) == [("/customer", "REFERENCE_NOT_FOUND")]


async def test_a_careful_write_warns_too(shop: Api, number: int) -> None:
    """Under a condition, as a trial and in part a write tells the same oddities as a plain one."""
    path, odd = f"/orders/careful-{number}", order(soldBy={"externalUserId": "gone"}) | {"total": "99.00"}
    expected = ["TOTALS_MISMATCH", "REFERENCE_UNKNOWN"]
    trial = await shop.put(f"{path}?dryRun=true", odd)
    assert [each["code"] for each in trial.result[0]["warnings"]] == expected
    for method, form, headers in (
        ("PUT", path, {"If-None-Match": "*"}),
        ("PATCH", f"/orders/external/careful-{number}", {}),
        ("PUT", path, {"If-Match": '"1"'}),
    ):
        answer = await shop.request(method, f"/v2/public{form}", json=odd, headers=headers)
        assert [each["code"] for each in answer.result[0]["warnings"]] == expected, answer.body


async def test_warnings_of_many_go_with_each(shop: Api, number: int) -> None:
    """In a bulk request each job has the warnings of its own record, with pointers into the request."""
    odd, even = order() | {"total": "99.00"}, order()
    records = [{"externalOrderId": f"many-{number}-{i}"} | each for i, each in enumerate((even, odd, even))]
    for policy in ("applyGood", "rejectEverything"):
        put = await shop.put(f"/orders?errorPolicy={policy}", {"orders": records})
        assert [[each["path"] for each in job["warnings"]] for job in put.result] == [[], ["/orders/1/total"], []]


async def test_orders_are_found_by_what_is_in_them(shop: Api, number: int) -> None:
    """A list finds orders by a line's SKU, and by who bought, where, when, for how much."""
    known = await catalogue(shop, number)
    for i in range(3):
        sent = order(
            *(line(f"{number}-{j}") for j in range(i + 1)),
            placedAt=f"2026-11-0{i + 1}T10:00:00.000Z",
            orderNumber=f"N-{number}-{i}",
            customerEmail=f"Ada.{number}@Example.com",
            customer={"externalCustomerId": known["customer"][0]},
            store={"externalStoreId": known["store"][0]},
            status=("confirmed", "cancelled", None)[i],
        )
        await written(shop, f"/orders/found-{number}-{i}", sent)
    mine = f"customer.externalCustomerId={known['customer'][0]}"
    for query, expected in (
        (f"sku=sku-{number}-1", [1, 2]),
        (f"sku[in]=sku-{number}-2,nothing", [2]),
        (f"{mine}&sku[ne]=sku-{number}-1", [0]),
        ("sku=nothing", []),
        (mine, [0, 1, 2]),
        (f"{mine}&placedAt[gte]=2026-11-02T00:00:00Z&placedAt[lt]=2026-11-03T00:00:00Z", [1]),
        (f"{mine}&total[gte]=20", [1, 2]),
        (f"{mine}&status[in]=confirmed,onHold", [0, 2]),
        (f"store.externalStoreId={known['store'][0]}&status=cancelled", [1]),
        (f"orderNumber=n-{number}-2", [2]),
        (f"customerEmail=ada.{number}%40example.com&sort=-placedAt", [2, 1, 0]),
        (f"q=n-{number}-1", [1]),
    ):
        order_by = "" if "sort=" in query else "&sort=placedAt"
        found = await shop.get(f"/orders?fields=externalOrderId&{query}{order_by}")
        assert [int(each["externalOrderId"][-1]) for each in found.result["rows"]] == expected, query
    for operator in ("gt", "startsWith", "isNull"):
        assert codes(await shop.get(f"/orders?sku[{operator}]=true")) == [(f"sku[{operator}]", "INVALID_VALUE")]


async def test_an_order_of_a_thousand_lines_is_one_request(shop: Api, number: int) -> None:
    """A thousand lines fit into one request and come back; one more is refused."""
    known = await catalogue(shop, number)
    variant = {"externalVariantId": known["variant"][0]}
    lines = [line(str(i), options={"colour": "Navy", "size": "M"}, variant=variant) for i in range(1001)]
    shown = await written(shop, f"/orders/thousand-{number}", order(*lines[:1000]))
    assert len(shown["lines"]) == len({each["id"] for each in shown["lines"]}) == 1000
    assert codes(await shop.put(f"/orders/more-{number}", order(*lines))) == [("/lines", "TOO_MANY")]


@pytest.mark.parametrize(
    "missing", [{}, {"variant": None}, {"variantId": None}, {"variant": None, "variantId": None}], ids=str
)
async def test_a_line_of_a_basket_has_a_variant(shop: Api, number: int, missing: dict[str, Any]) -> None:
    """Nothing can be put into a basket but a variant that exists, however it is left out."""
    path, sent = f"/baskets/bare-{number}", {"externalBasketLineId": "1", "quantity": 1}
    refused = await shop.put(path, {"currency": "GBP", "lines": [sent | missing]})
    assert codes(refused) == [("/lines/0/variant", "REQUIRED")]
    known = await catalogue(shop, number)
    variant = {"variant": {"externalVariantId": known["variant"][0]}}
    shown = await written(shop, path, {"currency": "GBP", "lines": [sent | variant]})
    assert shown["lines"][0]["variant"]["externalVariantId"] == known["variant"][0]
    assert (shown["status"], shown["channel"], shown["total"]) == ("open", "store", None)


async def test_a_wish_is_for_a_variant_or_a_product(shop: Api, number: int) -> None:
    """An item of a wishlist names a variant or a product that exists; 250 items are the most."""
    known = await catalogue(shop, number)
    path, sent = f"/wishlists/wish-{number}", {"customer": {"externalCustomerId": known["customer"][0]}}
    product, variant = {"externalProductId": known["product"][0]}, {"externalVariantId": known["variant"][0]}
    shown = await written(shop, path, sent | {"items": [{"product": product}, {"variant": variant, "quantity": 1}]})
    assert (shown["name"], shown["type"], shown["visibility"]) == ("Wishlist", "wishlist", "private")
    assert [each["quantity"] for each in shown["items"]] == [1, 1]
    assert shown["items"][0]["product"]["externalProductId"] == known["product"][0]
    assert len({each["id"] for each in shown["items"]}) == 2
    assert codes(await shop.put(path, sent | {"items": [{"note": "x"}, {"variant": None}]})) == [
        ("/items/0", "REQUIRED"),
        ("/items/1", "REQUIRED"),
    ]
    assert codes(await shop.put(path, sent | {"items": [{"product": product}] * 251})) == [("/items", "TOO_MANY")]
    lost = await shop.put(f"{path}?onUnresolved=reject", sent | {"items": [{"variant": {"externalVariantId": "gone"}}]})
    assert (lost.status, codes(lost)) == (422, [("/items/0/variant", "REFERENCE_NOT_FOUND")])
