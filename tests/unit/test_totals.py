"""Totals that do not add up are noticed, to the smallest unit of their currency."""

from typing import Any

import pytest

from retailos.resources.totals import mismatch

LINE = {"total": "10.00", "quantity": 1}


@pytest.mark.parametrize(
    ("patch", "total"),
    [
        ({"lines": [LINE]}, "10.01"),
        ({"lines": [LINE]}, "9.99"),
        ({"lines": [LINE, LINE]}, "20.02"),
        ({"lines": [LINE], "currency": "JPY"}, "11"),
        ({"lines": [LINE], "currency": "KWD"}, "10.001"),
        ({"lines": [LINE], "discountTotal": "2.00", "shippingTotal": "3.00"}, "11.00"),
        ({"lines": [LINE], "taxTotal": "2.00", "taxIncluded": False}, "12.00"),
        ({"lines": [{"unitPrice": "2.50", "quantity": 4}]}, "10.00"),
        ({"lines": [LINE | {"discountTotal": "2.00"}], "discountTotal": "2.00"}, "10.00"),
        ({"lines": []}, "1.00"),
        ({}, "1.00"),
    ],
    ids=str,
)
def test_what_adds_up_is_nothing_to_remark(patch: dict[str, Any], total: str) -> None:
    """A total within one smallest unit a line of what its parts make is as it should be."""
    assert list(mismatch(patch | {"total": total})) == []


@pytest.mark.parametrize(
    ("patch", "total"),
    [
        ({"lines": [LINE]}, "10.02"),
        ({"lines": [LINE, LINE]}, "20.03"),
        ({"lines": [LINE], "currency": "JPY"}, "12"),
        ({"lines": [LINE], "currency": "KWD"}, "10.002"),
        ({"lines": [LINE], "taxTotal": "2.00"}, "12.00"),
        ({"lines": [LINE], "discounts": [{"amount": "3.00"}]}, "10.00"),
        ({"lines": [LINE], "discountTotal": "0", "discounts": [{"amount": "3.00"}]}, "7.00"),
    ],
    ids=str,
)
def test_what_does_not_add_up_is_remarked(patch: dict[str, Any], total: str) -> None:
    """A total that is further off gets a remark that names it."""
    assert [(each.path, each.code) for each in mismatch(patch | {"total": total})] == [("/total", "TOTALS_MISMATCH")]
