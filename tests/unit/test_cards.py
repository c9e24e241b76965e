"""Numbers of payment cards are found wherever they stand, and other numbers are left alone."""

from decimal import Decimal
from time import process_time
from typing import Any

import pytest

from retailos.declare.cards import card_problems, is_card


@pytest.mark.parametrize(
    "value",
    [
        *("4111111111111111", "4222222222222", "378282246310005", "6304000000000000", "4000000000000000006"),
        *(
            "4111 1111 1111 1111",
            "4111-1111-1111-1111",
            " 4111111111111111 ",
            "4111 - 1111 1111\t1111",
            "4111\u00a01111\u00a01111\u00a01111",
        ),
        *("\uff14" + "111111111111111", "card: 4111111111111111.", "4111111111111111,5", "x/4111111111111111/y"),
        # With an expiry date, a code or another number beside them.
        *("4242 4242 4242 4242 1229", "1229 4242 4242 4242 4242", "4242424242424242 12 29 123", "378282246310005-1229"),
        *("5555.5555.5555.4444", "pan:4242.4242.4242.4242", "4242 4242 4242 4242 5555 5555 5555 4444"),
        # Within a word that says what they are.
        *(
            "pan4242424242424242x",
            "PAN_4242424242424242x",
            "cardNumber4242424242424242x",
            "card no. 42424242424242421229",
        ),
        *(4111111111111111, -4111111111111111, Decimal("4111111111111111.0"), Decimal("4.111111111111111e15")),
    ],
    ids=repr,
)
def test_a_card_number_is_found(value: Any) -> None:
    """Digits that pass the check of ISO/IEC 7812 are a card's number, however they are written."""
    assert is_card(value)


@pytest.mark.parametrize(
    "value",
    [
        *("", "4242", "4111111111111112", "411111111111", "41111111111111111111", "4111.1111.1111.1112"),
        # Longer runs, of which no part is a number that a network gives.
        *("1234 5678 9012 3456 7890", "2026-11-23 10.00.00 000000000", "9999 9999 9999 9995 1229", "0000 " * 8),
        *("company4111111111111112", "pan 4111 1111 1111 1112", "span", "discard1234567890123"),
        *(
            "pay4111111111111111",
            "4111111111111111a",
            "2026-11-23T10:00:00.000Z",
            "00000000-0000-0000-0000-000000000000",
        ),
        *(None, True, 0, 4111111111111112, 10**40, Decimal("4111111111111111.5"), Decimal("1e400"), Decimal("1e-400")),
    ],
    ids=repr,
)
def test_other_values_are_left_alone(value: Any) -> None:
    """What is too short, too long, fails the check or is part of a word is no card's number."""
    assert not is_card(value)


def test_a_problem_points_and_repeats_nothing() -> None:
    """Each number is pointed at; where it is a key, the pointer ends at the object that has it."""
    value = {"a": ["x", {"b/c": "4111111111111111"}], "4111 1111 1111 1111": "y", "d": 378282246310005}
    problems = list(card_problems(value, "/payments/0"))
    assert [each.path for each in problems] == ["/payments/0/a/1/b~1c", "/payments/0", "/payments/0/d"]
    assert not any("4111" in each.path + each.message for each in problems)


@pytest.mark.parametrize("part", ["1", "1-", "1   ", "1 1x", "4 ", "6 6 5 ", "pan"])
def test_long_values_are_looked_through_in_no_time(part: str) -> None:
    """A megabyte of digits, or of digits and dashes, keeps nobody waiting for long."""
    begun = process_time()
    assert not is_card(part * (1_000_000 // len(part)))
    assert process_time() - begun < 5
