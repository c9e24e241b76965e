"""Numbers of payment cards, wherever in a value they stand: what holds one is refused, so that none is ever kept."""

import re
from collections.abc import Iterator
from decimal import Decimal
from itertools import accumulate
from typing import Any

from retailos.declare.shapes import escaped
from retailos.errors import CardDataForbidden, Problem

#: ISO/IEC 7812 numbers have 13 to 19 digits in use.
DIGITS_LEAST, DIGITS_MOST = 13, 19
_DIGITS = r"\d(?:[\s.\u2010-\u2015-]{0,3}\d){12,}"
#: Digits, with the spaces, dots and dashes that people put between them. What stands within a word is a reference.
_RUN = re.compile(rf"(?<![^\W_]){_DIGITS}(?![^\W_])")
#: Within a word, too, if the word says what they are.
_NAMED = re.compile(r"(?:pan|card(?:[\W_]{0,2}(?:no|nr|num|number))?|ccn?)[\W_]{0,3}(" + _DIGITS + ")", re.IGNORECASE)
#: A part of a longer run is looked at where it begins as the numbers of a network do and is as long as they are: Visa,
#: Mastercard, American Express, Diners Club, JCB, Mir; UnionPay, Discover, Maestro, RuPay; Troy.
_NETWORK = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}"
    r"|3(?:0[0-59]|[689]\d)\d{11,16}|35(?:2[89]|[3-8]\d)\d{12,15}|220[0-4]\d{12,15}|(?:5[0678]|6\d|8[12])\d{11,17}"
    r"|9792\d{12}"
)
#: The sums of two digits' parts, by the digit, where it is doubled.
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
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
    named = (_plain(found.group(1)) for found in _NAMED.finditer(value))
    if any(_begins_with_card("".join(groups)) for groups in named):
        return True
    return any(_has_card(_plain(found.group())) for found in _RUN.finditer(value))


def _plain(run: str) -> list[str]:
    """The groups of a run, in the digits of ASCII."""
    groups = re.findall(r"\d+", run)
    return groups if run.isascii() else ["".join(str(int(digit)) for digit in group) for group in groups]


def _begins_with_card(digits: str) -> bool:
    ends = range(DIGITS_LEAST, min(len(digits), DIGITS_MOST) + 1)
    return any(_is_number_of_card(digits[:end]) and _NETWORK.fullmatch(digits, 0, end) for end in ends)


def _has_card(groups: list[str]) -> bool:
    """Tell whether a run is a card's number, or some of its groups are, beside an expiry date or another number."""
    digits = "".join(groups)
    if _is_number_of_card(digits):
        return True
    if len(groups) == 1:
        return False
    bounds = [0, *accumulate(map(len, groups))]
    edges = frozenset(bounds)
    sums = tuple(_sums(digits, odd) for odd in (0, 1))
    return any(
        # Read from the right, every second digit counts doubled.
        (sums[end % 2][end] - sums[end % 2][begin]) % 10 == 0 and _NETWORK.fullmatch(digits, begin, end)
        for begin in bounds
        for end in range(begin + DIGITS_LEAST, min(begin + DIGITS_MOST, len(digits)) + 1)
        if end in edges
    )


def _sums(digits: str, odd: int) -> list[int]:
    """What the digits up to each place add up to, those at odd places, or at even ones, doubled."""
    values = (_DOUBLED[int(each)] if i % 2 == odd else int(each) for i, each in enumerate(digits))
    return [0, *accumulate(values)]


def _is_number_of_card(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B: the sum of the digits, every second from the right doubled, ends in 0 (Luhn)."""
    if not DIGITS_LEAST <= len(digits) <= DIGITS_MOST:
        return False
    return _sums(digits, len(digits) % 2)[-1] % 10 == 0


def _problem(at: str) -> Problem:
    return Problem(at, CardDataForbidden.code, "expected no card number; send the provider's reference and last4")
