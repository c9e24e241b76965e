"""What the bulk route does: many upserts in one request, each with a result of its own."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

from retailos.api.body import json_body
from retailos.api.bulk_results import Result, tell
from retailos.api.call import Answer, Call, Engine
from retailos.api.endpoints import resource_of
from retailos.api.envelope import encode
from retailos.api.wishes import RESPOND_ASYNC, Wishes
from retailos.api.writing import transaction_of, wishes_of
from retailos.database.pool import acquire, unhindered
from retailos.declare.kind import expected
from retailos.declare.resource import Resource
from retailos.errors import DuplicateInBatch, MalformedJson, Problem, RetailOSError, Unavailable, ValidationFailed
from retailos.jobs.queue import Origin
from retailos.records import body, bulk, keyed, natural, resent
from retailos.records.body import Reading
from retailos.records.form import Piece, Same, in_json
from retailos.records.identity import new_id
from retailos.records.record import Draft, Written

#: A statement's worth of records times ten: about a tenth of a second of work.
RECORDS_MOST = 1_000

_PARAMETERS: Final = ("errorPolicy", "mode", "unknownFields", "onUnresolved", "dryRun")

Read = Draft | Same | RetailOSError


async def upsert_many(engine: Engine, call: Call) -> Answer:
    """PUT up to 1,000 records under the plural name: good ones are applied, bad ones fail alone, or all or none."""
    resource, wishes = resource_of(call), wishes_of(call, _PARAMETERS)
    # Whether all or none, and what would happen, only the writing can tell.
    queued = wishes.later and not (wishes.all_or_none or wishes.dry_run)
    plain = not (queued or wishes.all_or_none or wishes.dry_run) and wishes.reading() == body.PUT
    raw = await json_body(call, engine.settings.bulk_body_limit_bytes)
    pieces = resent.cut(resource, raw) if plain else ()
    records = await _records(engine, resource, raw, pieces)
    read = await _called(engine, resource, list(_read(engine, resource, records, wishes.reading())))
    batch_id = new_id()
    if queued:
        results = await _queue_each(engine, call, resource, read, batch_id)
    elif wishes.all_or_none:
        results = await _write_all(engine, call, wishes, read, batch_id)
    elif wishes.dry_run:
        results = await _try_each(engine, call, wishes, read)
    else:
        results = await _write_each(engine, call, resource, read, batch_id)
        await _learn(engine, resource, pieces, read, results)
    told = encode(await tell(engine, call, wishes, records, results, batch_id))
    return Answer(told, 202, {"Preference-Applied": RESPOND_ASYNC}) if queued else Answer(told)


async def _queue_each(engine: Engine, call: Call, resource: Resource, read: list[Read], batch_id: UUID) -> list[Result]:
    """Queue the good ones, to be written soon after the answer; what is wrong with the others is known now."""
    drafts = [(i, each) for i, each in enumerate(read) if isinstance(each, Draft)]
    origin = Origin(request_id=call.request_id, api_key_id=call.api_key_id, batch_id=batch_id)
    accepted = await engine.queue.accept(resource, drafts, origin)
    return [each if isinstance(each, RetailOSError) else accepted[i] for i, each in enumerate(read)]


async def _write_each(engine: Engine, call: Call, resource: Resource, read: list[Read], batch_id: UUID) -> list[Result]:
    drafts = [(i, each) for i, each in enumerate(read) if isinstance(each, Draft)]
    same = {i: each for i, each in enumerate(read) if isinstance(each, Same)}
    written: dict[int, Written | RetailOSError] = {}
    if drafts:
        await _wait_for_turn(engine, resource, [draft for _, draft in drafts])
        written |= await engine.writer.write_many(
            resource,
            drafts,
            request_id=call.request_id,
            api_key_id=call.api_key_id,
            batch_id=batch_id,
        )
    if same:
        async with acquire(engine.pool) as connection:
            jobs = await resent.keep_jobs(
                connection, resource, list(same.items()), request_id=call.request_id, batch_id=batch_id
            )
        written |= dict(zip(same, jobs, strict=True))
    return [each if isinstance(each, RetailOSError) else written[i] for i, each in enumerate(read)]


async def _learn(
    engine: Engine, resource: Resource, pieces: Sequence[Piece], read: list[Read], results: list[Result]
) -> None:
    """Remember what was sent as it is there already; where that can't be done now, it is read again next time."""
    if not pieces:
        return
    found = [
        (pieces[i], each) for i, each in enumerate(results) if isinstance(read[i], Draft) and isinstance(each, Written)
    ]
    if found:
        with suppress(Unavailable):
            async with acquire(engine.pool) as connection:
                await resent.learn(connection, in_json(engine.resources, resource), found)


async def _write_all(engine: Engine, call: Call, wishes: Wishes, read: list[Read], batch_id: UUID) -> list[Result]:
    errors = [each for each in read if isinstance(each, RetailOSError)]
    if errors:
        raise bulk.together(errors)
    resource, drafts = resource_of(call), [each for each in read if isinstance(each, Draft)]
    await _wait_for_turn(engine, resource, drafts)

    async def work() -> list[Written]:
        async with transaction_of(engine, wishes) as connection:
            return await bulk.upsert_all(
                connection, engine.resources, resource, drafts, (call.request_id, call.api_key_id, batch_id)
            )

    return list(await unhindered(work))


async def _try_each(engine: Engine, call: Call, wishes: Wishes, read: list[Read]) -> list[Result]:
    """See what would come of each, in one transaction that is undone."""
    resource, drafts = resource_of(call), [(i, each) for i, each in enumerate(read) if isinstance(each, Draft)]
    await _wait_for_turn(engine, resource, [draft for _, draft in drafts])

    async def work() -> dict[int, Written | RetailOSError]:
        async with transaction_of(engine, wishes) as connection:
            return await bulk.upsert_each(connection, engine.resources, resource, drafts)

    tried = await unhindered(work)
    return [each if isinstance(each, RetailOSError) else tried[i] for i, each in enumerate(read)]


async def _wait_for_turn(engine: Engine, resource: Resource, drafts: Iterable[Draft]) -> None:
    """Let what was accepted of these records before be written first."""
    await engine.queue.let_pass(resource, [draft.external_id or "" for draft in drafts])


async def _records(engine: Engine, resource: Resource, raw: bytes, pieces: Sequence[Piece]) -> list[Any]:
    """The records of the body, decoded; those that are known to be as they are sent are not, and are given as such."""
    if 0 < len(pieces) <= RECORDS_MOST:
        async with acquire(engine.pool) as connection:
            form = in_json(engine.resources, resource)
            same = await resent.unchanged(connection, engine.resources, resource, form, pieces)
        # Where one of them is no JSON, the whole says where.
        with suppress(MalformedJson):
            if same:
                return [same.get(i) or body.decode_within(bytes(each)) for i, each in enumerate(pieces)]
    return _named(resource, body.decode(raw))


def _named(resource: Resource, value: Any) -> list[Any]:
    name = resource.plural
    if type(value) is not dict or list(value) != [name]:
        raise ValidationFailed([Problem("", "WRONG_TYPE", f"expected an object with {name}, an array of records")])
    records = value[name]
    if type(records) is not list:
        raise ValidationFailed([expected("an array of records", records, f"/{name}")])
    if not 1 <= len(records) <= RECORDS_MOST:
        message = f"expected 1 to {RECORDS_MOST} records, got {len(records)}"
        raise ValidationFailed([Problem(f"/{name}", "OUT_OF_RANGE", message)])
    return records


def _read(engine: Engine, resource: Resource, records: list[Any], reading: Reading) -> Iterator[Read]:
    """Read each record; a second of the same name is a mistake of the sender's, and is not guessed about."""
    seen: set[Any] = set()
    for i, record in enumerate(records):
        if isinstance(record, Same):
            yield record
            continue
        at = f"/{resource.plural}/{i}"
        try:
            draft = body.named(engine.resources, resource, record, at, reading)
        except RetailOSError as error:
            yield error
            continue
        identity = natural.identity(resource, draft)
        if identity in seen:
            yield DuplicateInBatch(details={"path": at})
        else:
            seen.add(identity)
            yield draft


async def _called(engine: Engine, resource: Resource, read: list[Read]) -> list[Read]:
    """Give those that go by their natural keys the external ids of their records, whatever these are."""
    by_key = [(i, each) for i, each in enumerate(read) if isinstance(each, Draft) and each.by_key]
    if by_key:
        async with acquire(engine.pool) as connection:
            drafts = await keyed.named(connection, engine.resources, resource, [each for _, each in by_key])
        for (i, _), draft in zip(by_key, drafts, strict=True):
            read[i] = draft
    return read
