"""Totals are the source's own and are kept; where they do not add up, the answer says so."""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from retailos.declare.money import digits
from retailos.errors import Problem


def mismatch(patch: Mapping[str, Any]) -> Iterator[Problem]:
    """Warn of a total that is not the lines' less discounts, plus shipping, plus tax where prices exclude it.

    Each line may be off by the currency's smallest unit. A discount of a line may be in the line's total already.
    """
    lines, total = patch.get("lines"), patch.get("total")
    if not lines or total is None:
        return
    tolerance = len(lines) * Decimal(1).scaleb(-digits(patch.get("currency")))
    expected = _expected(patch)
    off = (expected - Decimal(total), expected + _sum(lines, "discountTotal") - Decimal(total))
    if min(map(abs, off)) > tolerance:
        message = f"expected a total of {expected}: the lines less discounts, plus shipping, plus tax if not included"
        yield Problem("/total", "TOTALS_MISMATCH", message)


def add_up(body: dict[str, Any]) -> None:
    """Give a sample a few of each thing and figures that add up, paid at once."""
    for line in body.get("lines") or ():
        line["quantity"] = line["quantity"] % 3 + 1
        line["total"] = str(_amount(line, "unitPrice") * int(line["quantity"]))
        line.pop("discountTotal", None)
    for discount in body.get("discounts") or ():
        discount["amount"] = "1.00"
    if body.get("discountTotal") is not None:
        body["discountTotal"] = "1.00"
    for part in (*(body.get("fulfilments") or ()), *(body.get("returns") or ())):
        for moved in part["lines"]:
            moved["quantity"] = 1
    if body.get("lines"):
        body["total"] = str(_expected(body))
    for payment in body.get("payments") or ():
        payment["amount"] = body["total"]
        payment.pop("currency", None)
    del (body.get("payments") or [])[1:]


def _expected(patch: Mapping[str, Any]) -> Decimal:
    before = sum(map(_total_of, patch["lines"]), _amount(patch, "shippingTotal"))
    tax = _amount(patch, "taxTotal") if patch.get("taxIncluded") is False else 0
    return before + tax - _discounts(patch)


def _total_of(line: Mapping[str, Any]) -> Decimal:
    if "total" in line:
        return Decimal(line["total"])
    return _amount(line, "unitPrice") * int(line.get("quantity", 1))


def _discounts(patch: Mapping[str, Any]) -> Decimal:
    given = patch.get("discountTotal")
    return _sum(patch.get("discounts") or (), "amount") if given is None else Decimal(given)


def _sum(items: Iterable[Mapping[str, Any]], name: str) -> Decimal:
    return sum((_amount(item, name) for item in items), Decimal(0))


def _amount(found: Mapping[str, Any], name: str) -> Decimal:
    return Decimal(found.get(name) or 0)
