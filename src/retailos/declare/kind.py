"""What a kind of value must know: how it is read, documented, stored in a column, filtered and sampled."""

from random import Random
from typing import Any, Protocol

from retailos.errors import Problem

#: A decoded JSON value. Fractions arrive as Decimal, never as float.
type_of_json = {
    str: "a string",
    bool: "a boolean",
    int: "a number",
    dict: "an object",
    list: "an array",
    type(None): "null",
}.get


class Kind(Protocol):
    """One kind of value. Kinds are frozen values; a resource names one for each of its fields."""

    @property
    def sql_type(self) -> str:
        """The PostgreSQL type of a column that holds this value, for casts and arrays."""

    def read(self, value: Any, at: str, problems: list[Problem]) -> Any:
        """Give the value as it is stored, or add what is wrong with it to `problems` (`at` is its JSON pointer)."""

    def parse(self, text: str) -> Any:
        """Give what a query string means, as a parameter of a statement; ValueError says what is expected."""

    def schema(self) -> dict[str, Any]:
        """Give the JSON Schema (2020-12) of the value."""

    def column(self, text: str) -> str:
        """Give the SQL that makes the column's value from SQL text `text`, immutable so that it can be generated."""

    def sample(self, random: Random) -> Any:
        """Make a plausible value as a caller would send it."""


def came(value: Any) -> str:
    """Name the JSON type that came, for a message; never the value itself, which may be personal."""
    return type_of_json(type(value)) or "a number"


def expected(what: str, value: Any, at: str) -> Problem:
    """The problem of a value that is of another type than its field."""
    return Problem(at, "WRONG_TYPE", f"expected {what}, got {came(value)}")


def storable(value: str) -> bool:
    """Tell whether PostgreSQL can keep this text: it takes neither NUL nor half of a surrogate pair."""
    if value.isascii():
        return "\x00" not in value
    return not any(character == "\x00" or "\ud800" <= character <= "\udfff" for character in value)
