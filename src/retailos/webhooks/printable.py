"""A text that goes into a header as it is: printable ASCII; where it is a secret, it may come back hidden."""

from dataclasses import dataclass
from random import Random
from typing import Any

from retailos.declare.kind import expected
from retailos.errors import Problem


@dataclass(frozen=True, slots=True)
class Printable:
    """A string of 1 to `most` printable ASCII characters."""

    most: int
    like: str
    sql_type: str = "text"

    def read(self, value: Any, at: str, problems: list[Problem]) -> Any:
        """Take a string that can be sent, as it is."""
        if type(value) is not str:
            problems.append(expected(f"a string of at most {self.most} characters", value, at))
        elif not (0 < len(value) <= self.most and value.isascii() and value.isprintable()):
            problems.append(Problem(at, "INVALID_TEXT", f"expected 1 to {self.most} printable ASCII characters"))
        return value

    def parse(self, text: str) -> Any:
        """Not filtered by."""
        raise ValueError("expected no filter on what a webhook sends")

    def schema(self) -> dict[str, Any]:
        """A string with its limits."""
        return {"type": "string", "minLength": 1, "maxLength": self.most}

    def column(self, text: str) -> str:
        """The text itself."""
        return text

    def sample(self, random: Random) -> str:
        """The example."""
        return self.like
