"""Kinds of JSON with structure: free objects, anything, arrays, fixed shapes and alternatives."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

import msgspec

from retailos.declare.kind import Kind, came, expected, storable
from retailos.errors import Problem

#: Free JSON is kept whole in the record's row; 64 KiB keep a row cheap to read and to send.
FREE_JSON_BYTES = 64 * 1024
#: Deep enough for every export seen, shallow enough for every reader's parser.
FREE_JSON_DEPTH = 10
#: Numbers of 40 digits and exponents within a double's are exact here and readable elsewhere.
NUMBER_DIGITS = 40
NUMBER_EXPONENT = 308
_BEYOND = 10**NUMBER_DIGITS
_UNSTORABLE = Problem("", "UNSTORABLE_TEXT", "expected text without NUL and lone surrogates")

_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True, slots=True)
class FreeJson:
    """JSON of the caller's own making: any value, or with `object_only` an object."""

    object_only: bool = False
    sql_type: str = "jsonb"

    def read(self, value: Any, at: str, problems: list[Problem]) -> Any:
        """Take what PostgreSQL can keep and others can read back, within the limits."""
        if value == {} or (value == [] and not self.object_only):
            pass
        elif self.object_only and type(value) is not dict:
            problems.append(expected("an object", value, at))
        elif problem := _free_problem(value, FREE_JSON_DEPTH):
            problems.append(Problem(at + problem.path, problem.code, problem.message))
        elif (size := len(_encode(value)) + _unfolded(value)) > FREE_JSON_BYTES:
            problems.append(Problem(at, "TOO_LARGE", f"expected at most {FREE_JSON_BYTES} bytes of JSON, got {size}"))
        return value

    def parse(self, text: str) -> Any:
        """Free JSON is not filtered by."""
        raise ValueError("expected no filter on free JSON")

    def schema(self) -> dict[str, Any]:
        """An object with any members, or any value."""
        return {"title": "FreeObject", "type": "object", "additionalProperties": True} if self.object_only else {}

    def column(self, text: str) -> str:
        """The JSON itself."""
        return f"({text})::jsonb"

    def sample(self, random: Random) -> Any:
        """An empty object, or nothing."""
        return {} if self.object_only else None


def _free_problem(value: Any, depth: int) -> Problem | None:
    """Walk free JSON down to its limit; give its first problem, whose pointer begins at the value."""
    if type(value) is str:
        problem = None if storable(value) else _UNSTORABLE
    elif type(value) is dict or type(value) is list:
        problem = _too_deep() if depth == 0 else _inner_problem(value, depth - 1)
    else:
        problem = _number_problem(value)
    return problem


def _inner_problem(value: Any, depth: int) -> Problem | None:
    for key, member in value.items() if type(value) is dict else enumerate(value):
        if type(key) is str and not storable(key):
            return Problem("", "UNSTORABLE_TEXT", "expected keys without NUL and lone surrogates")
        problem = _free_problem(member, depth)
        if problem:
            return Problem(f"/{escaped(str(key))}{problem.path}", problem.code, problem.message)
    return None


def _number_problem(value: Any) -> Problem | None:
    if type(value) is int and abs(value) >= _BEYOND:
        # As 1e300 reads: a one with three hundred zeros.
        text = str(abs(value))
        digits, exponent = len(text.rstrip("0")), len(text) - 1
    elif type(value) is Decimal:
        digits, exponent = len(value.as_tuple().digits), abs(value.adjusted())
    else:
        return None
    if digits > NUMBER_DIGITS or exponent > NUMBER_EXPONENT:
        limits = f"{NUMBER_DIGITS} digits and an exponent of {NUMBER_EXPONENT}"
        return Problem("", "OUT_OF_RANGE", f"expected a number of at most {limits}")
    return None


def _unfolded(value: Any) -> int:
    """How many bytes longer free JSON is when it is read, its exponents written out."""
    if type(value) is Decimal:
        return max(0, len(f"{value:f}") - len(str(value)))
    if type(value) is dict:
        return sum(map(_unfolded, value.values()))
    return sum(map(_unfolded, value)) if type(value) is list else 0


def _too_deep() -> Problem:
    return Problem("", "TOO_DEEP", f"expected JSON of at most {FREE_JSON_DEPTH} levels")


def escaped(key: str) -> str:
    """Write a key as one token of a JSON pointer (RFC 6901), cut where it is absurdly long."""
    return key[:100].replace("~", "~0").replace("/", "~1")


@dataclass(frozen=True, slots=True)
class ListOf:
    """An array of at most `most` items of one kind."""

    item: Kind
    most: int
    sql_type: str = "jsonb"

    def read(self, value: Any, at: str, problems: list[Problem]) -> Any:
        """Take an array, each item read by its kind."""
        if type(value) is not list:
            problems.append(expected("an array", value, at))
            return value
        if len(value) > self.most:
            problems.append(Problem(at, "TOO_MANY", f"expected at most {self.most} items, got {len(value)}"))
            return value
        return [self.item.read(item, f"{at}/{i}", problems) for i, item in enumerate(value)]

    def parse(self, text: str) -> Any:
        """Arrays are filtered by an item."""
        return self.item.parse(text)

    def schema(self) -> dict[str, Any]:
        """An array with its limit."""
        return {"type": "array", "items": self.item.schema(), "maxItems": self.most}

    def column(self, text: str) -> str:
        """The array itself."""
        return f"({text})::jsonb"

    def sample(self, random: Random) -> list[Any]:
        """One item."""
        return [self.item.sample(random)]


@dataclass(frozen=True, slots=True)
class Shape:
    """An object of known members, each optional unless `required` names it; members not sent stay absent."""

    members: Mapping[str, Kind]
    required: tuple[str, ...] = ()
    sql_type: str = "jsonb"

    def read(self, value: Any, at: str, problems: list[Problem]) -> Any:
        """Take an object of known members; a null member means that it is not there."""
        if type(value) is not dict:
            problems.append(expected("an object", value, at))
            return value
        for name in self.required:
            if value.get(name) is None:
                problems.append(Problem(f"{at}/{name}", "REQUIRED", "expected a value, got none"))
        kept = {}
        for name, member in value.items():
            kind = self.members.get(name)
            if kind is None:
                known = ", ".join(self.members)
                problems.append(Problem(f"{at}/{escaped(name)}", "UNKNOWN_FIELD", f"expected one of {known}"))
            elif member is not None:
                kept[name] = kind.read(member, f"{at}/{name}", problems)
        return kept

    def parse(self, text: str) -> Any:
        """Shapes are filtered by a member."""
        raise ValueError(f"expected a filter on one of {', '.join(self.members)}")

    def schema(self) -> dict[str, Any]:
        """An object of known properties."""
        schema: dict[str, Any] = {
            "type": "object",
            "properties": {name: kind.schema() for name, kind in self.members.items()},
            "additionalProperties": False,
        }
        return schema | ({"required": list(self.required)} if self.required else {})

    def column(self, text: str) -> str:
        """The object itself."""
        return f"({text})::jsonb"

    def sample(self, random: Random) -> dict[str, Any]:
        """Every member."""
        return {name: kind.sample(random) for name, kind in self.members.items()}


@dataclass(frozen=True, slots=True)
class TextOr:
    """A string or an object: the short and the long form of one thing, such as an image."""

    text: Kind
    shape: Shape
    sql_type: str = "jsonb"

    def read(self, value: Any, at: str, problems: list[Problem]) -> Any:
        """Take either form."""
        if type(value) not in (str, dict):
            problems.append(Problem(at, "WRONG_TYPE", f"expected a string or an object, got {came(value)}"))
            return value
        return (self.text if type(value) is str else self.shape).read(value, at, problems)

    def parse(self, text: str) -> Any:
        """Not filtered by."""
        raise ValueError("expected no filter on this field")

    def schema(self) -> dict[str, Any]:
        """Either of the two."""
        return {"oneOf": [self.text.schema(), self.shape.schema()]}

    def column(self, text: str) -> str:
        """The JSON itself."""
        return f"({text})::jsonb"

    def sample(self, random: Random) -> Any:
        """The short form."""
        return self.text.sample(random)
