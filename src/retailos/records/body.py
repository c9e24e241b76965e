"""A request's body read against a resource: bytes in, a checked draft out, or every problem at once.

What is refused here: JSON that is none, fields that are unknown or break their rules, required fields that are
missing, external ids that contradict the URL, references that contradict themselves.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NoReturn
from uuid import UUID

from retailos.declare.derived import Difference
from retailos.declare.kind import expected, storable
from retailos.declare.money import in_currency
from retailos.declare.names import a
from retailos.declare.object import missing, read_member, unknown
from retailos.declare.resource import Resource, Resources
from retailos.declare.shapes import FreeJson, Shape
from retailos.declare.values import moment
from retailos.errors import (
    CardDataForbidden,
    ExternalIdMismatch,
    MalformedJson,
    Problem,
    ReferenceConflict,
    RetailOSError,
    ValidationFailed,
)
from retailos.records.natural import key_of, natural_id
from retailos.records.record import Draft, OnUnresolved, Want
from retailos.records.references import external_id_problem, read_uuid, read_wants

#: More problems than anybody reads; the rest is counted.
PROBLEMS_SHOWN = 100
#: A source's clock may be fast, or tell its own time of day as that of Greenwich.
SOURCE_AHEAD = timedelta(days=1)
#: More members than any entity has; beyond it, telling for each what was meant would keep everybody waiting.
MEMBERS_MOST = 200


def decode(raw: bytes) -> Any:
    """Read JSON strictly: UTF-8, no duplicate keys, no NaN; fractions become Decimal, exact to the last digit."""
    value = decode_within(raw)
    _check_members(value, "")
    return value


def _check_members(value: Any, at: str) -> None:
    if type(value) is dict and len(value) > MEMBERS_MOST:
        message = f"expected an object of at most {MEMBERS_MOST} members, got {len(value)}"
        raise ValidationFailed([Problem(at, "TOO_MANY", message)])


def decode_within(raw: bytes) -> Any:
    """Read JSON as `decode` does, of something within a body."""
    try:
        text = raw.decode("utf-8")
        if not text or text[0] == "\ufeff":
            raise ValueError(f"expected JSON, got {'a byte order mark before it' if text else 'an empty body'}")
        # Only an escape can bring what text can't hold, so other bodies are spared the look at their keys.
        return (_DECODER_OF_ESCAPES if "\\u" in text else _DECODER).decode(text)
    except UnicodeDecodeError:
        raise MalformedJson("expected UTF-8, got other bytes") from None
    except json.JSONDecodeError as error:
        raise MalformedJson(f"expected JSON, got something else at character {error.pos}: {error.msg}") from None
    except RecursionError:
        raise MalformedJson("expected JSON of at most 64 levels") from None
    except ArithmeticError:
        raise MalformedJson("expected numbers with exponents of at most 18 digits") from None
    except ValueError as error:
        raise MalformedJson(str(error)) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("expected each key of an object once, got one of them twice")
    return members


def _unique_text(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if not all(storable(key) for key, _ in pairs):
        raise ValueError("expected keys without NUL and lone surrogates")
    return _unique(pairs)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"expected a JSON number, got {name}")


def _integer(digits: str) -> int:
    if len(digits) > 1000:
        raise ValueError("expected a number of at most 1000 digits")
    return int(digits)


# The standard library's decoder takes 8 µs for the guide's customer and msgspec 2; it is the one that can refuse a
# key given twice, of which every other decoder silently drops the first.
_DECODER, _DECODER_OF_ESCAPES = (
    json.JSONDecoder(object_pairs_hook=hook, parse_float=Decimal, parse_int=_integer, parse_constant=_no_constant)
    for hook in (_unique, _unique_text)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a body is to be read; the default is a PUT's."""

    #: A part of a record, as a PATCH sends it: required fields may be absent.
    partial: bool = False
    #: Objects are merged member by member (RFC 7396), and not replaced.
    merging: bool = False
    #: What is absent is reset to its default, and not kept.
    replace: bool = False
    #: Unknown members are passed over.
    ignore_unknown: bool = False
    #: What is done where it refers to a record that is not there.
    on_unresolved: OnUnresolved = OnUnresolved.PARK


PUT = Reading()


def read(
    resources: Resources, resource: Resource, raw: bytes, *, external_id: str | None, reading: Reading = PUT
) -> Draft:
    """Read a body into a draft of the record `external_id` (None: the body may name it), or raise what is wrong."""
    body, at = unwrapped(resource, decode(raw))
    return draft(resources, resource, body, at, external_id, reading)


def unwrapped(resource: Resource, value: Any) -> tuple[dict[str, Any], str]:
    """Give the entity and its pointer, whether it came bare or as a webhook sends it, under its own name."""
    at = ""
    if type(value) is dict and len(value) == 1 and resource.name in value:
        value, at = value[resource.name], f"/{resource.name}"
    if type(value) is not dict:
        raise ValidationFailed([expected(f"an object with the fields of {a(resource.name)}", value, at)])
    _check_members(value, at)
    return value, at


def draft(
    resources: Resources,
    resource: Resource,
    body: Mapping[str, Any],
    at: str,
    external_id: str | None,
    reading: Reading = PUT,
) -> Draft:
    """Check a decoded entity field by field."""
    problems: list[Problem] = []
    patch: dict[str, Any] = _reset(resource) if reading.replace else {}
    settable = resource.settable
    for name, value in body.items():
        if name in settable:
            patch[name] = read_member(settable[name], value, problems)
        elif name not in resource.fields and name not in resource.reference and not reading.ignore_unknown:
            problems.append(_stranger(resources, resource, name))
    if not reading.partial:
        _require(resource, body, problems)
    wants = read_wants(resources, resource, body, patch, problems, partial=reading.partial)
    if resource.rules:
        _check_rules(resource, patch, wants, problems)
    sent_id = _external_id(resource, body, problems)
    claimed, source = _claimed(body, problems), _source(body, problems)
    for naming in resource.namings:
        problems.extend(naming.strangers(patch))
    if problems:
        raise refusal(problems, at)
    if sent_id is not None and external_id is not None and sent_id != external_id:
        raise ExternalIdMismatch
    key = None if external_id or sent_id or reading.partial else key_of(resource, wants)
    if resource.amounts or resource.defaulting:
        patch = as_kept(resource, patch)
    return Draft(
        external_id=external_id or sent_id or (natural_id(resource, key) if key else None),
        by_key=key is not None,
        patch=patch,
        parts=_parts(resource, body) if reading.merging else {},
        wants=tuple(wants),
        claimed_id=claimed,
        source_updated_at=source,
        at=at,
        on_unresolved=reading.on_unresolved,
        warnings=_remarked(resource, patch, at) if resource.remarks else (),
    )


def _parts(resource: Resource, body: Mapping[str, Any]) -> dict[str, Any]:
    """The objects in a body that stand for a part of what a field has."""
    settable = resource.settable
    return {
        name: value
        for name, value in body.items()
        if name in settable and isinstance(settable[name].kind, Shape | FreeJson) and isinstance(value, dict)
    }


def named(resources: Resources, resource: Resource, record: Any, at: str, reading: Reading = PUT) -> Draft:
    """Check a record of many, which has no URL and must name itself."""
    if type(record) is not dict:
        raise ValidationFailed([expected(f"an object with the fields of {a(resource.name)}", record, at)])
    read = draft(resources, resource, record, at, None, reading)
    if read.external_id is None and not read.by_key:
        name = resource.external_id.name
        raise ValidationFailed([Problem(f"{at}/{name}", "REQUIRED", "expected an external id, got none")])
    return read


def name_of(resources: Resources, resource: Resource, record: Any) -> str | None:
    """The external id that a refused record gave, or that would follow from its natural key, where it can be kept."""
    if type(record) is not dict:
        return None
    name, natural = _name_in(resource, record), resource.natural_key
    if name is None and natural and record.get(resource.external_id.name) is None:
        targets = ((record.get(each), resources[resource.reference[each].to]) for each in natural.references)
        names = [_name_in(target, nested) for nested, target in targets if type(nested) is dict]
        known = [each for each in names if each]
        name = natural.external_id(known) if len(known) == len(natural.references) else None
    return name


def _name_in(resource: Resource, record: Mapping[str, Any]) -> str | None:
    name = record.get(resource.external_id.name)
    return name if type(name) is str and 0 < len(name) <= 255 and storable(name) else None


def _remarked(resource: Resource, patch: Mapping[str, Any], at: str) -> tuple[Problem, ...]:
    """What is odd about a body that is taken."""
    found = (each for remark in resource.remarks for each in remark(patch))
    return tuple(Problem(at + each.path, each.code, each.message) for each in found)


def as_kept(
    resource: Resource, patch: dict[str, Any], stored: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    """Give a patch as it is kept, on a record that has `stored`: amounts as their currency has them.

    Who sends the difference that a field would read as anyway sends nothing: it goes on following from the others.
    """
    whole = {**stored, **patch}
    currency = whole.get(resource.currency)
    kept = dict(patch)
    for field in resource.amounts:
        if field.name in patch or (resource.currency in patch and whole.get(field.name) is not None):
            kept[field.name] = in_currency(field.kind, whole[field.name], currency)
    for field in resource.defaulting:
        value = field.derived.value(patch) if isinstance(field.derived, Difference) else None
        if value is not None and patch.get(field.name) == value:
            kept[field.name] = None
    return kept


def _check_rules(resource: Resource, patch: Mapping[str, Any], wants: Iterable[Want], problems: list[Problem]) -> None:
    """See that what was sent together keeps the rules; what is stored, the database sees."""
    own = (want for want in wants if want.item is None)
    sent = {**patch, **{resource.reference[want.reference].id_field.name: want.at for want in own}}
    wrong = {each.path for each in problems}
    for rule in resource.rules:
        if not any(f"/{name}" in wrong for name in rule.fields) and rule.broken(sent):
            problems.append(rule.problem(""))


def _stranger(resources: Resources, resource: Resource, name: str) -> Problem:
    """The problem of a member that the record does not have; of another record's external id, where that belongs."""
    for each in resource.references:
        if resources[each.to].external_id.name == name:
            nested = f'"{each.name}": {{"{name}": …}}'
            return Problem(
                f"/{name}", "UNKNOWN_FIELD", f"expected a field of {a(resource.name)}; did you mean {nested}?"
            )
    return unknown(name, resource.name, (*resource.fields, *resource.reference))


def _reset(resource: Resource) -> dict[str, Any]:
    return {name: value for name, value in resource.defaults.items() if not resource.fields[name].read_only}


def refusal(problems: list[Problem], at: str) -> RetailOSError:
    """Make one error of all the problems, their pointers leading into the request as it was sent."""
    located = [Problem(at + each.path, each.code, each.message) for each in problems[:PROBLEMS_SHOWN]]
    if len(problems) > PROBLEMS_SHOWN:
        located.append(Problem(at, "MORE_PROBLEMS", f"and {len(problems) - PROBLEMS_SHOWN} more"))
    if any(each.code == CardDataForbidden.code for each in problems):
        return CardDataForbidden(located)
    if all(each.code == ReferenceConflict.code for each in problems):
        return ReferenceConflict(located)
    return ValidationFailed(located)


def _require(resource: Resource, body: Mapping[str, Any], problems: list[Problem]) -> None:
    for name in resource.required:
        if name not in body:
            problems.append(missing(name))
    if resource.requires_one_of and not any(map(body.get, resource.requires_one_of)):
        names = ", ".join(resource.requires_one_of)
        problems.append(Problem("", "REQUIRED", f"expected a value for at least one of {names}"))


def _external_id(resource: Resource, body: Mapping[str, Any], problems: list[Problem]) -> str | None:
    name = resource.external_id.name
    value = body.get(name)
    if value is None:
        return None
    problem = external_id_problem(value, f"/{name}")
    if problem:
        problems.append(problem)
        return None
    return str(value)


def _claimed(body: Mapping[str, Any], problems: list[Problem]) -> UUID | None:
    value = body.get("id")
    return None if value is None else read_uuid(value, "/id", problems)


def _source(body: Mapping[str, Any], problems: list[Problem]) -> Any:
    value = body.get("sourceUpdatedAt")
    if value is None:
        return None
    try:
        if type(value) is not str:
            problems.append(expected("a date-time", value, "/sourceUpdatedAt"))
        elif (when := moment(value)) <= datetime.now(UTC) + SOURCE_AHEAD:
            return when
        else:
            message = "expected a moment that has come; until one to come, whatever else is sent would be stale"
            problems.append(Problem("/sourceUpdatedAt", "OUT_OF_RANGE", message))
    except ValueError as error:
        problems.append(Problem("/sourceUpdatedAt", "INVALID_TIMESTAMP", str(error)))
    return None
