"""Writes that may have to wait, and that wake others: what was parked for a record is applied in its own transaction.

Whoever parks first takes the place of the missing record in the index of its key, so it waits for one who is just
making that record, and then finds it; and who comes later waits, and then sees what is parked, since it looks once its
own key is in the index (`refuse_awaited`, or a statement of its own). So neither can miss the other. What waits for
each other is seen to behind all that (`circles.py`).
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import asyncpg

from retailos.database.pool import Connection
from retailos.declare.resource import Resource, Resources
from retailos.errors import RetailOSError
from retailos.records import keyed, named_sql, parked, sql
from retailos.records.applying import Applied, Name, Result, apply, keep_places, lock_trees, or_refused, write_each
from retailos.records.circles import circling, close
from retailos.records.parked import Choice
from retailos.records.record import Written
from retailos.records.resolve import Filled, Finding, Unresolved, climbs, resolve
from retailos.records.upsert import Upsert, is_awaited, objection, write_rows


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
    return results | or_refused(resource, written)


async def write(
    transaction: Connection, resources: Resources, resource: Resource, upserts: Sequence[Upsert]
) -> tuple[dict[UUID, Result], int]:
    """Write upserts, park those that must wait, and apply all that waited for them, or waits only for each other.

    Gives what came of each, by its job's id, and how many others were superseded or applied.
    """
    await lock_trees(transaction, resources, [resource.name])
    drafts = [each.draft for each in upserts]
    findings = await resolve(transaction, resources, resource, drafts)
    if await _keep_places(transaction, resources, resource, upserts, findings):
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
    kept = await parked.keep(transaction, resource, waiting, names)
    written = await write_each(transaction, resources, resource, rows)
    starts = circling(resources, resource, {each.job_id: finding for each, finding in waiting})
    come = (each.external_id for each in written.values())
    woken = await wake(transaction, resources, resource, come, starts)
    # What was parked a moment ago and can't be written is refused, as it would be if nothing had been missing.
    at_once = {job_id: woken.results.get(job_id, each) for job_id, each in kept.items()}
    await parked.withdraw(transaction, [job_id for job_id, each in at_once.items() if isinstance(each, RetailOSError)])
    return results | or_refused(resource, written) | at_once, superseded + woken.count


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


@dataclass(slots=True)
class Woken:
    """How many upserts were woken or stood in circles, and, by their jobs, what came of those that wait no longer."""

    count: int = 0
    results: dict[UUID, Result] = field(default_factory=dict)


async def wake(
    transaction: Connection,
    resources: Resources,
    resource: Resource,
    external_ids: Iterable[str],
    starts: Iterable[UUID] = (),
) -> Woken:
    """Apply the upserts that wait for these records, then those that wait for them in turn, and so on.

    Likewise the circles of those that wait on, and of some that were just parked, by their jobs (`starts`).
    """
    come: dict[str, set[str]] = {resource.name: set(external_ids)}
    waits: dict[str, set[UUID]] = {resource.name: set(starts)}
    woken = Woken()
    while come or waits:
        while come:
            name, names = come.popitem()
            while names and (rows := await parked.take(transaction, name, names)):
                if not woken.count:
                    await lock_trees(transaction, resources, [resource.name])
                woken.count += len(rows)
                for kind, upserts in _together(resources, rows):
                    applied, waiting = await _apply(transaction, resources, kind, upserts)
                    woken.results |= applied.results
                    waits.setdefault(kind.name, set()).update(waiting)
                    come.setdefault(kind.name, set()).update(each.external_id for each in applied.done)
        if waits:
            name, jobs = waits.popitem()
            closed = await close(transaction, resources, resources[name], jobs)
            woken.count += len(closed.results)
            woken.results |= closed.results
            come = closed.come
    return woken


async def requeue(transaction: Connection, resources: Resources, choice: Choice, after: UUID) -> UUID | None:
    """Try some of the chosen upserts again, behind one of them; give the last of them, None where there was none."""
    held = await parked.held(transaction, choice, after)
    for resource, upserts in _together(resources, held):
        await lock_trees(transaction, resources, [resource.name])
        findings = await resolve(transaction, resources, resource, [each.draft for each in upserts])
        await _keep_places(transaction, resources, resource, upserts, findings)
        applied, waiting = await _apply(transaction, resources, resource, upserts, anew=True)
        await wake(transaction, resources, resource, (each.external_id for each in applied.done), waiting)
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
) -> tuple[Applied, list[UUID]]:
    """Apply parked upserts as far as their references are there; give also the jobs that may be on a circle.

    Those that still wait are left as they are, or, `anew`, wait from now on.
    """
    applied = await apply(transaction, resources, resource, upserts)
    await parked.finish(transaction, applied.done)
    await parked.fail(transaction, applied.refused)
    if anew:
        await parked.reopen(transaction, applied.waiting)
    return applied, circling(resources, resource, applied.waiting)


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


async def _keep_places(
    transaction: Connection,
    resources: Resources,
    resource: Resource,
    upserts: Sequence[Upsert],
    findings: Sequence[Finding],
) -> bool:
    """Take the places of what is missing, and of records that may stand in a circle; False where nothing is missing."""
    pairs = zip(upserts, findings, strict=True)
    waiting = {upsert.job_id: finding for upsert, finding in pairs if isinstance(finding, Unresolved)}
    places: set[Name] = {(each.resource, each.external_id) for finding in waiting.values() for each in finding.awaits}
    on_circles = set(circling(resources, resource, waiting))
    places |= {(resource.name, each.external_id) for each in upserts if each.job_id in on_circles}
    await keep_places(transaction, resources, places)
    return bool(places)
