"""The addresses that reports go to: a kind of text that any mail server takes, and nothing that reads as two."""

import re
from dataclasses import dataclass
from typing import Any

from retailos.declare.texts import Text
from retailos.errors import Problem

#: What HTML takes for an address, which leaves out all that needs quotes or another encoding.
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
PATTERN = rf"[a-zA-Z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})*"
_ADDRESS = re.compile(rf"{PATTERN}\Z")


@dataclass(frozen=True, slots=True)
class Address(Text):
    """A mail address of ASCII characters; of another alphabet's domain its form in ASCII is taken."""

    most: int = 254
    least: int = 3
    like: tuple[str, ...] = ("operations@example.com",)

    def read(self, value: Any, at: str, problems: list[Problem]) -> Any:
        """Take an address as it is sent."""
        before = len(problems)
        value = Text.read(self, value, at, problems)
        if len(problems) == before and not _ADDRESS.match(value):
            problems.append(Problem(at, "INVALID_EMAIL", "expected one address such as name@example.com"))
        return value

    def schema(self) -> dict[str, Any]:
        """A string with the pattern."""
        return {"type": "string", "maxLength": self.most, "pattern": f"^{PATTERN}$"}
