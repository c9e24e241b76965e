"""Parameters as they are documented: the variables of a path, and what a list can be asked."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from retailos.api import changes, examples, prices
from retailos.api.call import Operation
from retailos.api.schemas import opened
from retailos.declare.field import snake
from retailos.declare.finders import During, Finder, Item, Through
from retailos.declare.kind import Kind
from retailos.declare.resource import Resource, Resources
from retailos.declare.texts import CURRENCY, Text
from retailos.declare.values import Boolean, Timestamp, Uuid
from retailos.deliveries.deliveries import STATUSES
from retailos.deliveries.selection import ERROR_CLASSES
from retailos.deliveries.statistics import STEP_MINUTES_MOST, STEPS_MOST
from retailos.imports.apply import ERROR_ROWS_LEAST
from retailos.imports.imports import STATUSES as IMPORT_STATUSES
from retailos.imports.rows import FORMATS
from retailos.jobs.jobs import STATUSES as JOB_STATUSES
from retailos.records import query
from retailos.records.record import OnUnresolved
from retailos.stints import operation

Parameter = dict[str, Any]

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
        if each == "deliveries":
            yield from _of_deliveries(resources)
        elif each == "statistics":
            yield from _of_statistics()
        elif each == "page":
            yield from _of_page()
        elif each == "explain":
            yield _of_query("externalId", {"type": "string"}, "The record, by an external id that it has or had.")
            yield _of_query("recordId", dict(Uuid().schema()), "The record, by our id.")
        elif each == "operations":
            yield from _of_operations()
        elif each == "changes":
            yield from _of_changes(resources)
        elif each == "price":
            yield from _of_price()
        elif each == "jobs":
            yield from _of_jobs(resources)
        elif each in ("import", "imports", "results"):
            yield from _OF_IMPORTS[each](resources)
        elif resource and each == "list":
            yield from _of_list(resources, resource)
        elif each in _WISHES:
            yield from _WISHES[each]
        elif resource and (each != "expand" or resource.references):
            yield _names(resource, each)


def _of_query(name: str, schema: dict[str, Any], said: str) -> Parameter:
    return {"name": name, "in": "query", "description": said, "schema": schema}


def _header(name: str, said: str, form: str = "") -> Parameter:
    schema = {"type": "string"} | ({"pattern": form} if form else {})
    return {"name": name, "in": "header", "description": said, "schema": schema}


def _word(title: str, words: Iterable[str]) -> dict[str, Any]:
    """One of fixed words; `title` names the type that a generated client has for it."""
    return {"title": title, "type": "string", "enum": list(words)}


_DELETED = _of_query("includeDeleted", {"type": "boolean", "default": False}, "Whether a deleted record is shown too.")
_DRY_RUN = _of_query("dryRun", {"type": "boolean", "default": False}, "Check and say what would happen; write nothing.")
_SHOW_OR_CHECK = "`return=representation` shows the record in the job; `handling=strict` refuses what is unknown."
_LATER = (
    "`respond-async`: the answer is 202 as soon as what was sent is on the disk, its jobs `queued`, and written then."
)
#: Entity tags as RFC 9110 writes them, one or several.
_TAGS = r'^(\*|(W/)?"[!#-~]*"(, *(W/)?"[!#-~]*")*)$'
_IF_MATCH = _header("If-Match", "Write only if the record is at the version of this ETag; else 412.", _TAGS)
_IF_NONE_MATCH = _header("If-None-Match", "`*`: only create; 412 where the record is there already.", r"^\*$")
_UNLESS_MATCH = _header("If-None-Match", "Answer 304 if the record is still at the version of this ETag.", _TAGS)
_PREFER = _header("Prefer", _SHOW_OR_CHECK)
_PREFER_LATER = _header("Prefer", _LATER)
_PREFER_ANY = _header("Prefer", f"{_LATER} {_SHOW_OR_CHECK}")
_IDEMPOTENCY_KEY = _header(
    "Idempotency-Key",
    "A new one for each request: sent again with it, the request has no second effect and the same answer, with"
    " `Idempotency-Replayed: true`. Kept 24 hours.",
)
_MODE = _of_query(
    "mode",
    _word("UpsertMode", ("merge", "replace")),
    "Whether absent optional fields are kept (`merge`, unless told), or reset.",
)
_UNKNOWN = _of_query(
    "unknownFields",
    _word("UnknownFields", ("refuse", "ignore")),
    "What becomes of fields that are unknown; `refuse` unless told.",
)
_ON_UNRESOLVED = _of_query(
    "onUnresolved",
    _word("OnUnresolved", tuple(OnUnresolved)),
    "What becomes of a record that refers, by external id, to one that is not there: it waits for it (`park`, unless"
    " told: 202), it is refused (422), or the reference is cleared, with a warning. Under a condition, in part, and by"
    " id nothing waits.",
)
_ERROR_POLICY = _of_query(
    "errorPolicy",
    _word("ErrorPolicy", ("applyGood", "rejectEverything")),
    "Whether bad records fail alone (`applyGood`, unless told), or nothing is applied.",
)
_WISHES = MappingProxyType(
    {
        "includeDeleted": (_DELETED,),
        "mode": (_MODE,),
        "writing": (_UNKNOWN, _ON_UNRESOLVED, _DRY_RUN, _IF_MATCH, _IF_NONE_MATCH),
        "prefer": (_PREFER,),
        "preferLater": (_PREFER_LATER,),
        "preferAny": (_PREFER_ANY,),
        "once": (_IDEMPOTENCY_KEY,),
        "errorPolicy": (_ERROR_POLICY, _ON_UNRESOLVED),
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


def _of_deliveries(resources: Resources) -> Iterator[Parameter]:
    yield _of_query(
        "webhook", {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}, "Those of the webhook with this id."
    )
    yield _of_query("status", _word("DeliveryStatus", STATUSES), "Those that are so far.")
    yield _of_query("externalId", {"type": "string"}, "Those of records with this external id, of any resource.")
    yield _of_query("resource", _word("ResourceName", resources), "Those that tell of this kind of record.")
    yield _of_query("errorClass", _word("ErrorClass", ERROR_CLASSES), "Those that failed last for this reason.")
    yield _of_query("since", dict(Timestamp().schema()), "Those settled last at this moment or later.")
    yield _of_query("until", dict(Timestamp().schema()), "Those settled last before this moment.")
    yield from _of_page()
    yield _of_query("withCount", {"type": "boolean", "default": False}, "Whether to count; without it `count` is null.")


def _of_operations() -> Iterator[Parameter]:
    said = "Those of the webhook with this id."
    yield _of_query("webhook", {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}, said)
    yield _of_query("kind", _word("OperationKind", operation.KINDS), "Those of this kind.")
    yield _of_query("status", _word("OperationStatus", operation.STATUSES), "Those that are so far.")
    yield from _of_page()


def _of_statistics() -> Iterator[Parameter]:
    moment = {"type": "string", "format": "date-time"}
    webhook = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
    step = {"type": "integer", "minimum": 1, "maximum": STEP_MINUTES_MOST, "default": 1}
    yield _of_query("webhook", webhook, "Those of the webhook with this id; without it, of all.")
    yield _of_query("from", moment, "From this minute on; without it, of an hour.")
    yield _of_query("to", moment, "Until this moment; without it, until now.")
    yield _of_query("step", step, f"Minutes that are added up; at most {STEPS_MOST:,} steps are read at once.")


def _of_jobs(resources: Resources) -> Iterator[Parameter]:
    yield _of_query("queueName", {"type": "string"}, "Those of this queue, such as `scv:customer:upsert`.")
    yield _of_query("status", _word("JobStatus", JOB_STATUSES), "Those that are so far.")
    yield _of_query("resource", _word("ResourceName", resources), "Those of this kind of record.")
    yield _of_query("externalId", {"type": "string"}, "Those of records with this external id.")
    yield _of_query("batchId", dict(Uuid().schema()), "Those of one request.")
    yield from _of_page()


def _of_import(resources: Resources) -> Iterator[Parameter]:
    yield _of_query("resource", {"type": "string", "enum": list(resources)}, "What the records are.") | {
        "required": True,
        "example": "customer",
    }
    said = "The format, where the media type does not tell it, as that of a packed file does not."
    yield _of_query("format", {"type": "string", "enum": list(FORMATS)}, said)
    share = {"type": "number", "minimum": 0, "maximum": 1, "default": 1}
    said = f"Stop once more than this share of the rows was refused, {ERROR_ROWS_LEAST} rows or more having been read."
    yield _of_query("maxErrorRate", share, said)


def _of_imports(resources: Resources) -> Iterator[Parameter]:
    yield _of_query("resource", {"type": "string", "enum": list(resources)}, "Those of this kind of record.")
    yield _of_query("status", {"type": "string", "enum": list(IMPORT_STATUSES)}, "Those that are so far.")
    yield from _of_page()


def _of_results(resources: Resources) -> Iterator[Parameter]:
    yield _of_query("status", {"type": "string", "enum": ["failed"], "default": "failed"}, "Rows with this result.")


_OF_IMPORTS = MappingProxyType({"import": _of_import, "imports": _of_imports, "results": _of_results})


def _of_changes(resources: Resources) -> Iterator[Parameter]:
    yield _listed("resources", _word("ResourceName", resources), "Changes of these alone.")
    yield _of_query("since", {"type": "string", "default": "beginning"}, "`nextCursor`, `beginning` or `now`.")
    whole = {"type": "integer", "minimum": 1, "maximum": changes.LIMIT_MOST, "default": changes.LIMIT_DEFAULT}
    yield _of_query("limit", whole, "The most changes that are looked at.")
    names = sorted({each.name for resource in resources.values() for each in resource.references})
    yield _listed("expand", _word("ChangeExpand", names), "Show the objects of these references.")
    yield _of_query("wait", _whole(changes.WAIT_SECONDS_MOST, 0), "Seconds to wait for something to tell.")
    yield _header("Last-Event-ID", "Of a stream: go on behind the event with this id, whatever `since` says.")


def _of_price() -> Iterator[Parameter]:
    moment = {"type": "string", "format": "date-time"}
    named = {"type": "string", "minLength": 1, "maxLength": 255}
    whole = {"type": "integer", "minimum": 1, "maximum": prices.QUANTITY_MOST, "default": 1}
    yield _of_query("store", named, "Where: our id or the external id of a store; without it, what holds everywhere.")
    yield _of_query("at", moment, "When; without it, now.")
    yield _of_query("currency", CURRENCY.schema(), "In this currency; without it, in the store's, if it has one.")
    yield _of_query("priceList", {"type": "string", "default": "default"}, "Of this price list.")
    yield _of_query("quantity", whole, "For so many.")


def _of_page() -> Iterator[Parameter]:
    yield _of_query("limit", _whole(query.LIMIT_MOST, query.LIMIT_DEFAULT), "The most rows of a page; 0 only counts.")
    # Without a default: generated clients send it, and beside a cursor it is refused.
    skipped = {"type": "integer", "minimum": 0, "maximum": query.OFFSET_MOST}
    yield _of_query("offset", skipped, "How many rows to skip; none unless told.")


def _of_list(resources: Resources, resource: Resource) -> Iterator[Parameter]:
    yield from _of_page()
    yield _of_query("cursor", {"type": "string"}, "Begin behind the page that gave this `nextCursor`.")
    sortable = query.sortable(resource)
    orders = [f"{sign}{name}" for name in sortable for sign in ("", "-")]
    # What generated clients call the words: a minus is no name.
    called = [f"{snake(name).upper()}{end}" for name in sortable for end in ("", "_DESCENDING")]
    order = _word(f"{resource.schema_name}Sort", orders) | {"x-enum-varnames": called}
    yield _listed("sort", order, "In this order; `-` descends. Ties are broken by `id`.")
    yield _names(resource, "fields")
    if resource.references:
        yield _names(resource, "expand")
    if resource.search:
        words = f"Every word must begin one of {', '.join(resource.search)}."
        yield _of_query("q", {"type": "string"}, words)
    if resource.place:
        said = "Within a distance of a point: `latitude,longitude,kilometres`, such as `51.5,-0.12,10`."
        yield _of_query("near", {"type": "string", "pattern": r"^-?[0-9.]+,-?[0-9.]+,[0-9.]+$"}, said)
    yield _of_query("withCount", {"type": "boolean", "default": True}, "Whether to count; without it `count` is null.")
    yield _of_query("includeDeleted", {"type": "boolean", "default": False}, "Whether deleted records are shown too.")
    filters = query.filterable(resources, resource)
    for path, kind in filters.items():
        operators = " ".join(f"`{each}`" for each in _operators(resource, path, kind))
        said = _found_by(resource.finder(path)) + (f" Operators: {operators}." if operators else "")
        yield _of_query(path, _asked(kind), said)
    yield _with_operators(resource, filters)


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
    said = 'Filters with operators, each member a parameter of its own: `{"updatedAt[gte]": "2020-03-25T00:00:00Z"}`.'
    title = f"{resource.schema_name}Filters"
    names = {
        "title": title,
        "type": "object",
        "propertyNames": {"enum": sorted(known)},
        "additionalProperties": {"type": "string"},
    }
    return _of_query("filters", names, said) | {"style": "form", "explode": True, "example": {}}


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
        known = _word(f"{resource.schema_name}Expand", resource.reference)
        return _listed("expand", known, "Show the objects of these references.")
    known = _word(f"{resource.schema_name}Field", [each.name for each in resource.shown])
    return _listed("fields", known, "Show these alone, in the entity's order.")


def _listed(name: str, word: dict[str, Any], said: str) -> Parameter:
    return _of_query(name, {"type": "array", "items": word, "minItems": 1}, said) | {"explode": False}


def _whole(most: int, default: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": 0, "maximum": most, "default": default}
