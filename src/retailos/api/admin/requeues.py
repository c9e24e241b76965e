"""What the admin route of requeues does: what failed is owed again, or counted."""

from collections.abc import Iterator

from retailos import operations
from retailos.api.admin.line import like, lines
from retailos.api.admin.operations import by, operation_example
from retailos.api.body import json_body
from retailos.api.call import Answer, Call, Engine, Operation
from retailos.api.endpoints import refuse_parameters
from retailos.api.envelope import encode
from retailos.api.schemas import Schema, object_schema, struct_schema
from retailos.operations import Requeued
from retailos.operations.requeues import REQUEUE_FIELDS
from retailos.records.body import decode


async def requeue(engine: Engine, call: Call) -> Answer:
    """POST a requeue: failed deliveries are owed again, those that the body says."""
    refuse_parameters(call)
    body = decode(await json_body(call, engine.settings.body_limit_bytes))
    requeued = await operations.requeue_failed(engine.pool, engine.resources, body, by(call))
    if not requeued.dry_run:
        engine.hint()
    return Answer(encode(requeued))


def requeue_lines() -> Iterator[Operation]:
    """The route of requeues."""
    line, said = lines("Requeue", "Requeues"), "Requeue failed deliveries"
    yield line("POST", "/requeues", requeue, "REQUEUE_CREATE", said, 200, 404, body="RequeueInput", result="Requeued")


def requeue_schemas() -> dict[str, Schema]:
    """Describe what the route of requeues takes and gives."""
    requeued = Requeued(webhook=1, count=3, dry_run=False, operations=(operation_example(),))
    said = object_schema(REQUEUE_FIELDS, input=True, owner="Requeue")
    return {
        "RequeueInput": said | {"examples": [{"webhook": 1, "errorClasses": ["http_5xx", "timeout"]}]},
        "Requeued": struct_schema(Requeued) | like(requeued),
    }
