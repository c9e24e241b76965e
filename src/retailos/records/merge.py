"""Records merged into one of them in one transaction: it is completed, the others go, what led to them leads to it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple
from uuid import UUID

import asyncpg

from retailos.database.pool import Connection
from retailos.declare.field import Reference
from retailos.declare.resource import Resource, Resources
from retailos.errors import Merged, NotMergeable, Problem, ResourceNotFound, VersionConflict
from retailos.records import merge_sql, parked, repoint_sql
from retailos.records.body import decode
from retailos.records.careful import Origin
from retailos.records.identity import new_id
from retailos.records.merging import Asked, Combined, Party, combine
from retailos.records.store import merged
from retailos.records.upsert import encode_body, objection


class Fate(Enum):
    """What a merge makes of a record."""

    #: It is one of those that are merged, or was written down of the survivor.
    PARTY = "party"
    #: It referred to a loser, and refers to the survivor now.
    LED = "led"
    #: So it does, and got another value by that, or is deleted, since the survivor has room for one only.
    YIELDED = "yielded"
    DELETED = "deleted"


class Changed(NamedTuple):
    """A record that a merge changed, and its version by then."""

    resource: str
    id: UUID
    version: int
    fate: Fate


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
    #: How many of these were deleted and how many yielded, where any did, since the survivor has room for one only.
    deleted: dict[str, int]
    yielded: dict[str, int]


async def merge(
    transaction: Connection,
    resources: Resources,
    resource: Resource,
    asked: Asked,
    origin: Origin,
    versions: frozenset[int] | None = None,
) -> Merge:
    """Merge records into a survivor, which must be at one of the `versions`, where some are named.

    Raises ResourceNotFound and Merged for a survivor that is gone, NotMergeable for others that are, and where a rule
    would be broken all the same.
    """
    given_up = await _give_up(transaction, resource, asked)
    found = await transaction.fetch(merge_sql.lock(resource), [asked.survivor, *asked.losers])
    rows = {row["id"]: row for row in found}
    survivor = await _survivor(transaction, resource, rows.get(asked.survivor), versions)
    losers = _losers(asked, rows)
    combined = combine(resource, _party(survivor), [_party(rows[each]) for each in losers], asked.fields)
    if not losers:
        # They were merged before, by a request that is repeated.
        combined = replace(combined, patch={}, taken_from={})
    # One of them may have got another external id while its lock was waited for.
    renamed = {rows[each]["external_id"] for each in (asked.survivor, *losers)} - given_up if losers else ()
    await parked.supersede(transaction, resource, {(name, False): None for name in renamed})
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
        repointed={each.name: 0 for each, _ in resources.referring(resource)} | _counts(changed, *_REFERRED),
        deleted=_counts(changed, Fate.DELETED),
        yielded=_counts(changed, Fate.YIELDED),
    )


async def _give_up(transaction: Connection, resource: Resource, asked: Asked) -> set[str]:
    """Give up what is parked for records that are about to be merged, and give their external ids.

    It is older than the merge, and would undo what that decides. This is before the records are locked, since who wakes
    a parked upsert locks that first, too.
    """
    rows = await transaction.fetch(merge_sql.names(resource), asked.survivor, list(asked.losers))
    names = {row["external_id"] for row in rows}
    await parked.supersede(transaction, resource, {(name, False): None for name in names})
    return names


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
    changed = [Changed(name, row["id"], row["version"], Fate.PARTY) for row in rows]
    await transaction.execute(merge_sql.lead_aliases(work.resource), losers, survivor)
    if combined.patch:
        patch = encode_body(combined.patch).decode()
        with _within_rules(work.resource, "/fields"):
            rows = await transaction.fetch(merge_sql.complete(work.resource), survivor, patch, *by)
        changed += (Changed(row["resource"], row["id"], row["version"], Fate.PARTY) for row in rows)
    for resource, references in work.resources.referring(work.resource):
        with _within_rules(resource, "/from"):
            for fate, statement in _leading(resource, references):
                while rows := await transaction.fetch(statement, losers, survivor, *by):
                    changed += (Changed(resource.name, row["id"], row["version"], fate) for row in rows)
    return changed


def _leading(resource: Resource, references: Sequence[Reference]) -> Iterator[tuple[Fate, str]]:
    """The statements that lead on what refers to losers: first what finds no room, by each rule, and then the rest."""
    for rule in repoint_sql.concerned(resource, references):
        fate = Fate.DELETED if rule.yields is None else Fate.YIELDED
        yield fate, repoint_sql.make_room(resource, references, rule)
    yield Fate.LED, repoint_sql.repoint(resource, references)


@contextmanager
def _within_rules(resource: Resource, at: str) -> Iterator[None]:
    """Raise NotMergeable where the database finds a rule of the resource broken that nothing could be done about.

    `at` is where in the request another choice would help.
    """
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError as error:
        found = objection(resource, at, error)
        if found is None:
            raise
        named = (replace(each, message=f"{resource.title}: {each.message}") for each in found.problems)
        raise NotMergeable(named) from None


def _last(changed: Sequence[Changed]) -> list[tuple[str, UUID, int]]:
    """Each record once, with its last version."""
    return list({each.id: (each.resource, each.id, each.version) for each in changed}.values())


#: All that a record can be that referred to a loser.
_REFERRED = (Fate.LED, Fate.YIELDED, Fate.DELETED)


def _counts(changed: Sequence[Changed], *fates: Fate) -> dict[str, int]:
    """How many records of each resource met with one of some fates, where any did."""
    return dict(Counter(each.resource for each in changed if each.fate in fates))
