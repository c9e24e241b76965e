"""Amounts of money: decimal strings, exact to the last digit, whose currency stands once in their record."""

import re
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

from retailos.declare.kind import expected
from retailos.errors import Problem

_PATTERN = r"-?[0-9]{1,12}(\.[0-9]{1,4})?"
_AMOUNT = re.compile(_PATTERN + r"\Z")
#: As many as any sender's arithmetic holds exactly, a double's among them.
SIGNIFICANT_DIGITS = 15
_WHAT = "an amount such as 12.50, of at most 12 digits and 4 decimal places"


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of at least `least`: a decimal string, or a JSON number, which is taken as it is written."""

    least: Decimal | None = None
    sql_type: str = "numeric"

    def read(self, value: Any, at: str, problems: list[Problem]) -> Any:
        """Take an amount and give it as a string."""
        text = value if type(value) is str else _written(value)
        if text is None:
            problems.append(expected(_WHAT, value, at))
        elif not _AMOUNT.match(text):
            problems.append(Problem(at, "INVALID_AMOUNT", f"expected {_WHAT}"))
        elif self.least is not None and Decimal(text) < self.least:
            problems.append(Problem(at, "OUT_OF_RANGE", f"expected an amount of at least {self.least}"))
        return value if text is None else text

    def parse(self, text: str) -> Decimal:
        """Take an amount."""
        if not _AMOUNT.match(text):
            raise ValueError(f"expected {_WHAT}")
        return Decimal(text)

    def schema(self) -> dict[str, Any]:
        """A string of digits with a point."""
        return {"type": "string", "pattern": f"^{_PATTERN}$", "description": "an amount, exact"}

    def column(self, text: str) -> str:
        """The number."""
        return f"({text})::numeric"

    def sample(self, random: Random) -> str:
        """What things cost."""
        return random.choice(("49.00", "12.50", "120.00", "8.95"))


def _written(value: Any) -> str | None:
    """A JSON number as its digits; None for what is none, "" for one that no amount can be."""
    if type(value) is int:
        return str(value) if abs(value) < 10**SIGNIFICANT_DIGITS else ""
    if type(value) is not Decimal:
        return None
    few = len(value.as_tuple().digits) <= SIGNIFICANT_DIGITS and abs(value.adjusted()) < SIGNIFICANT_DIGITS
    return f"{value:f}" if few else ""
