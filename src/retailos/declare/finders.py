"""Parameters of a list that look elsewhere than at a field of their name."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Item:
    """`tag` finds records with this value among the items of an array, `tags`, or in a member of any, `lines.sku`.

    An index holds the values.
    """

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Through:
    """`sku` finds records by a field, which has a column, of the record or the records that they refer to."""

    name: str
    reference: str
    field: str


@dataclass(frozen=True, slots=True)
class During:
    """`validAt` finds records by a moment that lies in their time, `[begin, end)`; without an end, for ever."""

    name: str
    begin: str
    end: str


Finder = Item | Through | During
