"""What a merge asks for, read and checked, and what becomes of the survivor: each field taken from one of the records.

What is refused here: records that are named twice or are the survivor itself, fields that the resource does not have,
consents that somebody wants to choose.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any
from uuid import UUID

from retailos.declare.kind import expected
from retailos.declare.object import missing, unknown
from retailos.declare.resource import Resource
from retailos.declare.shapes import escaped
from retailos.errors import Problem, ValidationFailed
from retailos.records.body import decode, refusal
from retailos.records.references import read_uuid

#: Records that are merged into one at once; whoever has more may merge them one after the other.
MERGED_MOST = 100
_MEMBERS = MappingProxyType(dict.fromkeys(("from", "fields")))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The records that are to be merged into a survivor, and for some fields the record to take it from."""

    survivor: UUID
    losers: tuple[UUID, ...]
    fields: Mapping[str, UUID]


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """One of the records of a merge, as it is before."""

    id: UUID
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Combined:
    """What the survivor will be: what changes in its body, and where each field that changes is taken from."""

    patch: Mapping[str, Any]
    taken_from: Mapping[str, UUID]
    #: Every consent, given only if all parties gave it.
    consents: Mapping[str, bool]


def read(resource: Resource, survivor: UUID, raw: bytes) -> Asked:
    """Read the body of a merge, or raise everything that is wrong with it."""
    body = decode(raw)
    if type(body) is not dict:
        raise ValidationFailed([expected("an object with from", body, "")])
    problems = [unknown(name, "merge", _MEMBERS) for name in body if name not in _MEMBERS]
    losers = _losers(survivor, body, problems)
    fields = _fields(resource, (survivor, *losers), body.get("fields"), problems)
    if problems:
        raise refusal(problems, "")
    return Asked(survivor=survivor, losers=losers, fields=fields)


def _losers(survivor: UUID, body: Mapping[str, Any], problems: list[Problem]) -> tuple[UUID, ...]:
    given = body.get("from")
    if "from" not in body:
        problems.append(missing("from"))
    elif type(given) is not list:
        problems.append(expected("an array of ids", given, "/from"))
    elif not 1 <= len(given) <= MERGED_MOST:
        message = f"expected 1 to {MERGED_MOST} ids, got {len(given)}"
        problems.append(Problem("/from", "OUT_OF_RANGE", message))
    else:
        return tuple(_distinct(survivor, given, problems))
    return ()


def _distinct(survivor: UUID, given: Sequence[Any], problems: list[Problem]) -> dict[UUID, None]:
    found: dict[UUID, None] = {}
    for i, each in enumerate(given):
        read = read_uuid(each, f"/from/{i}", problems)
        if read == survivor:
            problems.append(Problem(f"/from/{i}", "SAME_RECORD", "expected another record than the survivor"))
        elif read in found:
            problems.append(Problem(f"/from/{i}", "REPEATED", "expected each record once"))
        elif read:
            found[read] = None
    return found


def _fields(resource: Resource, parties: Sequence[UUID], given: Any, problems: list[Problem]) -> dict[str, UUID]:
    """Read from which record a field is to be taken; a reference may be named by its object, too."""
    if given is None:
        return {}
    if type(given) is not dict:
        problems.append(expected("an object of fields and ids", given, "/fields"))
        return {}
    known = {each: each for each in _combinable(resource)} | {
        each.name: each.id_field.name for each in resource.references
    }
    found: dict[str, UUID] = {}
    for name, value in given.items():
        at = f"/fields/{escaped(name)}"
        chosen = read_uuid(value, at, problems)
        if name not in known:
            problems.append(replace(unknown(name, resource.name, known), path=at))
        elif resource.fields[known[name]].consent:
            message = "expected no consent: it is given only where every one of the records gave it"
            problems.append(Problem(at, "NOT_SETTABLE", message))
        elif chosen and chosen not in parties:
            problems.append(Problem(at, "UNKNOWN_CHOICE", "expected the id of the survivor, or one of from"))
        elif chosen:
            found[known[name]] = chosen
    return found


def _combinable(resource: Resource) -> tuple[str, ...]:
    """The fields that a merge is about: those that callers write."""
    return tuple(each.name for each in resource.fields.values() if each.at is None and not each.read_only)


def combine(resource: Resource, survivor: Party, losers: Sequence[Party], chosen: Mapping[str, UUID]) -> Combined:
    """Make one record of many: what was chosen, else the survivor's own, else the first that is not empty.

    Raises ValidationFailed where what was chosen leaves the record without what it must have.
    """
    parties = {each.id: each for each in (survivor, *losers)}
    patch: dict[str, Any] = {}
    taken_from: dict[str, UUID] = {}
    consents: dict[str, bool] = {}
    for name in _combinable(resource):
        field = resource.fields[name]
        own = survivor.body.get(name, field.default)
        if field.consent:
            consents[name] = all(each.body.get(name, field.default) is True for each in parties.values())
            if own != consents[name]:
                patch[name] = consents[name]
            continue
        source = chosen.get(name) or _source(name, parties.values())
        value = parties[source].body.get(name, field.default) if source else own
        if source and source != survivor.id and value != own:
            patch[name], taken_from[name] = value, source
    _check_whole(resource, {**survivor.body, **patch})
    return Combined(patch=patch, taken_from=taken_from, consents=consents)


def _source(name: str, parties: Iterable[Party]) -> UUID | None:
    """The first record that has something there; the survivor comes first."""
    return next((each.id for each in parties if not _is_empty(each.body.get(name))), None)


def _is_empty(value: Any) -> bool:
    """Whether a value says nothing: an address of empty lines is as good as none."""
    if isinstance(value, dict):
        return all(_is_empty(each) for each in value.values())
    return value is None or value in ("", [])


def _check_whole(resource: Resource, body: Mapping[str, Any]) -> None:
    names = resource.requires_one_of
    if names and not any(body.get(name) for name in names):
        wanted = ", ".join(names)
        raise ValidationFailed([Problem("/fields", "REQUIRED", f"expected a value left for at least one of {wanted}")])
