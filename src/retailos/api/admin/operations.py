"""What the admin routes of operations do: listed, shown with how far they are, and cancelled."""

from collections.abc import Iterator
from uuid import UUID

from retailos import operations
from retailos.api.admin.line import AT, WHEN, WHEN_OR_NULL, like, lines
from retailos.api.call import Answer, Call, Engine, Operation
from retailos.api.endpoints import record_id_of, refuse_parameters
from retailos.api.envelope import encode
from retailos.api.schemas import Schema, list_schema, struct_schema
from retailos.errors import Problem, ValidationFailed
from retailos.records import query
from retailos.stints import operation
from retailos.stints.operation import KINDS, STATUSES, Asked


async def list_operations(engine: Engine, call: Call) -> Answer:
    """GET operations, newest first."""
    rows = await operations.list_operations(engine.pool, _asked(call))
    return Answer(encode({"count": None, "rows": rows}))


async def show_operation(engine: Engine, call: Call) -> Answer:
    """GET one operation, and how far it is."""
    refuse_parameters(call)
    return Answer(encode(await operations.show_operation(engine.pool, record_id_of(call))))


async def cancel_operation(engine: Engine, call: Call) -> Answer:
    """DELETE an operation that goes on: no more is done, and what is done stays."""
    refuse_parameters(call)
    return Answer(encode(await operations.cancel_operation(engine.pool, record_id_of(call))))


def operation_lines() -> Iterator[Operation]:
    """The routes of operations."""
    line, all_, one = lines("Operation", "Operations"), "/operations", "/operations/{id}"
    yield line(
        "GET",
        all_,
        list_operations,
        "OPERATION_GET_ALL",
        "List operations",
        parameters=("operations",),
        result="OperationList",
    )
    yield line("GET", one, show_operation, "OPERATION_GET_ONE", "Get an operation", 200, 404, result="Operation")
    yield line("DELETE", one, cancel_operation, "OPERATION_CANCEL", "Cancel an operation", 200, 404, result="Operation")


def operation_schemas() -> dict[str, Schema]:
    """Describe what the routes of operations give."""
    shown = struct_schema(
        operation.Operation,
        kind={"type": "string", "examples": list(KINDS)},
        cause={"type": "string", "examples": ["operator", "policy"]},
        status={"type": "string", "examples": list(STATUSES)},
        total={"type": "integer", "description": "How many deliveries it was about when it began."},
        done={"type": "integer", "description": "How many it has dealt with so far."},
        skipped={"type": "integer", "description": "How many needed nothing any more when their turn came."},
        rate={"type": ["number", "null"], "description": "Records a second at the most; null: as the receiver takes."},
        selection={"type": "object", "description": "Which deliveries it is about, records by our ids."},
        createdAt=WHEN,
        endedAt=WHEN_OR_NULL,
    ) | like(operation_example())
    return {"Operation": shown, "OperationList": list_schema("Operation", shown)}


def operation_example() -> operation.Operation:
    """An operation that has ended."""
    return operation.Operation(
        id=UUID("e92ae5e1-8a9e-4b3e-9c67-d1dfb08f19a2"),
        kind="requeue",
        webhook_id=1,
        cause="operator",
        status="completed",
        total=3,
        done=3,
        skipped=0,
        rate=None,
        selection={"errorClasses": ["http_5xx", "timeout"]},
        created_at=AT,
        ended_at=AT,
    )


def _asked(call: Call) -> Asked:
    given = query.parameters(call.query)
    query.refuse_unknown(given, ("webhook", "kind", "status", "limit", "offset"))
    problems: list[Problem] = []
    limit, offset = query.span(given, problems)
    asked = Asked(
        webhook_id=query.whole(given, "webhook", None, 2**31 - 1, problems),
        kind=query.word(given, "kind", KINDS, problems),
        status=query.word(given, "status", STATUSES, problems),
        limit=limit,
        offset=offset,
    )
    if problems:
        raise ValidationFailed(problems)
    return asked
