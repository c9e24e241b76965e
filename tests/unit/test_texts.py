"""Texts are kept as sent; what is checked is their length, and the form of those that have one."""

from random import Random
from typing import Any
from zoneinfo import available_timezones

import pytest

from retailos.declare.kind import Kind
from retailos.declare.texts import (
    COUNTRY,
    CURRENCY,
    DAY,
    GLN,
    LOCALE,
    SLUG,
    TIME_OF_DAY,
    TIME_ZONE,
    Choice,
    Email,
    Telephone,
    Text,
)
from retailos.errors import Problem

STATUS = Choice(words=("open", "closed"))
NO_TEXTS: tuple[Any, ...] = (1, None, True, [], {})
CODES = (COUNTRY, CURRENCY, DAY, GLN, LOCALE, SLUG, TIME_OF_DAY, TIME_ZONE)


def read(kind: Kind, value: Any) -> tuple[Any, list[str]]:
    """What a kind makes of a value, and the codes of its problems."""
    problems: list[Problem] = []
    stored = kind.read(value, "/x", problems)
    return stored, [each.code for each in problems]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Text(3), ""),
        (Text(3), "abc"),
        (Text(3), "😀😀😀"),
        (Text(3), "\t\r\n"),
        (Text(3, least=3), "abc"),
        (Email(), "a@b"),
        (Email(), "Unknown@Unknown.com"),
        (Email(), "ö.ü+x@sub.example.test"),
        (Email(), "a" * 248 + "@b.com"),
        (Telephone(), "+44 8800000000"),
        (Telephone(), "call me"),
        (Telephone(), ""),
        (STATUS, "closed"),
        (Choice(words=("a",), open=True), "anything"),
        (COUNTRY, "GB"),
        (LOCALE, "zh-Hant-TW"),
        (TIME_ZONE, "America/Argentina/Ushuaia"),
        (TIME_ZONE, "UTC"),
        (GLN, "5012345678900"),
        (TIME_OF_DAY, "23:59"),
        (DAY, "2026-12-25"),
        (DAY, "2028-02-29"),
        (SLUG, "brand-2"),
    ],
    ids=str,
)
def test_good_texts_are_kept_as_sent(kind: Kind, value: str) -> None:
    """A text within its limits and of its form is stored character by character."""
    assert read(kind, value) == (value, [])


def test_every_name_of_a_time_zone_is_one() -> None:
    """Whatever IANA has named a zone, `EST5EDT` and `NZ-CHAT` too, is taken."""
    # What a machine calls its own is no zone to others.
    for name in available_timezones() - {"localtime", "Factory"}:
        assert read(TIME_ZONE, name) == (name, [])


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [
        *((Text(3), value, "WRONG_TYPE") for value in NO_TEXTS),
        (Text(3), "abcd", "TOO_LONG"),
        (Text(3), "😀😀😀😀", "TOO_LONG"),
        (Text(3, least=1), "", "TOO_SHORT"),
        (Text(3), "a\x00", "UNSTORABLE_TEXT"),
        (Text(3), "\ud800", "UNSTORABLE_TEXT"),
        *(
            (Email(), value, "INVALID_EMAIL")
            for value in ("a", "@", "a@", "@b", "a b@c", "a@b@c", "a@b\n", "a@b ", "a\x7f@b")
        ),
        (Email(), "a" * 249 + "@b.com", "TOO_LONG"),
        (Email(), "a\x00@b", "UNSTORABLE_TEXT"),
        (Email(), 1, "WRONG_TYPE"),
        (Telephone(), "x" * 41, "TOO_LONG"),
        *((STATUS, value, "UNKNOWN_CHOICE") for value in ("", "Open", "open ")),
        (STATUS, 1, "WRONG_TYPE"),
        (Choice(words=("a",), open=True), "x" * 51, "TOO_LONG"),
        *((COUNTRY, value, "INVALID_CODE") for value in ("", "gb", "GBR", "GB\n", "G1")),
        *((LOCALE, value, "INVALID_CODE") for value in ("e", "en_GB", "en-", "english-language")),
        *((TIME_ZONE, value, "INVALID_CODE") for value in ("", "Europe/", "../etc", "Europe London")),
        *((GLN, value, "INVALID_CODE") for value in ("501234567890", "50123456789000", "501234567890x")),
        *((TIME_OF_DAY, value, "INVALID_CODE") for value in ("24:00", "9:00", "09:60", "09:00:00")),
        *((DAY, value, "INVALID_CODE") for value in ("25/12/2026", "2026-13-01", "2026-12-32", "26-12-25")),
        *((DAY, value, "INVALID_DATE") for value in ("2026-02-30", "2026-02-29", "2026-04-31", "0000-01-01")),
        *((SLUG, value, "INVALID_CODE") for value in ("", "Brand", "-a", "a--b", "a b")),
    ],
    ids=str,
)
def test_other_texts_are_refused(kind: Kind, value: Any, code: str) -> None:
    """A text of another type, length or form is one problem with its rule."""
    assert read(kind, value)[1] == [code]


def test_an_empty_email_means_none() -> None:
    """The empty string clears an e-mail address."""
    assert read(Email(), "") == (None, [])


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("+44 20 7946-0958", "442079460958"),
        ("0044 20", "4420"),
        ("020", "020"),
        ("000", "0"),
    ],
)
def test_a_telephone_is_compared_by_its_digits(text: str, digits: str) -> None:
    """Spaces, signs and the international prefix make no difference to a look-up."""
    assert Telephone().parse(text) == digits


@pytest.mark.parametrize("text", ["", "call me", "+", "00", "(00) -", "٣"])
def test_a_telephone_without_digits_is_not_looked_for(text: str) -> None:
    """What has no digits would be the beginning of every number, and equal to all that have none."""
    with pytest.raises(ValueError, match="expected digits from 0 to 9"):
        Telephone().parse(text)


def test_folded_text_is_compared_in_lower_case() -> None:
    """Where case does not count, the column holds the lower case; other text stands as it is."""
    assert Text(3, folded=True).column("t") == "lower(t)"
    assert Text(3).column("t") == "t"
    assert Email().column("t") == "lower(t)"


def test_schemas_say_what_is_taken() -> None:
    """The documents name the limits, the words and the patterns that are checked."""
    assert Text(3, least=1).schema() == {"type": "string", "maxLength": 3, "minLength": 1}
    assert STATUS.schema() == {"type": "string", "enum": ["open", "closed"]}
    assert Choice(words=("a",), open=True).schema() == {"type": "string", "maxLength": 50, "examples": ["a"]}
    assert "format" not in Email().schema()
    assert COUNTRY.schema()["pattern"] == "^[A-Z]{2}$"


@pytest.mark.parametrize("kind", [Text(50), Email(), Telephone(), STATUS, *CODES], ids=str)
def test_samples_are_good_values(kind: Kind) -> None:
    """Whatever is made up for a kind, the kind takes."""
    random = Random(3)
    assert all(read(kind, kind.sample(random))[1] == [] for _ in range(20))
