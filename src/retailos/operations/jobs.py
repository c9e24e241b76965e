"""Queued inbound work: what was given up is tried again."""

from uuid import UUID

import msgspec

from retailos.database.pool import Pool, acquire, transaction
from retailos.declare.resource import Resources
from retailos.records import parked, waking
from retailos.records.parked import Choice

_BEFORE_ALL = UUID(int=0)


class JobsRequeued(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many jobs are tried again, or would be."""

    count: int
    dry_run: bool


async def requeue_jobs(pool: Pool, resources: Resources, choice: Choice, *, dry_run: bool) -> JobsRequeued:
    """Try upserts again that were parked and given up, or only count them; those that miss a record wait anew."""
    async with acquire(pool) as connection:
        count = await parked.count(connection, choice)
    last = None if dry_run else _BEFORE_ALL
    while last is not None:
        async with transaction(pool) as connection:
            last = await waking.requeue(connection, resources, choice, last)
    return JobsRequeued(count=count, dry_run=dry_run)
