"""Kinds of text: free text, e-mail addresses, telephone numbers, networks, choices and codes."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from retailos.cidr import read_network
from retailos.declare import codes
from retailos.declare.kind import expected, storable
from retailos.errors import Problem

#: One @ with something on both sides, no white space and no controls: syntax only, because `.test` and `.local` are
#: addresses too and a name server is never asked.
_EMAIL = re.compile(r"[^\s@\x00-\x1f\x7f]+@[^\s@\x00-\x1f\x7f]+\Z")
_NOT_DIGITS = re.compile(r"[^0-9]")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Text:
    """A string of at most `most` characters, kept as sent; `folded` text is compared without regard to case."""

    most: int
    folded: bool = False
    least: int = 0
    like: tuple[str, ...] = ("Example",)

    @property
    def sql_type(self) -> str:
        """Text, in an order that no operating system's locale can change."""
        return "text"

    def read(self, value: Any, at: str, problems: list[Problem]) -> Any:
        """Take a string within the limits, as sent."""
        if type(value) is str and self.least <= len(value) <= self.most and storable(value):
            return value
        if type(value) is not str:
            problems.append(expected(f"a string of at most {self.most} characters", value, at))
        elif len(value) > self.most:
            problems.append(Problem(at, "TOO_LONG", f"expected at most {self.most} characters, got {len(value)}"))
        elif len(value) < self.least:
            problems.append(Problem(at, "TOO_SHORT", f"expected at least {self.least} characters, got {len(value)}"))
        else:
            problems.append(Problem(at, "UNSTORABLE_TEXT", "expected text without NUL and lone surrogates"))
        return value

    def parse(self, text: str) -> str:
        """Take the text as it is."""
        return text

    def schema(self) -> dict[str, Any]:
        """A string with its limits."""
        return {"type": "string", "maxLength": self.most} | ({"minLength": self.least} if self.least else {})

    def column(self, text: str) -> str:
        """The text, in lower case where case does not count."""
        return f"lower({text})" if self.folded else text

    def sample(self, random: Random) -> str:
        """One of the declared examples."""
        return random.choice(self.like)


@dataclass(frozen=True, slots=True)
class ExternalId(Text):
    """A caller's own id of a thing, opaque to us: any character but controls, so an address or a slash may be in it."""

    most: int = 255
    least: int = 1

    def read(self, value: Any, at: str, problems: list[Problem]) -> Any:
        """Take what can stand in a URL as one segment."""
        before = len(problems)
        value = Text.read(self, value, at, problems)
        if len(problems) > before:
            return value
        if _CONTROL.search(value):
            message = "expected an external id without control characters"
            problems.append(Problem(at, "CONTROL_CHARACTER", message))
        elif value in (".", ".."):
            message = "expected an external id other than . and .., which no URL can address"
            problems.append(Problem(at, "NOT_A_SEGMENT", message))
        return value


@dataclass(frozen=True, slots=True)
class Email(Text):
    """An e-mail address, checked for its syntax alone and stored as sent; "" means none."""

    most: int = 254
    folded: bool = True
    like: tuple[str, ...] = ("someone@example.com",)

    def read(self, value: Any, at: str, problems: list[Problem]) -> Any:
        """Take an address, or null for the empty string."""
        if value == "":
            return None
        before = len(problems)
        value = Text.read(self, value, at, problems)
        if len(problems) == before and not _EMAIL.match(value):
            problems.append(Problem(at, "INVALID_EMAIL", "expected an address such as name@example.com"))
        return value

    def schema(self) -> dict[str, Any]:
        """A string; `format` is left out, because validators of it refuse addresses that are in use."""
        return {"type": "string", "maxLength": self.most}


@dataclass(frozen=True, slots=True)
class Telephone(Text):
    """A telephone number, kept as sent and never refused for its digits; it is found by its digits alone."""

    most: int = 40
    like: tuple[str, ...] = ("+44 20 7946 0958",)

    def parse(self, text: str) -> str:
        """Take the digits, without the international prefix 00; there must be one, since none begins every number."""
        digits = _NOT_DIGITS.sub("", text).removeprefix("00")
        if not digits:
            raise ValueError("expected digits from 0 to 9, as a telephone number has")
        return digits

    def column(self, text: str) -> str:
        """The digits, without the international prefix 00."""
        return f"regexp_replace(regexp_replace({text}, '[^0-9]', '', 'g'), '^00', '')"


@dataclass(frozen=True, slots=True)
class Cidr(Text):
    """A network in CIDR notation, of IPv4 or IPv6, kept in the one usual form; an address is a network of its own."""

    most: int = 50
    like: tuple[str, ...] = ("10.20.0.0/16",)

    def read(self, value: Any, at: str, problems: list[Problem]) -> Any:
        """Take a network without bits behind its prefix."""
        before = len(problems)
        value = Text.read(self, value, at, problems)
        if len(problems) > before:
            return value
        try:
            if "%" in value:
                raise ValueError("a zone names an interface of one machine")
            return str(read_network(value))
        except ValueError:
            message = "expected a network such as 10.20.0.0/16 or 2001:db8::/32, without bits behind its prefix"
            problems.append(Problem(at, "INVALID_NETWORK", message))
            return value


@dataclass(frozen=True, slots=True)
class Choice(Text):
    """One of a fixed set of words; an `open` choice takes other words too, its set being the usual ones."""

    most: int = 50
    words: tuple[str, ...] = ()
    open: bool = False

    def read(self, value: Any, at: str, problems: list[Problem]) -> Any:
        """Take one of the words."""
        before = len(problems)
        value = Text.read(self, value, at, problems)
        if len(problems) == before and not self.open and value not in self.words:
            problems.append(Problem(at, "UNKNOWN_CHOICE", f"expected one of {', '.join(self.words)}"))
        return value

    def schema(self) -> dict[str, Any]:
        """An enumeration, or a string with examples where it is open."""
        if self.open:
            return {"type": "string", "maxLength": self.most, "examples": list(self.words)}
        return {"type": "string", "enum": list(self.words)}

    def sample(self, random: Random) -> str:
        """One of the words."""
        return random.choice(self.words)


@dataclass(frozen=True, slots=True)
class Code(Text):
    """A code of a public standard, such as ISO 4217 or BCP 47: of its form, and among those that there are."""

    most: int = 64
    pattern: str = ""
    what: str = ""
    #: Tells whether there is one of this form; None: each of them is one.
    known: Callable[[str], bool] | None = field(default=None, repr=False)
    #: The problem's code where there is none.
    unknown: str = "INVALID_CODE"

    def read(self, value: Any, at: str, problems: list[Problem]) -> Any:
        """Take a string of the standard's form that stands for something."""
        before = len(problems)
        value = Text.read(self, value, at, problems)
        if len(problems) == before and not re.fullmatch(self.pattern, value):
            problems.append(Problem(at, "INVALID_CODE", f"expected {self.what}, such as {self.like[0]}"))
        elif len(problems) == before and self.known and not self.known(value):
            problems.append(Problem(at, self.unknown, f"expected {self.what}, one that exists, such as {self.like[0]}"))
        return value

    def schema(self) -> dict[str, Any]:
        """A string with the standard's pattern."""
        return {"type": "string", "pattern": f"^{self.pattern}$", "description": self.what}


COUNTRY = Code(
    pattern="[A-Z]{2}", what="an ISO 3166-1 alpha-2 country code", like=("GB", "FR", "DE"), known=codes.is_country
)
CURRENCY = Code(pattern="[A-Z]{3}", what="an ISO 4217 currency code", like=("GBP", "EUR"), known=codes.is_currency)
LOCALE = Code(
    pattern="[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4}", what="a BCP 47 language tag", like=("en-GB", "fr-FR", "de-DE")
)
TIME_ZONE = Code(
    pattern="[A-Za-z][A-Za-z0-9_+-]{0,29}(/[A-Za-z0-9_+-]{1,30}){0,2}",
    what="an IANA time zone name",
    like=("Europe/London", "Europe/Paris"),
    known=codes.is_zone,
    unknown="UNKNOWN_TIME_ZONE",
)
GLN = Code(pattern="[0-9]{13}", what="a GS1 GLN of 13 digits", like=("5012345678900",))
TIME_OF_DAY = Code(pattern="([01][0-9]|2[0-3]):[0-5][0-9]", what="a time of day, hh:mm", like=("09:00", "18:00"))
DAY = Code(
    pattern="[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])",
    what="a day, yyyy-mm-dd",
    like=("2026-12-25",),
    known=codes.is_day,
    unknown="INVALID_DATE",
)
SLUG = Code(pattern="[a-z0-9]+(-[a-z0-9]+)*", what="a slug of lower-case letters, digits and hyphens", like=("brand",))
