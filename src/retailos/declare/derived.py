"""Values that follow from others: what a field reads as while nobody sends it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Difference:
    """The first of some number fields less the others."""

    of: tuple[str, ...]

    def value(self, sent: Mapping[str, Any]) -> int | None:
        """Give what the field would read as, if all that it follows from was sent; else None."""
        numbers = [sent.get(name) for name in self.of]
        if not all(type(each) is int for each in numbers):
            return None
        first, *others = (int(each or 0) for each in numbers)
        return first - sum(others)


@dataclass(frozen=True, slots=True)
class SameAsExternalId:
    """The caller's own id of the record."""


@dataclass(frozen=True, slots=True)
class Computed:
    """What an SQL function, which a migration makes, says of the record's body; it may look into arrays."""

    function: str


@dataclass(frozen=True, slots=True)
class Path:
    """The ids of the records from the root of a tree to this one, along a reference to the parent."""

    along: str


@dataclass(frozen=True, slots=True)
class Level:
    """The level of a tree that the record stands on, the root's being 1, along a reference to the parent."""

    along: str


@dataclass(frozen=True, slots=True)
class Inherited:
    """What a field of the record that a reference names reads as, whenever this one is read."""

    along: str
    field: str


#: Sent by whoever knows better, and then kept.
Default = Difference | SameAsExternalId | Computed
#: Never kept, and found whenever the record is read.
Lineage = Path | Level
