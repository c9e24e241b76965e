"""Numbers of payment cards, wherever in a value they stand: what holds one is refused, so that none is ever kept."""

import re
from collections.abc import Iterator, Sequence
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
#: A part of a longer run is looked at where it begins as the numbers of a network do and is as long as they are.
_NETWORKS = (
    # Visa
    (r"4", (13, 16, 19)),
    # Mastercard, Troy
    (r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720|9792", (16,)),
    # American Express
    (r"3[47]", (15,)),
    # Diners Club
    (r"30[0-59]|3[689]", range(14, 20)),
    # JCB, Mir
    (r"352[89]|35[3-8]|220[0-4]", range(16, 20)),
    # UnionPay, Discover, Maestro, RuPay
    (r"5[0678]|6|8[12]", range(13, 20)),
)
#: Finds every place where such a number may begin.
_NETWORK = re.compile(f"(?={'|'.join(f'({each})' for each, _ in _NETWORKS)})")
#: What the bytes of digits count, and what they count where they are doubled: the sum of two digits' parts.
_COUNTS = bytes.maketrans(b"0123456789", bytes(range(10)))
_DOUBLED = bytes.maketrans(b"0123456789", bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))
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
    network = _NETWORK.match(digits)
    lengths = _lengths(network) if network else ()
    return any(length <= len(digits) and _is_number_of_card(digits[:length]) for length in lengths)


def _has_card(groups: list[str]) -> bool:
    """Tell whether a run is a card's number, or some of its groups are, beside an expiry date or another number."""
    digits = "".join(groups)
    if _is_number_of_card(digits):
        return True
    if len(groups) == 1:
        return False
    edges = frozenset(accumulate(map(len, groups), initial=0))
    sums = _sums(digits, 0), _sums(digits, 1)
    for network in _NETWORK.finditer(digits):
        begin = network.start()
        ends = [begin + length for length in _lengths(network)] if begin in edges else ()
        # Read from the right, every second digit counts doubled.
        if any(end in edges and (sums[end % 2][end] - sums[end % 2][begin]) % 10 == 0 for end in ends):
            return True
    return False


def _lengths(network: re.Match[str]) -> Sequence[int]:
    """How long the numbers of a network are that begin here."""
    return _NETWORKS[(network.lastindex or 0) - 1][1]


def _sums(digits: str, odd: int) -> list[int]:
    """What the digits up to each place add up to, those at odd places, or at even ones, doubled."""
    counts = bytearray(digits.encode().translate(_COUNTS))
    counts[odd::2] = digits[odd::2].encode().translate(_DOUBLED)
    return [0, *accumulate(counts)]


def _is_number_of_card(digits: str) -> bool:
    """ISO/IEC 7812-1, annex B: the sum of the digits, every second from the right doubled, ends in 0 (Luhn)."""
    if not DIGITS_LEAST <= len(digits) <= DIGITS_MOST:
        return False
    return _sums(digits, len(digits) % 2)[-1] % 10 == 0


def _problem(at: str) -> Problem:
    return Problem(at, CardDataForbidden.code, "expected no card number; send the provider's reference and last4")
