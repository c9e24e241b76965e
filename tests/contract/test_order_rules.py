"""What an order's figures say: totals that are kept, cards that never are, and statuses that follow from the parts."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.contract.conftest import Api, check_envelope, codes
from tests.contract.selling import line, order, written

UNKNOWN = "01999999-7b1e-7c3a-9d52-3f1b2c4d5e6f"


@pytest.fixture
def number(numbers: Iterator[int]) -> int:
    """A number for external ids that no other test uses."""
    return next(numbers)


TOTALS = {
    "lines": (order(line("1", "10.00", 2), line("2", "5.50")), "25.50"),
    "a discount": (order(discountTotal="1.00"), "9.00"),
    "discounts one by one": (order(discounts=[{"name": "x", "amount": "1.00"}, {"name": "y", "amount": "2"}]), "7.00"),
    "a discount within the line": (order(line("1", discountTotal="2.00"), discountTotal="2.00"), "10.00"),
    "shipping": (order(shippingTotal="4.99"), "14.99"),
    "tax on top": (order(taxTotal="2.00", taxIncluded=False), "12.00"),
    "tax within": (order(taxTotal="2.00"), "10.00"),
    "rounding": (order(line("1"), line("2")), "20.02"),
    "yen": (order() | {"currency": "JPY"}, "11"),
}


@pytest.mark.parametrize(("body", "total"), TOTALS.values(), ids=list(TOTALS))
async def test_a_total_that_does_not_add_up_is_taken_with_a_warning(
    shop: Api, number: int, body: dict[str, Any], total: str
) -> None:
    """The source's total is kept, whatever it is; off by more than the smallest unit a line, the answer says so."""
    put = await shop.put(f"/orders/total-{number}", body | {"total": total})
    assert put.result[0]["warnings"] == [], put.body
    off = f"{float(total) + 3.5:.2f}"
    put = await shop.put(f"/orders/total-{number}", body | {"total": off})
    assert [(each["path"], each["code"]) for each in put.result[0]["warnings"]] == [("/total", "TOTALS_MISMATCH")]
    assert Decimal((await shop.get(f"/orders/total-{number}")).result["total"]) == Decimal(off)


@pytest.mark.parametrize(
    ("currency", "kept"), [("GBP", "10.00"), ("JPY", "10"), ("KWD", "10.000")], ids=["pounds", "yen", "dinars"]
)
async def test_all_amounts_of_an_order_are_written_as_its_currency_has_them(
    shop: Api, number: int, currency: str, kept: str
) -> None:
    """An amount is spelled alike on top and within arrays, however it came; so other spellings of it are no changes."""
    path, parts = f"/orders/money-{number}", {"payments": "externalPaymentId", "refunds": "externalRefundId"}
    for outcome, amount in (("created", "10"), ("unchanged", "10.0"), ("unchanged", 10), ("unchanged", "010.0000")):
        paid = {array: [{key: "1", "amount": amount}] for array, key in parts.items()}
        sent = order(line("1") | {"unitPrice": amount, "total": amount}, **paid) | {"total": amount}
        shown = await written(shop, path, sent | {"currency": currency}, outcome)
    assert [shown["total"], shown["lines"][0]["total"], shown["lines"][0]["unitPrice"]] == [kept] * 3
    assert [shown[array][0]["amount"] for array in parts] == [kept] * 2
    payments = [{"externalPaymentId": "1", "amount": "10"}]
    again = await shop.request("PATCH", f"/v2/public/orders/external/money-{number}", json={"payments": payments})
    assert again.result[0]["outcome"] == "unchanged", again.body


CARDS = ("4111111111111111", "4111 1111 1111 1111", "4111-1111-1111-1111", "378282246310005", "6304000000000000")


@pytest.mark.parametrize(
    "payment",
    [
        *({"providerReference": each} for each in CARDS),
        {"externalPaymentId": "5555555555554444"},
        {"details": {"a": [{"b": "4222222222222"}]}},
        {"details": {"a": 4111111111111111}},
        {"details": {"4111111111111111": "x"}},
        {"4111111111111111": 1},
        {"method": "4111\u00a01111\u20111111 1111"},
        {"provider": "paid with 4111 1111 1111 1111, thanks"},
        {"provider": "4111 1111 1111 1111 1229"},
        {"providerReference": "pan:4111.1111.1111.1111"},
        {"providerReference": "pan4111111111111111x"},
    ],
    ids=str,
)
async def test_a_card_number_is_never_kept(shop: Api, number: int, payment: dict[str, Any]) -> None:
    """A payment with a card's number anywhere in it is refused, and the number is neither repeated nor kept."""
    before = await shop.stored()
    sent = order(payments=[{"externalPaymentId": "p", "amount": "1.00"} | payment])
    refused = await shop.put(f"/orders/card-{number}", {"order": sent})
    assert check_envelope(refused, 400)["error"]["code"] == "CARD_DATA_FORBIDDEN"
    [(at, code)] = codes(refused)
    assert at.startswith("/order/payments/0")
    assert code == "CARD_DATA_FORBIDDEN"
    # The rest of the body tells the time, which has any digits.
    digits = "".join(each for each in str(refused.error) if each.isdigit())
    for value in ("411111", "378282", "555555", "422222", "630400"):
        assert value not in digits
    assert await shop.stored() == before


@pytest.mark.parametrize(
    "reference",
    ["4111111111111112", "41111111111111111111", "pay_4111111111111111x", "123456789012", UNKNOWN, "0" * 20],
)
async def test_other_numbers_are_kept(shop: Api, number: int, reference: str) -> None:
    """What only looks like a card's number, but is none, is a reference like any other."""
    payments = [{"externalPaymentId": "p", "amount": "1.00", "providerReference": reference, "last4": "4242"}]
    shown = await written(shop, f"/orders/no-card-{number}", order(payments=payments))
    assert shown["payments"][0]["providerReference"] == reference


async def test_a_card_number_in_a_batch_leaves_a_job_without_it(shop: Api, number: int) -> None:
    """A refused record of a bulk request keeps a job that tells where the number stood, and not which it was."""
    paid = order(payments=[{"externalPaymentId": "p", "amount": "1.00", "provider": CARDS[0]}])
    put = await shop.put("/orders", {"orders": [{"externalOrderId": f"bulk-card-{number}"} | paid]})
    assert put.result[0]["error"]["code"] == "CARD_DATA_FORBIDDEN"
    job = await shop.get(f"/jobs/{put.result[0]['id']}")
    assert job.result["error"]["details"]["errors"][0]["path"] == "/orders/0/payments/0/provider"
    assert CARDS[0].encode() not in job.body + put.body


def paid(*amounts: tuple[str, str | None]) -> list[dict[str, Any]]:
    """Payments of these amounts and statuses."""
    return [{"externalPaymentId": str(i), "amount": amount, "status": s} for i, (amount, s) in enumerate(amounts)]


def refund(amount: str) -> list[dict[str, Any]]:
    """One refund."""
    return [{"externalRefundId": "r", "amount": amount}]


PAYMENTS = {
    "unpaid": {},
    "authorised": {"payments": paid(("10.00", "authorised"))},
    "partiallyPaid": {"payments": paid(("4.00", "captured"), ("6.00", "authorised"))},
    "paid": {"payments": paid(("4.00", "captured"), ("6.00", None), ("10.00", "failed"))},
    "partiallyRefunded": {"payments": paid(("10.00", "captured")), "refunds": refund("1.00")},
    "refunded": {"payments": paid(("10.00", "captured")), "refunds": refund("10.00")},
    "failed": {"payments": paid(("10.00", "failed"))},
}


@pytest.mark.parametrize(("status", "more"), PAYMENTS.items(), ids=list(PAYMENTS))
async def test_a_payment_status_follows_from_the_payments(
    shop: Api, number: int, status: str, more: dict[str, Any]
) -> None:
    """Where the source does not say how far an order is paid, its payments and refunds do."""
    shown = await written(shop, f"/orders/paid-{number}", order(**more))
    assert shown["paymentStatus"] == status
    found = await shop.get(f"/orders?paymentStatus={status}&externalOrderId=paid-{number}")
    assert found.result["count"] == 1


YEN = {"externalPaymentId": "yen", "amount": "10.00", "currency": "JPY"}
ABROAD = {
    "a payment in yen": ("unpaid", [YEN], []),
    "pounds beside them": ("partiallyPaid", [YEN, *paid(("4.00", None))], []),
    "pounds that say so": ("paid", [YEN, *({**each, "currency": "GBP"} for each in paid(("10.00", None)))], []),
    "yen that failed": ("unpaid", [YEN | {"status": "failed"}], []),
    "yen refunded": ("paid", [YEN, *paid(("10.00", None))], [{**refund("10")[0], "externalPaymentId": "yen"}]),
    "pounds refunded": ("refunded", [YEN, *paid(("10.00", None))], [{**refund("10")[0], "externalPaymentId": "0"}]),
}


@pytest.mark.parametrize(("status", "payments", "refunds"), ABROAD.values(), ids=list(ABROAD))
async def test_only_payments_in_the_currency_of_an_order_pay_it(
    shop: Api, number: int, status: str, payments: list[dict[str, Any]], refunds: list[dict[str, Any]]
) -> None:
    """Amounts of different currencies are not added up: what was paid, or refunded, in another pays nothing here."""
    shown = await written(shop, f"/orders/abroad-{number}", order(payments=payments, refunds=refunds))
    assert shown["paymentStatus"] == status
    assert shown["payments"][0]["amount"] == "10"


async def test_a_payment_has_a_currency_of_its_own_or_the_orders(shop: Api, number: int) -> None:
    """A payment is shown in its currency, the order's where none is said; to say the order's changes nothing."""
    path, key = f"/orders/own-{number}", f"/v2/public/orders/external/own-{number}"
    payments = [{"externalPaymentId": "a", "amount": 5}, {"externalPaymentId": "b", "amount": 1.5, "currency": "KWD"}]
    shown = await written(shop, path, order(payments=payments))
    assert [(each["currency"], each["amount"]) for each in shown["payments"]] == [("GBP", "5.00"), ("KWD", "1.500")]
    assert (await shop.put(path, {"order": shown})).result[0]["outcome"] == "unchanged"
    said = {"payments": [payments[0] | {"currency": "GBP"}, payments[1]]}
    assert (await shop.request("PATCH", key, json=said)).result[0]["outcome"] == "unchanged"
    assert (await shop.request("PATCH", key, json={"currency": "JPY"})).result[0]["outcome"] == "updated"
    shown = (await shop.get(path)).result
    assert [(each["currency"], each["amount"]) for each in shown["payments"]] == [("JPY", "5"), ("KWD", "1.500")]
    assert (await shop.put(path, {"order": shown})).result[0]["outcome"] == "unchanged"


def parts(name: str, *of: tuple[str, str | None, int]) -> list[dict[str, Any]]:
    """Fulfilments or returns, each of one status, line and quantity; of none of the lines where that is 0."""
    key = "externalFulfilmentId" if name == "fulfilments" else "externalReturnId"
    return [
        {key: str(i), "status": status}
        | ({"lines": [{"externalOrderLineId": which, "quantity": count}]} if which else {})
        for i, (status, which, count) in enumerate(of)
    ]


FULFILMENTS: dict[str, tuple[str, dict[str, Any], list[list[int]]]] = {
    "nothing": ("unfulfilled", {}, [[0, 0, 0, 0], [0, 0, 0, 0]]),
    "packed": ("unfulfilled", {"fulfilments": parts("fulfilments", ("packed", "a", 2))}, [[0] * 4, [0] * 4]),
    "some": ("partial", {"fulfilments": parts("fulfilments", ("shipped", "a", 1))}, [[1, 0, 0, 0], [0] * 4]),
    "ready": (
        "readyToCollect",
        {"fulfilments": parts("fulfilments", ("readyToCollect", None, 0))},
        [[0] * 4, [0] * 4],
    ),
    "shipped": (
        "fulfilled",
        {"fulfilments": parts("fulfilments", ("shipped", "a", 2), ("delivered", "b", 1))},
        [[2, 0, 0, 0], [1, 1, 0, 0]],
    ),
    "cancelled": (
        "delivered",
        {"fulfilments": parts("fulfilments", ("collected", "a", 2), ("cancelled", "b", 1))},
        [[2, 2, 0, 0], [0, 0, 0, 1]],
    ),
    "all": ("delivered", {"fulfilments": parts("fulfilments", ("delivered", None, 0))}, [[2, 2, 0, 0], [1, 1, 0, 0]]),
    "some back": (
        "partiallyReturned",
        {
            "fulfilments": parts("fulfilments", ("delivered", None, 0)),
            "returns": parts("returns", ("received", "a", 1), ("requested", "b", 1)),
        },
        [[2, 2, 1, 0], [1, 1, 0, 0]],
    ),
    "all back": (
        "returned",
        {"returns": parts("returns", ("completed", None, 0))},
        [[0, 0, 2, 0], [0, 0, 1, 0]],
    ),
}


@pytest.mark.parametrize(("status", "more", "quantities"), FULFILMENTS.values(), ids=list(FULFILMENTS))
async def test_how_far_an_order_is_follows_from_its_parts(
    shop: Api, number: int, status: str, more: dict[str, Any], quantities: list[list[int]]
) -> None:
    """Fulfilments and returns tell how far each line has come, and where the source does not say, how far the order."""
    lines = (line("a", quantity=2), line("b"), line("post", type="shipping"))
    shown = await written(shop, f"/orders/far-{number}", order(*lines, **more))
    assert shown["fulfilmentStatus"] == status
    names = ("fulfilledQuantity", "deliveredQuantity", "returnedQuantity", "cancelledQuantity")
    assert [[each[name] for name in names] for each in shown["lines"]] == [*quantities, [0] * 4]


async def test_what_follows_keeps_following(shop: Api, number: int) -> None:
    """A status that was read and sent back is not fixed by that; one that the source says itself is, until null."""
    path = f"/orders/follow-{number}"
    shown = await written(shop, path, order(payments=paid(("4.00", "captured"))))
    assert (await shop.put(path, {"order": shown})).result[0]["outcome"] == "unchanged"
    again = await written(shop, path, shown | {"payments": paid(("10.00", "captured"))}, "updated")
    assert again["paymentStatus"] == "paid"
    said = await written(shop, path, order(paymentStatus="failed"), "updated")
    assert said["paymentStatus"] == "failed"
    kept = await written(shop, path, order(payments=[]), "updated")
    assert kept["paymentStatus"] == "failed"
    freed = await written(shop, path, order(paymentStatus=None), "updated")
    assert freed["paymentStatus"] == "unpaid"
