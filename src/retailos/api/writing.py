"""What the public routes that write do: PUT, POST, PATCH and DELETE, by either of a record's ids."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec
from msgspec import UNSET

from retailos.api.body import json_body
from retailos.api.call import Answer, Call, Engine
from retailos.api.endpoints import external_id_of, record_id_of, resource_of
from retailos.api.envelope import encode
from retailos.api.wishes import Wishes, read_wishes
from retailos.database.pool import Connection, acquire
from retailos.declare.resource import Resource
from retailos.errors import ExternalIdExists, ExternalIdMismatch, VersionConflict
from retailos.jobs import jobs
from retailos.records import body, careful, query, sql, store
from retailos.records.body import Reading
from retailos.records.careful import Demand, Origin
from retailos.records.record import Draft, Outcome, Written

_PUT = ("mode", "unknownFields", "dryRun")
_OTHER = ("unknownFields", "dryRun")


async def upsert(engine: Engine, call: Call) -> Answer:
    """PUT a record by its external id: it is made, updated, or found to be like that already."""
    external_id, wishes = external_id_of(call), read_wishes(call, _PUT)
    reading = Reading(replace=wishes.replace, ignore_unknown=wishes.ignore_unknown)
    draft = await _draft(engine, call, external_id, reading)
    if wishes.careful:
        written = await _write_carefully(engine, call, wishes, draft, Demand(external_id=external_id))
    else:
        written = await engine.writer.write(
            resource_of(call), draft, request_id=call.request_id, api_key_id=call.api_key_id
        )
    return await _answer(engine, call, wishes, written)


async def upsert_by_id(engine: Engine, call: Call) -> Answer:
    """PUT a record by our id; another external id in the body is its new one, and the old one stays as an alias."""
    record_id, wishes = record_id_of(call), read_wishes(call, _PUT)
    reading = Reading(replace=wishes.replace, ignore_unknown=wishes.ignore_unknown)
    draft = await _draft(engine, call, None, reading)
    written = await _write_carefully(engine, call, wishes, draft, Demand(record_id=record_id))
    return await _answer(engine, call, wishes, written)


async def upsert_by_natural_key(engine: Engine, call: Call) -> Answer:
    """PUT a record by the external ids of two others that it is about, and that its body need not name again.

    Its own external id follows from theirs; a record that the two have already is updated, whatever its own is.
    """
    resource, wishes = resource_of(call), read_wishes(call, _PUT)
    entity, at = body.unwrapped(resource, body.decode(await json_body(call, engine.settings.body_limit_bytes)))
    keys = _natural_key(engine, call, resource, entity)
    async with acquire(engine.pool) as connection:
        known = await connection.fetchval(sql.by_natural_key(engine.resources, resource), *keys)
    reading = Reading(replace=wishes.replace, ignore_unknown=wishes.ignore_unknown)
    draft = body.draft(engine.resources, resource, entity, at, known, reading)
    if wishes.careful:
        written = await _write_carefully(engine, call, wishes, draft, Demand(external_id=draft.external_id))
    else:
        written = await engine.writer.write(resource, draft, request_id=call.request_id, api_key_id=call.api_key_id)
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
    """POST a new record and show it; one with that external id must not exist."""
    resource, wishes = resource_of(call), read_wishes(call, _OTHER)
    draft = await _draft(engine, call, None, Reading(ignore_unknown=wishes.ignore_unknown))
    if wishes.dry_run:
        return await _answer(engine, call, wishes, await _try_to_create(engine, call, wishes, draft))
    written = await engine.writer.write(
        resource, draft, create_only=True, request_id=call.request_id, api_key_id=call.api_key_id
    )
    if written.outcome is Outcome.EXISTS:
        raise ExternalIdExists(details={"resourceId": str(written.record_id)})
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
    reading = Reading(partial=True, ignore_unknown=wishes.ignore_unknown)
    draft = await _draft(engine, call, demand.external_id, reading)
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


async def _try_to_create(engine: Engine, call: Call, wishes: Wishes, draft: Draft) -> Written:
    try:
        demand = Demand(external_id=draft.external_id, must_be_new=True)
        return await _write_carefully(engine, call, wishes, draft, demand)
    except VersionConflict as error:
        raise ExternalIdExists(details=error.details) from None


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
    job = jobs.completed(resource, written, operation=operation)
    if wishes.dry_run:
        job = msgspec.structs.replace(job, dry_run=True)
    elif wishes.representation:
        show = query.show(resource, {}, [])
        shown = await store.get_by_id(engine.pool, engine.resources, resource, written.record_id, show, deleted=True)
        job = msgspec.structs.replace(job, record=msgspec.Raw(shown.json.encode()) if shown else UNSET)
    return Answer(encode([job]), headers={"ETag": f'"{written.version}"'})
