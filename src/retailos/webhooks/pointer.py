"""JSON pointers (RFC 6901): where in an answer something stands, as a webhook says it."""

import re
from dataclasses import dataclass
from typing import Any

from retailos.declare.texts import Text
from retailos.errors import Problem

POINTER_LONGEST = 200
_POINTER = re.compile(r"(/([^~/]|~[01])*)*\Z")
_INDEX = re.compile(r"(0|[1-9][0-9]{0,8})\Z")

#: The names and indexes that a pointer leads through, from the outside; none of them is the whole document.
Tokens = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pointer(Text):
    """A JSON pointer; "" is the whole document."""

    most: int = POINTER_LONGEST
    like: tuple[str, ...] = ("/results",)

    def read(self, value: Any, at: str, problems: list[Problem]) -> Any:
        """Take a pointer as RFC 6901 writes it."""
        before = len(problems)
        value = Text.read(self, value, at, problems)
        if len(problems) == before and not _POINTER.match(value):
            message = 'expected a JSON pointer such as /results or /meta/rows, or "" for the whole answer'
            problems.append(Problem(at, "INVALID_POINTER", message))
        return value

    def schema(self) -> dict[str, Any]:
        """A string in the form of a pointer."""
        return Text.schema(self) | {"format": "json-pointer"}


def tokens(pointer: str) -> Tokens:
    """What a pointer leads through."""
    return tuple(each.replace("~1", "/").replace("~0", "~") for each in pointer.split("/")[1:])


def follow(value: Any, way: Tokens) -> Any:
    """What stands at the end of a way through decoded JSON; None where it leads nowhere, as where null stands."""
    for token in way:
        if type(value) is dict:
            value = value.get(token)
        elif type(value) is list and _INDEX.match(token) and int(token) < len(value):
            value = value[int(token)]
        else:
            return None
    return value
