"""Rules over several fields of a record: looked for in what is sent, and kept by the database for what is stored.

A request may send a part of a record and another request the rest, so only the database sees every record whole.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from retailos.declare.values import moment
from retailos.errors import Problem


@dataclass(frozen=True, slots=True)
class Together:
    """Fields whose values no two living records may share all at once; what is not set counts as a value too.

    With `where`, a field and a value of it, only of the records that have this value.
    Records that a merge brings together can't both stay: one is deleted, or where the rule says what it `yields` to, it
    gets that value in the field of `where`.
    """

    fields: tuple[str, ...]
    where: tuple[str, str] | None = None
    yields: str | None = None

    def problem(self, at: str) -> Problem:
        """What is wrong with a record (`at` is its JSON pointer) where another has these values."""
        names = ", ".join(self.fields)
        among = f" among those whose {self.where[0]} is {self.where[1]}" if self.where else ""
        combined = "a combination of" if len(self.fields) > 1 else "a"
        return Problem(at, "NOT_UNIQUE", f"expected {combined} {names} that no other record has{among}")


@dataclass(frozen=True, slots=True)
class AtMostOne:
    """Fields of which a record may have one, or none."""

    fields: tuple[str, ...]

    @property
    def name(self) -> str:
        """What the database calls the rule, behind the table's name; its names are in snake case."""
        return "at_most_one_of_" + "_".join(self.fields)

    def broken(self, values: Mapping[str, Any]) -> bool:
        """Tell whether values that were sent together break the rule."""
        return sum(values.get(name) is not None for name in self.fields) > 1

    def problem(self, at: str) -> Problem:
        """What is wrong with a record that has more."""
        return Problem(at, "AT_MOST_ONE", f"expected at most one of {', '.join(self.fields)}; null clears the others")

    def check(self, text: Callable[[str], str]) -> str:
        """Write the SQL that holds of a record that keeps the rule; `text` gives that of a field's text."""
        return f"num_nonnulls({', '.join(map(text, self.fields))}) <= 1"


@dataclass(frozen=True, slots=True)
class Later:
    """A moment that comes after another, within so many hours where any are named."""

    field: str
    than: str
    hours: int = 0

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that the rule is about."""
        return (self.field, self.than)

    @property
    def name(self) -> str:
        """What the database calls the rule, behind the table's name; its names are in snake case."""
        return f"{self.field}_after_{self.than}"

    def broken(self, values: Mapping[str, Any]) -> bool:
        """Tell whether values that were sent together break the rule."""
        end, begin = values.get(self.field), values.get(self.than)
        if end is None or begin is None:
            return False
        return end <= begin or bool(self.hours and moment(end) - moment(begin) > timedelta(hours=self.hours))

    def problem(self, at: str) -> Problem:
        """What is wrong with a record where it is otherwise."""
        within = f" and at most {self.hours} hours" if self.hours else ""
        return Problem(f"{at}/{self.field}", "NOT_LATER", f"expected a moment after {self.than}{within}")

    def check(self, text: Callable[[str], str]) -> str:
        """Write the SQL that holds of a record that keeps the rule; `text` gives that of a field's text.

        The text of moments is of one form and in UTC, so it compares as they do, and no setting changes what it means.
        """
        end, begin = text(self.field), text(self.than)
        within = f" and {end}::timestamptz - {begin}::timestamptz <= interval '{self.hours} hours'"
        return f'{end} collate "C" > {begin}' + (within if self.hours else "")


Rule = AtMostOne | Later
