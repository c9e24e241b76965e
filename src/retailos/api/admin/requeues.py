"""What the admin route of requeues does: what failed is owed again, or counted."""

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

from retailos import operations
from retailos.api.admin.line import like, lines
from retailos.api.body import json_body
from retailos.api.call import Answer, Call, Engine, Operation
from retailos.api.endpoints import refuse_parameters
from retailos.api.envelope import encode
from retailos.api.schemas import Schema, object_schema, struct_schema
from retailos.declare.field import Field, flag
from retailos.declare.kind import expected
from retailos.declare.object import read_object
from retailos.declare.values import Number
from retailos.errors import ValidationFailed
from retailos.operations import Requeued
from retailos.records.body import decode

_FIELDS = MappingProxyType(
    {
        "webhook": Field(name="webhook", kind=Number(1, 2**31 - 1), required=True, nullable=False),
        "dryRun": flag("dryRun"),
    }
)


async def requeue(engine: Engine, call: Call) -> Answer:
    """POST a requeue: the failed deliveries of a webhook are owed again."""
    refuse_parameters(call)
    body = decode(await json_body(call, engine.settings.body_limit_bytes))
    webhook_id, dry_run = _requeue_of(body)
    return Answer(encode(await operations.requeue(engine.pool, webhook_id, dry_run=dry_run)))


def requeue_lines() -> Iterator[Operation]:
    """The route of requeues."""
    line, said = lines("Requeue", "Requeues"), "Requeue the failed deliveries of a webhook"
    yield line("POST", "/requeues", requeue, "REQUEUE_CREATE", said, 200, 404, body="RequeueInput", result="Requeued")


def requeue_schemas() -> dict[str, Schema]:
    """Describe what the route of requeues takes and gives."""
    return {
        "RequeueInput": object_schema(_FIELDS, input=True, owner="Requeue"),
        "Requeued": struct_schema(Requeued) | like(Requeued(webhook=1, count=3, dry_run=False)),
    }


def _requeue_of(body: Any) -> tuple[int, bool]:
    if type(body) is not dict:
        raise ValidationFailed([expected("an object with a webhook's id", body, "")])
    values, problems = read_object(_FIELDS, "requeue", body)
    if problems:
        raise ValidationFailed(problems)
    return values["webhook"], values["dryRun"]
