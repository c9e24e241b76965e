"""Jobs: looked up, be they upserts or deliveries, and what was given up is tried again."""

from uuid import UUID

import msgspec

from retailos.database.pool import Pool, acquire, transaction
from retailos.declare.resource import Resources
from retailos.deliveries import deliveries
from retailos.deliveries.deliveries import Delivery
from retailos.deliveries.job import JOB_STATUSES
from retailos.errors import ResourceNotFound
from retailos.jobs import jobs
from retailos.jobs.jobs import JobQueueMeta
from retailos.records import parked, waking
from retailos.records.parked import Choice
from retailos.webhooks import orders

_BEFORE_ALL = UUID(int=0)


class JobsRequeued(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many jobs are tried again, or would be."""

    count: int
    dry_run: bool


async def find_job(pool: Pool, resources: Resources, job_id: UUID) -> JobQueueMeta:
    """Give one job, an upsert or a delivery; ResourceNotFound if there is none, or none any more."""
    try:
        return await jobs.find(pool, job_id)
    except ResourceNotFound:
        found = await deliveries.of_job(pool, resources, await orders.webhooks(pool), job_id)
        if found is None:
            raise
        return _of_delivery(*found)


def _of_delivery(delivery: Delivery, since: str | None) -> JobQueueMeta:
    status = JOB_STATUSES[delivery.status]
    ended = status in ("completed", "failed", "cancelled")
    error = {
        "code": delivery.error_class,
        "message": f"GET /v2/admin/deliveries/{delivery.id} shows each attempt and its answer.",
        "details": {"attempts": delivery.attempts},
    }
    return JobQueueMeta(
        id=delivery.job_id,
        queue_name=delivery.queue_name or "",
        status=status,
        created_at=since,
        resource=delivery.resource or "",
        external_id=delivery.external_id,
        resource_id=delivery.record_id,
        version=delivery.wanted,
        outcome=None,
        completed_at=delivery.settled_at if ended else None,
        error=error if delivery.error_class else None,
    )


async def requeue_jobs(pool: Pool, resources: Resources, choice: Choice, *, dry_run: bool) -> JobsRequeued:
    """Try upserts again that were parked and given up, or only count them; those that miss a record wait anew."""
    async with acquire(pool) as connection:
        count = await parked.count(connection, choice)
    last = None if dry_run else _BEFORE_ALL
    while last is not None:
        async with transaction(pool) as connection:
            last = await waking.requeue(connection, resources, choice, last)
    return JobsRequeued(count=count, dry_run=dry_run)
