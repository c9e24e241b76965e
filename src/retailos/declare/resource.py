"""The declaration of one kind of record, checked when it is built, and the table of all of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

from retailos.declare import checks
from retailos.declare.derived import Default, Inherited
from retailos.declare.field import BOOKKEEPING, ID, Field, Member, NaturalKey, Reference, Relations, external_id, snake
from retailos.declare.finders import During, Finder, Item, Through
from retailos.declare.flips import Flips
from retailos.declare.inner import InnerArray
from retailos.declare.kind import Kind
from retailos.declare.money import holds_money
from retailos.declare.names import spaced
from retailos.declare.rules import Rule, Together
from retailos.declare.shapes import ListOf, Shape
from retailos.declare.within import Naming
from retailos.errors import Problem

#: Looks at what was sent, which has passed every check, and tells what is odd about it.
Remark = Callable[[Mapping[str, Any]], Iterable[Problem]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Resource:
    """One kind of record: everything else about it is derived from this.

    `members` are its fields and references in the order in which they are shown; the id and the external id come
    before them, the fields that every record has behind them.
    """

    #: `customer`: the key of a webhook's body, and in camel case the stem of every derived name.
    name: str
    #: `customers`: the key of a batch; declared, because plurals are irregular.
    plural: str
    #: The first part of the queue's name, `scv:customer:upsert`.
    domain: str
    members: tuple[Member, ...]
    #: `customers`, `stock-levels`: the segment of the URL.
    collection: str = ""
    #: The fields that another resource shows of this one.
    projection: tuple[str, ...] = ()
    #: The references whose objects go out with a webhook.
    webhook_relations: tuple[str, ...] = ()
    #: Records that turn out to be the same can be merged into one of them; needs the field mergedIntoId.
    mergeable: bool = False
    #: At least one of these must be given.
    requires_one_of: tuple[str, ...] = ()
    #: Fields, or tuples of fields, whose columns are indexed; such fields can be filtered and sorted by.
    indexes: tuple[str | tuple[str, ...], ...] = ()
    #: Fields that no two living records may share.
    unique: tuple[str, ...] = ()
    #: Fields whose values no two living records may share all at once.
    together: tuple[Together, ...] = ()
    #: Fields whose values two living records had better not share all at once: one that does is taken with a warning.
    differing: tuple[Together, ...] = ()
    #: What must be true of several fields.
    rules: tuple[Rule, ...] = ()
    #: Further fields that can be filtered by; a path such as `address.postCode` reaches into a shape.
    filters: tuple[str, ...] = ()
    #: Parameters of lists that look elsewhere than at a field of their name.
    finders: tuple[Finder, ...] = ()
    #: The field that names the currency of the record's amounts.
    currency: str = ""
    #: Flags of which every flip is written down as a record of another resource.
    flips: Flips | None = None
    #: A record stays as it was written, except that it may be deleted, and come back as it was.
    write_once: bool = False
    #: What names a record as well as its external id does.
    natural_key: NaturalKey | None = None
    #: What is taken and answered with warnings.
    remarks: tuple[Remark, ...] = ()
    #: Makes a sample body plausible as a whole, which was made member by member.
    plausible: Callable[[dict[str, Any]], None] | None = None
    #: The fields that `q` looks in.
    search: tuple[str, ...] = ()
    #: The fields of latitude and longitude, where the resource is a place that `near` can find.
    place: tuple[str, str] | None = None
    fields: Mapping[str, Field] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Derive the fields by name and refuse a declaration that contradicts itself."""
        if not self.collection:
            object.__setattr__(self, "collection", snake(self.plural).replace("_", "-"))
        fields = list(self._fields())
        names = [each.name for each in fields] + [each.name for each in self.references]
        checks.refuse_repeated(self.name, names)
        object.__setattr__(self, "fields", MappingProxyType({each.name: each for each in fields}))
        checks.refuse(self)

    def _fields(self) -> Iterator[Field]:
        yield ID
        yield self.external_id
        for member in self.members:
            if isinstance(member, Field):
                yield member
            elif isinstance(member, Reference):
                yield member.id_field
        yield from (each for each in BOOKKEEPING if each not in self.members)

    @cached_property
    def settable(self) -> Mapping[str, Field]:
        """The members of the body that a caller may set, by name."""
        members = {name: each for name, each in self.fields.items() if not each.read_only and each.at is None}
        return MappingProxyType(members)

    @cached_property
    def external_id(self) -> Field:
        """The field that holds the caller's own id."""
        return external_id(self.name)

    @cached_property
    def references(self) -> tuple[Reference, ...]:
        """The references, in order."""
        return tuple(member for member in self.members if isinstance(member, Reference))

    @cached_property
    def reference(self) -> Mapping[str, Reference]:
        """The references by the name of the object that shows them."""
        return MappingProxyType({each.name: each for each in self.references})

    @cached_property
    def refers_to(self) -> frozenset[str]:
        """The resources that its references lead to, and those of the items within it."""
        inner = (each for array in self.inner.values() for each in array.references)
        return frozenset(each.to for each in (*self.references, *inner))

    @cached_property
    def inner(self) -> Mapping[str, InnerArray]:
        """The arrays of objects by the name of their field."""
        kinds = {each.name: each.kind for each in self.fields.values()}
        return MappingProxyType({name: kind for name, kind in kinds.items() if isinstance(kind, InnerArray)})

    @cached_property
    def namings(self) -> tuple[Naming, ...]:
        """What items of its arrays name within the record."""
        return tuple(
            Naming(array=name, path=path, target=target, key=self.inner[target].key)
            for name, array in self.inner.items()
            for path, target in array.names
        )

    @cached_property
    def shown(self) -> tuple[Field | Reference, ...]:
        """The fields as they are shown, a reference standing where its object is shown."""
        order: list[Field | Reference] = [ID, self.external_id]
        for member in self.members:
            if isinstance(member, Relations):
                order.extend(self.references)
            else:
                order.append(member.id_field if isinstance(member, Reference) else member)
        if not any(isinstance(member, Relations) for member in self.members):
            order.extend(self.references)
        return (*order, *(each for each in BOOKKEEPING if each not in self.members))

    @cached_property
    def key_fields(self) -> tuple[str, ...]:
        """The fields that hold the natural key; none where the resource has none."""
        names = self.natural_key.references if self.natural_key else ()
        return tuple(self.reference[name].id_field.name for name in names)

    @cached_property
    def key_rule(self) -> Together | None:
        """The rule that no two living records have the same natural key; None where the resource has none."""
        rules = (each for each in self.together if set(each.fields) == set(self.key_fields) and not each.where)
        return next(rules, None)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The paths in the body that have a column of their own, generated from it, so that an index can hold them."""
        indexed = (each for entry in self.indexes for each in ((entry,) if isinstance(entry, str) else entry))
        references = (f"{each.name}Id" for each in self.references if each.indexed and not each.ids)
        together = (name for each in self.together for name in (*each.fields, *(each.where or ())[:1]))
        derived = (each.name for each in self.defaulting)
        paths = dict.fromkeys((*indexed, *self.unique, *references, *together, *derived))
        return tuple(path for path in paths if self.field_at(path).at is None)

    @cached_property
    def required(self) -> tuple[str, ...]:
        """The fields that must be sent; required references are not among them, since they have two names."""
        return tuple(each.name for each in self.members if isinstance(each, Field) and each.required)

    @cached_property
    def defaults(self) -> Mapping[str, Any]:
        """What each member of the body reads as while it is absent."""
        return MappingProxyType({each.name: each.default for each in self.fields.values() if each.at is None})

    @cached_property
    def defaulting(self) -> tuple[Field, ...]:
        """The fields that follow from others while nobody sends them."""
        return tuple(each for each in self.fields.values() if isinstance(each.derived, Default))

    @cached_property
    def inheriting(self) -> Mapping[str, tuple[Reference, str]]:
        """The fields that read, while nobody sends them, as a field of the record that a reference names."""
        heirs = {each.name: each.derived for each in self.fields.values() if isinstance(each.derived, Inherited)}
        return MappingProxyType({name: (self.reference[each.along], each.field) for name, each in heirs.items()})

    @cached_property
    def amounts(self) -> tuple[Field, ...]:
        """The fields with amounts of money in them."""
        return tuple(each for each in self.fields.values() if holds_money(each.kind))

    @cached_property
    def items(self) -> tuple[str, ...]:
        """The arrays whose items an index holds, since a list can be asked for them."""
        items = (each.path for each in self.finders if isinstance(each, Item))
        through = (self.reference[each.reference].ids for each in self.finders if isinstance(each, Through))
        return tuple(dict.fromkeys(name for name in (*items, *through) if name))

    @cached_property
    def table(self) -> str:
        """The table's name; the plural, since `user` and `order` are words of SQL."""
        return snake(self.plural)

    @cached_property
    def title(self) -> str:
        """`Customer`, the guide's userMessage for one."""
        return spaced(self.name)

    @cached_property
    def schema_name(self) -> str:
        """`StockLevel`, the schema of the entity in the documents."""
        return self.name[0].upper() + self.name[1:]

    @cached_property
    def title_plural(self) -> str:
        """`Customers`, the guide's userMessage for many."""
        return spaced(self.plural)

    def queue(self, operation: str) -> str:
        """The queue's name in the guide's form: `scv:customer:upsert`."""
        return f"{self.domain}:{self.name}:{operation}"

    def action(self, operation: str) -> str:
        """The action of an envelope: `CUSTOMER_GET_ALL`."""
        return f"{snake(self.name).upper()}_{operation}"

    def field_at(self, path: str) -> Field:
        """The field that a path begins with; DeclarationError if there is none."""
        return checks.known(self, path.split(".")[0], self.fields)

    def finder(self, name: str) -> Finder | None:
        """What a list's parameter of this name looks at, where that is not a field."""
        return next((each for each in self.finders if each.name == name), None)

    def kind_at(self, path: str) -> Kind:
        """The kind of the value at a path such as `lastName` or `address.postCode`."""
        kind: Kind = self.field_at(path).kind
        for member in path.split(".")[1:]:
            if not isinstance(kind, Shape):
                raise checks.DeclarationError(f"{self.name}: expected a shape before .{member} in {path}")
            kind = checks.known(self, member, kind.members)
        return kind

    def item_kind(self, path: str) -> Kind:
        """The kind of what `tags` has as items, or its items as a member, `lines.sku`."""
        name, _, member = path.partition(".")
        kind = self.field_at(name).kind
        if isinstance(kind, InnerArray):
            return checks.known(self, member, kind.fields).kind
        if not isinstance(kind, ListOf) or member:
            raise checks.DeclarationError(f"{self.name}: expected an array with items of that name, got {path}")
        return kind.item


class Resources(Mapping[str, Resource]):
    """Every resource by its name, in the order of their declaration, each reference leading to another of them."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        self._by_name = {each.name: each for each in resources}
        for resource in self._by_name.values():
            checks.refuse_among(self, resource)
        self.by_collection = MappingProxyType({each.collection: each for each in self._by_name.values()})

    def __getitem__(self, name: str) -> Resource:
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    # There is one table of resources, and statements composed for it are kept by it.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def referring(self, target: Resource) -> tuple[tuple[Resource, tuple[Reference, ...]], ...]:
        """The resources that refer to records of `target`, each with the references that do."""
        found = ((each, tuple(one for one in each.references if one.to == target.name)) for each in self.values())
        return tuple((each, references) for each, references in found if references)

    def found_kind(self, resource: Resource, finder: Finder) -> Kind:
        """The kind of the values that a finder takes."""
        match finder:
            case Through():
                return self[resource.reference[finder.reference].to].kind_at(finder.field)
            case Item():
                return resource.item_kind(finder.path)
            case During():
                return resource.kind_at(finder.begin)

    def projection(self, reference: Reference) -> tuple[Field, ...]:
        """The fields that the object of a reference shows, in order."""
        target = self[reference.to]
        return tuple(target.fields[name] for name in reference.projection or target.projection)
