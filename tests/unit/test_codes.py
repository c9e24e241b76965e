"""Codes of public standards: those that there are, and those that only look like one."""

import re
from zoneinfo import ZoneInfo, available_timezones

import pytest

from retailos.declare import codes
from retailos.declare.money import digits
from retailos.declare.texts import COUNTRY, CURRENCY, DAY, TIME_ZONE, Code
from retailos.errors import Problem


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [
        *((COUNTRY, value, None) for value in ("GB", "SS", "CW", "XK", "AN")),
        *((COUNTRY, value, "INVALID_CODE") for value in ("XX", "ZZ", "UK", "AA")),
        *((CURRENCY, value, None) for value in ("GBP", "XCG", "ZWG", "XXX", "HRK", "DEM")),
        *((CURRENCY, value, "INVALID_CODE") for value in ("ZZZ", "AAA", "GBX")),
        *((TIME_ZONE, value, None) for value in ("UTC", "US/Eastern", "EST5EDT", "Etc/GMT+5", "Asia/Calcutta")),
        *((TIME_ZONE, value, "UNKNOWN_TIME_ZONE") for value in ("Foo/Bar", "Europe", "europe/london", "Factory")),
        *((DAY, value, None) for value in ("2028-02-29", "0001-01-01", "9999-12-31")),
        *((DAY, value, "INVALID_DATE") for value in ("2026-02-31", "2026-02-29", "2026-04-31", "0000-01-01")),
    ],
    ids=str,
)
def test_a_code_stands_for_something(kind: Code, value: str, code: str | None) -> None:
    """A country, a currency, a time zone or a day is refused where there is none, whatever it looks like."""
    problems: list[Problem] = []
    assert kind.read(value, "/x", problems) == value
    assert [(each.path, each.code) for each in problems] == ([("/x", code)] if code else [])
    assert all("one that exists" in each.message for each in problems)


def test_every_zone_that_python_knows_is_taken() -> None:
    """All zones have the form that the documents tell, whether the machine brings them or not, and can be used."""
    known = {name for name in available_timezones() if codes.is_zone(name)}
    assert available_timezones() - known <= {"Factory", "localtime"}
    assert [name for name in known if not re.fullmatch(TIME_ZONE.pattern, name)] == []
    assert all(ZoneInfo(name) for name in sorted(known)[::20])


def test_a_currency_whose_digits_are_known_is_one() -> None:
    """What amounts are written by and what is taken as a currency agree."""
    assert all(re.fullmatch(CURRENCY.pattern, each) for each in codes.CURRENCIES)
    odd = ("BIF", "CLF", "CLP", "DJF", "GNF", "IQD", "ISK", "JOD", "JPY", "KMF", "KRW", "KWD", "LYD", "OMR", "PYG")
    more = ("RWF", "TND", "UGX", "UYI", "UYW", "VND", "VUV", "XAF", "XOF", "XPF", "BHD")
    assert {each for each in codes.CURRENCIES if digits(each) != 2} == {*odd, *more}
