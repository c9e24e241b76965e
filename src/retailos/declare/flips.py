"""Flags of which every flip is evidence: it is written down as a record of another resource, together with the flip."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retailos.declare.resource import Resource

#: What an upsert flipped of a record that was there, kept with it since only the update itself sees both sides.
COLUMN = "flipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flips:
    """Each of these flags that turns, or is set on a new record, makes a record of `to`.

    The other names are fields of `to`: what holds the id of the record with the flag, the flag's name, what it is
    now, when that was, and whose doing it was, which is said to be the record's own name.
    """

    flags: tuple[str, ...]
    to: "Resource"
    record_id: str
    flag: str
    value: str
    at: str
    source: str

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of `to` that are filled in."""
        return (self.record_id, self.flag, self.value, self.at, self.source)
