"""References of drafts found in the database, all of a batch at once; a draft whose reference is missing is refused."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from retailos.database.pool import Connection
from retailos.declare.field import Reference
from retailos.declare.resource import Resource, Resources
from retailos.errors import IdMismatch, Problem, ReferenceConflict, ReferenceNotFound, RetailOSError, ValidationFailed
from retailos.records import sql
from retailos.records.record import Draft, Want


@dataclass(frozen=True, slots=True)
class Filled:
    """A draft's patch with its references filled in, and what is odd about it and was taken all the same."""

    patch: dict[str, Any]
    warnings: tuple[Problem, ...] = ()


Finding = Filled | RetailOSError


async def resolve(
    connection: Connection, resources: Resources, resource: Resource, drafts: Sequence[Draft]
) -> list[Finding]:
    """Give for each draft its patch with the references filled in, or the error that refuses it.

    Records are never removed, only marked as deleted, so what is found here is still there when it is written.
    """
    findings: list[Finding] = [Filled(draft.patch, draft.warnings) for draft in drafts]
    wanting = [i for i, draft in enumerate(drafts) if draft.wants]
    if wanting:
        found = await _find(connection, resources, resource, [drafts[i] for i in wanting])
        for i in wanting:
            findings[i] = _filled(resource, drafts[i], found)
            await _check_tree(connection, resource, drafts[i], findings, i)
    await _check_ids(connection, resource, drafts, findings)
    return findings


async def lock_tree(transaction: Connection, resource: Resource) -> None:
    """Keep all others from writing to a resource that forms a tree, until the transaction ends.

    A circle has two ends: two parents that are set at once would each be checked before the other is there.
    """
    await transaction.execute(sql.lock_tree(resource))


Found = dict[tuple[str, str | UUID], UUID]


async def _find(connection: Connection, resources: Resources, resource: Resource, drafts: Sequence[Draft]) -> Found:
    """Look up every record that the drafts want: by the target's name and the id or external id that was sent."""
    names: defaultdict[str, set[str]] = defaultdict(set)
    ids: defaultdict[str, set[UUID]] = defaultdict(set)
    for draft in drafts:
        for want in draft.wants:
            target = reference_of(resource, want).to
            if want.external_id is not None:
                names[target].add(want.external_id)
            if want.id is not None:
                ids[target].add(want.id)
    found: Found = {}
    for target in names.keys() | ids.keys():
        rows = await connection.fetch(sql.find(resources[target]), list(names[target]), list(ids[target]))
        for row in rows:
            found[target, row["external_id"] if row["id"] is None else row["id"]] = row["found"]
    return found


def _filled(resource: Resource, draft: Draft, found: Found) -> Finding:
    missing: list[Problem] = []
    conflicts: list[Problem] = []
    unknown: list[Problem] = []
    patch = _copied(draft)
    for want in draft.wants:
        reference = reference_of(resource, want)
        keys = [each for each in (want.id, want.external_id) if each is not None]
        ids = {found.get((reference.to, key)) for key in keys}
        if None in ids and reference.unknown == "null":
            _fill(patch, want, reference, None)
            unknown.append(_unknown(draft, want, reference))
        elif None in ids:
            missing.append(_missing(draft, want, reference))
        elif len(ids) > 1:
            message = "expected the id and the external id to name the same record"
            conflicts.append(Problem(draft.at + want.at, ReferenceConflict.code, message))
        else:
            _fill(patch, want, reference, str(ids.pop()))
    if conflicts:
        return ReferenceConflict(conflicts)
    if missing:
        return ReferenceNotFound(missing)
    return Filled(patch, (*draft.warnings, *unknown))


def reference_of(resource: Resource, want: Want) -> Reference:
    """The declared reference that a want is of: one of the record's own, or one of an item within it."""
    return (resource.inner[want.item[0]] if want.item else resource).reference[want.reference]


def _copied(draft: Draft) -> dict[str, Any]:
    """A patch to fill in: its own, down to the items that references are of, since a draft may be tried again."""
    arrays = {want.item[0] for want in draft.wants if want.item}
    return draft.patch | {name: [dict(item) for item in draft.patch[name]] for name in arrays}


def _fill(patch: dict[str, Any], want: Want, reference: Reference, found: str | None) -> None:
    if reference.ids:
        patch[reference.ids] = [*patch[reference.ids], found]
    elif want.item is None:
        patch[reference.id_field.name] = found
    elif found is not None:
        array, i = want.item
        patch[array][i][reference.id_field.name] = found


def _unknown(draft: Draft, want: Want, reference: Reference) -> Problem:
    message = f"expected a {reference.to} that exists; the record was taken without it"
    return Problem(draft.at + want.at, "REFERENCE_UNKNOWN", message)


def _missing(draft: Draft, want: Want, reference: Reference) -> Problem:
    message = f"expected a {reference.to} that exists; send it first, then this record again"
    return Problem(draft.at + want.at, ReferenceNotFound.code, message)


async def _check_ids(
    connection: Connection, resource: Resource, drafts: Sequence[Draft], findings: list[Finding]
) -> None:
    """Refuse drafts that claim another id than the one that their record has."""
    claiming = [i for i, draft in enumerate(drafts) if draft.claimed_id is not None]
    if not claiming:
        return
    external_ids = [drafts[i].external_id for i in claiming]
    rows = await connection.fetch(sql.find(resource), [each for each in external_ids if each], [])
    ids = {row["external_id"]: row["found"] for row in rows}
    for i in claiming:
        known = ids.get(drafts[i].external_id)
        if known is not None and known != drafts[i].claimed_id:
            findings[i] = IdMismatch()


async def _check_tree(
    connection: Connection, resource: Resource, draft: Draft, findings: list[Finding], i: int
) -> None:
    """Refuse a draft that would close a circle of parents, or make a tree deeper than it may be."""
    finding = findings[i]
    for reference in resource.references:
        parent = finding.patch.get(reference.id_field.name) if isinstance(finding, Filled) else None
        if not reference.levels or parent is None:
            continue
        [row] = await connection.fetch(
            sql.ancestors(resource, reference), UUID(parent), reference.levels, draft.external_id
        )
        at = f"{draft.at}/{reference.name}"
        if row["circle"]:
            findings[i] = ValidationFailed([Problem(at, "CIRCLE", "expected a parent that is not below this record")])
        elif row["levels"] >= reference.levels:
            message = f"expected a tree of at most {reference.levels} levels"
            findings[i] = ValidationFailed([Problem(at, "TOO_DEEP", message)])
