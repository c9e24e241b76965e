"""What the public routes that write do: PUT, POST, PATCH and DELETE, by either of a record's ids."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET

from retailos.api.access import check_may_read
from retailos.api.body import is_merge_patch, json_body
from retailos.api.call import Answer, Call, Engine
from retailos.api.endpoints import external_id_of, record_id_of, resource_of
from retailos.api.envelope import encode
from retailos.api.once import asked_of, begun, idempotency_key, once
from retailos.api.wishes import RESPOND_ASYNC, Wishes, read_wishes
from retailos.database.pool import Connection, acquire, unhindered
from retailos.declare.resource import Resource
from retailos.errors import ExternalIdExists, ExternalIdMismatch
from retailos.jobs import jobs, queue
from retailos.records import body, careful, keyed, query, store, waking
from retailos.records.body import Reading
from retailos.records.careful import Demand, Origin
from retailos.records.record import Draft, Outcome, Written
from retailos.records.upsert import Upsert

_PUT = ("mode", "unknownFields", "onUnresolved", "dryRun")
_OTHER = ("unknownFields", "onUnresolved", "dryRun")


async def upsert(engine: Engine, call: Call) -> Answer:
    """PUT a record by its external id: it is made, updated, or found to be like that already."""
    external_id, wishes = external_id_of(call), wishes_of(call, _PUT)
    draft = await _draft(engine, call, external_id, wishes.reading())
    if wishes.conditional:
        written = await _write_carefully(engine, call, wishes, draft, Demand(external_id=external_id))
    elif wishes.later and not wishes.dry_run:
        return await _accept(engine, call, draft)
    else:
        # Asked here, and not in a call: this is the way that nearly all writes go.
        if engine.queue.busy:
            await engine.queue.passed(resource_of(call), [external_id])
        written = await _write(engine, call, wishes, draft)
    return await _answer(engine, call, wishes, written)


async def _accept(engine: Engine, call: Call, draft: Draft) -> Answer:
    """Queue an upsert, to be written soon after the answer."""
    origin = queue.Origin(request_id=call.request_id, api_key_id=call.api_key_id)
    accepted = await engine.queue.accept(resource_of(call), [(0, draft)], origin)
    return Answer(encode([accepted[0]]), 202, {"Preference-Applied": RESPOND_ASYNC})


async def upsert_by_id(engine: Engine, call: Call) -> Answer:
    """PUT a record by our id; another external id in the body is its new one, and the old one stays as an alias."""
    record_id, wishes = record_id_of(call), wishes_of(call, _PUT)
    draft = await _draft(engine, call, None, wishes.reading())
    written = await _write_carefully(engine, call, wishes, draft, Demand(record_id=record_id))
    return await _answer(engine, call, wishes, written)


async def upsert_by_natural_key(engine: Engine, call: Call) -> Answer:
    """PUT a record by the external ids of two others that it is about, and that its body need not name again.

    Its own external id follows from theirs; a record that the two have already is updated, whatever its own is.
    """
    resource, wishes = resource_of(call), wishes_of(call, _PUT)
    entity, at = body.unwrapped(resource, body.decode(await json_body(call, engine.settings.body_limit_bytes)))
    keys = _natural_key(engine, call, resource, entity)
    async with acquire(engine.pool) as connection:
        known = await keyed.known(connection, engine.resources, resource, keys)
    draft = body.draft(engine.resources, resource, entity, at, known, wishes.reading())
    if entity.get(resource.external_id.name) is None:
        draft = msgspec.structs.replace(draft, by_key=True)
    if wishes.conditional:
        written = await _write_carefully(engine, call, wishes, draft, Demand(external_id=draft.external_id))
    else:
        await _wait_for_turn(engine, call, draft.external_id)
        written = await _write(engine, call, wishes, draft)
    return await _answer(engine, call, wishes, written)


def _natural_key(engine: Engine, call: Call, resource: Resource, entity: dict[str, Any]) -> list[str]:
    """Read the external ids in the URL, and let the entity refer to their records; it may do so already."""
    keys = []
    for name in resource.natural_key.references if resource.natural_key else ():
        key = engine.resources[resource.reference[name].to].external_id.name
        sent, given = entity.get(name), external_id_of(call, key)
        nested = sent if isinstance(sent, dict) else {}
        if nested.get(key) not in (None, given):
            raise ExternalIdMismatch
        if sent is None or nested:
            entity[name] = {"id": nested.get("id"), key: given}
        keys.append(given)
    return keys


async def create(engine: Engine, call: Call) -> Answer:
    """POST a new record and show it; one with that external id must not exist.

    With an Idempotency-Key it is one record, however often the request is sent.
    """
    resource, wishes = resource_of(call), read_wishes(call, _OTHER)
    raw, key = await json_body(call, engine.settings.body_limit_bytes), idempotency_key(call)
    draft = body.read(engine.resources, resource, raw, external_id=None, reading=wishes.reading())
    if draft.by_key:
        async with acquire(engine.pool) as connection:
            [draft] = await keyed.named(connection, engine.resources, resource, [draft])
    if draft.external_id:
        await _wait_for_turn(engine, call, draft.external_id)
    if key and not wishes.dry_run:
        digest = begun(call)
        digest.update(raw)
        return await once(engine, asked_of(call, key, digest.digest()), partial(_create, engine, call, draft))
    written = await _write(engine, call, wishes, draft, create_only=True)
    _must_be_new(written)
    if wishes.dry_run or written.version == 0:
        return await _answer(engine, call, wishes, written)
    async with acquire(engine.pool) as connection:
        return await _made(engine, resource, written, connection)


async def patch(engine: Engine, call: Call) -> Answer:
    """PATCH a part of a record by its external id; details and reporting are merged, in a merge patch all objects."""
    return await _patch(engine, call, Demand(external_id=external_id_of(call), must_exist=True))


async def patch_by_id(engine: Engine, call: Call) -> Answer:
    """PATCH a part of a record by our id."""
    return await _patch(engine, call, Demand(record_id=record_id_of(call), must_exist=True))


async def delete(engine: Engine, call: Call) -> Answer:
    """DELETE a record by its external id: it becomes a tombstone, and whoever asked is told."""
    return await _delete(engine, call, Demand(external_id=external_id_of(call)))


async def delete_by_id(engine: Engine, call: Call) -> Answer:
    """DELETE a record by our id."""
    return await _delete(engine, call, Demand(record_id=record_id_of(call)))


async def _patch(engine: Engine, call: Call, demand: Demand) -> Answer:
    wishes = wishes_of(call, _OTHER)
    reading = wishes.reading(partial=True, merging=is_merge_patch(call))
    draft = await _draft(engine, call, demand.external_id, reading)
    written = await _write_carefully(engine, call, wishes, draft, demand, merge=True)
    return await _answer(engine, call, wishes, written)


async def _delete(engine: Engine, call: Call, demand: Demand) -> Answer:
    wishes = wishes_of(call, ("dryRun",))
    await _wait_for_turn(engine, call, demand.external_id)

    async def work() -> Written:
        async with transaction_of(engine, wishes) as connection:
            return await careful.delete(connection, resource_of(call), _demanded(wishes, demand), _origin(call))

    written = await unhindered(work)
    return await _answer(engine, call, wishes, written, operation="delete")


def wishes_of(call: Call, known: tuple[str, ...]) -> Wishes:
    """Read how a write is wanted, of one record or of many; Forbidden where it is to show what the key may not read."""
    wishes = read_wishes(call, known)
    if wishes.representation:
        check_may_read(call, resource_of(call))
    return wishes


async def _draft(engine: Engine, call: Call, external_id: str | None, reading: Reading) -> Draft:
    raw = await json_body(call, engine.settings.body_limit_bytes)
    return body.read(engine.resources, resource_of(call), raw, external_id=external_id, reading=reading)


async def _write(engine: Engine, call: Call, wishes: Wishes, draft: Draft, *, create_only: bool = False) -> Written:
    """Write with the others, or, as a trial, alone."""
    resource = resource_of(call)
    if not wishes.dry_run:
        return await engine.writer.write(
            resource, draft, create_only=create_only, request_id=call.request_id, api_key_id=call.api_key_id
        )

    async def tried() -> Written:
        async with transaction_of(engine, wishes) as connection:
            upsert = Upsert(draft=draft, create_only=create_only)
            return await waking.write_one(connection, engine.resources, resource, upsert)

    return await unhindered(tried)


async def _write_carefully(
    engine: Engine, call: Call, wishes: Wishes, draft: Draft, demand: Demand, *, merge: bool = False
) -> Written:
    await _wait_for_turn(engine, call, demand.external_id)

    async def write() -> Written:
        async with transaction_of(engine, wishes) as connection:
            return await careful.upsert(
                connection,
                engine.resources,
                resource_of(call),
                draft,
                _demanded(wishes, demand),
                _origin(call),
                merge=merge,
            )

    return await unhindered(write)


async def _wait_for_turn(engine: Engine, call: Call, external_id: str | None) -> None:
    """Let what was accepted before of a record be written first; where it goes by our id, all of the resource."""
    await engine.queue.let_pass(resource_of(call), None if external_id is None else [external_id])


async def _create(engine: Engine, call: Call, draft: Draft, connection: Connection) -> tuple[Answer, UUID]:
    """Create a record in a transaction; the answer, and the record's id."""
    resource = resource_of(call)
    upsert = Upsert(draft=draft, create_only=True, request_id=call.request_id, api_key_id=call.api_key_id)
    written = await waking.write_one(connection, engine.resources, resource, upsert)
    _must_be_new(written)
    if written.version == 0:
        return Answer(encode([jobs.told(resource, written)]), 202), written.record_id
    return await _made(engine, resource, written, connection), written.record_id


def _must_be_new(written: Written) -> None:
    if written.outcome is Outcome.EXISTS:
        raise ExternalIdExists(details={"resourceId": str(written.record_id)})


async def _made(engine: Engine, resource: Resource, written: Written, connection: Connection) -> Answer:
    """Show a new record, and say where it is."""
    show = query.show(resource, {}, [])
    shown = await store.just_made(connection, engine.resources, resource, written.record_id, show)
    location = f"/v2/public/{resource.collection}/id/{written.record_id}"
    return Answer(shown.json.encode(), 201, {"ETag": f'"{shown.version}"', "Location": location})


@asynccontextmanager
async def transaction_of(engine: Engine, wishes: Wishes) -> AsyncIterator[Connection]:
    """A transaction that is committed at its end, or undone where it was only a trial."""
    async with acquire(engine.pool) as connection:
        begun = connection.transaction()
        await begun.start()
        try:
            yield connection
        except BaseException:
            await begun.rollback()
            raise
        await (begun.rollback() if wishes.dry_run else begun.commit())
    engine.hint()


def _demanded(wishes: Wishes, demand: Demand) -> Demand:
    return replace(
        demand,
        versions=wishes.versions,
        must_be_new=demand.must_be_new or wishes.must_be_new,
    )


def _origin(call: Call) -> Origin:
    return Origin(call.request_id, call.api_key_id)


async def _answer(engine: Engine, call: Call, wishes: Wishes, written: Written, *, operation: str = "upsert") -> Answer:
    resource = resource_of(call)
    job = jobs.told(resource, written, operation=operation)
    if wishes.dry_run:
        job = msgspec.structs.replace(job, dry_run=True)
    elif wishes.representation:
        show = query.show(resource, {}, [])
        shown = await store.get_by_id(engine.reader, engine.resources, resource, written.record_id, show, deleted=True)
        job = msgspec.structs.replace(job, record=msgspec.Raw(shown.json.encode()) if shown else UNSET)
    if written.version == 0:
        return Answer(encode([job]), 202 if job.status != "completed" else 200)
    return Answer(encode([job]), headers={"ETag": f'"{written.version}"'})
