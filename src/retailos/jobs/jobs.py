"""Jobs kept and looked up: what became of every record that was sent, for as long as history is kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec
from asyncpg import Record
from msgspec import UNSET, UnsetType

from retailos.database.pool import Connection, Pool, acquire
from retailos.database.statements import load
from retailos.declare.resource import Resource
from retailos.declare.values import printed
from retailos.errors import ResourceNotFound, RetailOSError
from retailos.records.record import Outcome, Written

_SQL = load(__file__)
_INSERT_FAILED, _FIND, _LIST, _BATCH = _SQL.insert_failed, _SQL.find, _SQL.list, _SQL.batch

#: Outcomes of writes that are not done, as the statuses of their jobs.
_UNDONE = MappingProxyType({Outcome.PARKED: "unresolved", Outcome.SUPERSEDED: "superseded"})
STATUSES = ("queued", "active", "completed", "retrying", "unresolved", "failed", "superseded", "cancelled")


class UnresolvedReference(msgspec.Struct, frozen=True, rename="camel"):
    """A record that an upsert waits for, and the reference that names it, as a pointer into the request."""

    path: str
    resource: str
    external_id: str


class JobWarning(msgspec.Struct, frozen=True):
    """What was done otherwise than it was asked for: where (a pointer into the request), which rule, and what."""

    path: str
    code: str
    message: str


class JobQueueMeta(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The guide's face of a job: its four fields first, then ours."""

    id: UUID
    queue_name: str
    status: str
    created_at: str | None
    resource: str
    external_id: str | None
    resource_id: UUID | None
    version: int | None
    outcome: str | None
    completed_at: str | None
    batch_id: UUID | None = None
    index: int = 0
    error: Any = None
    unresolved_references: tuple[UnresolvedReference, ...] = ()
    warnings: tuple[JobWarning, ...] = ()
    #: The record as it is now, where `Prefer: return=representation` asked for it.
    record: msgspec.Raw | UnsetType = UNSET
    #: Nothing of this was done: it is what would have been.
    dry_run: bool | UnsetType = UNSET


_decode_awaited = msgspec.json.Decoder(tuple[UnresolvedReference, ...]).decode


class Batch(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The jobs of one request, counted."""

    id: UUID
    created_at: str
    count: int
    #: How many jobs there are by status, and of the completed ones by outcome.
    statuses: dict[str, int]
    outcomes: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A record of a batch that was not written: where it stood, and why."""

    job_id: UUID
    external_id: str | None
    position: int
    error: RetailOSError


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which jobs are wanted: each None stands for any."""

    queue_name: str | None = None
    status: str | None = None
    resource: str | None = None
    external_id: str | None = None
    batch_id: UUID | None = None
    limit: int = 50
    offset: int = 0


def told(
    resource: Resource, written: Written, *, operation: str = "upsert", batch_id: UUID | None = None, index: int = 0
) -> JobQueueMeta:
    """Show a write that is committed as the job that it was: a completed one, unless it waits."""
    at = printed(written.at)
    meta = JobQueueMeta(
        id=written.job_id,
        queue_name=resource.queue(operation),
        status="completed",
        created_at=at,
        resource=resource.name,
        external_id=written.external_id,
        resource_id=written.record_id,
        version=written.version,
        outcome=written.outcome.value,
        completed_at=at,
        batch_id=batch_id,
        index=index,
        warnings=tuple(JobWarning(each.path, each.code, each.message) for each in written.warnings)
        if written.warnings
        else (),
    )
    return meta if written.version else _without_record(meta, written)


def _without_record(meta: JobQueueMeta, written: Written) -> JobQueueMeta:
    status = _UNDONE.get(written.outcome, "completed")
    return msgspec.structs.replace(
        meta,
        status=status,
        resource_id=None,
        version=None,
        outcome=meta.outcome if status == "completed" else None,
        completed_at=None if status == "unresolved" else meta.completed_at,
        unresolved_references=tuple(
            UnresolvedReference(each.path, each.resource, each.external_id) for each in written.awaits
        ),
    )


def queued(
    resource: Resource, job_id: UUID, external_id: str, at: datetime, *, batch_id: UUID | None = None, index: int = 0
) -> JobQueueMeta:
    """Show an upsert that was accepted, and is still to be written, as the job that it is."""
    return JobQueueMeta(
        id=job_id,
        queue_name=resource.queue("upsert"),
        status="queued",
        created_at=printed(at),
        resource=resource.name,
        external_id=external_id,
        resource_id=None,
        version=None,
        outcome=None,
        completed_at=None,
        batch_id=batch_id,
        index=index,
    )


def failed(resource: Resource, refused: Refused, batch_id: UUID | None, at: str) -> JobQueueMeta:
    """Show a record that was refused as the failed job that it was."""
    return JobQueueMeta(
        id=refused.job_id,
        queue_name=resource.queue("upsert"),
        status="failed",
        created_at=at,
        resource=resource.name,
        external_id=refused.external_id,
        resource_id=None,
        version=None,
        outcome=None,
        completed_at=at,
        batch_id=batch_id,
        index=refused.position,
        error=refused.error.fault,
    )


async def keep_failed(
    connection: Connection, resource: Resource, refused: Sequence[Refused], *, request_id: UUID | None, batch_id: UUID
) -> None:
    """Keep the jobs of records that were refused."""
    await connection.execute(
        _INSERT_FAILED,
        resource.queue("upsert"),
        request_id,
        batch_id,
        [each.job_id for each in refused],
        [each.external_id for each in refused],
        [msgspec.json.encode(each.error.fault).decode() for each in refused],
        [each.position for each in refused],
    )


async def find(pool: Pool, job_id: UUID) -> JobQueueMeta:
    """Give one job; ResourceNotFound if there is none, or none any more."""
    async with acquire(pool) as connection:
        row = await connection.fetchrow(_FIND, job_id)
    if row is None:
        raise ResourceNotFound("There is no such job; jobs are kept for 7 days.")
    return _shown(row)


async def list_jobs(pool: Pool, asked: Asked) -> list[JobQueueMeta]:
    """List jobs, newest first."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(
            _LIST,
            asked.queue_name,
            asked.status,
            asked.resource,
            asked.external_id,
            asked.batch_id,
            asked.limit,
            asked.offset,
        )
    return [_shown(row) for row in rows]


async def batch(pool: Pool, batch_id: UUID) -> Batch:
    """Count the jobs of a batch; ResourceNotFound if there is none."""
    async with acquire(pool) as connection:
        rows = await connection.fetch(_BATCH, batch_id)
    if not rows:
        raise ResourceNotFound("There is no such batch; batches are kept for 7 days.")
    statuses: dict[str, int] = {}
    for row in rows:
        statuses[row["status"]] = statuses.get(row["status"], 0) + row["jobs"]
    return Batch(
        id=batch_id,
        created_at=printed(min(row["created_at"] for row in rows)),
        count=sum(statuses.values()),
        statuses=statuses,
        outcomes={row["outcome"]: row["jobs"] for row in rows if row["outcome"]},
    )


def _shown(row: Record) -> JobQueueMeta:
    ended = row["status"] in ("completed", "failed")
    return JobQueueMeta(
        id=row["id"],
        queue_name=row["queue_name"],
        status=row["status"],
        created_at=printed(row["created_at"]),
        resource=row["queue_name"].split(":")[1],
        external_id=row["external_id"],
        resource_id=row["record_id"],
        version=row["version"],
        outcome=row["outcome"],
        completed_at=printed(row["completed_at"] or row["created_at"]) if ended else None,
        batch_id=row["batch_id"],
        index=row["position"],
        error=msgspec.json.decode(row["error"]) if row["error"] else None,
        unresolved_references=_decode_awaited(row["awaits"]) if row["awaits"] else (),
        warnings=msgspec.json.decode(row["warnings"], type=tuple[JobWarning, ...]) if row["warnings"] else (),
    )
