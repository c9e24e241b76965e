"""Plain values are read exactly as documented, and refused with what was expected and never with what came."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import pytest

from retailos.declare.kind import Kind, came, storable
from retailos.declare.values import Boolean, Dob, Number, Timestamp, Uuid, moment, printed
from retailos.errors import Problem

ID = "0190c2a4-7b1e-7c3a-9d52-3f1b2c4d5e6f"
INTEGER, FRACTION = Number(-5, 10), Number(-90, 90, places=6)
NEITHER: tuple[Any, ...] = (1, 0, "true", "", None, [], {})
NO_TEXTS: tuple[Any, ...] = (1990, None, {}, [])


def read(kind: Kind, value: Any) -> tuple[Any, list[str]]:
    """What a kind makes of a value, and the codes of its problems."""
    problems: list[Problem] = []
    stored = kind.read(value, "/x", problems)
    assert {each.path for each in problems} <= {"/x"}
    return stored, [each.code for each in problems]


@pytest.mark.parametrize(
    ("kind", "value", "stored"),
    [
        (Boolean(), True, True),
        (Boolean(only=False), False, False),
        (INTEGER, -5, -5),
        (INTEGER, 10, 10),
        (FRACTION, Decimal("89.999999"), Decimal("89.999999")),
        (FRACTION, Decimal("1e1"), Decimal("1e1")),
        (FRACTION, 90, 90),
        (Uuid(), ID.upper(), ID),
        (Dob(), "29/02/2000", "29/02/2000"),
        (Dob(), "01/01/1900", "01/01/1900"),
        (Dob(), "", None),
        (Timestamp(), "2020-03-25T13:41:30.709Z", "2020-03-25T13:41:30.709Z"),
        (Timestamp(), "2020-03-25t14:41:30.7099+01:00", "2020-03-25T13:41:30.709Z"),
        (Timestamp(), "2020-03-25T13:41:30z", "2020-03-25T13:41:30.000Z"),
        (Timestamp(), "2020-03-25T13:41:30.123456789-00:30", "2020-03-25T14:11:30.123Z"),
    ],
    ids=str,
)
def test_good_values_are_taken(kind: Kind, value: Any, stored: Any) -> None:
    """A value of its kind is stored as sent, but for what has one spelling only."""
    assert read(kind, value) == (stored, [])


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [
        *((Boolean(), value, "WRONG_TYPE") for value in NEITHER),
        (Boolean(only=False), True, "NOT_SETTABLE"),
        *((INTEGER, value, "WRONG_TYPE") for value in (True, "1", Decimal("1.0"), Decimal("-0.0"), None, [1])),
        *((INTEGER, value, "OUT_OF_RANGE") for value in (-6, 11, 2**63, -(10**900))),
        *(
            (FRACTION, value, "OUT_OF_RANGE")
            for value in (91, Decimal("90.000001"), Decimal("1e400"), Decimal("-1e200000"))
        ),
        *((FRACTION, value, "TOO_PRECISE") for value in (Decimal("0.0000001"), Decimal("1e-200000"))),
        *((Uuid(), value, "INVALID_UUID") for value in ("", "x", ID[:-1], f"{{{ID}}}", ID.replace("-", ""), ID + "\n")),
        *((Uuid(), value, "WRONG_TYPE") for value in (1, None, [ID])),
        *(
            (Dob(), value, "INVALID_DATE")
            for value in ("31/02/1990", "29/02/1900", "1/1/1990", "1990-06-09", "01/01/1899")
        ),
        *(
            (Dob(), value, "INVALID_DATE")
            for value in ("01/01/1990\n", "\u0660\u0661/01/1990", " 01/01/1990", "01/01/19900", "x")
        ),
        *((Dob(), value, "WRONG_TYPE") for value in NO_TEXTS),
        *(
            (Timestamp(), value, "INVALID_TIMESTAMP")
            for value in ("", "2020-03-25", "2020-03-25T13:41:30", "2020-13-01T00:00:00Z")
        ),
        *((Timestamp(), value, "INVALID_TIMESTAMP") for value in ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59-01:00")),
        (Timestamp(), 1585143690, "WRONG_TYPE"),
    ],
    ids=str,
)
def test_other_values_are_refused(kind: Kind, value: Any, code: str) -> None:
    """A value of another type, form or range is one problem with its rule."""
    assert read(kind, value)[1] == [code]


def test_nobody_is_born_tomorrow() -> None:
    """A date of birth is today at the latest, wherever on earth it is today already."""
    ahead = datetime.now(UTC) + timedelta(hours=14)
    assert read(Dob(), ahead.strftime("%d/%m/%Y"))[1] == []
    assert read(Dob(), (ahead + timedelta(days=1)).strftime("%d/%m/%Y"))[1] == ["INVALID_DATE"]


@pytest.mark.parametrize(
    ("kind", "text", "parameter"),
    [
        (Boolean(), "true", True),
        (Boolean(), "false", False),
        (INTEGER, "-5", Decimal(-5)),
        (FRACTION, "1.250", Decimal("1.250")),
        (Uuid(), ID.upper(), UUID(ID)),
        (Dob(), "09/06/1990", date(1990, 6, 9)),
        (Timestamp(True), "2020-03-25T14:41:30.709+01:00", datetime(2020, 3, 25, 13, 41, 30, 709_000, tzinfo=UTC)),
        (Timestamp(), "2020-03-25T14:41:30+01:00", "2020-03-25T13:41:30.000Z"),
    ],
    ids=str,
)
def test_a_query_s_text_becomes_a_parameter(kind: Kind, text: str, parameter: Any) -> None:
    """What a query says is handed to the database as a value of the column's type."""
    assert kind.parse(text) == parameter


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *((Boolean(), text) for text in ("", "True", "1", "yes")),
        *(
            (FRACTION, text)
            for text in ("", "x", "NaN", "sNaN", "-Infinity", "1e1", "1e-20000", "1_0", "\uff11", " 1", "+1", "91")
        ),
        *((FRACTION, text) for text in ("0." + "1" * 21, ".5", "5.", "--1", "9" * 50)),
        *((Uuid(), text) for text in ("", "x", ID + "0", f"urn:uuid:{ID}")),
        *((Dob(), text) for text in ("", "1990-06-09", "31/02/1990")),
        *((Timestamp(True), text) for text in ("", "now", "2020-01-01")),
    ],
    ids=str,
)
def test_a_query_s_text_of_another_kind_is_refused(kind: Kind, text: str) -> None:
    """What is no value of the kind never reaches the database; the message says what is expected."""
    with pytest.raises(ValueError, match=r"^expected "):
        kind.parse(text)


def test_moments_are_cut_to_the_millisecond() -> None:
    """Stored and printed are the same: nothing below a millisecond is kept, and it is cut, not rounded."""
    assert printed(moment("2020-03-25T13:41:30.999999Z")) == "2020-03-25T13:41:30.999Z"
    assert moment("2020-03-25T13:41:30.999999Z").microsecond == 999_000
    assert printed(datetime(2020, 1, 1, tzinfo=UTC)) == "2020-01-01T00:00:00.000Z"


def test_a_plus_that_was_lost_in_a_url_is_told() -> None:
    """Of a moment whose + has become a space the message says how it is written there."""
    for text, hinted in (("2020-03-25T13:41:30 01:00", True), ("2020-03-25 13:41:30", False)):
        with pytest.raises(ValueError, match=r"^expected a date-time with an offset") as caught:
            moment(text)
        assert ("%2B" in str(caught.value)) is hinted


@pytest.mark.parametrize("kind", [Boolean(), INTEGER, FRACTION, Uuid(), Dob(), Timestamp()], ids=str)
def test_samples_are_good_values(kind: Kind) -> None:
    """Whatever is made up for a kind, the kind takes."""
    random = Random(3)
    for _ in range(50):
        value = kind.sample(random)
        assert read(kind, Decimal(str(value)) if isinstance(value, float) else value)[1] == []


def test_messages_name_types_and_never_values() -> None:
    """A message says of what type the value was, since the value may be somebody's name."""
    values: list[Any] = ["x", True, 1, Decimal("1.5"), {}, [], None]
    assert [came(each) for each in values] == [
        "a string",
        "a boolean",
        "a number",
        "a number",
        "an object",
        "an array",
        "null",
    ]


def test_text_that_postgresql_can_not_keep() -> None:
    """NUL and half of a surrogate pair are not storable; every other character is."""
    assert all(map(storable, ("", "a", "é", "😀", "\x01", "\uffff", "\ue000", "\ud7ff")))
    assert not any(map(storable, ("\x00", "a\x00", "\ud800", "é\udfff", "\udc00a")))
