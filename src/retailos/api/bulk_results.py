"""What came of each record of a bulk request: jobs in the request's order, with the records where these are wanted."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from retailos.api.call import Call, Engine
from retailos.api.endpoints import resource_of
from retailos.api.wishes import Wishes
from retailos.database.pool import acquire
from retailos.errors import RetailOSError
from retailos.jobs import jobs
from retailos.jobs.jobs import JobQueueMeta, Refused
from retailos.records import body, query, store
from retailos.records.identity import new_id
from retailos.records.record import Written

Result = Written | JobQueueMeta | RetailOSError


async def tell(
    engine: Engine, call: Call, wishes: Wishes, records: list[Any], results: Sequence[Result], batch_id: UUID
) -> list[JobQueueMeta]:
    """Show what came of each record; what was refused is kept as a failed job, unless it was only a trial."""
    resource = resource_of(call)
    refused = {
        i: Refused(
            job_id=new_id(),
            external_id=body.name_of(engine.resources, resource, records[i]),
            position=i,
            error=each,
        )
        for i, each in enumerate(results)
        if isinstance(each, RetailOSError)
    }
    if refused and not wishes.dry_run:
        async with acquire(engine.pool) as connection:
            await jobs.keep_failed(
                connection, resource, list(refused.values()), request_id=call.request_id, batch_id=batch_id
            )
    # Nobody would find the batch of a trial.
    batch = None if wishes.dry_run else batch_id
    told = [
        jobs.failed(resource, refused[i], batch, call.at)
        if isinstance(each, RetailOSError)
        else jobs.told(resource, each, batch_id=batch, index=i)
        if isinstance(each, Written)
        else each
        for i, each in enumerate(results)
    ]
    if wishes.dry_run:
        return [msgspec.structs.replace(each, dry_run=True) for each in told]
    return await _with_records(engine, call, told) if wishes.representation else told


async def _with_records(engine: Engine, call: Call, told: list[JobQueueMeta]) -> list[JobQueueMeta]:
    """Jobs with the records that they wrote, as they are now; one that wrote none stays as it is."""
    resource, ids = resource_of(call), [each.resource_id for each in told if each.resource_id]
    show = query.show(resource, {}, [])
    shown = await store.get_each(engine.pool, engine.resources, resource, ids, show) if ids else {}
    return [
        msgspec.structs.replace(each, record=msgspec.Raw(shown[each.resource_id].json.encode()))
        if each.resource_id in shown
        else each
        for each in told
    ]
