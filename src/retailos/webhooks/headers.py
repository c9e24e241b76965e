"""The headers that a webhook sends with each request, beside ours."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from retailos.declare.kind import expected
from retailos.errors import Problem
from retailos.webhooks.hidden import HIDDEN, nothing_kept

HEADERS_MOST = 50
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}\Z")
#: Set by us on every request, or by the connection itself.
_HEADERS_OURS = frozenset(
    {
        *("content-type", "accept", "content-length", "host", "connection", "transfer-encoding", "expect"),
        *("keep-alive", "proxy-connection", "te", "trailer", "upgrade"),
        # What would be said of a body that is neither compressed nor a part of anything.
        *("content-encoding", "content-range"),
        *("traceparent", "webhook-id", "webhook-timestamp", "webhook-signature"),
    }
)


@dataclass(frozen=True, slots=True)
class Headers:
    """Names and values of HTTP headers, the values never shown again."""

    sql_type: str = "jsonb"

    def read(self, value: Any, at: str, problems: list[Problem]) -> Any:
        """Take an object of header names and values that can be sent."""
        if type(value) is not dict:
            problems.append(expected("an object of names and values", value, at))
            return value
        if len(value) > HEADERS_MOST:
            problems.append(Problem(at, "TOO_MANY", f"expected at most {HEADERS_MOST} headers"))
        before: set[str] = set()
        for name, text in list(value.items())[:HEADERS_MOST]:
            problems.extend(header_problems(name, text, f"{at}/{name[:100]}"))
            if name.lower() in before:
                message = "expected each header once, whatever the case of its name"
                problems.append(Problem(f"{at}/{name[:100]}", "REPEATED", message))
            before.add(name.lower())
        return value

    def hidden(self, value: Mapping[str, str]) -> dict[str, str]:
        """The names alone."""
        return dict.fromkeys(value, HIDDEN)

    def restored(self, value: Any, kept: Any, at: str, problems: list[Problem]) -> Any:
        """Put back the values that came hidden, whatever the case of their names."""
        before = {name.lower(): text for name, text in (kept or {}).items()}
        given = {name: before.get(name.lower(), text) if text == HIDDEN else text for name, text in value.items()}
        problems.extend(nothing_kept(f"{at}/{name}") for name, text in given.items() if text == HIDDEN)
        return given

    def parse(self, text: str) -> Any:
        """Not filtered by."""
        raise ValueError("expected no filter on headers")

    def schema(self) -> dict[str, Any]:
        """An object of strings."""
        return {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "maxProperties": HEADERS_MOST,
            "description": f"Values show as {HIDDEN}.",
        }

    def column(self, text: str) -> str:
        """The object itself."""
        return f"({text})::jsonb"

    def sample(self, random: Any) -> dict[str, str]:
        """One that a gateway may ask for."""
        return {"X-Environment": "production"}


def header_problems(name: str, text: Any, at: str) -> list[Problem]:
    """Every problem of a header that a webhook is to send: its name is ours, or it can't be written down."""
    if not _HEADER_NAME.match(name):
        return [Problem(at, "INVALID_HEADER", "expected a header name of letters, digits and hyphens")]
    if name.lower() in _HEADERS_OURS or name.lower().startswith("x-ra-"):
        return [Problem(at, "RESERVED_HEADER", "expected a header that is not set for every request anyway")]
    if type(text) is not str or len(text) > 8000 or not text.isascii() or not text.isprintable():
        return [Problem(at, "INVALID_HEADER", "expected a value of printable ASCII characters")]
    return []
