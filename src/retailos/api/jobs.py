"""The guide's face of a write: the job that it was."""

from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from retailos.declare.resource import Resource
from retailos.declare.values import printed
from retailos.records.record import Written


class JobQueueMeta(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The guide's face of a job: its four fields first, then ours."""

    id: UUID
    queue_name: str
    status: str
    created_at: str
    resource: str
    external_id: str | None
    resource_id: UUID | None
    version: int | None
    outcome: str | None
    completed_at: str | None
    batch_id: UUID | None = None
    index: int = 0
    error: Any = None
    unresolved_references: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    #: The record as it is now, where `Prefer: return=representation` asked for it.
    record: msgspec.Raw | UnsetType = UNSET
    #: Nothing of this was done: it is what would have been.
    dry_run: bool | UnsetType = UNSET


def job_meta(
    resource: Resource,
    written: Written,
    *,
    operation: str = "upsert",
    record: msgspec.Raw | UnsetType = UNSET,
    dry_run: bool = False,
) -> JobQueueMeta:
    """Show a write that is committed as the completed job that it was."""
    at = printed(written.at)
    return JobQueueMeta(
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
        record=record,
        dry_run=dry_run or UNSET,
    )
