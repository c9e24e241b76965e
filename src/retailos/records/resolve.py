"""References of drafts found in the database, all of a batch at once; a draft that misses one is refused, or waits."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias
from uuid import UUID

from msgspec import structs

from retailos.database.pool import Connection
from retailos.declare.field import Reference
from retailos.declare.resource import Resource, Resources
from retailos.declare.rules import Together
from retailos.errors import IdMismatch, Problem, ReferenceConflict, ReferenceNotFound, RetailOSError, ValidationFailed
from retailos.records import keyed, named_sql, sql, survivors
from retailos.records.alike import alike
from retailos.records.record import Awaited, Draft, OnUnresolved, Want
from retailos.records.survivors import followed


@dataclass(frozen=True, slots=True)
class Filled:
    """A draft's patch with its references filled in, and what is odd about it and was taken all the same."""

    patch: dict[str, Any]
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A draft that may wait for records which have not come yet; where it can't, it is refused with the error."""

    error: ReferenceNotFound
    awaits: tuple[Awaited, ...]


Finding = Filled | Unresolved | RetailOSError

Found: TypeAlias = dict[tuple[str, str | UUID], UUID]
#: Records that are being made in the same transaction, by their resources' names and their external ids.
Coming: TypeAlias = Mapping[tuple[str, str | UUID], UUID]
NOTHING: Coming = MappingProxyType({})


def refused(finding: Unresolved | RetailOSError) -> RetailOSError:
    """The error of a draft that can't be written now, for those who let nothing wait."""
    return finding.error if isinstance(finding, Unresolved) else finding


async def resolve(
    connection: Connection,
    resources: Resources,
    resource: Resource,
    drafts: Sequence[Draft],
    coming: Coming = NOTHING,
) -> list[Finding]:
    """Give for each draft its patch with the references filled in, or the error that refuses it.

    It is Unresolved where it may wait and all that is missing may come: what is named by an external id. Records are
    never removed, only marked as deleted, so what is found here is still there when it is written.
    """
    findings: list[Finding] = [Filled(draft.patch, draft.warnings) for draft in drafts]
    wanting = [i for i, draft in enumerate(drafts) if draft.wants]
    if wanting:
        found = {**coming, **await _find(connection, resources, resource, [drafts[i] for i in wanting])}
        for i in wanting:
            findings[i] = _filled(resource, drafts[i], found)
            await _check_tree(connection, resource, drafts[i], findings, i)
    await _check_ids(connection, resources, resource, drafts, findings)
    for rule in resource.differing:
        await _compare(connection, resource, rule, drafts, findings)
    return findings


def climbs(resource: Resource, draft: Draft) -> bool:
    """Whether a draft names a parent: then it is written alone, so that no two close a circle that neither sees."""
    return any(reference_of(resource, want).levels for want in draft.wants)


async def lock_tree(transaction: Connection, resource: Resource) -> None:
    """Keep all others from writing to a resource that forms a tree, until the transaction ends.

    A circle has two ends: two parents that are set at once would each be checked before the other is there.
    """
    await transaction.execute(sql.lock_tree(resource))


async def hold(transaction: Connection, resources: Resources, resource: Resource, draft: Draft) -> None:
    """Hold what a draft refers to and what could be merged away: before its own record, as every writer does.

    In the other order, a merge that holds what is referred to and this write would wait for each other.
    """
    names = {each.name for each in followed(resources, resource)}
    wants = tuple(want for want in draft.wants if want.item is None and want.reference in names)
    if wants:
        found = await _find(transaction, resources, resource, [structs.replace(draft, wants=wants)])
        for target in {target for target, _ in found}:
            ids = [each for (of, _), each in found.items() if of == target]
            await transaction.execute(survivors.hold(resources[target]), ids)


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
        rows = await connection.fetch(named_sql.find(resources[target]), list(names[target]), list(ids[target]))
        for row in rows:
            found[target, row["external_id"] if row["id"] is None else row["id"]] = row["found"]
    return found


def _filled(resource: Resource, draft: Draft, found: Found) -> Finding:
    missing: list[Want] = []
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
            missing.append(want)
        elif len(ids) > 1:
            message = "expected the id and the external id to name the same record"
            conflicts.append(Problem(draft.at + want.at, ReferenceConflict.code, message))
        else:
            _fill(patch, want, reference, str(ids.pop()))
    if conflicts:
        return ReferenceConflict(conflicts)
    if missing:
        return _without(resource, draft, Filled(patch, (*draft.warnings, *unknown)), missing)
    return Filled(patch, (*draft.warnings, *unknown))


def _without(resource: Resource, draft: Draft, filled: Filled, missing: Sequence[Want]) -> Finding:
    """What becomes of a draft whose references are missing: it is refused, it waits, or they are cleared."""
    references = [reference_of(resource, want) for want in missing]
    if draft.on_unresolved is OnUnresolved.NULL and not any(each.required for each in references):
        for want, reference in zip(missing, references, strict=True):
            if want.item is None:
                filled.patch.setdefault(reference.id_field.name, None)
        cleared = (_missing(draft, want, resource, "it was left out") for want in missing)
        return Filled(filled.patch, (*filled.warnings, *cleared))
    problems = [_missing(draft, want, resource, "send it first, then this record again") for want in missing]
    awaits = [
        Awaited(path=draft.at + want.at, resource=reference.to, external_id=want.external_id)
        for want, reference in zip(missing, references, strict=True)
        # An id is made here, so one that is not known now will never be.
        if want.external_id is not None and want.id is None
    ]
    for_itself = any((each.resource, each.external_id) == (resource.name, draft.external_id) for each in awaits)
    if draft.on_unresolved is not OnUnresolved.PARK or len(awaits) < len(missing) or for_itself:
        return ReferenceNotFound(problems)
    return Unresolved(ReferenceNotFound(problems), tuple(sorted(awaits, key=lambda each: each.path)))


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


def _missing(draft: Draft, want: Want, resource: Resource, advice: str) -> Problem:
    message = f"expected a {reference_of(resource, want).to} that exists; {advice}"
    return Problem(draft.at + want.at, ReferenceNotFound.code, message)


async def _check_ids(
    connection: Connection, resources: Resources, resource: Resource, drafts: Sequence[Draft], findings: list[Finding]
) -> None:
    """Refuse drafts that claim another id than their record has, or, of a new one, the id of another record."""
    claiming = [i for i, draft in enumerate(drafts) if draft.claimed_id is not None]
    if not claiming:
        return
    owned = await keyed.owned(connection, resources, resource, [drafts[i] for i in claiming])
    external_ids = [owned.get(n) if drafts[i].by_key else drafts[i].external_id for n, i in enumerate(claiming)]
    claimed = [drafts[i].claimed_id for i in claiming]
    rows = await connection.fetch(named_sql.find(resource), [each for each in external_ids if each], claimed)
    ids = {row["external_id"] if row["id"] is None else row["id"]: row["found"] for row in rows}
    for i, external_id in zip(claiming, external_ids, strict=True):
        known, claims = ids.get(external_id), drafts[i].claimed_id
        # Under a name that nobody has, the id of a record that there is means that one, and would make another of it.
        unnamed = external_id is None and not drafts[i].by_key
        if known != ids.get(claims, claims if known else None) and not unnamed:
            findings[i] = IdMismatch()


async def _compare(
    connection: Connection, resource: Resource, rule: Together, drafts: Sequence[Draft], findings: list[Finding]
) -> None:
    """Warn of drafts that would make a record like another where the two had better differ."""
    filled = [
        (i, draft.external_id, finding.patch)
        for i, (draft, finding) in enumerate(zip(drafts, findings, strict=True))
        if isinstance(finding, Filled)
    ]
    for i in await alike(connection, resource, rule, filled):
        finding = findings[i]
        if isinstance(finding, Filled):
            findings[i] = Filled(finding.patch, (*finding.warnings, rule.problem(drafts[i].at)))


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
        if row["circle"]:
            findings[i] = circle(resource, draft)
        elif row["levels"] >= reference.levels:
            message = f"expected a tree of at most {reference.levels} levels"
            findings[i] = ValidationFailed([Problem(f"{draft.at}/{reference.name}", "TOO_DEEP", message)])


def circle(resource: Resource, draft: Draft) -> ValidationFailed:
    """The error of a draft that names a parent which is below its own record."""
    parents = [each for each in draft.wants if reference_of(resource, each).levels]
    message = "expected a parent that is not below this record"
    return ValidationFailed([Problem(f"{draft.at}/{each.reference}", "CIRCLE", message) for each in parents])
