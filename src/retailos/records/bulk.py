"""Many records in one transaction: all of them or none, or each for itself."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final
from uuid import UUID

import asyncpg

from retailos.database.pool import Connection
from retailos.declare.resource import Resource, Resources
from retailos.errors import DuplicateInBatch, Problem, RetailOSError, ValidationFailed
from retailos.records import parked, sql, waking
from retailos.records.applying import Result, in_between
from retailos.records.record import Draft, Written
from retailos.records.resolve import Filled, climbs, lock_tree, refused, resolve
from retailos.records.upsert import Upsert, objection, refusal_of, write_rows

#: What one row of a statement can spoil for the others: a broken rule, a record that another transaction has made
#: meanwhile, and one that the row before leads to as well, by another of its external ids.
_OBJECTIONS: Final = (
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.SerializationError,
    asyncpg.CardinalityViolationError,
)


async def upsert_all(
    transaction: Connection,
    resources: Resources,
    resource: Resource,
    drafts: Sequence[Draft],
    origin: tuple[UUID | None, str | None, UUID | None],
) -> list[Written]:
    """Write all drafts, or raise everything that is wrong with any of them; `origin`: request, API key, batch."""
    # Before the records are locked, since who wakes a parked upsert locks that first, too.
    names = [(draft.external_id, draft) for draft in drafts if draft.external_id]
    sent_to = {spot: draft for name, draft in names for spot in parked.spots(resource, name, draft)}
    await parked.supersede(transaction, resource, sent_to)
    if any(reference.levels for reference in resource.references):
        await lock_tree(transaction, resource)
    findings = await resolve(transaction, resources, resource, drafts)
    errors = [refused(each) for each in findings if not isinstance(each, Filled)]
    if errors:
        raise together(errors)
    request_id, api_key_id, batch_id = origin
    rows = [
        (Upsert(draft=draft, request_id=request_id, api_key_id=api_key_id, batch_id=batch_id, position=i), filled)
        for i, (draft, filled) in enumerate(zip(drafts, findings, strict=True))
        if isinstance(filled, Filled)
    ]
    try:
        written = await write_rows(transaction, resource, sql.upsert(resources, resource), rows, wakes=True)
    except asyncpg.IntegrityConstraintViolationError as error:
        broken = objection(resource, "", error)
        if broken is None:
            raise
        # The database names the rule that was broken, and not the record that broke it.
        raise type(broken)([replace(each, path="") for each in broken.problems]) from None
    except asyncpg.CardinalityViolationError:
        raise together([DuplicateInBatch()]) from None
    if len(written) < len(rows):
        raise in_between()
    refusals = [refusal for each in written.values() if (refusal := refusal_of(resource, each))]
    if refusals:
        raise refusals[0]
    done = {(written[upsert.job_id].external_id, False): upsert.draft for upsert, _ in rows}
    await parked.supersede(transaction, resource, {spot: each for spot, each in done.items() if spot not in sent_to})
    await waking.wake(transaction, resources, resource, (name for name, _ in done))
    return [written[upsert.job_id] for upsert, _ in rows]


async def upsert_each(
    transaction: Connection, resources: Resources, resource: Resource, drafts: Sequence[tuple[int, Draft]]
) -> dict[int, Written | RetailOSError]:
    """Write drafts, each with its position, so that a bad one hurts no other; give what came of each, by its position.

    It ends as the writer's batches would, each a transaction of its own; this one can be undone whole.
    """
    upserts = [Upsert(draft=draft, position=i) for i, draft in drafts]
    groups = [[each for each in upserts if not climbs(resource, each.draft)]]
    # The parent of a record may be one of those before it.
    groups += [[each] for each in upserts if climbs(resource, each.draft)]
    results: dict[UUID, Result] = {}
    for each in groups:
        results |= await _tried(transaction, resources, resource, each) if each else {}
    return {each.position: results[each.job_id] for each in upserts}


async def _tried(
    transaction: Connection, resources: Resources, resource: Resource, upserts: Sequence[Upsert]
) -> dict[UUID, Result]:
    """Write upserts together; where the database objects, in two halves, down to the one that it objects to."""
    try:
        async with transaction.transaction():
            results, _ = await waking.write(transaction, resources, resource, upserts)
            return results
    except _OBJECTIONS as error:
        if len(upserts) == 1:
            refusal = objection(resource, upserts[0].draft.at, error)
            if refusal is None:
                raise
            return {upserts[0].job_id: refusal}
    half = len(upserts) // 2
    first = await _tried(transaction, resources, resource, upserts[:half])
    return first | await _tried(transaction, resources, resource, upserts[half:])


def together(errors: Iterable[RetailOSError]) -> ValidationFailed:
    """Make one error of many, each problem with its own pointer."""
    problems: list[Problem] = []
    for error in errors:
        if isinstance(error, ValidationFailed):
            problems.extend(error.problems)
        else:
            problems.append(Problem(error.details.get("path", ""), error.code, error.message))
    return ValidationFailed(problems[:1000])
