"""What the public routes that write do: PUT, POST, PATCH and DELETE, by either of a record's ids."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import msgspec
from msgspec import UNSET

from retailos.api.body import json_body
from retailos.api.call import Answer, Call, Engine
from retailos.api.endpoints import external_id_of, record_id_of, resource_of
from retailos.api.envelope import encode
from retailos.api.wishes import Wishes, read_wishes
from retailos.database.pool import Connection, acquire
from retailos.errors import ExternalIdExists
from retailos.jobs import jobs
from retailos.records import body, careful, query, store, waking
from retailos.records.body import Reading
from retailos.records.careful import Demand, Origin
from retailos.records.record import Draft, Outcome, Written
from retailos.records.upsert import Upsert

_PUT = ("mode", "unknownFields", "onUnresolved", "dryRun")
_OTHER = ("unknownFields", "onUnresolved", "dryRun")


async def upsert(engine: Engine, call: Call) -> Answer:
    """PUT a record by its external id: it is made, updated, or found to be like that already."""
    external_id, wishes = external_id_of(call), read_wishes(call, _PUT)
    draft = await _draft(engine, call, external_id, wishes.reading())
    if wishes.conditional:
        written = await _write_carefully(engine, call, wishes, draft, Demand(external_id=external_id))
    else:
        written = await _write(engine, call, wishes, draft)
    return await _answer(engine, call, wishes, written)


async def upsert_by_id(engine: Engine, call: Call) -> Answer:
    """PUT a record by our id; another external id in the body is its new one, and the old one stays as an alias."""
    record_id, wishes = record_id_of(call), read_wishes(call, _PUT)
    draft = await _draft(engine, call, None, wishes.reading())
    written = await _write_carefully(engine, call, wishes, draft, Demand(record_id=record_id))
    return await _answer(engine, call, wishes, written)


async def create(engine: Engine, call: Call) -> Answer:
    """POST a new record and show it; one with that external id must not exist."""
    resource, wishes = resource_of(call), read_wishes(call, _OTHER)
    draft = await _draft(engine, call, None, wishes.reading())
    written = await _write(engine, call, wishes, draft, create_only=True)
    if written.outcome is Outcome.EXISTS:
        raise ExternalIdExists(details={"resourceId": str(written.record_id)})
    if wishes.dry_run or written.version == 0:
        return await _answer(engine, call, wishes, written)
    shown = await store.get_by_id(
        engine.pool, engine.resources, resource, written.record_id, query.show(resource, {}, []), deleted=True
    )
    if shown is None:
        raise LookupError("expected the record that was just made")
    location = f"/v2/public/{resource.collection}/id/{written.record_id}"
    return Answer(shown.json.encode(), 201, {"ETag": f'"{shown.version}"', "Location": location})


async def patch(engine: Engine, call: Call) -> Answer:
    """PATCH a part of a record by its external id; details and reporting are merged (RFC 7396)."""
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
    wishes = read_wishes(call, _OTHER)
    draft = await _draft(engine, call, demand.external_id, wishes.reading(partial=True))
    written = await _write_carefully(engine, call, wishes, draft, demand, merge=True)
    return await _answer(engine, call, wishes, written)


async def _delete(engine: Engine, call: Call, demand: Demand) -> Answer:
    wishes = read_wishes(call, ("dryRun",))
    async with _transaction(engine, wishes) as connection:
        written = await careful.delete(connection, resource_of(call), _demanded(wishes, demand), _origin(call))
    return await _answer(engine, call, wishes, written, operation="delete")


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
    async with _transaction(engine, wishes) as connection:
        upsert = Upsert(draft=draft, create_only=create_only)
        return await waking.write_one(connection, engine.resources, resource, upsert)


async def _write_carefully(
    engine: Engine, call: Call, wishes: Wishes, draft: Draft, demand: Demand, *, merge: bool = False
) -> Written:
    async with _transaction(engine, wishes) as connection:
        return await careful.upsert(
            connection,
            engine.resources,
            resource_of(call),
            draft,
            _demanded(wishes, demand),
            _origin(call),
            merge=merge,
        )


@asynccontextmanager
async def _transaction(engine: Engine, wishes: Wishes) -> AsyncIterator[Connection]:
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
        versions=wishes.versions or None,
        must_exist=demand.must_exist or wishes.versions == frozenset(),
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
        shown = await store.get_by_id(engine.pool, engine.resources, resource, written.record_id, show, deleted=True)
        job = msgspec.structs.replace(job, record=msgspec.Raw(shown.json.encode()) if shown else UNSET)
    if written.version == 0:
        return Answer(encode([job]), 202 if job.status != "completed" else 200)
    return Answer(encode([job]), headers={"ETag": f'"{written.version}"'})
