"""What the admin routes of deliveries do: found, and shown with their attempts."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec

from retailos import operations
from retailos.api.admin.line import AT, WHEN, WHEN_OR_NULL, like, lines
from retailos.api.call import Answer, Call, Engine, Operation
from retailos.api.endpoints import refuse_parameters
from retailos.api.envelope import encode
from retailos.api.examples import DELIVERY_ID
from retailos.api.schemas import Schema, list_schema, struct_schema
from retailos.declare.resource import Resources
from retailos.declare.values import moment
from retailos.deliveries.deliveries import (
    STATUSES,
    Asked,
    Attempt,
    AttemptBatch,
    Delivery,
    DeliveryWithAttempts,
)
from retailos.deliveries.job import job_id
from retailos.deliveries.outcome import Why
from retailos.deliveries.selection import ERROR_CLASSES, HTTP_STATUS_MOST
from retailos.errors import Problem, ValidationFailed
from retailos.exchanges.exchange import ErrorClass
from retailos.records import query

_PARAMETERS = (
    *("webhook", "status", "externalId", "resource", "errorClass", "httpStatus", "since", "until"),
    *("limit", "offset", "withCount"),
)
_ERROR_CLASS = MappingProxyType({"type": ["string", "null"], "examples": [each.value for each in ErrorClass]})
_OF_DELIVERIES: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "status": {"type": "string", "examples": list(STATUSES)},
        "jobId": {"type": "string", "format": "uuid", "description": "What GET /v2/public/jobs/{id} finds it by."},
        "wanted": {"type": "integer", "description": "The version of the record that is owed."},
        "acknowledged": {"type": "integer", "description": "The newest version answered with a 2xx; 0: none."},
        "ambiguous": {"type": "boolean", "description": "Whether an attempt ended unknown and may still arrive."},
        "errorClass": _ERROR_CLASS,
        "skippedWhy": {
            "type": ["string", "null"],
            "examples": list(Why),
            "description": "Why nothing was sent, where the delivery is skipped.",
        },
        "settledAt": WHEN_OR_NULL,
        "nextAttemptAt": WHEN_OR_NULL,
    }
)


async def find_deliveries(engine: Engine, call: Call) -> Answer:
    """GET deliveries by webhook, resource, status, error class, HTTP status, time and external id."""
    found = await operations.find_deliveries(engine.pool, engine.resources, _asked(engine.resources, call))
    return Answer(encode({"count": found.count, "rows": found.rows}))


async def show_delivery(engine: Engine, call: Call) -> Answer:
    """GET one delivery with its attempts."""
    refuse_parameters(call)
    return Answer(encode(await operations.show_delivery(engine.pool, engine.resources, call.path["id"])))


def delivery_lines() -> Iterator[Operation]:
    """The routes of deliveries."""
    line, all_, one = lines("Delivery", "Deliveries"), "/deliveries", "/deliveries/{id}"
    parameters, result = ("deliveries",), "DeliveryWithAttempts"
    yield line(
        "GET",
        all_,
        find_deliveries,
        "DELIVERY_GET_ALL",
        "Find deliveries",
        parameters=parameters,
        result="DeliveryList",
    )
    yield line(
        "GET", one, show_delivery, "DELIVERY_GET_ONE", "Get a delivery with its attempts", 200, 404, result=result
    )


def delivery_schemas() -> dict[str, Schema]:
    """Describe what the routes of deliveries give."""
    delivery = struct_schema(Delivery, **_OF_DELIVERIES) | like(_delivery())
    history = DeliveryWithAttempts(**msgspec.structs.asdict(_delivery()), attempt_history=(_attempt(),))
    return {
        "Delivery": delivery,
        "DeliveryList": list_schema("Delivery", delivery),
        "DeliveryWithAttempts": struct_schema(DeliveryWithAttempts, **_OF_DELIVERIES) | like(history),
        "AttemptBatch": struct_schema(AttemptBatch),
        "Attempt": struct_schema(Attempt, at=WHEN, errorClass=_ERROR_CLASS) | like(_attempt()),
    }


def _asked(resources: Resources, call: Call) -> Asked:
    given = query.parameters(call.query)
    query.refuse_unknown(given, _PARAMETERS)
    problems: list[Problem] = []
    webhook_id = query.whole(given, "webhook", None, 2**31 - 1, problems)
    limit, offset = query.span(given, problems)
    asked = Asked(
        webhook_id=webhook_id,
        status=query.word(given, "status", STATUSES, problems),
        external_id=given.get("externalId"),
        error_class=query.word(given, "errorClass", ERROR_CLASSES, problems),
        http_status=query.whole(given, "httpStatus", None, HTTP_STATUS_MOST, problems),
        resource=query.word(given, "resource", resources, problems),
        since=_moment(given, "since", problems),
        until=_moment(given, "until", problems),
        limit=limit,
        offset=offset,
        with_count=query.flag(given, "withCount", False, problems),
    )
    if problems:
        raise ValidationFailed(problems)
    return asked


def _moment(given: Mapping[str, str], name: str, problems: list[Problem]) -> datetime | None:
    try:
        return moment(given[name]) if name in given else None
    except ValueError as error:
        problems.append(Problem(name, "INVALID_TIMESTAMP", str(error)))
        return None


def _delivery() -> Delivery:
    webhook_id, _, record_id = DELIVERY_ID.partition("-")
    return Delivery(
        id=DELIVERY_ID,
        webhook_id=int(webhook_id),
        job_id=job_id(int(webhook_id), UUID(record_id)),
        queue_name="webhook:customer:erp-customers",
        resource="customer",
        record_id=UUID(record_id),
        external_id="example-customer-id",
        status="delivered",
        wanted=1,
        acknowledged=1,
        attempts=1,
        ambiguous=False,
        error_class=None,
        skipped_why=None,
        settled_at=AT,
        next_attempt_at=None,
    )


def _attempt() -> Attempt:
    return Attempt(
        request_id=UUID("a1dba900-4d6f-4cd5-aea9-db8a3e07d3f5"),
        at=AT,
        number=1,
        version=1,
        again=False,
        url="https://erp.example.com/v1/customer/example-customer-id",
        status=200,
        error_class=None,
        detail=None,
        milliseconds=42.5,
        response_headers=[["content-type", "application/json"]],
        response_body={"customerId": "example-customer-id"},
        response_truncated=False,
        batch=None,
    )
