"""Records merged into one of them in one transaction: it is completed, the others go, what led to them leads to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple
from uuid import UUID

import asyncpg

from retailos.database.pool import Connection
from retailos.declare.resource import Resource, Resources
from retailos.errors import Merged, NotMergeable, Problem, ResourceNotFound, VersionConflict
from retailos.records import merge_sql
from retailos.records.body import decode
from retailos.records.careful import Origin
from retailos.records.identity import new_id
from retailos.records.merging import Asked, Combined, Party, combine
from retailos.records.store import merged
from retailos.records.upsert import encode_body


class Changed(NamedTuple):
    """A record that a merge changed, its version by then, and whether it was one that referred to a loser."""

    resource: str
    id: UUID
    version: int
    repointed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What is to be done, once it is known that it can be."""

    resources: Resources
    resource: Resource
    survivor: UUID
    losers: tuple[UUID, ...]
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge:
    """What a merge did, or would do."""

    job_id: UUID
    survivor: UUID
    external_id: str
    version: int
    #: The records that are gone by now; those that were merged into the survivor before are not among them.
    losers: tuple[UUID, ...]
    combined: Combined
    #: How many records of each resource referred to them.
    repointed: dict[str, int]


async def merge(
    transaction: Connection,
    resources: Resources,
    resource: Resource,
    asked: Asked,
    origin: Origin,
    versions: frozenset[int] | None = None,
) -> Merge:
    """Merge records into a survivor, which must be at one of the `versions`, where some are named.

    Raises ResourceNotFound and Merged for a survivor that is gone, NotMergeable for others that are.
    """
    found = await transaction.fetch(merge_sql.lock(resource), [asked.survivor, *asked.losers])
    rows = {row["id"]: row for row in found}
    survivor = await _survivor(transaction, resource, rows.get(asked.survivor), versions)
    losers = _losers(asked, rows)
    combined = combine(resource, _party(survivor), [_party(rows[each]) for each in losers], asked.fields)
    if not losers:
        # They were merged before, by a request that is repeated.
        combined = replace(combined, patch={}, taken_from={})
    work = Work(resources=resources, resource=resource, survivor=asked.survivor, losers=losers, origin=origin)
    job_id, changed = new_id(), await _write(transaction, work, combined) if losers else []
    if losers:
        await transaction.execute(merge_sql.owe(), *zip(*_last(changed), strict=True))
        await transaction.execute(merge_sql.keep_job(resource), job_id, origin.request_id, asked.survivor)
    return Merge(
        job_id=job_id,
        survivor=asked.survivor,
        external_id=survivor["external_id"],
        version=max((each.version for each in changed if each.id == asked.survivor), default=survivor["version"]),
        losers=losers,
        combined=combined,
        repointed=_counts(work, changed),
    )


async def _survivor(
    transaction: Connection, resource: Resource, row: asyncpg.Record | None, versions: frozenset[int] | None
) -> asyncpg.Record:
    if row and row["merged_into_id"]:
        raise await merged(transaction, resource, row["merged_into_id"])
    if row is None or row["deleted"]:
        raise ResourceNotFound
    if versions and row["version"] not in versions:
        raise VersionConflict(details={"currentVersion": row["version"]})
    return row


def _losers(asked: Asked, rows: Mapping[UUID, asyncpg.Record]) -> tuple[UUID, ...]:
    """Those that are still to be merged; NotMergeable with all that can't be."""
    problems = []
    losers = []
    for i, each in enumerate(asked.losers):
        row = rows.get(each)
        if row is None:
            problems.append(Problem(f"/from/{i}", ResourceNotFound.code, "expected a record that exists"))
        elif row["merged_into_id"] not in (None, asked.survivor):
            message = "expected a record that is its own; this one was merged into another, so merge that one"
            problems.append(Problem(f"/from/{i}", Merged.code, message))
        elif row["merged_into_id"] is None and row["deleted"]:
            problems.append(Problem(f"/from/{i}", "DELETED", "expected a record that is not deleted"))
        elif row["merged_into_id"] is None:
            losers.append(each)
    if problems:
        raise NotMergeable(problems)
    return tuple(losers)


def _party(row: asyncpg.Record) -> Party:
    return Party(id=row["id"], body=decode(row["body"].encode()))


async def _write(transaction: Connection, work: Work, combined: Combined) -> list[Changed]:
    """Mark the losers, complete the survivor, lead on what referred to them; give all that changed, in order.

    The losers are gone first, so that a value that must be unique is free for the survivor.
    """
    name, losers, survivor = work.resource.name, list(work.losers), work.survivor
    by = (work.origin.request_id, work.origin.api_key_id)
    rows = await transaction.fetch(merge_sql.mark(work.resource), losers, survivor, *by)
    changed = [Changed(name, row["id"], row["version"], repointed=False) for row in rows]
    await transaction.execute(merge_sql.lead_aliases(work.resource), losers, survivor)
    if combined.patch:
        patch = encode_body(combined.patch).decode()
        rows = await transaction.fetch(merge_sql.complete(work.resource), survivor, patch, *by)
        changed += (Changed(name, row["id"], row["version"], repointed=False) for row in rows)
    for resource, references in work.resources.referring(work.resource):
        statement = merge_sql.repoint(resource, references)
        while rows := await transaction.fetch(statement, losers, survivor, *by):
            changed += (Changed(resource.name, row["id"], row["version"], repointed=True) for row in rows)
    return changed


def _last(changed: Sequence[Changed]) -> list[tuple[str, UUID, int]]:
    """Each record once, with its last version."""
    return list({each.id: (each.resource, each.id, each.version) for each in changed}.values())


def _counts(work: Work, changed: Sequence[Changed]) -> dict[str, int]:
    names = [each.resource for each in changed if each.repointed]
    return {each.name: names.count(each.name) for each, _ in work.resources.referring(work.resource)}
