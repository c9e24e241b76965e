"""What every way to apply upserts has in common: places taken, trees locked, rows tried, one by one if need be."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

import asyncpg

from retailos.database.pool import Connection
from retailos.declare.resource import Resource, Resources
from retailos.errors import ExternalIdExists, RetailOSError
from retailos.records import keyed, sql
from retailos.records.identity import new_id
from retailos.records.record import Outcome, Written
from retailos.records.resolve import NOTHING, Coming, Filled, Unresolved, lock_tree, resolve
from retailos.records.upsert import Upsert, objection, refusal_of, write_rows

Result = Written | RetailOSError
Rows = Sequence[tuple[Upsert, Filled]]
#: A resource's name and an external id.
Name: TypeAlias = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What came of upserts: those that were written, those that still wait, and those that can't be written."""

    done: Sequence[Written]
    waiting: Mapping[UUID, Unresolved]
    refused: Mapping[UUID, RetailOSError]

    @property
    def results(self) -> dict[UUID, Result]:
        """What came of those that wait no longer, by their jobs."""
        return {**{each.job_id: each for each in self.done}, **self.refused}


async def apply(
    transaction: Connection,
    resources: Resources,
    resource: Resource,
    upserts: Sequence[Upsert],
    coming: Coming = NOTHING,
) -> Applied:
    """Write upserts as far as their references are there, or among the records that are `coming` with them."""
    findings = await resolve(transaction, resources, resource, [each.draft for each in upserts], coming)
    rows: list[tuple[Upsert, Filled]] = []
    waiting: dict[UUID, Unresolved] = {}
    refused: dict[UUID, RetailOSError] = {}
    for each, finding in zip(upserts, findings, strict=True):
        if isinstance(finding, Filled):
            rows.append((each, finding))
        elif isinstance(finding, Unresolved):
            waiting[each.job_id] = finding
        else:
            refused[each.job_id] = finding
    done: list[Written] = []
    for job_id, result in (await _tried(transaction, resources, resource, rows)).items():
        if isinstance(result, RetailOSError):
            refused[job_id] = result
        elif result.outcome is Outcome.EXISTS:
            refused[job_id] = ExternalIdExists(details={"resourceId": str(result.record_id)})
        else:
            done.append(result)
    return Applied(done=done, waiting=waiting, refused=refused)


async def _tried(
    transaction: Connection, resources: Resources, resource: Resource, rows: Rows, *, again: bool = False
) -> dict[UUID, Result]:
    """Write rows in a savepoint, or, where that fails, each in one of its own, so that a bad one hurts nobody else."""
    try:
        async with transaction.transaction():
            return or_refused(resource, await write_each(transaction, resources, resource, rows))
    except (asyncpg.IntegrityConstraintViolationError, asyncpg.CardinalityViolationError) as error:
        if len(rows) == 1:
            [(upsert, _)] = rows
            if not again and keyed.is_met(resource, upsert.draft, error):
                return await _tried(transaction, resources, resource, rows, again=True)
            refusal = objection(resource, upsert.draft.at, error, upsert.draft.patch)
            if refusal is None:
                raise
            return {upsert.job_id: refusal}
    results: dict[UUID, Result] = {}
    for row in rows:
        results |= await _tried(transaction, resources, resource, [row])
    return results


def or_refused(resource: Resource, written: Mapping[UUID, Written]) -> dict[UUID, Result]:
    """What came of writes, those that their records were not open to being errors."""
    return {job_id: refusal_of(resource, each) or each for job_id, each in written.items()}


async def write_each(
    transaction: Connection, resources: Resources, resource: Resource, rows: Rows
) -> dict[UUID, Written]:
    """Write rows, all of them; what another writer is in the way of makes the whole transaction try again."""
    written = await write_rows(transaction, resource, sql.upsert(resources, resource), rows, wakes=True) if rows else {}
    if len(written) < len(rows):
        raise in_between()
    return written


def in_between() -> asyncpg.SerializationError:
    """The error that makes a transaction try again, since another one wrote where this one had looked."""
    return asyncpg.SerializationError("another writer made one of the records meanwhile")


async def keep_places(transaction: Connection, resources: Resources, names: Collection[Name]) -> None:
    """Take the places of records that are not there until the transaction ends, waiting for whoever has one of them.

    What was missing may be there afterwards, and what was not parked may be: look again.
    """
    missing: defaultdict[str, list[str]] = defaultdict(list)
    for name, external_id in names:
        missing[name].append(external_id)
    for name in sorted(missing):
        ids = [new_id() for _ in missing[name]]
        places = sorted(missing[name], key=str.encode)
        await transaction.execute(sql.keep_places(resources[name]), ids, places)
        await transaction.execute(sql.clear_places(resources[name]), ids)


async def lock_trees(transaction: Connection, resources: Resources, kinds: Collection[str]) -> None:
    """Lock the trees that records of some kinds, or what waits for them, may grow, all in one order."""
    reached: set[str] = set()
    more = set(kinds)
    while more:
        reached |= more
        more = {each.name for each in resources.values() if any(to.to in reached for to in each.references)} - reached
    for name in sorted(reached):
        if any(reference.levels for reference in resources[name].references):
            await lock_tree(transaction, resources[name])
