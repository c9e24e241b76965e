"""Sample records: a whole body of any resource, made from its declaration as a caller would send it."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import timedelta
from random import Random
from typing import Any

from retailos.declare.derived import SameAsExternalId
from retailos.declare.field import Field, Reference
from retailos.declare.inner import InnerArray
from retailos.declare.resource import Resource, Resources
from retailos.declare.rules import AtMostOne, Later, Rule
from retailos.declare.texts import Email
from retailos.declare.values import moment, printed

#: Of the fields and references that nobody demands, so many are left out, and so many are sent as null.
ABSENT, NULL = 0.1, 0.05
#: A tree grows from so many roots, so that it stays far below the levels that it may have.
ROOTS = 3
#: As many as anybody has when a record refers to many.
REFERRED_MOST = 3


def sample(
    resources: Resources, resource: Resource, random: Random, number: int, known: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Make the body of the record with this number, which is what its external id and its unique values end with.

    `known` gives, by the resource's name, the external ids that a reference may lead to; a reference to others is
    left out. The same state of `random` makes the same body.
    """
    body: dict[str, Any] = {resource.external_id.name: external_id(resource, number)}
    for member in resource.members:
        if isinstance(member, Field) and not member.read_only and member.at is None:
            _add_value(body, resource, member, random, number)
        elif isinstance(member, Reference):
            _add_reference(body, resources, member, random, known.get(member.to, ()))
    for name, array in resource.inner.items():
        if body.get(name):
            body[name] = [each for each in body[name] if _refers(each, resources, array, random, known)]
            if not body[name] or any(not body.get(target) for _, target in array.names):
                del body[name]
    _add_combination(body, resources, resource, number, known)
    for rule in resource.rules:
        _keep(rule, body, random)
    if resource.plausible:
        resource.plausible(body)
    return body


def _refers(
    item: dict[str, Any],
    resources: Resources,
    array: InnerArray,
    random: Random,
    known: Mapping[str, Sequence[str]],
) -> bool:
    """Let an item refer to what is known; tell whether it has what it must have."""
    for reference in array.references:
        _add_reference(item, resources, reference, random, known.get(reference.to, ()))
    missing = (each for each in array.references if each.required and not item.get(each.name))
    return not any(missing) and (not array.requires_one_of or any(map(item.get, array.requires_one_of)))


def external_id(resource: Resource, number: int) -> str:
    """The external id of a sample: `customer-0001`."""
    return f"{resource.name}-{number:04d}"


def _add_value(body: dict[str, Any], resource: Resource, field: Field, random: Random, number: int) -> None:
    together = [name for rule in resource.together for name in rule.fields]
    demanded = field.required or field.name in (*resource.requires_one_of, *resource.unique, *together)
    chance = 1.0 if demanded else random.random()
    if chance < ABSENT:
        return
    if chance < ABSENT + NULL:
        body[field.name] = None
    elif isinstance(field.kind, Email):
        body[field.name] = f"{_local_part(body, resource)}.{number}@example.com"
    elif field.name in resource.unique or isinstance(field.derived, SameAsExternalId):
        body[field.name] = f"{field.kind.sample(random)}-{number}"
    else:
        body[field.name] = field.kind.sample(random)


def _add_combination(
    body: dict[str, Any],
    resources: Resources,
    resource: Resource,
    number: int,
    known: Mapping[str, Sequence[str]],
) -> None:
    """Let each number have a combination of its own of the references that no two records may share."""
    for rule in resource.together:
        rest = number
        for reference in resource.references:
            candidates = known.get(reference.to, ())
            if reference.required and candidates and reference.id_field.name in rule.fields:
                rest, place = divmod(rest, len(candidates))
                body[reference.name] = {resources[reference.to].external_id.name: candidates[place]}
        if rule.where and rest and body.get(rule.where[0]) == rule.where[1]:
            body[rule.where[0]] = None


def _keep(rule: Rule, body: dict[str, Any], random: Random) -> None:
    """Change a body so that it keeps a rule."""
    match rule:
        case AtMostOne(fields):
            references = [name.removesuffix("Id") for name in fields]
            kept = random.choice(references)
            for name in references:
                if name != kept:
                    body.pop(name, None)
        case Later(later, than) if body.get(later) and body.get(than):
            body[later] = printed(moment(body[than]) + timedelta(minutes=30 * random.randint(1, 8)))


def _local_part(body: Mapping[str, Any], resource: Resource) -> str:
    """`ada.lovelace` of whoever has such a name; the resource's name of what has none."""
    names = (body.get("firstName"), body.get("lastName"))
    plain = unicodedata.normalize("NFKD", ".".join(name for name in names if name)).lower()
    return re.sub(r"[^a-z.]", "", plain).strip(".") or resource.name


def _add_reference(
    body: dict[str, Any], resources: Resources, reference: Reference, random: Random, known: Sequence[str]
) -> None:
    chance = 1.0 if reference.required else random.random()
    candidates = known[:ROOTS] if reference.levels else known
    if not candidates or chance < ABSENT:
        return
    key = resources[reference.to].external_id.name
    if chance < ABSENT + NULL:
        body[reference.name] = None
    elif reference.ids:
        many = random.sample(candidates, k=random.randint(1, min(REFERRED_MOST, len(candidates))))
        body[reference.name] = [{key: each} for each in many]
    else:
        body[reference.name] = {key: random.choice(candidates)}
