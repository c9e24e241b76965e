"""What an item names within its record is there, in the record as it is stored, whichever way it was written."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.conftest import Api, Response, check_envelope, codes
from tests.contract.importing import applied, ndjson, send
from tests.contract.selling import catalogue, line, order, written

CODE = "NOT_IN_RECORD"


@pytest.fixture
def number(numbers: Iterator[int]) -> int:
    """A number for external ids that no other test uses."""
    return next(numbers)


def parcel(*keys: str) -> list[dict[str, Any]]:
    """One fulfilment, of a piece of each of these lines."""
    return [{"externalFulfilmentId": "f", "lines": [{"externalOrderLineId": key, "quantity": 1} for key in keys]}]


def refund(**more: str) -> list[dict[str, Any]]:
    """One refund."""
    return [{"externalRefundId": "r", "amount": "1.00"} | more]


async def patched(api: Api, key: str, body: dict[str, Any], query: str = "") -> Any:
    """PATCH an order; the answer."""
    return await api.request("PATCH", f"/v2/public/orders/external/{key}{query}", json=body)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a fulfilment": ({"fulfilments": parcel("1", "nope")}, "/fulfilments/0/lines/1/externalOrderLineId"),
    "a return": (
        {"returns": [{"externalReturnId": "x", "lines": [{"externalOrderLineId": "nope", "quantity": 1}]}]},
        "/returns/0/lines/0/externalOrderLineId",
    ),
    "a discount": (
        {"discounts": [{"name": "x", "amount": "1", "externalOrderLineId": "nope"}]},
        "/discounts/0/externalOrderLineId",
    ),
    "a refund of a payment": ({"refunds": refund(externalPaymentId="nope")}, "/refunds/0/externalPaymentId"),
    "a refund of a return": ({"refunds": refund(externalReturnId="nope")}, "/refunds/0/externalReturnId"),
    "other lines": ({"lines": [line("3")]}, "/lines"),
    "no payments": ({"payments": []}, "/payments"),
    "payments cleared": ({"payments": None}, "/payments"),
}


@pytest.mark.parametrize(("body", "at"), REFUSED.values(), ids=list(REFUSED))
async def test_a_part_is_held_against_what_is_stored(shop: Api, number: int, body: dict[str, Any], at: str) -> None:
    """A part of an order that contradicts the rest is refused with a pointer, tried or meant; nothing has changed."""
    key, paid = f"part-{number}", [{"externalPaymentId": "p", "amount": "1.00"}]
    kept = {"payments": paid, "fulfilments": parcel("1", "2"), "refunds": refund(externalPaymentId="p")}
    before = await written(shop, f"/orders/{key}", order(line("1"), line("2"), **kept))
    for query in ("", "?dryRun=true"):
        refused = await patched(shop, key, {"order": body}, query)
        assert check_envelope(refused, 400)["error"]["code"] == "VALIDATION_ERROR"
        assert codes(refused) == [(f"/order{at}", CODE)]
    shown = (await shop.get(f"/orders/{key}")).result
    assert shown == before
    assert (await shop.put(f"/orders/{key}", shown)).result[0]["outcome"] == "unchanged"


async def test_a_part_that_fits_is_taken(shop: Api, number: int) -> None:
    """What names items that are stored is taken, and so is what takes both away at once."""
    key, paid = f"fits-{number}", [{"externalPaymentId": "p", "amount": "1.00"}]
    await written(shop, f"/orders/{key}", order(line("1"), line("2"), payments=paid))
    bodies: list[dict[str, Any]] = [
        {"fulfilments": parcel("2")},
        {"refunds": refund(externalPaymentId="p")},
        {"lines": [line("2"), line("3")]},
        {"lines": [line("4")], "fulfilments": parcel("4")},
        {"payments": [], "refunds": []},
    ]
    for body in bodies:
        assert (await patched(shop, key, body)).status == 200


async def test_what_a_put_leaves_out_is_held_against_what_it_brings(shop: Api, number: int) -> None:
    """Fulfilments that are kept name lines that must stay; `mode=replace` keeps none of either."""
    path = f"/orders/kept-{number}"
    await written(shop, path, order(line("1"), fulfilments=parcel("1")))
    refused = await shop.put(path, {"order": order(line("2"))})
    assert (refused.status, codes(refused)) == (400, [("/order/lines", CODE)])
    assert "send fulfilments with it" in refused.error["details"]["errors"][0]["message"]
    careful = await shop.put(path, order(line("2")), headers={"If-Match": '"1"'})
    assert (careful.status, codes(careful)) == (400, [("/lines", CODE)])
    assert (await shop.get(path)).result["version"] == 1
    assert (await shop.put(f"{path}?mode=replace", order(line("2")))).result[0]["outcome"] == "updated"


async def test_a_new_record_has_what_its_items_name(shop: Api, number: int) -> None:
    """Where there is no record yet, what is absent is not there: an order's payments, a basket's lines."""
    refused = await shop.put(f"/orders/new-{number}", order(refunds=refund(externalPaymentId="p")))
    assert (refused.status, codes(refused)) == (400, [("/refunds/0/externalPaymentId", CODE)])
    basket = {"currency": "GBP", "discounts": [{"name": "x", "amount": "1", "externalBasketLineId": "1"}]}
    refused = await shop.put(f"/baskets/new-{number}", basket)
    assert (refused.status, codes(refused)) == (400, [("/discounts/0/externalBasketLineId", CODE)])
    refused = await shop.request("POST", "/v2/public/baskets", json=basket)
    assert (refused.status, codes(refused)) == (400, [("/discounts/0/externalBasketLineId", CODE)])
    known = await catalogue(shop, number)
    bought = {"externalBasketLineId": "1", "variant": {"externalVariantId": known["variant"][0]}, "quantity": 1}
    assert (await shop.put(f"/baskets/new-{number}", basket | {"lines": [bought]})).status == 200
    assert (await shop.get(f"/orders/new-{number}")).status == 404


async def test_one_of_many_that_contradicts_itself_hurts_no_other(shop: Api, number: int) -> None:
    """In a bulk request it fails alone, or all of them do where that is asked for."""
    named = {name: f"{name}-{number}" for name in ("bad", "good")}
    for key in named.values():
        await written(shop, f"/orders/{key}", order(line("1"), fulfilments=parcel("1")))
    rows = [{"externalOrderId": named["bad"], **order(line("2"))}, {"externalOrderId": named["good"], **order()}]
    rows[1]["note"] = "x"
    all_or_none = await shop.put("/orders?errorPolicy=rejectEverything", {"orders": rows})
    assert (all_or_none.status, codes(all_or_none)) == (400, [("", CODE)])
    put = await shop.put("/orders", {"orders": rows})
    assert [each["status"] for each in put.result] == ["failed", "completed"]
    [problem] = put.result[0]["error"]["details"]["errors"]
    assert (problem["path"], problem["code"]) == ("/orders/0/lines", CODE)
    assert [(await shop.get(f"/orders/{key}")).result["version"] for key in named.values()] == [1, 2]


async def test_a_row_of_a_file_that_contradicts_its_record_is_refused(shop: Api, number: int) -> None:
    """An import keeps the row back, with the place within it, and applies the others."""
    key = f"row-{number}"
    await written(shop, f"/orders/{key}", order(line("1"), fulfilments=parcel("1")))
    rows = [{"externalOrderId": key, **order(line("2"))}, {"externalOrderId": f"other-{key}", **order()}]
    done = await applied(shop, await send(shop, ndjson(rows), "ndjson", query="resource=order"))
    assert (done["failed"], done["outcomes"]) == (1, {"created": 1})
    assert (await shop.get(f"/orders/{key}")).result["version"] == 1


async def test_what_was_accepted_or_waits_is_refused_when_its_turn_comes(shop: Api, number: int) -> None:
    """A queued upsert, and one that waited for a customer, fail as jobs that say what was wrong where."""
    path = f"/orders/later-{number}"
    await written(shop, path, order(line("1"), fulfilments=parcel("1")))
    waiting = order(line("2"), customer={"externalCustomerId": f"late-{number}"})
    parked = await shop.put(path, {"order": waiting})
    assert (parked.status, parked.result[0]["status"]) == (202, "unresolved")
    assert (await shop.put(f"/customers/late-{number}", {"firstName": "Ada"})).status == 200
    assert await refused_later(shop, parked) == [("/order/lines", CODE)]
    queued = await shop.put(path, order(line("2")), headers={"Prefer": "respond-async"})
    assert queued.status == 202
    # Whoever writes the same record behind it waits for it.
    assert (await shop.put(path, order(line("1"), note="x"))).status == 200
    assert await refused_later(shop, queued) == [("/lines", CODE)]


async def refused_later(api: Api, answer: Response) -> list[tuple[str, str]]:
    """What was wrong with an upsert that was taken in, by its job."""
    job = (await api.get(f"/jobs/{answer.result[0]['id']}")).result
    assert job["status"] == "failed"
    return [(each["path"], each["code"]) for each in job["error"]["details"]["errors"]]
