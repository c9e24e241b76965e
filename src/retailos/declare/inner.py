"""Arrays within a record whose items are objects with an external id of their own, such as the lines of an order."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from random import Random
from types import MappingProxyType
from typing import Any

from retailos.declare.cards import card_problems
from retailos.declare.field import EXTERNAL_ID, Field, Reference
from retailos.declare.kind import expected
from retailos.declare.shapes import escaped
from retailos.declare.values import Uuid
from retailos.errors import Problem

#: Items of a sample.
SAMPLES_MOST = 3
#: Made from the record's id and the item's external id where a record is shown, so it is stored nowhere.
INNER_ID = Field(name="id", kind=Uuid(), read_only=True, nullable=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class InnerArray:
    """A kind: an array of objects. Absent from a body it is kept; present, it is the full new set.

    An item is stored as it was sent, without what is null, a default or set by the server; so an item that was read
    can be sent back and is the same.
    """

    members: tuple[Field | Reference, ...]
    #: The member that holds the item's external id, by which it is the same item in the next upsert.
    key: str
    most: int
    least: int = 0
    #: At least one of these must be given.
    requires_one_of: tuple[str, ...] = ()
    #: Paths within an item that name an item of another array of the record, and that array.
    names: tuple[tuple[str, str], ...] = ()
    #: The member that names the currency of an item's amounts; while it is absent, that is the record's.
    currency: str = ""
    #: No value within an item may be the number of a payment card.
    cards_forbidden: bool = False
    #: The SQL function that derives the read-only members of items from the record's body: it gives rows with the
    #: item's external id as `key` and a column for each of those members, where they are not their defaults.
    derived: str = ""
    sql_type: str = "jsonb"

    @cached_property
    def references(self) -> tuple[Reference, ...]:
        """The references of an item, in order."""
        return tuple(each for each in self.members if isinstance(each, Reference))

    @cached_property
    def reference(self) -> Mapping[str, Reference]:
        """The references by the name of the object that shows them."""
        return MappingProxyType({each.name: each for each in self.references})

    @cached_property
    def fields(self) -> Mapping[str, Field]:
        """The fields of an item by name, those that hold references' ids among them."""
        fields = (each.id_field if isinstance(each, Reference) else each for each in self.members)
        return MappingProxyType({each.name: each for each in fields})

    @cached_property
    def shown(self) -> tuple[Field | Reference, ...]:
        """An item's members as they are shown: its id first, the object of a reference behind the id that it holds."""
        pairs = ((each.id_field, each) if isinstance(each, Reference) else (each,) for each in self.members)
        return (INNER_ID, *(member for pair in pairs for member in pair))

    @cached_property
    def _known(self) -> str:
        return ", ".join((*self.fields, *self.reference))

    def read(self, value: Any, at: str, problems: list[Problem]) -> Any:
        """Take an array of items, each external id once; references stay to be read by who can find them."""
        if type(value) is not list:
            problems.append(expected("an array of objects", value, at))
            return []
        if not self.least <= len(value) <= self.most:
            code = "TOO_MANY" if len(value) > self.most else "TOO_FEW"
            problems.append(Problem(at, code, f"expected {self.least} to {self.most} items, got {len(value)}"))
            return []
        items = [self._read_item(item, f"{at}/{i}", problems) for i, item in enumerate(value)]
        self._refuse_twins(items, at, problems)
        return items

    def _read_item(self, sent: Any, at: str, problems: list[Problem]) -> dict[str, Any]:
        if type(sent) is not dict:
            problems.append(expected("an object", sent, at))
            return {}
        if self.cards_forbidden and (cards := list(card_problems(sent, at))):
            problems.extend(cards)
            return {}
        item = {}
        for name, value in sent.items():
            field = self.fields.get(name)
            if field is None:
                if name not in self.reference and name != INNER_ID.name:
                    problems.append(Problem(f"{at}/{escaped(name)}", "UNKNOWN_FIELD", f"expected one of {self._known}"))
            elif value is not None and not field.read_only:
                read = field.kind.read(value, f"{at}/{name}", problems)
                if read is not None and read != field.default:
                    item[name] = read
        self._require(sent, at, problems)
        return item

    def _require(self, sent: Mapping[str, Any], at: str, problems: list[Problem]) -> None:
        for each in self.members:
            # A nested null alone is for whoever reads references to refuse.
            cleared = isinstance(each, Reference) and each.name in sent and each.id_field.name not in sent
            if each.required and not cleared and not self._given(each.name, sent):
                problems.append(Problem(f"{at}/{each.name}", "REQUIRED", "expected a value, got none"))
        if self.requires_one_of and not any(self._given(name, sent) for name in self.requires_one_of):
            names = ", ".join(self.requires_one_of)
            problems.append(Problem(at, "REQUIRED", f"expected a value for at least one of {names}"))

    def names_of(self, name: str) -> tuple[str, ...]:
        """The members by which one is given: a reference is by its object or by its id."""
        return (name, self.reference[name].id_field.name) if name in self.reference else (name,)

    def _given(self, name: str, sent: Mapping[str, Any]) -> bool:
        return any(sent.get(each) is not None for each in self.names_of(name))

    def _refuse_twins(self, items: list[dict[str, Any]], at: str, problems: list[Problem]) -> None:
        seen = set()
        for i, item in enumerate(items):
            key = item.get(self.key)
            if type(key) is str and key in seen:
                message = f"expected each {self.key} once, got one of them twice"
                problems.append(Problem(f"{at}/{i}/{self.key}", "DUPLICATE", message))
            elif type(key) is str:
                seen.add(key)

    def parse(self, text: str) -> Any:
        """An array of objects is not filtered by."""
        raise ValueError("expected no filter on an array of objects")

    def schema(self) -> dict[str, Any]:
        """An array of objects, their references as ids."""
        properties = {name: each.kind.schema() for name, each in self.fields.items()}
        items = {"type": "object", "properties": properties}
        return {"type": "array", "items": items, "minItems": self.least, "maxItems": self.most}

    def column(self, text: str) -> str:
        """The array itself."""
        return f"({text})::jsonb"

    def sample(self, random: Random) -> list[Any]:
        """Items that refer to no record, numbered from 1; what names an item of another array names its first."""
        count = random.randint(max(self.least, 1), min(self.most, SAMPLES_MOST))
        own = [each for each in self.members if isinstance(each, Field) and not each.read_only]
        made = [{each.name: each.kind.sample(random) for each in own} for _ in range(count)]
        items = [item | {self.key: str(i)} for i, item in enumerate(made, start=1)]
        for path, _ in self.names:
            _name_first(items, path)
        return items


def inner_id(name: str, *, required: bool = True) -> Field:
    """The member that holds an item's external id, or names the item of another array by it."""
    return Field(name=name, kind=EXTERNAL_ID, required=required)


def _name_first(items: list[dict[str, Any]], path: str) -> None:
    name, _, rest = path.partition(".")
    for item in items:
        if rest:
            _name_first(item[name], rest)
        else:
            item[name] = "1"
