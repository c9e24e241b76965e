"""Writes that must look before they write: under conditions, in part, as a trial, to another external id, deletions.

Each is one transaction that locks its record first. What needs no look goes with the others, through the writer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from retailos.database.pool import Connection
from retailos.declare.resource import Resource, Resources
from retailos.errors import (
    ExternalIdExists,
    IdMismatch,
    Problem,
    ResourceNotFound,
    ValidationFailed,
    VersionConflict,
)
from retailos.records import parked, sql, waking
from retailos.records.applying import in_between
from retailos.records.body import as_kept
from retailos.records.identity import new_id
from retailos.records.record import Draft, Outcome, Written
from retailos.records.resolve import Filled, climbs, hold, lock_tree, refused, resolve
from retailos.records.store import merged
from retailos.records.upsert import Upsert, objection, refusal_of, write_rows

#: Free JSON that any PATCH merges member by member (RFC 7396); all else is replaced whole, but in a merge patch.
_MERGED = ("details", "reporting")
# Numbers as they are kept, to the last digit.
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What must be true of the record before it is written."""

    #: Addressed by our id; None: by the external id.
    record_id: UUID | None = None
    external_id: str | None = None
    #: Versions of If-Match, empty where it is `*`: any, but there must be one; None: it was not sent.
    versions: frozenset[int] | None = None
    #: It must be there, and living.
    must_exist: bool = False
    #: It must not be there (If-None-Match: *).
    must_be_new: bool = False


@dataclass(frozen=True, slots=True)
class Origin:
    """Whom a change came from."""

    request_id: UUID | None = None
    api_key_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Locked:
    """A record as it is, and stays until the transaction ends."""

    id: UUID
    external_id: str
    version: int
    deleted: bool
    body: Mapping[str, Any]
    #: The record that it was merged into.
    merged_into_id: UUID | None
    #: It was asked for by the external id of a record that was merged into it.
    redirected: bool


async def upsert(
    transaction: Connection,
    resources: Resources,
    resource: Resource,
    draft: Draft,
    demand: Demand,
    origin: Origin,
    *,
    merge: bool = False,
) -> Written:
    """Write a draft where the demand holds; with `merge`, what a PATCH merges is merged and not replaced."""
    # Before the record is locked, since who wakes a parked upsert locks that first, too.
    sent_to = dict.fromkeys(parked.spots(resource, demand.external_id, draft), draft) if demand.external_id else {}
    await parked.supersede(transaction, resource, sent_to)
    if climbs(resource, draft):
        await lock_tree(transaction, resource)
    await hold(transaction, resources, resource, draft)
    found = await _demanded(transaction, resource, demand)
    if found and draft.claimed_id not in (None, found.id) and not found.redirected:
        raise IdMismatch
    rekeyed = None
    if demand.record_id and draft.by_key:
        # The id says which record it is, so its key is what it is to have, as all else is.
        draft = msgspec.structs.replace(draft, external_id=None, by_key=False)
    if found and demand.record_id and draft.external_id not in (None, found.external_id):
        rekeyed = await _rekey(transaction, resource, found, draft.external_id or "", origin)
    target = rekeyed.external_id if rekeyed else found.external_id if found else draft.external_id
    patch = _merged(resource, draft, found) if merge and found else draft.patch
    draft = msgspec.structs.replace(draft, external_id=target, patch=patch)
    [finding] = await resolve(transaction, resources, resource, [draft])
    if not isinstance(finding, Filled):
        raise refused(finding)
    written = await _write(transaction, resources, resource, draft, finding, origin, create_only=demand.must_be_new)
    if written.outcome is Outcome.EXISTS:
        raise VersionConflict(details={"currentVersion": written.version})
    names = {written.external_id, found.external_id if found else written.external_id}
    spots = {(name, False) for name in names} - sent_to.keys()
    await parked.supersede(transaction, resource, dict.fromkeys(spots, draft))
    await waking.wake(transaction, resources, resource, [written.external_id])
    if found and found.redirected:
        outcome = Outcome.STALE if written.outcome is Outcome.STALE else Outcome.REDIRECTED
        return msgspec.structs.replace(written, outcome=outcome)
    if rekeyed and written.outcome is Outcome.UNCHANGED:
        return msgspec.structs.replace(written, outcome=Outcome.UPDATED)
    return written


async def _write(
    transaction: Connection,
    resources: Resources,
    resource: Resource,
    draft: Draft,
    filled: Filled,
    origin: Origin,
    *,
    create_only: bool,
) -> Written:
    upsert = Upsert(draft=draft, create_only=create_only, request_id=origin.request_id, api_key_id=origin.api_key_id)
    statement = sql.upsert(resources, resource)
    try:
        results = await write_rows(transaction, resource, statement, [(upsert, filled)], wakes=True)
    except asyncpg.IntegrityConstraintViolationError as error:
        raise objection(resource, draft.at, error, draft.patch) or error from None
    written = results.get(upsert.job_id)
    # Where there was no record to lock, another writer may have made one meanwhile.
    if written is None:
        raise in_between()
    if refusal := refusal_of(resource, written):
        raise refusal
    return written


async def delete(transaction: Connection, resource: Resource, demand: Demand, origin: Origin) -> Written:
    """Make a tombstone of a record; of a tombstone, nothing. What is parked for it is given up."""
    name = demand.external_id
    # Of either kind: what a natural key would bring under this name could not take the place of the record, either.
    spots = {(name, False): None, (name, True): None} if name else {}
    given_up = await parked.supersede(transaction, resource, spots)
    # A merged record is gone already; the survivor that its external id leads to is not meant.
    found = await _demanded(transaction, resource, replace(demand, must_exist=False), follow=False)
    if found and found.external_id != name:
        await parked.supersede(transaction, resource, {(found.external_id, False): None})
    job_id = new_id()
    if found is None and name and given_up:
        # There was only an upsert that waited, and it will not make the record any more.
        now = datetime.now(UTC)
        return Written(job_id=job_id, external_id=name, record_id=job_id, version=0, outcome=Outcome.UNCHANGED, at=now)
    if found is None:
        raise ResourceNotFound
    if found.deleted:
        row = await transaction.fetchrow(sql.lock(resource), found.id, None)
        return _written(job_id, found.id, Outcome.UNCHANGED, row)
    row = await transaction.fetchrow(sql.delete(resource), found.id, job_id, origin.request_id, origin.api_key_id)
    return _written(job_id, found.id, Outcome.DELETED, row)


async def _demanded(
    transaction: Connection, resource: Resource, demand: Demand, *, follow: bool = True
) -> Locked | None:
    row = await transaction.fetchrow(sql.lock(resource, follow=follow), demand.record_id, demand.external_id)
    if row and row["merged_into_id"] and demand.external_id and follow:
        # It was merged while its lock was waited for; by now its external id leads elsewhere.
        row = await transaction.fetchrow(sql.lock(resource), None, demand.external_id)
    found = _locked(row) if row else None
    if demand.must_be_new and found:
        raise VersionConflict(details={"currentVersion": found.version})
    if found and found.merged_into_id and follow:
        raise await merged(transaction, resource, found.merged_into_id)
    if (demand.must_exist or demand.record_id) and (found is None or (demand.must_exist and found.deleted)):
        raise ResourceNotFound
    if demand.versions is not None and not _matches(found, demand.versions):
        raise VersionConflict(details={"currentVersion": found.version if found else None})
    return found


def _matches(found: Locked | None, versions: frozenset[int]) -> bool:
    """Whether a record is as If-Match demands; a tombstone has no state that `*` could mean."""
    if found is None:
        return False
    return found.version in versions if versions else not found.deleted


def _locked(row: Any) -> Locked:
    return Locked(
        id=row["id"],
        external_id=row["external_id"],
        version=row["version"],
        deleted=row["deleted_at"] is not None,
        body=_decode(row["body"]),
        merged_into_id=row["merged_into_id"],
        redirected=row["redirected"],
    )


async def _rekey(
    transaction: Connection, resource: Resource, found: Locked, external_id: str, origin: Origin
) -> Written:
    taken = await transaction.fetchrow(sql.lock(resource, follow=False), None, external_id)
    if taken and taken["id"] != found.id:
        raise ExternalIdExists(details={"resourceId": str(taken["id"])})
    job_id = new_id()
    values = (found.id, job_id, origin.request_id, origin.api_key_id, external_id)
    try:
        row = await transaction.fetchrow(sql.rekey(resource), *values)
    except asyncpg.IntegrityConstraintViolationError as error:
        raise objection(resource, "", error) or error from None
    return _written(job_id, found.id, Outcome.UPDATED, row)


def _written(job_id: UUID, record_id: UUID, outcome: Outcome, row: Any) -> Written:
    return Written(
        job_id=job_id,
        external_id=row["external_id"],
        record_id=record_id,
        version=row["version"],
        outcome=outcome,
        at=row["at"],
    )


def _merged(resource: Resource, draft: Draft, found: Locked) -> dict[str, Any]:
    """The patch with its objects merged into the record's; what the record must have, it must have afterwards."""
    patch, problems = dict(draft.patch), list[Problem]()
    parts = {name: patch[name] for name in _MERGED if patch.get(name)} | draft.parts
    for name, part in parts.items():
        whole = _merge(found.body.get(name) or {}, part)
        # Each part kept to the limits, and the whole may not.
        patch[name] = resource.fields[name].kind.read(whole, f"{draft.at}/{name}", problems)
    if problems:
        raise ValidationFailed(problems)
    left = {**found.body, **patch}
    if resource.requires_one_of and not any(left.get(name) for name in resource.requires_one_of):
        names = ", ".join(resource.requires_one_of)
        raise ValidationFailed([Problem(draft.at, "REQUIRED", f"expected a value left for at least one of {names}")])
    return as_kept(resource, patch, found.body)


def _merge(target: Any, patch: Any) -> Any:
    """RFC 7396: members of objects are merged, null removes one, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merge(merged.get(name), value)
    return merged
