"""What the route of merging does: several records that are the same become one of them, or it is shown what would."""

from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from retailos.api.body import json_body
from retailos.api.call import Answer, Call, Engine
from retailos.api.endpoints import record_id_of, resource_of
from retailos.api.envelope import encode
from retailos.api.wishes import read_wishes
from retailos.api.writing import transaction_of
from retailos.database.pool import unhindered
from retailos.records import merge as merges
from retailos.records import merging, query, store
from retailos.records.careful import Origin
from retailos.records.merge import Merge


class MergeView(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A merge that was made or, with `dryRun`, would be: what became of the survivor, and what leads to it now."""

    job_id: UUID
    resource_id: UUID
    external_id: str
    version: int
    #: The records that are merged by it; none where they were before.
    merged_ids: tuple[UUID, ...]
    #: The fields that the survivor takes from others, each with the id of the record that it comes from.
    fields: dict[str, UUID]
    #: Every consent as it is afterwards: given only where all records gave it.
    consents: dict[str, bool]
    #: How many records of each resource referred to merged ones, and refer to the survivor now.
    repointed: dict[str, int]
    #: How many of these, by resource, are deleted by it, since the survivor has one that leaves no room for them.
    deleted: dict[str, int]
    #: How many of these, by resource, got another value by it, as a second primary assignment that is secondary now.
    yielded: dict[str, int]
    #: The survivor as it is afterwards.
    record: msgspec.Raw
    #: Nothing of this was done: it is what would have been.
    dry_run: bool | UnsetType = UNSET


async def merge(engine: Engine, call: Call) -> Answer:
    """POST the ids of records that are the same as this one: they are merged into it, and lead to it from then on.

    What is empty in the survivor is taken from the first record that has something, and `fields` says otherwise. A
    consent stays given only where every record gave it. Whatever referred to a merged record refers to the survivor.
    Where that can have one such record only, its own stays, and the other yields (a primary assignment becomes
    secondary) or is deleted. A merged record is told as deleted, with its `mergedIntoId`; a GET of it is 410, a PUT to
    its external id updates the survivor. With `dryRun` all this is only shown.
    """
    resource, survivor, wishes = resource_of(call), record_id_of(call), read_wishes(call, ("dryRun",))
    asked = merging.read(resource, survivor, await json_body(call, engine.settings.body_limit_bytes))
    # What was accepted of any of them before is part of what is merged.
    await engine.queue.let_pass(resource)

    async def work() -> tuple[Merge, store.Shown | None]:
        async with transaction_of(engine, wishes) as transaction:
            origin = Origin(call.request_id, call.api_key_id)
            made = await merges.merge(transaction, engine.resources, resource, asked, origin, wishes.versions)
            show = query.show(resource, {}, [])
            return made, await store.get(transaction, engine.resources, resource, survivor, show)

    made, shown = await unhindered(work)
    if shown is None:
        raise LookupError("expected the survivor of a merge")
    view = MergeView(
        job_id=made.job_id,
        resource_id=made.survivor,
        external_id=made.external_id,
        version=made.version,
        merged_ids=made.losers,
        fields=dict(made.combined.taken_from),
        consents=dict(made.combined.consents),
        repointed=made.repointed,
        deleted=made.deleted,
        yielded=made.yielded,
        record=msgspec.Raw(shown.json.encode()),
        dry_run=True if wishes.dry_run else UNSET,
    )
    return Answer(encode(view), headers={"ETag": f'"{made.version}"'})
