"""Writes that may have to wait, and that wake others: what was parked for a record is applied in its own transaction.

Whoever parks first takes the place of the missing record in the index of its key, so it waits for one who is just
making that record, and then finds it; and who comes later waits, and then sees what is parked, since it looks once its
own key is in the index (`refuse_awaited`, or a statement of its own). So neither can miss the other.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import asyncpg

from retailos.database.pool import Connection
from retailos.declare.resource import Resource, Resources
from retailos.errors import ExternalIdExists, RetailOSError
from retailos.records import keyed, named_sql, parked, sql
from retailos.records.identity import new_id
from retailos.records.parked import Choice
from retailos.records.record import Outcome, Written
from retailos.records.resolve import Filled, Finding, Unresolved, climbs, lock_tree, resolve
from retailos.records.upsert import Upsert, is_awaited, objection, refusal_of, write_rows

Result = Written | RetailOSError
Rows = Sequence[tuple[Upsert, Filled]]


class Concerned(Exception):
    """Upserts wait for records, or others wait for theirs: `write` sees to that, one statement alone can't."""


async def write_alone(
    connection: Connection, resources: Resources, resource: Resource, upserts: Sequence[Upsert]
) -> dict[UUID, Result]:
    """Write upserts in one statement, or raise Concerned where parked ones matter; what came of each, by its job's id.

    One that is not among the results has to be tried again. A transaction around it is at its end when this raises.
    """
    findings = await resolve(connection, resources, resource, [each.draft for each in upserts])
    if any(isinstance(each, Unresolved) for each in findings):
        raise Concerned
    found = list(zip(upserts, findings, strict=True))
    rows = [(upsert, finding) for upsert, finding in found if isinstance(finding, Filled)]
    results: dict[UUID, Result] = {
        upsert.job_id: finding for upsert, finding in found if isinstance(finding, RetailOSError)
    }
    try:
        written = await write_rows(connection, resource, sql.upsert(resources, resource), rows) if rows else {}
    except asyncpg.PostgresError as error:
        if is_awaited(error):
            raise Concerned from None
        raise
    return results | _refused(resource, written)


async def write(
    transaction: Connection, resources: Resources, resource: Resource, upserts: Sequence[Upsert]
) -> tuple[dict[UUID, Result], int]:
    """Write upserts, park those that must wait, and apply all that waited for them.

    Gives what came of each, by its job's id, and how many others were superseded or applied.
    """
    await _lock_trees(transaction, resources, resource)
    drafts = [each.draft for each in upserts]
    findings = await resolve(transaction, resources, resource, drafts)
    if await _keep_places(transaction, resources, findings):
        findings = await resolve(transaction, resources, resource, drafts)
    names = await _names(transaction, resource, upserts)
    own = await _own(transaction, resources, resource, upserts)
    results: dict[UUID, Result] = {}
    rows: list[tuple[Upsert, Filled]] = []
    waiting: list[tuple[Upsert, Unresolved]] = []
    for each, finding in zip(upserts, findings, strict=True):
        if isinstance(finding, Filled):
            rows.append((each, finding))
        elif isinstance(finding, RetailOSError):
            results[each.job_id] = finding
        elif _is_taken(each, names):
            # Without waiting: the statement says so, and writes nothing.
            rows.append((each, Filled({})))
        else:
            waiting.append((each, finding))
    newer = {
        parked.spot_of(resource, each, names): each.draft for each, _ in (*rows, *waiting) if not _is_taken(each, names)
    }
    # What a natural key names comes after what was sent to its record by name, too, unless that is another's.
    for each, _ in rows:
        if each.draft.by_key and (each.job_id in own or each.external_id not in names):
            newer[own.get(each.job_id, each.external_id), False] = each.draft
    superseded = await parked.supersede(transaction, resource, newer)
    results |= await parked.keep(transaction, resource, waiting, names)
    written = await _written(transaction, resources, resource, rows)
    woken = await wake(transaction, resources, resource, (each.external_id for each in written.values()))
    return results | _refused(resource, written), superseded + woken


def _is_taken(upsert: Upsert, names: Mapping[str, str]) -> bool:
    """Whether an upsert may only create a record that is there."""
    return upsert.create_only and not upsert.draft.by_key and upsert.external_id in names


async def write_one(transaction: Connection, resources: Resources, resource: Resource, upsert: Upsert) -> Written:
    """Write one upsert as `write` does, or raise what refuses it."""
    try:
        results, _ = await write(transaction, resources, resource, [upsert])
    except asyncpg.IntegrityConstraintViolationError as error:
        raise objection(resource, upsert.draft.at, error, upsert.draft.patch) or error from None
    result = results[upsert.job_id]
    if isinstance(result, RetailOSError):
        raise result
    return result


async def wake(transaction: Connection, resources: Resources, resource: Resource, external_ids: Iterable[str]) -> int:
    """Apply the upserts that wait for these records, then those that wait for them in turn, and so on; count them."""
    come, woken = {resource.name: set(external_ids)}, 0
    while come:
        name, names = come.popitem()
        while names and (rows := await parked.take(transaction, name, names)):
            if not woken:
                await _lock_trees(transaction, resources, resource)
            woken += len(rows)
            for kind, upserts in _together(resources, rows):
                applied = await _apply(transaction, resources, kind, upserts)
                come[kind.name] = come.get(kind.name, set()) | applied
    return woken


async def requeue(transaction: Connection, resources: Resources, choice: Choice, after: UUID) -> UUID | None:
    """Try some of the chosen upserts again, behind one of them; give the last of them, None where there was none."""
    held = await parked.held(transaction, choice, after)
    for resource, upserts in _together(resources, held):
        await _lock_trees(transaction, resources, resource)
        findings = await resolve(transaction, resources, resource, [each.draft for each in upserts])
        await _keep_places(transaction, resources, findings)
        applied = await _apply(transaction, resources, resource, upserts, anew=True)
        await wake(transaction, resources, resource, applied)
    return held[-1]["job_id"] if held else None


def _together(resources: Resources, rows: Iterable[asyncpg.Record]) -> list[tuple[Resource, list[Upsert]]]:
    """Sort parked upserts by what goes into one statement: those of a resource that may update, or only create."""
    groups: defaultdict[tuple[str, bool, UUID | None], list[Upsert]] = defaultdict(list)
    for row in rows:
        upsert = parked.read(row)
        alone = upsert.job_id if climbs(resources[row["resource"]], upsert.draft) else None
        groups[row["resource"], upsert.create_only, alone].append(upsert)
    return [(resources[name], upserts) for (name, _, _), upserts in groups.items()]


async def _apply(
    transaction: Connection, resources: Resources, resource: Resource, upserts: Sequence[Upsert], *, anew: bool = False
) -> set[str]:
    """Apply parked upserts as far as their references are there; give the external ids of the records.

    Those that still wait are left as they are, or, `anew`, wait from now on.
    """
    findings = await resolve(transaction, resources, resource, [each.draft for each in upserts])
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
    await parked.finish(transaction, done)
    await parked.fail(transaction, refused)
    if anew:
        await parked.reopen(transaction, waiting)
    return {each.external_id for each in done}


async def _tried(
    transaction: Connection, resources: Resources, resource: Resource, rows: Rows, *, again: bool = False
) -> dict[UUID, Result]:
    """Write rows in a savepoint, or, where that fails, each in one of its own, so that a bad one hurts nobody else."""
    try:
        async with transaction.transaction():
            return _refused(resource, await _written(transaction, resources, resource, rows))
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


def _refused(resource: Resource, written: Mapping[UUID, Written]) -> dict[UUID, Result]:
    """What came of writes, those that their records were not open to being errors."""
    return {job_id: refusal_of(resource, each) or each for job_id, each in written.items()}


async def _written(
    transaction: Connection, resources: Resources, resource: Resource, rows: Rows
) -> dict[UUID, Written]:
    """Write rows, all of them; what another writer is in the way of makes the whole transaction try again."""
    written = await write_rows(transaction, resource, sql.upsert(resources, resource), rows, wakes=True) if rows else {}
    if len(written) < len(rows):
        raise asyncpg.SerializationError("another writer made one of the records meanwhile")
    return written


async def _names(transaction: Connection, resource: Resource, upserts: Sequence[Upsert]) -> dict[str, str]:
    """The external ids that records have now, by those that upserts address them with, where there are any."""
    found = await transaction.fetch(named_sql.find(resource), [each.external_id for each in upserts], [])
    now = await transaction.fetch(named_sql.external_ids(resource), [row["found"] for row in found])
    names = {row["id"]: row["external_id"] for row in now}
    return {row["external_id"]: names[row["found"]] for row in found}


async def _own(
    transaction: Connection, resources: Resources, resource: Resource, upserts: Sequence[Upsert]
) -> dict[UUID, str]:
    """The external ids of the records with the natural keys that upserts go by, by the ids of their jobs."""
    found = await keyed.owned(transaction, resources, resource, [each.draft for each in upserts])
    return {upserts[i].job_id: name for i, name in found.items()}


async def _keep_places(transaction: Connection, resources: Resources, findings: Sequence[Finding]) -> bool:
    """Take the places of missing records until the transaction ends, and wait for whoever is just making them.

    False where nothing is missing. What was missing may be there afterwards: look again.
    """
    missing: defaultdict[str, set[str]] = defaultdict(set)
    for finding in findings:
        if isinstance(finding, Unresolved):
            for each in finding.awaits:
                missing[each.resource].add(each.external_id)
    for name in sorted(missing):
        ids = [new_id() for _ in missing[name]]
        places = sorted(missing[name], key=str.encode)
        await transaction.execute(sql.keep_places(resources[name]), ids, places)
        await transaction.execute(sql.clear_places(resources[name]), ids)
    return bool(missing)


async def _lock_trees(transaction: Connection, resources: Resources, resource: Resource) -> None:
    """Lock the trees that a record of a resource, or what waits for it, may grow, all in one order."""
    reached: set[str] = set()
    more = {resource.name}
    while more:
        reached |= more
        more = {each.name for each in resources.values() if any(to.to in reached for to in each.references)} - reached
    for name in sorted(reached):
        if any(reference.levels for reference in resources[name].references):
            await lock_tree(transaction, resources[name])
