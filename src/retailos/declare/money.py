"""Amounts of money: decimal strings, exact from the first digit to the last, written as their currency writes them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from random import Random
from types import MappingProxyType
from typing import Any

from retailos.declare.inner import InnerArray
from retailos.declare.kind import Kind, expected
from retailos.declare.shapes import ListOf, Shape
from retailos.errors import Problem

_AMOUNT = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,4})?\Z")
_WHAT = "an amount of at most 12 digits and 4 decimal places"
#: What a JSON number carries through everybody's parser.
NUMBER_DIGITS = 15

#: ISO 4217: the digits of a currency's minor unit, where they are not two.
_DIGITS: Mapping[str, int] = MappingProxyType(
    dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"), 0)
    | dict.fromkeys(("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0)
    | dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3)
    | dict.fromkeys(("CLF", "UYW"), 4)
)


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in the currency of its record: text such as "12.50"; a JSON number is taken too, never a rounded one.

    It is read without its currency, and so without superfluous zeros; `in_currency` writes it as it is kept.
    """

    #: The least that it may be, if anything is.
    least: int | None = None
    like: tuple[str, ...] = ("12.50", "49.00", "120.00")
    sql_type: str = "numeric(16,4)"

    def read(self, value: Any, at: str, problems: list[Problem]) -> Any:
        """Take a decimal string, or a number that is exact."""
        text = value if type(value) is str else _exact(value)
        if text is None:
            problems.append(expected(f'{_WHAT}, such as "12.50"', value, at))
        elif not _AMOUNT.match(text):
            problems.append(Problem(at, "INVALID_AMOUNT", f'expected {_WHAT}, such as "12.50"'))
        elif self.least is not None and Decimal(text) < self.least:
            problems.append(Problem(at, "OUT_OF_RANGE", f"expected an amount of {self.least} or more"))
        else:
            return _plain(text)
        return value

    def parse(self, text: str) -> Decimal:
        """Take a decimal number."""
        if not _AMOUNT.match(text):
            raise ValueError(f"expected {_WHAT}")
        return Decimal(text)

    def schema(self) -> dict[str, Any]:
        """A string of the form of a decimal number."""
        sign = "" if self.least == 0 else "-?"
        said = "Decimal text, with the digits of the currency's minor unit at least; a JSON number is taken too"
        return {"type": "string", "pattern": rf"^{sign}\d{{1,12}}(\.\d{{1,4}})?$", "description": said}

    def column(self, text: str) -> str:
        """The number."""
        return f"({text})::numeric(16,4)"

    def sample(self, random: Random) -> str:
        """One of the declared examples."""
        return random.choice(self.like)


def holds_money(kind: Kind) -> bool:
    """Tell whether a value of this kind is an amount, or has amounts within."""
    match kind:
        case ListOf():
            return holds_money(kind.item)
        case Shape():
            return any(map(holds_money, kind.members.values()))
        case InnerArray():
            return bool(_amounts(kind))
        case _:
            return isinstance(kind, Money)


def in_currency(kind: Kind, value: Any, currency: str | None) -> Any:
    """Write the amounts of a value with at least the digits that the currency has.

    An item of an array may have a currency of its own; where that is the record's, it goes without saying.
    """
    if value is None:
        return None
    match kind:
        case Money():
            return _written(value, digits(currency))
        case ListOf():
            return [in_currency(kind.item, each, currency) for each in value]
        case Shape():
            return {name: in_currency(kind.members[name], each, currency) for name, each in value.items()}
        case InnerArray():
            return [_item_in_currency(kind, item, currency) for item in value]
        case _:
            return value


def _item_in_currency(array: InnerArray, item: dict[str, Any], currency: str | None) -> dict[str, Any]:
    own, amounts = item.get(array.currency), _amounts(array)
    written = {name: in_currency(amounts[name], item[name], own or currency) for name in amounts if name in item}
    kept = {name: value for name, value in item.items() if name != array.currency} if own == currency else item
    return kept | written


@lru_cache(maxsize=100)
def _amounts(array: InnerArray) -> Mapping[str, Kind]:
    """The members of an item with amounts of money in them, by name."""
    return MappingProxyType({name: each.kind for name, each in array.fields.items() if holds_money(each.kind)})


def digits(currency: str | None) -> int:
    """How many digits the minor unit of a currency has; of an unknown one, two."""
    return _DIGITS.get(currency or "", 2)


def _exact(value: Any) -> str | None:
    """The digits of a JSON number, or of what is none nothing; of one that not everybody can keep, no amount."""
    if type(value) is int:
        return str(value) if abs(value) < 10**NUMBER_DIGITS else ""
    if type(value) is Decimal:
        exact = len(value.as_tuple().digits) <= NUMBER_DIGITS and abs(value.adjusted()) <= NUMBER_DIGITS
        return f"{value:f}" if exact else ""
    return None


def _plain(text: str) -> str:
    """`-007.50` as `-7.5`: one spelling of each amount, so that sending it in another one changes nothing."""
    whole, _, fraction = text.removeprefix("-").partition(".")
    digits, decimals = whole.lstrip("0") or "0", fraction.rstrip("0")
    number = f"{digits}.{decimals}" if decimals else digits
    return f"-{number}" if text.startswith("-") and number != "0" else number


def _written(text: str, digits: int) -> str:
    whole, _, fraction = _plain(text).partition(".")
    fraction = fraction.ljust(digits, "0")
    return f"{whole}.{fraction}" if fraction else whole
