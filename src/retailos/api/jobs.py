"""What the routes of jobs and batches do: look up what became of what was sent, and try again what failed."""

from collections.abc import Mapping
from types import MappingProxyType
from uuid import UUID

from retailos import operations
from retailos.api.body import json_body
from retailos.api.call import Answer, Call, Engine
from retailos.api.endpoints import record_id_of, refuse_parameters
from retailos.api.envelope import encode
from retailos.declare.field import Field, switch
from retailos.declare.kind import expected
from retailos.declare.object import read_object
from retailos.declare.resource import Resources
from retailos.declare.shapes import ListOf
from retailos.declare.texts import Choice as Words
from retailos.declare.values import Uuid
from retailos.errors import Problem, ValidationFailed
from retailos.jobs import jobs
from retailos.jobs.jobs import STATUSES, Asked
from retailos.records import query
from retailos.records.body import decode
from retailos.records.parked import Choice

#: Jobs that one request can name; whoever means more says which by the other fields.
REQUEUED_MOST = 1_000
_PARAMETERS = ("queueName", "status", "resource", "externalId", "batchId", "limit", "offset")


async def get_job(engine: Engine, call: Call) -> Answer:
    """GET a job by its id: an upsert, or what tells a webhook of a record."""
    refuse_parameters(call)
    return Answer(encode(await operations.find_job(engine.pool, engine.resources, record_id_of(call))))


async def get_jobs(engine: Engine, call: Call) -> Answer:
    """GET jobs, newest first."""
    rows = await jobs.list_jobs(engine.pool, _asked(engine, call))
    return Answer(encode({"count": None, "rows": rows}))


async def requeue(engine: Engine, call: Call) -> Answer:
    """POST a requeue: jobs that failed for want of other records are tried again, or only counted."""
    refuse_parameters(call)
    body = decode(await json_body(call, engine.settings.body_limit_bytes))
    if type(body) is not dict:
        raise ValidationFailed([expected("an object that says which jobs", body, "")])
    given, problems = read_object(requeue_fields(engine.resources), "requeue", body)
    if problems:
        raise ValidationFailed(problems)
    choice = Choice(
        failed=given["status"] == "failed",
        resource=given["resource"],
        job_ids=None if given["ids"] is None else tuple(map(UUID, given["ids"])),
    )
    requeued = await operations.requeue_jobs(engine.pool, engine.resources, choice, dry_run=given["dryRun"])
    engine.hint()
    return Answer(encode(requeued))


def requeue_fields(resources: Resources) -> Mapping[str, Field]:
    """Say which jobs can be requeued: each absent field stands for any, but for the status."""
    return MappingProxyType(
        {
            "status": Field(
                name="status", kind=Words(words=("failed", "unresolved")), default="failed", nullable=False
            ),
            "resource": Field(name="resource", kind=Words(words=tuple(resources))),
            "ids": Field(name="ids", kind=ListOf(Uuid(), REQUEUED_MOST)),
            "dryRun": switch("dryRun"),
        }
    )


async def get_batch(engine: Engine, call: Call) -> Answer:
    """GET the totals of a batch."""
    refuse_parameters(call)
    return Answer(encode(await jobs.batch(engine.pool, record_id_of(call))))


def _asked(engine: Engine, call: Call) -> Asked:
    given = query.parameters(call.query)
    query.refuse_unknown(given, _PARAMETERS)
    problems: list[Problem] = []
    limit, offset = query.span(given, problems)
    asked = Asked(
        queue_name=given.get("queueName"),
        status=query.word(given, "status", STATUSES, problems),
        resource=query.word(given, "resource", tuple(engine.resources), problems),
        external_id=given.get("externalId"),
        batch_id=_uuid(given.get("batchId"), problems),
        limit=limit,
        offset=offset,
    )
    if problems:
        raise ValidationFailed(problems)
    return asked


def _uuid(text: str | None, problems: list[Problem]) -> UUID | None:
    try:
        return None if text is None else Uuid().parse(text)
    except ValueError as error:
        problems.append(Problem("batchId", "INVALID_UUID", str(error)))
        return None
