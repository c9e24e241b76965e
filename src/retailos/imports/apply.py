"""One chunk of an import applied: its rows, what was refused of them and the checkpoint, in one transaction.

Rows of one external id are applied in their order: a statement holds each external id once, and statements follow
one another. That a chunk is applied once, whoever dies meanwhile, is the checkpoint's doing.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import msgspec
from asyncpg import Record

from retailos.database.pool import Connection, is_outage
from retailos.database.statements import load
from retailos.declare.resource import Resource, Resources
from retailos.errors import Internal, RetailOSError, TooManyFailed
from retailos.imports.rows import Layout, Row, Sent, form_of, read_row
from retailos.jobs import jobs
from retailos.jobs.jobs import Refused
from retailos.observe import describe, emit
from retailos.observe.process import DefectFound
from retailos.records import keyed, parked, resent, waking
from retailos.records.form import Form, Same
from retailos.records.identity import new_id
from retailos.records.record import Draft, Written
from retailos.records.resolve import climbs, lock_tree
from retailos.records.upsert import Upsert, is_overtaking, objection

_SQL = load(__file__)
_FENCE, _KEEP_FAILURES, _CHECKPOINT = _SQL.fence, _SQL.keep_failures, _SQL.checkpoint

#: Below this many rows a share of failed ones says little.
ERROR_ROWS_LEAST = 100

Result = Written | RetailOSError


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """An import that is being applied: whose rows they are, and who holds it, for how many seconds at a time."""

    import_id: UUID
    layout: Layout
    runner: UUID
    lease_seconds: float

    @property
    def resource(self) -> Resource:
        """What its rows are records of."""
        return self.layout.resource


async def apply_chunk(
    transaction: Connection, resources: Resources, hold: Hold, number: int, rows: Sequence[Row]
) -> str | None:
    """Apply a chunk and move the checkpoint; give the import's status then, or None if it is no longer held."""
    held = await transaction.fetchrow(_FENCE, hold.import_id, hold.runner, number)
    if held is None:
        return None
    origin = {"request_id": held["request_id"], "api_key_id": held["api_key_id"], "batch_id": hold.import_id}
    results = await _write(transaction, resources, hold, rows, origin)
    refused = [(row, each) for row in rows if isinstance(each := results[row.sent.line], RetailOSError)]
    if refused:
        await _keep(transaction, hold, refused, held["request_id"])
    return await _checkpoint(transaction, hold, number, held, results.values())


async def _keep(
    transaction: Connection, hold: Hold, refused: Sequence[tuple[Row, RetailOSError]], request_id: UUID | None
) -> None:
    kept = [
        Refused(job_id=new_id(), external_id=row.external_id, position=row.sent.position, error=error)
        for row, error in refused
    ]
    await jobs.keep_failed(transaction, hold.resource, kept, request_id=request_id, batch_id=hold.import_id)
    await transaction.execute(
        _KEEP_FAILURES,
        hold.import_id,
        [row.sent.line for row, _ in refused],
        [row.external_id for row, _ in refused],
        [row.sent.data for row, _ in refused],
        [msgspec.json.encode(error.fault).decode() for _, error in refused],
    )


async def _checkpoint(transaction: Connection, hold: Hold, number: int, held: Record, results: Any) -> str:
    outcomes = Counter(msgspec.json.decode(held["outcomes"]))
    outcomes.update(each.outcome.value for each in results if isinstance(each, Written))
    read, written = held["rows_read"] + len(results), sum(outcomes.values())
    failed = read - written
    status, why = "active", None
    if number == held["chunks"]:
        status = "completed"
    elif read >= ERROR_ROWS_LEAST and failed > held["max_error_rate"] * read:
        status = "failed"
        rate = held["max_error_rate"]
        message = (
            f"Of {read} rows {failed} were refused, more than maxErrorRate={rate:g} allows; the rest was not tried."
        )
        why = msgspec.json.encode(TooManyFailed(message).fault).decode()
    totals = msgspec.json.encode(outcomes).decode()
    await transaction.execute(
        _CHECKPOINT, hold.import_id, number, read, failed, totals, status, why, hold.lease_seconds
    )
    return status


class _OneRecordTwice(Exception):
    """Rows of one statement lead to one record, by an old external id and by a new one; each is to have its turn."""


class _Going(NamedTuple):
    """A row on its way."""

    row: Row
    upsert: Upsert


async def _write(
    transaction: Connection, resources: Resources, hold: Hold, rows: Sequence[Row], origin: dict[str, Any]
) -> dict[int, Result]:
    """Write rows in their order; give what came of each, by its line."""
    resource, form = hold.resource, form_of(resources, hold.layout)
    rows = await _as_they_are_now(transaction, resources, hold.layout, form, rows)
    results: dict[int, Result] = {row.sent.line: row.read for row in rows if isinstance(row.read, RetailOSError)}
    results |= await _keep_same(transaction, resource, rows, origin)
    good = await _called(transaction, resources, resource, [row for row in rows if isinstance(row.read, Draft)])
    if any(climbs(resource, _draft(row)) for row in good):
        # At once, and not in the middle, where others may hold what we would wait for.
        await lock_tree(transaction, resource)
    for group in _groups(resource, good):
        going = [_Going(row, Upsert(draft=_draft(row), position=row.sent.position, **origin)) for row in group]
        results |= await _attempt(transaction, resources, resource, going)
    written = [(row.sent, each) for row in good if isinstance(each := results[row.sent.line], Written)]
    await resent.learn(transaction, form, written)
    return results


async def _as_they_are_now(
    transaction: Connection, resources: Resources, layout: Layout, form: Form[Sent], rows: Sequence[Row]
) -> Sequence[Row]:
    """Give rows, those read that were known to be as they are sent when the chunk was read, and are not any more.

    What was applied since may have changed their records: another chunk of this file, or anybody.
    """
    if not any(isinstance(row.read, Same) for row in rows):
        return rows
    known: dict[int, Same] = {}
    with suppress(resent.Awaited):
        async with transaction.transaction():
            known = await resent.look(transaction, resources, layout.resource, form, [row.sent for row in rows])
    return [
        row
        if not isinstance(row.read, Same)
        else replace(row, read=known[i])
        if i in known
        else read_row(resources, layout, row.sent)
        for i, row in enumerate(rows)
    ]


async def _keep_same(
    transaction: Connection, resource: Resource, rows: Sequence[Row], origin: dict[str, Any]
) -> dict[int, Result]:
    same = [(row.sent, row.read) for row in rows if isinstance(row.read, Same)]
    if not same:
        return {}
    told = await resent.keep_jobs(
        transaction,
        resource,
        [(sent.position, each) for sent, each in same],
        request_id=origin["request_id"],
        batch_id=origin["batch_id"],
    )
    return {sent.line: each for (sent, _), each in zip(same, told, strict=True)}


async def _called(transaction: Connection, resources: Resources, resource: Resource, rows: Sequence[Row]) -> list[Row]:
    """Give those an external id that go by their natural keys, and name these by our ids alone."""
    called = {i: _draft(row) for i, row in enumerate(rows) if _draft(row).external_id is None}
    drafts = await keyed.named(transaction, resources, resource, list(called.values()))
    found = dict(zip(called, drafts, strict=True))
    return [replace(row, read=found[i]) if i in found else row for i, row in enumerate(rows)]


def _groups(resource: Resource, rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Cut rows into what one statement can write: each external id once, and what names a parent alone, since the
    parent may be the row before."""
    group: list[Row] = []
    names: set[str | None] = set()
    for row in rows:
        draft = _draft(row)
        alone = climbs(resource, draft)
        if group and (alone or draft.external_id in names):
            yield group
            group, names = [], set()
        group.append(row)
        names.add(draft.external_id)
        if alone:
            yield group
            group, names = [], set()
    if group:
        yield group


def _draft(row: Row) -> Draft:
    if not isinstance(row.read, Draft):
        raise TypeError(f"expected a draft, got {type(row.read).__name__}")
    return row.read


async def _attempt(
    transaction: Connection, resources: Resources, resource: Resource, going: Sequence[_Going], *, again: bool = False
) -> dict[int, Result]:
    """Write rows together; where the database objects, in two halves, down to the row that it objects to."""
    try:
        results = await _written(transaction, resources, resource, [each.upsert for each in going])
    except (asyncpg.PostgresError, _OneRecordTwice) as error:
        if is_outage(error):
            raise
        if len(going) == 1 and not again and keyed.is_met(resource, going[0].upsert.draft, error):
            return await _attempt(transaction, resources, resource, going, again=True)
        if len(going) == 1:
            return {going[0].row.sent.line: _refusal(resource, going[0], error)}
        half = len(going) // 2
        first = await _attempt(transaction, resources, resource, going[:half])
        return first | await _attempt(transaction, resources, resource, going[half:])
    return {each.row.sent.line: results[each.upsert.job_id] for each in going}


async def _written(
    transaction: Connection, resources: Resources, resource: Resource, upserts: Sequence[Upsert]
) -> Mapping[UUID, Result]:
    """Write upserts: in one statement where nothing waits for anything, as it mostly is, else with all that waits."""
    if not await parked.concerns(transaction, resource) and not any(climbs(resource, each.draft) for each in upserts):
        try:
            async with transaction.transaction():
                return _each_once(await waking.write_alone(transaction, resources, resource, upserts), len(upserts))
        except waking.Concerned:
            pass
        except asyncpg.PostgresError as error:
            if not is_overtaking(error):
                raise
    async with transaction.transaction():
        results, _ = await waking.write(transaction, resources, resource, upserts)
        return _each_once(results, len(upserts))


def _each_once(results: Mapping[UUID, Result], count: int) -> Mapping[UUID, Result]:
    done = [each for each in results.values() if isinstance(each, Written) and each.version]
    if len({each.record_id for each in done}) < len(done):
        raise _OneRecordTwice
    if len(results) < count:
        raise asyncpg.SerializationError("another writer made one of the records meanwhile")
    return results


def _refusal(resource: Resource, going: _Going, error: Exception) -> RetailOSError:
    if isinstance(error, asyncpg.PostgresError):
        draft = going.upsert.draft
        refusal = objection(resource, draft.at, error, draft.patch)
        if refusal:
            return refusal
    emit(DefectFound(request_id=str(going.upsert.request_id), error=describe(error)))
    return Internal()
