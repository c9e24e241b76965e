"""What a declaration must not say: names of what is not there, and rules that can't hold at once."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from retailos.declare.derived import Inherited, Lineage
from retailos.declare.field import Field, Reference
from retailos.declare.finders import During, Item, Through
from retailos.declare.names import did_you_mean
from retailos.errors import Problem

if TYPE_CHECKING:
    from retailos.declare.resource import Resource, Resources

T = TypeVar("T")


class DeclarationError(Exception):
    """A resource's declaration contradicts itself; the message names the mistake."""


def known(resource: "Resource", name: str, among: Mapping[str, T]) -> T:
    """What has a name that a declaration mentions; DeclarationError if nothing has."""
    if name not in among:
        raise DeclarationError(f"{resource.name}: expected a known name, got {name}{did_you_mean(name, among)}")
    return among[name]


def refuse_repeated(resource_name: str, names: Sequence[str]) -> None:
    """DeclarationError if a field is there twice."""
    for name in {name for name in names if names.count(name) > 1}:
        raise DeclarationError(f"{resource_name}: expected each field once, got {name} twice")


def refuse(resource: "Resource") -> None:
    """DeclarationError if a declaration contradicts itself, or is about what the resource does not have."""
    _refuse_unknown(resource)
    if resource.natural_key and resource.key_rule is None:
        raise DeclarationError(f"{resource.name}: expected a rule that no two have one natural key, got none")
    for name in (each.name for each in resource.references if each.levels and resource.mergeable):
        raise DeclarationError(f"{resource.name}: expected no tree of what is mergeable, got one by {name}")
    _refuse_yielding(resource)


def refuse_among(resources: "Resources", resource: "Resource") -> None:
    """DeclarationError if a resource is about what another does not have."""
    within = (each for array in resource.inner.values() for each in array.references)
    for reference in (*resource.references, *within):
        target = known(resource, reference.to, resources)
        for name in reference.projection:
            known(target, name, target.fields)
        if not (reference.projection or target.projection):
            raise DeclarationError(f"{target.name}: expected a projection, since {resource.name} shows it")
    for finder in resource.finders:
        if isinstance(finder, Through):
            target = resources[resource.reference[finder.reference].to]
            known(target, finder.field, {path: path for path in (*target.columns, target.external_id.name)})
    for heir, (reference, name) in resource.inheriting.items():
        _refuse_inherited(resources, resource, resource.fields[heir], reference, name)


def _refuse_unknown(resource: "Resource") -> None:
    """Refuse words about fields, references and arrays that the resource does not have."""
    for path in _paths(resource):
        resource.kind_at(path)
    for name in _names(resource):
        known(resource, name, resource.fields)
    for name in _references(resource):
        known(resource, name, resource.reference)
    for array in resource.inner.values():
        for _, target in array.names:
            known(resource, target, resource.inner)
    for finder in resource.finders:
        if isinstance(finder, Item):
            resource.item_kind(finder.path)
    if resource.flips:
        for name in resource.flips.fields:
            known(resource.flips.to, name, resource.flips.to.fields)


def _paths(resource: "Resource") -> Iterator[str]:
    """The paths that indexes, filters and searches are about."""
    yield from (*resource.columns, *resource.filters, *resource.search, *resource.requires_one_of)
    yield from resource.place or ()


def _names(resource: "Resource") -> Iterator[str]:
    """The fields that projections, merges, rules, finders, flips and amounts are about."""
    yield from resource.projection
    yield from ["mergedIntoId"] if resource.mergeable else []
    for rule in (*resource.together, *resource.differing, *resource.rules):
        yield from rule.fields
    for finder in resource.finders:
        if isinstance(finder, During):
            yield from (finder.begin, finder.end)
    yield from resource.flips.flags if resource.flips else ()
    yield from [resource.currency] if resource.amounts else []


def _references(resource: "Resource") -> Iterator[str]:
    """The references that webhooks, natural keys, finders and derived values are about."""
    yield from resource.webhook_relations
    yield from resource.natural_key.references if resource.natural_key else ()
    yield from (finder.reference for finder in resource.finders if isinstance(finder, Through))
    derived = (each.derived for each in resource.fields.values())
    yield from (each.along for each in derived if isinstance(each, Inherited | Lineage))


def _refuse_yielding(resource: "Resource") -> None:
    """Refuse records that would yield to what their field can't hold, and to several rules at once."""
    yielding = [each for each in resource.together if each.yields is not None]
    # A record is led on as it yields to one rule, and so would break the other.
    if len(yielding) > 1:
        raise DeclarationError(f"{resource.name}: expected one rule at most that yields, got {len(yielding)}")
    for rule in yielding:
        if rule.where is None or rule.where[1] == rule.yields:
            raise DeclarationError(f"{resource.name}: expected a rule that yields from one value to another")
        problems: list[Problem] = []
        resource.kind_at(rule.where[0]).read(rule.yields, rule.where[0], problems)
        if problems:
            raise DeclarationError(f"{resource.name}: {problems[0].message} of {rule.where[0]}, got {rule.yields}")


def _refuse_inherited(
    resources: "Resources", resource: "Resource", heir: Field, reference: Reference, name: str
) -> None:
    """Refuse a value that a field would inherit and can't hold, or that the other record has from a third."""
    source = known(resource, name, resources[reference.to].fields)
    if reference.ids or source.at or source.derived or source.kind != heir.kind or heir.kind.sql_type != "text":
        message = f"expected {heir.name} to be a plain text of one {reference.to}, of the same kind"
        raise DeclarationError(f"{resource.name}: {message}")
