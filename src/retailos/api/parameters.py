"""Parameters as they are documented: the variables of a path, and what a list can be asked."""

import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from retailos.api import examples
from retailos.api.asked import LISTS, of_page
from retailos.api.call import Operation
from retailos.api.parameter import Parameter, in_header, in_query, listed, word
from retailos.api.schemas import opened
from retailos.declare.field import EXTERNAL_ID, snake
from retailos.declare.finders import During, Finder, Item, Through
from retailos.declare.kind import Kind
from retailos.declare.resource import Resource, Resources
from retailos.declare.texts import Text
from retailos.declare.values import Boolean, Uuid
from retailos.records import query
from retailos.records.record import OnUnresolved

_VARIABLE = re.compile(r"\{(\w+)\}")


def variables(path: str) -> list[str]:
    """Name the variables of a path, in order."""
    return _VARIABLE.findall(path)


def shape(path: str) -> str:
    """Give a path without the names of its variables: paths of one shape are one to OpenAPI, and to the router."""
    return _VARIABLE.sub("{}", path)


def of_path(resources: Resources, operation: Operation, path: str) -> Iterator[Parameter]:
    """Document the variables of an operation's path, under the names that they have in the document's `path`."""
    for own, name in zip(variables(operation.path), variables(path), strict=True):
        resource = _named_by(resources, own) or operation.resource
        known = _variable(resource, own, path) if resource else _of_admin(operation.path, own)
        yield {"name": name, "in": "path", "required": True} | known


def _named_by(resources: Resources, name: str) -> Resource | None:
    """The resource that a variable names by itself: `variantId`, `externalVariantId`."""
    known = (each for each in resources.values() if name in (each.external_id.name, f"{each.name}Id"))
    return next(known, None)


def of_query(resources: Resources, operation: Operation) -> Iterator[Parameter]:
    """Document the parameters of an operation's query."""
    resource = operation.resource
    for each in operation.parameters:
        if each in LISTS:
            yield from LISTS[each](resources)
        elif resource and each == "list":
            yield from _of_list(resources, resource)
        elif each in _WISHES:
            yield from _WISHES[each]
        elif resource and (each != "expand" or resource.references):
            yield _names(resource, each)


_DELETED = in_query("includeDeleted", {"type": "boolean", "default": False}, "Whether a deleted record is shown too.")
_DRY_RUN = in_query("dryRun", {"type": "boolean", "default": False}, "Check and say what would happen; write nothing.")
_SHOW_OR_CHECK = (
    "`return=representation` shows the record in the job to a key that may read it; `handling=strict` refuses what is"
    " unknown."
)
_LATER = (
    "`respond-async`: the answer is 202 as soon as what was sent is on the disk, its jobs `queued`, and written then."
)
#: Entity tags as RFC 9110 writes them, one or several.
_TAGS = r'^(\*|(W/)?"[!#-~]*"(, *(W/)?"[!#-~]*")*)$'
_IF_MATCH = in_header("If-Match", "Write only if the record is at the version of this ETag; else 412.", _TAGS)
_IF_NONE_MATCH = in_header("If-None-Match", "`*`: only create; 412 where the record is there already.", r"^\*$")
_UNLESS_MATCH = in_header(
    "If-None-Match",
    "Answer 304 if the record is still at the version of this ETag. What shows other records (references, those in the"
    " items of an array, a place in a tree) is answered whole, since these may have changed: `fields` leaves them out.",
    _TAGS,
)
_PREFER = in_header("Prefer", _SHOW_OR_CHECK)
_PREFER_ANY = in_header("Prefer", f"{_LATER} {_SHOW_OR_CHECK}")
_IDEMPOTENCY_KEY = in_header(
    "Idempotency-Key",
    "A new one for each request: sent again with it, the request has no second effect and the same answer, with"
    " `Idempotency-Replayed: true`. Kept 24 hours.",
)
_MODE = in_query(
    "mode",
    word("UpsertMode", ("merge", "replace")),
    "Whether absent optional fields are kept (`merge`, unless told), or reset.",
)
_UNKNOWN = in_query(
    "unknownFields",
    word("UnknownFields", ("refuse", "ignore")),
    "What becomes of fields that are unknown; `refuse` unless told.",
)
_ON_UNRESOLVED = in_query(
    "onUnresolved",
    word("OnUnresolved", tuple(OnUnresolved)),
    "What becomes of a record that refers, by external id, to one that is not there: it waits for it (`park`, unless"
    " told: 202), it is refused (422), or the reference is cleared, with a warning. Records that wait for nothing but"
    " each other are written together. Under a condition, in part, and by id nothing waits.",
)
_ERROR_POLICY = in_query(
    "errorPolicy",
    word("ErrorPolicy", ("applyGood", "rejectEverything")),
    "Whether bad records fail alone (`applyGood`, unless told), or nothing is applied.",
)
_WISHES = MappingProxyType(
    {
        "includeDeleted": (_DELETED,),
        "mode": (_MODE,),
        "writing": (_UNKNOWN, _ON_UNRESOLVED, _DRY_RUN, _IF_MATCH, _IF_NONE_MATCH),
        "prefer": (_PREFER,),
        "preferAny": (_PREFER_ANY,),
        "once": (_IDEMPOTENCY_KEY,),
        "errorPolicy": (_ERROR_POLICY, _UNKNOWN, _ON_UNRESOLVED, _DRY_RUN),
        "creating": (_UNKNOWN, _ON_UNRESOLVED, _DRY_RUN, _PREFER),
        "deleting": (_DRY_RUN, _PREFER, _IF_MATCH),
        "unlessMatch": (_UNLESS_MATCH,),
        "merging": (_DRY_RUN, _IF_MATCH),
    }
)


def _variable(resource: Resource, name: str, path: str) -> Parameter:
    title, key = resource.title.lower(), resource.external_id
    schema, example = key.kind.schema(), examples.external_id(resource)
    if name not in ("id", f"{resource.name}Id"):
        said = f"The external id of the {title}: opaque, percent-encoded as one segment (`a/b` is `a%2Fb`)."
    elif "/id/" in path or path.endswith("/merge"):
        said, schema, example = f"Our id of the {title}.", Uuid().schema(), examples.internal_id(resource)
    else:
        said = f"Our id of the {title} if it has the form of one and is known, else its external id, percent-encoded."
    return {"description": said, "schema": schema, "example": example}


def _of_admin(path: str, name: str) -> Parameter:
    if name == "issueId" or any(each in path for each in ("/jobs/", "/batches/", "/imports/", "/operations/")):
        return {"description": "The id in the answer.", "schema": Uuid().schema(), "example": examples.job_id()}
    if "/keys/" in path:
        return {"description": "The key's id: ten characters.", "schema": {"type": "string"}, "example": "4fK2mQ8sZ1"}
    if "/reports/" in path:
        return {"description": "The report's id.", "schema": {"type": "integer", "minimum": 1}, "example": 1}
    if "/webhooks/" in path:
        return {"description": "The webhook's id.", "schema": {"type": "integer", "minimum": 1}, "example": 1}
    return {"description": "The delivery's id.", "schema": {"type": "string"}, "example": examples.DELIVERY_ID}


def _of_list(resources: Resources, resource: Resource) -> Iterator[Parameter]:
    yield from of_page(resources)
    yield in_query("cursor", {"type": "string"}, "Begin behind the page that gave this `nextCursor`.")
    sortable = query.sortable(resource)
    orders = [f"{sign}{name}" for name in sortable for sign in ("", "-")]
    # What generated clients call the words: a minus is no name.
    called = [f"{snake(name).upper()}{end}" for name in sortable for end in ("", "_DESCENDING")]
    order = word(f"{resource.schema_name}Sort", orders) | {"x-enum-varnames": called}
    yield listed("sort", order, "In this order; `-` descends. Ties are broken by `id`.")
    yield _names(resource, "fields")
    if resource.references:
        yield _names(resource, "expand")
    if resource.search:
        words = f"Every word must begin one of {', '.join(resource.search)}."
        yield in_query("q", {"type": "string"}, words)
    if resource.place:
        said = "Within a distance of a point: `latitude,longitude,kilometres`, such as `51.5,-0.12,10`."
        yield in_query("near", {"type": "string", "pattern": r"^-?[0-9.]+,-?[0-9.]+,[0-9.]+$"}, said)
    yield in_query("withCount", {"type": "boolean", "default": True}, "Whether to count; without it `count` is null.")
    yield in_query("includeDeleted", {"type": "boolean", "default": False}, "Whether deleted records are shown too.")
    filters = query.filterable(resources, resource)
    for path, kind in filters.items():
        operators = " ".join(f"`{each}`" for each in _operators(resource, path, kind))
        said = _found_by(resource.finder(path)) + (_FORMERLY if kind is EXTERNAL_ID else "")
        said += f" Operators: {operators}." if operators else ""
        yield in_query(path, _asked(kind), said)
    yield _with_operators(resource, filters)


_FORMERLY = " An external id that a record had before, or a record merged into it, finds that record."


def _asked(kind: Kind) -> dict[str, Any]:
    """What a filter takes: of text any, since what no record can hold is no mistake to ask for; it finds nothing."""
    schema = opened(kind.schema())
    if kind.sql_type != "text":
        return schema
    return {key: value for key, value in schema.items() if key in ("type", "description", "examples")}


def _found_by(finder: Finder | None) -> str:
    match finder:
        case Item():
            return f"With this among its `{finder.path}`."
        case Through():
            return f"With a record of this `{finder.field}` as one of its `{finder.reference}`."
        case During():
            return f"With this moment between its `{finder.begin}` and its `{finder.end}`, the latter excluded."
        case None:
            return "Equal to this."


def _with_operators(resource: Resource, filters: Mapping[str, Kind]) -> Parameter:
    """All filters with operators, as one parameter whose members go out as parameters of their own."""
    known = {f"{path}[{operator}]" for path, kind in filters.items() for operator in _operators(resource, path, kind)}
    said = (
        'Filters with operators, each member a parameter of its own: `{"updatedAt[gte]": "2020-03-25T00:00:00Z"}`.'
        f" `[in]` takes up to {query.VALUES_MOST} values, separated by commas; a comma within a value is `\\,` and a"
        " backslash `\\\\`."
    )
    title = f"{resource.schema_name}Filters"
    names = {
        "title": title,
        "type": "object",
        "propertyNames": {"enum": sorted(known)},
        "additionalProperties": {"type": "string"},
    }
    return in_query("filters", names, said) | {"style": "form", "explode": True, "example": {}}


def _operators(resource: Resource, path: str, kind: Kind) -> Sequence[str]:
    """The operators that say something about the values at a path."""
    finder = resource.finder(path)
    if finder:
        return () if isinstance(finder, During) else ("in", "ne")
    if path.partition(".")[0] in resource.reference or isinstance(kind, Boolean | Uuid):
        return ("in", "ne", "isNull")
    return [each for each in query.OPERATORS if each != "startsWith" or isinstance(kind, Text)]


def _names(resource: Resource, parameter: str) -> Parameter:
    if parameter == "expand":
        known = word(f"{resource.schema_name}Expand", resource.reference)
        return listed("expand", known, f"Show the objects of these references. {_asking(resource)}")
    known = word(f"{resource.schema_name}Field", [each.name for each in resource.shown])
    said = "Show these alone, in the entity's order."
    return listed("fields", known, f"{said} {_asking(resource)}" if resource.references else said)


def _asking(resource: Resource) -> str:
    """What a key must have for the objects of references, besides the resource's own scope."""
    scopes = ", ".join(f"`{each.name}` asks for `{each.to}:read`" for each in resource.references)
    return f"The key must allow what is shown, else 403: {scopes}."
