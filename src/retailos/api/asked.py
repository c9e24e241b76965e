"""What can be asked of the routes that list something else than records, or look something up: their parameters."""

from collections.abc import Iterator
from types import MappingProxyType

from retailos.api import changes, prices
from retailos.api.parameter import Parameter, in_header, in_query, listed, whole, word
from retailos.declare.resource import Resources
from retailos.declare.texts import CURRENCY
from retailos.declare.values import Timestamp, Uuid
from retailos.deliveries.deliveries import STATUSES
from retailos.deliveries.selection import ERROR_CLASSES, HTTP_STATUS_MOST
from retailos.deliveries.statistics import STEP_MINUTES_MOST, STEPS_MOST
from retailos.imports.apply import ERROR_ROWS_LEAST
from retailos.imports.imports import STATUSES as IMPORT_STATUSES
from retailos.imports.rows import FORMATS
from retailos.jobs.jobs import STATUSES as JOB_STATUSES
from retailos.records import query
from retailos.stints import operation


def _of_deliveries(resources: Resources) -> Iterator[Parameter]:
    yield in_query(
        "webhook", {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}, "Those of the webhook with this id."
    )
    yield in_query("status", word("DeliveryStatus", STATUSES), "Those that are so far.")
    yield in_query("externalId", {"type": "string"}, "Those of records with this external id, of any resource.")
    yield in_query("resource", word("ResourceName", resources), "Those that tell of this kind of record.")
    yield in_query("errorClass", word("ErrorClass", ERROR_CLASSES), "Those that failed last for this reason.")
    answered = {"type": "integer", "minimum": 0, "maximum": HTTP_STATUS_MOST}
    yield in_query("httpStatus", answered, "Those whose last attempt failed with this HTTP status.")
    yield in_query("since", dict(Timestamp().schema()), "Those settled last at this moment or later.")
    yield in_query("until", dict(Timestamp().schema()), "Those settled last before this moment.")
    yield from of_page(resources)
    yield in_query("withCount", {"type": "boolean", "default": False}, "Whether to count; without it `count` is null.")


def _of_operations(resources: Resources) -> Iterator[Parameter]:
    said = "Those of the webhook with this id."
    yield in_query("webhook", {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}, said)
    yield in_query("kind", word("OperationKind", operation.KINDS), "Those of this kind.")
    yield in_query("status", word("OperationStatus", operation.STATUSES), "Those that are so far.")
    yield from of_page(resources)


def _of_statistics(_resources: Resources) -> Iterator[Parameter]:
    moment = {"type": "string", "format": "date-time"}
    webhook = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
    step = {"type": "integer", "minimum": 1, "maximum": STEP_MINUTES_MOST, "default": 1}
    yield in_query("webhook", webhook, "Those of the webhook with this id; without it, of all.")
    yield in_query("from", moment, "From this minute on; without it, of an hour.")
    yield in_query("to", moment, "Until this moment; without it, until now.")
    yield in_query("step", step, f"Minutes that are added up; at most {STEPS_MOST:,} steps are read at once.")


def _of_jobs(resources: Resources) -> Iterator[Parameter]:
    yield in_query("queueName", {"type": "string"}, "Those of this queue, such as `scv:customer:upsert`.")
    yield in_query("status", word("JobStatus", JOB_STATUSES), "Those that are so far.")
    yield in_query("resource", word("ResourceName", resources), "Those of this kind of record.")
    yield in_query("externalId", {"type": "string"}, "Those of records with this external id.")
    yield in_query("batchId", dict(Uuid().schema()), "Those of one request.")
    yield from of_page(resources)


def _of_import(resources: Resources) -> Iterator[Parameter]:
    yield in_query("resource", {"type": "string", "enum": list(resources)}, "What the records are.") | {
        "required": True,
        "example": "customer",
    }
    said = "The format, where the media type does not tell it, as that of a packed file does not."
    yield in_query("format", {"type": "string", "enum": list(FORMATS)}, said)
    share = {"type": "number", "minimum": 0, "maximum": 1, "default": 1}
    said = f"Stop once more than this share of the rows was refused, {ERROR_ROWS_LEAST} rows or more having been read."
    yield in_query("maxErrorRate", share, said)


def _of_imports(resources: Resources) -> Iterator[Parameter]:
    yield in_query("resource", {"type": "string", "enum": list(resources)}, "Those of this kind of record.")
    yield in_query("status", {"type": "string", "enum": list(IMPORT_STATUSES)}, "Those that are so far.")
    yield from of_page(resources)


def _of_results(resources: Resources) -> Iterator[Parameter]:
    yield in_query("status", {"type": "string", "enum": ["failed"], "default": "failed"}, "Rows with this result.")


def _of_changes(resources: Resources) -> Iterator[Parameter]:
    yield listed("resources", word("ResourceName", resources), "Changes of these alone.")
    yield in_query("since", {"type": "string", "default": "beginning"}, "`nextCursor`, `beginning` or `now`.")
    counted = {"type": "integer", "minimum": 1, "maximum": changes.LIMIT_MOST, "default": changes.LIMIT_DEFAULT}
    yield in_query("limit", counted, "The most changes that are looked at.")
    said = "Show the objects of these references; 403 unless the key has the `read` scope of what each leads to."
    names = sorted({each.name for resource in resources.values() for each in resource.references})
    yield listed("expand", word("ChangeExpand", names), said)
    yield in_query("wait", whole(changes.WAIT_SECONDS_MOST, 0), "Seconds to wait for something to tell.")
    yield in_header("Last-Event-ID", "Of a stream: go on behind the event with this id, whatever `since` says.")


def _of_price(_resources: Resources) -> Iterator[Parameter]:
    moment = {"type": "string", "format": "date-time"}
    named = {"type": "string", "minLength": 1, "maxLength": 255}
    counted = {"type": "integer", "minimum": 1, "maximum": prices.QUANTITY_MOST, "default": 1}
    yield in_query("store", named, "Where: our id or the external id of a store; without it, what holds everywhere.")
    yield in_query("at", moment, "When; without it, now.")
    said = "In this currency; without it, in the store's or its territory's. Needed where prices of several hold."
    yield in_query("currency", CURRENCY.schema(), said)
    yield in_query("priceList", {"type": "string", "default": "default"}, "Of this price list.")
    yield in_query("quantity", counted, "For so many.")


def _of_story(_resources: Resources) -> Iterator[Parameter]:
    yield in_query("externalId", {"type": "string"}, "The record, by an external id that it has or had.")
    yield in_query("recordId", dict(Uuid().schema()), "The record, by our id.")


def of_page(_resources: Resources) -> Iterator[Parameter]:
    """How much of a list is wanted, and where that begins."""
    yield in_query("limit", whole(query.LIMIT_MOST, query.LIMIT_DEFAULT), "The most rows of a page; 0 only counts.")
    # Without a default: generated clients send it, and beside a cursor it is refused.
    skipped = {"type": "integer", "minimum": 0, "maximum": query.OFFSET_MOST}
    yield in_query("offset", skipped, "How many rows to skip; none unless told.")


#: What can be asked beside a list of records, by the word that an operation has for it.
LISTS = MappingProxyType(
    {
        "deliveries": _of_deliveries,
        "statistics": _of_statistics,
        "page": of_page,
        "explain": _of_story,
        "operations": _of_operations,
        "changes": _of_changes,
        "price": _of_price,
        "jobs": _of_jobs,
        "import": _of_import,
        "imports": _of_imports,
        "results": _of_results,
    }
)
