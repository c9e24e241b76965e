"""Parked upserts as they are kept: what waits for records that have not come yet, and what was given up."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias
from uuid import UUID

import asyncpg
import msgspec

from retailos.database.pool import Connection, Pool, acquire
from retailos.database.statements import load
from retailos.declare.resource import Resource
from retailos.errors import RetailOSError
from retailos.records.natural import new_name
from retailos.records.record import Awaited, Draft, OnUnresolved, Outcome, Want, Written
from retailos.records.resolve import Unresolved
from retailos.records.upsert import Upsert

_SQL = load(__file__)
_KEEP, _SUPERSEDE, _TAKE, _FINISH, _FAIL = _SQL.keep, _SQL.supersede, _SQL.take, _SQL.finish, _SQL.fail
_EXPIRE, _FORGET, _HELD, _COUNT, _REOPEN = _SQL.expire, _SQL.forget, _SQL.held, _SQL.count, _SQL.reopen
_CONCERNS, _OVERTAKES, _WITHDRAW = _SQL.concerns, _SQL.overtakes, _SQL.withdraw

#: Parked upserts that one statement takes: a bound for its memory and its time.
SET_MOST = 200

#: Where one upsert is parked: an external id, or, where it is true, the natural key that makes this external id.
Spot: TypeAlias = tuple[str, bool]

_NONE_CAME = "expected a %s that exists, and none has come"
_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode
_decode_wants = msgspec.json.Decoder(tuple[Want, ...]).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which parked upserts are meant: each None stands for any."""

    #: Those that failed, and not those that wait.
    failed: bool = True
    resource: str | None = None
    job_ids: tuple[UUID, ...] | None = None


async def concerns(transaction: Connection, resource: Resource) -> bool:
    """Whether any upsert of a resource is parked, or waits for a record of it, as far as this transaction sees."""
    concerned: bool = await transaction.fetchval(_CONCERNS, resource.name)
    return concerned


async def overtakes(transaction: Connection, resource: Resource, external_ids: Collection[str]) -> bool:
    """Whether upserts of these records were accepted before and are not written yet."""
    return bool(await transaction.fetchval(_OVERTAKES, resource.name, list(external_ids)))


async def keep(
    transaction: Connection,
    resource: Resource,
    waiting: Sequence[tuple[Upsert, Unresolved]],
    names: Mapping[str, str],
) -> dict[UUID, Written]:
    """Park upserts and give their jobs; `names`: the external ids that records have now, by those they are sent to.

    What a natural key names is called as a new record would be: which it is, will be seen when the key is there.
    """
    if not waiting:
        return {}
    upserts = [each for each, _ in waiting]
    targets = [spot_of(resource, each, names)[0] for each in upserts]
    drafts = [each.draft for each in upserts]
    rows = await transaction.fetch(
        _KEEP,
        resource.name,
        resource.queue("upsert"),
        [each.job_id for each in upserts],
        targets,
        [each.record_id for each in upserts],
        [each.create_only for each in upserts],
        [_encode(each.patch).decode() for each in drafts],
        [_encode(each.wants).decode() for each in drafts],
        [each.at for each in drafts],
        [each.claimed_id for each in drafts],
        [each.source_updated_at for each in drafts],
        [each.request_id for each in upserts],
        [each.api_key_id for each in upserts],
        [each.batch_id for each in upserts],
        [each.position for each in upserts],
        *_awaited((each.job_id, unresolved) for each, unresolved in waiting),
        [each.by_key for each in drafts],
    )
    jobs = {row["id"]: row for row in rows}
    return {each.job_id: _kept(each, unresolved, jobs[each.job_id]) for each, unresolved in waiting}


def spot_of(resource: Resource, upsert: Upsert, names: Mapping[str, str]) -> Spot:
    """Where an upsert would be parked; `names`: the external ids that records have now, by those they are sent to."""
    if upsert.draft.by_key:
        return new_name(resource, upsert.draft) or upsert.external_id, True
    return names.get(upsert.external_id, upsert.external_id), False


def spots(resource: Resource, name: str, draft: Draft) -> list[Spot]:
    """Where upserts of a record were parked that a draft of it, which has or will have a name, comes after."""
    by_key = [(new_name(resource, draft) or name, True)] if draft.by_key else []
    return [(name, False), *by_key]


def _kept(upsert: Upsert, unresolved: Unresolved, job: asyncpg.Record) -> Written:
    waits = job["status"] == "unresolved"
    return Written(
        job_id=upsert.job_id,
        external_id=job["external_id"],
        record_id=upsert.record_id,
        version=0,
        outcome=Outcome.PARKED if waits else Outcome.SUPERSEDED,
        at=job["created_at"],
        awaits=unresolved.awaits if waits else (),
    )


def _awaited(found: Iterable[tuple[UUID, Unresolved]]) -> tuple[list[str], list[str], list[UUID], list[str]]:
    """What is awaited and by which jobs, as the columns of a statement's arguments."""
    pairs: list[tuple[UUID, Awaited]] = [(job_id, each) for job_id, unresolved in found for each in unresolved.awaits]
    return (
        [each.resource for _, each in pairs],
        [each.external_id for _, each in pairs],
        [job_id for job_id, _ in pairs],
        [each.path for _, each in pairs],
    )


async def supersede(transaction: Connection, resource: Resource, newer: Mapping[Spot, Draft | None]) -> int:
    """Give up what is parked for records that something newer is about to happen to.

    A draft that is older at its source than what is parked supersedes nothing; None, a deletion, always does.
    """
    if not newer:
        return 0
    stamps = [draft and draft.source_updated_at for draft in newer.values()]
    names, by_key = zip(*newer, strict=True)
    return len(await transaction.fetch(_SUPERSEDE, resource.name, names, stamps, by_key))


async def take(transaction: Connection, resource_name: str, external_ids: Collection[str]) -> list[asyncpg.Record]:
    """Hold some of the upserts that wait for these records, which they wait for no longer."""
    return await transaction.fetch(_TAKE, resource_name, list(external_ids), SET_MOST)


async def held(transaction: Connection, choice: Choice, after: UUID) -> list[asyncpg.Record]:
    """Hold some of the chosen upserts, in the order of their jobs, behind one of them."""
    arguments = (choice.failed, choice.resource, choice.job_ids)
    return await transaction.fetch(_HELD, *arguments, after, SET_MOST)


async def count(connection: Connection, choice: Choice) -> int:
    """How many upserts are chosen."""
    number: int = await connection.fetchval(_COUNT, choice.failed, choice.resource, choice.job_ids)
    return number


def read(row: asyncpg.Record) -> Upsert:
    """Give a parked upsert as it came."""
    draft = Draft(
        external_id=row["external_id"],
        by_key=row["by_key"],
        patch=_decode(row["body"]),
        wants=_decode_wants(row["wants"]),
        claimed_id=row["claimed_id"],
        source_updated_at=row["source_updated_at"],
        at=row["pointer"],
        on_unresolved=OnUnresolved.PARK,
    )
    return Upsert(
        draft=draft,
        create_only=row["create_only"],
        request_id=row["request_id"],
        api_key_id=row["api_key_id"],
        batch_id=row["batch_id"],
        position=row["position"],
        woken=True,
        record_id=row["record_id"],
        job_id=row["job_id"],
    )


async def finish(transaction: Connection, written: Sequence[Written]) -> None:
    """Record what came of parked upserts that were applied."""
    if written:
        await transaction.execute(
            _FINISH,
            [each.job_id for each in written],
            [each.outcome.value for each in written],
            [each.record_id for each in written],
            [each.version for each in written],
            [each.external_id for each in written],
        )


async def fail(transaction: Connection, refused: Mapping[UUID, RetailOSError]) -> None:
    """Record why parked upserts can't be applied, by their jobs' ids."""
    if refused:
        faults = [_encode(each.fault).decode() for each in refused.values()]
        await transaction.execute(_FAIL, list(refused), faults)


async def withdraw(transaction: Connection, job_ids: Collection[UUID]) -> None:
    """Forget upserts that this transaction has parked, and their jobs: they are refused after all."""
    if job_ids:
        await transaction.execute(_WITHDRAW, list(job_ids))


async def reopen(transaction: Connection, waiting: Mapping[UUID, Unresolved]) -> None:
    """Let upserts that had failed wait anew."""
    if waiting:
        await transaction.execute(_REOPEN, list(waiting), *_awaited(waiting.items()))


async def expire(pool: Pool, hours: float, kept_hours: float) -> int:
    """Give up what has waited too long, and forget what was given up long ago; give how many waited too long.

    What was given up is kept for `kept_hours`: as its job is.
    """
    reason = f"The record waited {hours:g} hours for records that it refers to; send those, then requeue this job."
    late = 0
    async with acquire(pool) as connection:
        await connection.execute(_FORGET, kept_hours)
        while jobs := await connection.fetch(_EXPIRE, hours, SET_MOST, reason, _NONE_CAME):
            late += len(jobs)
    return late
