"""What the admin routes of requeues and dismissals do: what failed is owed again, set aside, or counted."""

from collections.abc import Iterator

from retailos import operations
from retailos.api.admin.form import body_of, by
from retailos.api.admin.line import like, lines
from retailos.api.admin.operations import operation_example
from retailos.api.call import Answer, Call, Engine, Operation
from retailos.api.envelope import encode
from retailos.api.schemas import Schema, object_schema, struct_schema
from retailos.operations import Requeued
from retailos.operations.requeues import DISMISSAL_FIELDS, REQUEUE_FIELDS


async def requeue(engine: Engine, call: Call) -> Answer:
    """POST a requeue: failed deliveries are owed again, those that the body says."""
    body = await body_of(engine, call)
    requeued = await operations.requeue_failed(engine.pool, engine.resources, body, by(call))
    if not requeued.dry_run:
        engine.hint()
    return Answer(encode(requeued))


async def dismiss(engine: Engine, call: Call) -> Answer:
    """POST a dismissal: failed deliveries are set aside, those that the body says."""
    body = await body_of(engine, call)
    return Answer(encode(await operations.dismiss_failed(engine.pool, engine.resources, body, by(call))))


def requeue_lines() -> Iterator[Operation]:
    """The routes of requeues and dismissals."""
    line, said = lines("Requeue", "Requeues"), "Requeue failed deliveries"
    yield line("POST", "/requeues", requeue, "REQUEUE_CREATE", said, 200, 404, body="RequeueInput", result="Requeued")
    line, said = lines("Dismissal", "Dismissals"), "Dismiss failed deliveries"
    yield line(
        "POST", "/dismissals", dismiss, "DISMISSAL_CREATE", said, 200, 404, body="DismissalInput", result="Requeued"
    )


def requeue_schemas() -> dict[str, Schema]:
    """Describe what the routes of requeues and dismissals take and give."""
    requeued = Requeued(webhook=1, count=3, dry_run=False, operations=(operation_example(),))
    said = object_schema(REQUEUE_FIELDS, input=True, owner="Requeue")
    dismissal = object_schema(DISMISSAL_FIELDS, input=True, owner="Dismissal")
    return {
        "RequeueInput": said | {"examples": [{"webhook": 1, "errorClasses": ["http_5xx", "timeout"]}]},
        "DismissalInput": dismissal | {"examples": [{"webhook": 1}]},
        "Requeued": struct_schema(Requeued) | like(requeued),
    }
