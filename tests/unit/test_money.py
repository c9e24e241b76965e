"""Amounts of money are exact, have one spelling each, and are written as their currency writes them."""

from decimal import Decimal
from typing import Any

import pytest

from retailos.declare.field import Field
from retailos.declare.inner import InnerArray
from retailos.declare.kind import Kind
from retailos.declare.money import Money, holds_money, in_currency
from retailos.declare.shapes import ListOf, Shape
from retailos.declare.texts import Text
from retailos.errors import Problem
from retailos.records import body
from retailos.resources import RESOURCES


def read(value: Any, least: int | None = None) -> tuple[Any, list[str]]:
    """What is made of a value, and the codes of what is wrong with it."""
    problems: list[Problem] = []
    made = Money(least=least).read(value, "/amount", problems)
    return made, [each.code for each in problems]


@pytest.mark.parametrize(
    ("sent", "gbp", "jpy", "kwd"),
    [
        ("12.50", "12.50", "12.5", "12.500"),
        ("12", "12.00", "12", "12.000"),
        ("0012.5000", "12.50", "12.5", "12.500"),
        ("12.3456", "12.3456", "12.3456", "12.3456"),
        ("-0.00", "0.00", "0", "0.000"),
        ("-7.5", "-7.50", "-7.5", "-7.500"),
        ("999999999999.9999", "999999999999.9999", "999999999999.9999", "999999999999.9999"),
        (12, "12.00", "12", "12.000"),
        (Decimal("12.5"), "12.50", "12.5", "12.500"),
        (Decimal("1.25E+1"), "12.50", "12.5", "12.500"),
        (0, "0.00", "0", "0.000"),
    ],
    ids=str,
)
def test_an_amount_has_one_spelling_in_its_currency(sent: Any, gbp: str, jpy: str, kwd: str) -> None:
    """However an amount is sent, it has the digits of its currency's minor unit at least, and no other zeros."""
    value, problems = read(sent)
    assert problems == []
    assert [in_currency(Money(), value, each) for each in ("GBP", "JPY", "KWD", None)] == [gbp, jpy, kwd, gbp]
    for written in (gbp, jpy, kwd):
        assert read(written) == (value, [])


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        *(
            (each, "INVALID_AMOUNT")
            for each in ("", "1,50", "1.23456", "1" * 13, "1e3", "NaN", " 1", "1\n", "+1", ".5")
        ),
        *((each, "INVALID_AMOUNT") for each in (10**15, Decimal("0.12345"), Decimal("1e400"), Decimal("1e-400"))),
        (Decimal("0.1000000000000000055511"), "INVALID_AMOUNT"),
        *[(True, "WRONG_TYPE"), ([], "WRONG_TYPE"), ({}, "WRONG_TYPE"), (1.5, "WRONG_TYPE")],
    ],
    ids=str,
)
def test_what_is_no_amount_is_refused(sent: Any, code: str) -> None:
    """An amount has at most 12 digits and 4 decimal places, and a number that went through a float is none."""
    assert read(sent)[1] == [code]


def test_an_amount_may_have_a_least() -> None:
    """A price is not below nothing; a correction may be."""
    assert read("-0.01", least=0)[1] == ["OUT_OF_RANGE"]
    assert read("-0.00", least=0) == ("0", [])
    assert read("-0.01") == ("-0.01", [])


def test_amounts_within_have_the_currency_of_their_record() -> None:
    """The lines of an order have the order's currency, and what is no amount stays as it is."""
    members: dict[str, Kind] = {"price": Money(), "name": Text(10)}
    inner = tuple(Field(name=name, kind=kind) for name, kind in members.items())
    value = [{"price": "12.5", "name": "12.5"}, {"name": "x"}]
    for lines in (ListOf(Shape(members), 10), InnerArray(key="name", members=inner, most=10)):
        assert holds_money(lines)
        assert in_currency(lines, value, "KWD") == [{"price": "12.500", "name": "12.5"}, {"name": "x"}]
        assert in_currency(lines, None, "KWD") is None
    assert not holds_money(Text(10))
    assert not holds_money(InnerArray(key="name", members=inner[1:], most=10))


@pytest.mark.parametrize(
    ("patch", "kept"),
    [
        ({"amount": "7.5"}, {"amount": "7.500"}),
        ({"currency": "KWD"}, {"currency": "KWD", "amount": "12.500", "compareAtAmount": "15.000"}),
        ({"currency": "JPY", "amount": "7"}, {"currency": "JPY", "amount": "7", "compareAtAmount": "15"}),
        ({"compareAtAmount": None}, {"compareAtAmount": None}),
    ],
    ids=str,
)
def test_a_part_of_a_record_has_the_currency_of_the_whole(patch: dict[str, Any], kept: dict[str, Any]) -> None:
    """A PATCH of an amount is written in the stored currency, and one of the currency writes the amounts anew."""
    stored = {"currency": patch.get("currency", "KWD"), "amount": "12.5", "compareAtAmount": "15"}
    assert body.as_kept(RESOURCES["price"], patch, stored) == kept
