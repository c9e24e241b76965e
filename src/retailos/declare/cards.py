"""Numbers of payment cards, wherever in a value they stand: what holds one is refused, so that none is ever kept."""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from retailos.declare.shapes import escaped
from retailos.errors import CardDataForbidden, Problem

#: ISO/IEC 7812 numbers have 13 to 19 digits in use.
DIGITS_LEAST, DIGITS_MOST = 13, 19
#: Digits, with the spaces and dashes that people put between them. What stands within a word is a reference.
_RUN = re.compile(r"(?<![^\W_])\d(?:[\s\u2010-\u2015-]{0,3}\d){12,}(?![^\W_])")
#: Deeper than any JSON that is taken.
_DEPTH_MOST = 64


def card_problems(value: Any, at: str, depth: int = _DEPTH_MOST) -> Iterator[Problem]:
    """Find card numbers in a decoded JSON value, keys included; neither the pointer nor the message repeats one."""
    if depth == 0:
        return
    if type(value) is dict:
        for key, member in value.items():
            if is_card(key):
                yield _problem(at)
            else:
                yield from card_problems(member, f"{at}/{escaped(key)}", depth - 1)
    elif type(value) is list:
        for i, item in enumerate(value):
            yield from card_problems(item, f"{at}/{i}", depth - 1)
    elif is_card(value):
        yield _problem(at)


def is_card(value: Any) -> bool:
    """Tell whether a text or a number holds a card's number."""
    if type(value) is int:
        return _is_number_of_card(str(abs(value))) if abs(value) < 10**DIGITS_MOST else False
    if type(value) is Decimal:
        return value.adjusted() < DIGITS_MOST and value == (whole := int(value)) and is_card(whole)
    if type(value) is not str or len(value) < DIGITS_LEAST:
        return False
    runs = ("".join(digit for digit in run.group() if digit.isdigit()) for run in _RUN.finditer(value))
    return any(_is_number_of_card(run) for run in runs)


def _is_number_of_card(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B: the sum of the digits, every second from the right doubled, ends in 0 (Luhn)."""
    if not DIGITS_LEAST <= len(digits) <= DIGITS_MOST:
        return False
    single = sum(int(digit) for digit in digits[-1::-2])
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (single + doubled) % 10 == 0


def _problem(at: str) -> Problem:
    return Problem(at, CardDataForbidden.code, "expected no card number; send the provider's reference and last4")
