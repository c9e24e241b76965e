"""Kinds of plain values: booleans, numbers, ids, dates of birth and timestamps."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

from retailos.declare.kind import expected
from retailos.errors import Problem

_UUID = re.compile(r"[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\Z")
_DECIMAL = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?\Z")
_DOB = re.compile(r"([0-9]{2})/([0-9]{2})/([0-9]{4})\Z", re.ASCII)
_TIMESTAMP = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})\Z"
)


@dataclass(frozen=True, slots=True)
class Boolean:
    """True or false; `only` narrows it to one of the two."""

    only: bool | None = None
    sql_type: str = "boolean"

    def read(self, value: Any, at: str, problems: list[Problem]) -> Any:
        """Take a JSON boolean, and nothing that merely looks like one."""
        if type(value) is not bool:
            problems.append(expected("a boolean", value, at))
        elif self.only is not None and value is not self.only:
            problems.append(Problem(at, "NOT_SETTABLE", f"expected {str(self.only).lower()}; it can't be set this way"))
        return value

    def parse(self, text: str) -> bool:
        """Take `true` or `false`."""
        if text not in ("true", "false"):
            raise ValueError("expected true or false")
        return text == "true"

    def schema(self) -> dict[str, Any]:
        """A boolean."""
        return {"type": "boolean"} | ({} if self.only is None else {"const": self.only})

    def column(self, text: str) -> str:
        """The boolean; what was never sent is false, like every flag here."""
        return f"coalesce(({text})::boolean, false)"

    def sample(self, random: Random) -> bool:
        """Either of the two, or the one that is taken."""
        return random.random() < 0.5 if self.only is None else self.only


@dataclass(frozen=True, slots=True)
class Number:
    """A number from `least` to `most` with at most `places` decimal places; 0 places make it an integer."""

    least: int
    most: int
    places: int = 0
    #: Examples, where any number would be none.
    like: tuple[int, ...] = ()
    sql_type: str = "numeric"

    def _what(self) -> str:
        return f"{'a number' if self.places else 'an integer'} from {self.least} to {self.most}"

    def read(self, value: Any, at: str, problems: list[Problem]) -> Any:
        """Take a JSON number within the limits, exactly as sent."""
        if type(value) is int or (self.places and type(value) is Decimal):
            places = -int(value.as_tuple().exponent) if type(value) is Decimal else 0
            if not self.least <= value <= self.most:
                problems.append(Problem(at, "OUT_OF_RANGE", f"expected {self._what()}"))
            elif places > self.places:
                problems.append(Problem(at, "TOO_PRECISE", f"expected at most {self.places} decimal places"))
        else:
            problems.append(expected(self._what(), value, at))
        return value

    def parse(self, text: str) -> Decimal:
        """Take a decimal number."""
        number = Decimal(text) if _DECIMAL.match(text) else None
        if number is None or not self.least <= number <= self.most or not (self.places or number == int(number)):
            raise ValueError(f"expected {self._what()}")
        return number

    def schema(self) -> dict[str, Any]:
        """A number or an integer with its limits."""
        return {"type": "number" if self.places else "integer", "minimum": self.least, "maximum": self.most}

    def column(self, text: str) -> str:
        """The number."""
        return f"({text})::numeric"

    def sample(self, random: Random) -> int | float:
        """One of the examples, or any number within the limits."""
        if self.like:
            return random.choice(self.like)
        whole = random.randint(self.least, self.most - 1)
        return round(whole + random.random(), self.places) if self.places else whole


@dataclass(frozen=True, slots=True)
class Uuid:
    """An id of ours, in lower case."""

    sql_type: str = "uuid"

    def read(self, value: Any, at: str, problems: list[Problem]) -> Any:
        """Take the usual 36 characters."""
        if type(value) is not str:
            problems.append(expected("a uuid", value, at))
        elif not _UUID.match(value):
            problems.append(Problem(at, "INVALID_UUID", "expected a uuid such as 0190c2a4-7b1e-7c3a-9d52-3f1b2c4d5e6f"))
        else:
            return value.lower()
        return value

    def parse(self, text: str) -> UUID:
        """Take the usual 36 characters."""
        if not _UUID.match(text):
            raise ValueError("expected a uuid")
        return UUID(text)

    def schema(self) -> dict[str, Any]:
        """A string of the format uuid."""
        return {"type": "string", "format": "uuid"}

    def column(self, text: str) -> str:
        """The uuid."""
        return f"({text})::uuid"

    def sample(self, random: Random) -> str:
        """Any uuid."""
        return str(UUID(int=random.getrandbits(128), version=4))


@dataclass(frozen=True, slots=True)
class Dob:
    """A date of birth, `dd/mm/yyyy` and nothing else, so that nobody has to guess which is the day; "" means none."""

    sql_type: str = "date"

    def read(self, value: Any, at: str, problems: list[Problem]) -> Any:
        """Take a real day from 1900 to today."""
        if value == "":
            return None
        if type(value) is not str:
            problems.append(expected("a date dd/mm/yyyy", value, at))
            return value
        try:
            self.parse(value)
        except ValueError as error:
            problems.append(Problem(at, "INVALID_DATE", str(error)))
        return value

    def parse(self, text: str) -> date:
        """Take `dd/mm/yyyy`."""
        match = _DOB.match(text)
        if not match:
            raise ValueError("expected a date dd/mm/yyyy")
        day, month, year = map(int, match.groups())
        try:
            born = date(year, month, day)
        except ValueError:
            raise ValueError("expected a day that exists, as dd/mm/yyyy") from None
        if year < 1900 or (born >= date.today() and born > _latest_day()):
            raise ValueError("expected a day from 01/01/1900 to today")
        return born

    def schema(self) -> dict[str, Any]:
        """A string of the form dd/mm/yyyy."""
        return {"type": "string", "pattern": "^\\d{2}/\\d{2}/\\d{4}$", "description": "dd/mm/yyyy"}

    def column(self, text: str) -> str:
        """The date, put together from its parts: to_date would follow the server's locale and can't be generated."""
        return f"make_date(substr({text}, 7, 4)::int, substr({text}, 4, 2)::int, substr({text}, 1, 2)::int)"

    def sample(self, random: Random) -> str:
        """The birthday of an adult."""
        return (date(1940, 1, 1) + timedelta(days=random.randrange(24_000))).strftime("%d/%m/%Y")


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A moment, ISO 8601 with an offset; stored and printed in UTC to the millisecond.

    Kept in the body it is compared as text, which orders rightly in that one form; kept in a column of its own
    (`in_column`) it is a timestamptz.
    """

    in_column: bool = False

    @property
    def sql_type(self) -> str:
        """The type of the column that it is compared in."""
        return "timestamptz" if self.in_column else "text"

    def read(self, value: Any, at: str, problems: list[Problem]) -> Any:
        """Take a date-time with an offset and give it in UTC."""
        if type(value) is not str:
            problems.append(expected("a date-time", value, at))
            return value
        try:
            return printed(moment(value))
        except ValueError as error:
            problems.append(Problem(at, "INVALID_TIMESTAMP", str(error)))
            return value

    def parse(self, text: str) -> datetime | str:
        """Take a date-time with an offset."""
        when = moment(text)
        return when if self.in_column else printed(when)

    def schema(self) -> dict[str, Any]:
        """A string of the format date-time."""
        return {"type": "string", "format": "date-time"}

    def column(self, text: str) -> str:
        """The text itself."""
        return text

    def sample(self, random: Random) -> str:
        """A moment of the last years."""
        return printed(datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=random.randrange(180_000_000)))


def moment(text: str) -> datetime:
    """Read an ISO 8601 date-time with an offset, cut to the millisecond; ValueError says what is expected."""
    match = _TIMESTAMP.match(text)
    if not match:
        # A plus that is not encoded is a space by now.
        hint = "; in a URL + is written %2B" if _TIMESTAMP.match(text.replace(" ", "+")) else ""
        raise ValueError(f"expected a date-time with an offset, such as 2020-03-25T13:41:30.709Z{hint}")
    seconds, fraction, offset = match.groups(default=".0")
    try:
        when = datetime.fromisoformat(f"{seconds}{fraction[:4].ljust(4, '0')}{offset}".upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("expected a moment that exists, such as 2020-03-25T13:41:30.709Z") from None
    if not 1 < when.year < 9999:
        raise ValueError("expected a year from 2 to 9998")
    return when


def _latest_day() -> date:
    """Today where it begins first: in Kiribati, 14 hours before Greenwich."""
    return (datetime.now(UTC) + timedelta(hours=14)).date()


def printed(when: datetime) -> str:
    """Print a moment as the guide does: `2020-03-25T13:41:30.709Z`."""
    in_utc = when if when.tzinfo is UTC else when.astimezone(UTC)
    return f"{in_utc.isoformat(timespec='milliseconds')[:-6]}Z"
