"""Writes that must look before they write: under conditions, in part, as a trial, to another external id, deletions.

Each is one transaction that locks its record first. What needs no look goes with the others, through the writer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
    RetailOSError,
    Unavailable,
    ValidationFailed,
    VersionConflict,
)
from retailos.records import sql
from retailos.records.body import as_kept
from retailos.records.identity import new_id
from retailos.records.record import Draft, Outcome, Written
from retailos.records.resolve import Filled, lock_tree, reference_of, resolve
from retailos.records.upsert import Upsert, objection, refusal_of, write_rows

#: Free JSON that a PATCH merges member by member (RFC 7396); all else is replaced whole.
_MERGED = ("details", "reporting")


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What must be true of the record before it is written."""

    #: Addressed by our id; None: by the external id.
    record_id: UUID | None = None
    external_id: str | None = None
    #: Versions of If-Match; None: any, or none at all.
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
    """Write a draft where the demand holds; with `merge`, details and reporting are merged and not replaced."""
    if any(reference_of(resource, want).levels for want in draft.wants):
        await lock_tree(transaction, resource)
    found = await _demanded(transaction, resource, demand)
    if found and draft.claimed_id not in (None, found.id):
        raise IdMismatch
    rekeyed = None
    if found and demand.record_id and draft.external_id not in (None, found.external_id):
        rekeyed = await _rekey(transaction, resource, found, draft.external_id or "", origin)
    target = rekeyed.external_id if rekeyed else found.external_id if found else draft.external_id
    patch = _merged(resource, draft, found) if merge and found else draft.patch
    draft = replace(draft, external_id=target, patch=patch)
    [finding] = await resolve(transaction, resources, resource, [draft])
    if isinstance(finding, RetailOSError):
        raise finding
    written = await _write(transaction, resource, draft, finding, demand, origin)
    return replace(written, outcome=Outcome.UPDATED) if rekeyed and written.outcome is Outcome.UNCHANGED else written


async def _write(
    transaction: Connection,
    resource: Resource,
    draft: Draft,
    filled: Filled,
    demand: Demand,
    origin: Origin,
) -> Written:
    upsert = Upsert(
        draft=draft, create_only=demand.must_be_new, request_id=origin.request_id, api_key_id=origin.api_key_id
    )
    try:
        results = await write_rows(transaction, sql.upsert(resource), [(upsert, filled)])
    except asyncpg.IntegrityConstraintViolationError as error:
        raise objection(resource, draft.at, error) or error from None
    written = results.get(upsert.job_id)
    # Where there was no record to lock, another writer may have made one meanwhile.
    if written is None:
        raise Unavailable("The record is being written by others; send again.")
    if written.outcome is Outcome.EXISTS:
        raise VersionConflict(details={"currentVersion": written.version})
    if refusal := refusal_of(written):
        raise refusal
    return written


async def delete(transaction: Connection, resource: Resource, demand: Demand, origin: Origin) -> Written:
    """Make a tombstone of a record; of a tombstone, nothing."""
    found = await _demanded(transaction, resource, replace(demand, must_exist=False))
    if found is None:
        raise ResourceNotFound
    job_id = new_id()
    if found.deleted:
        row = await transaction.fetchrow(sql.lock(resource), found.id, None)
        return _written(job_id, found.id, Outcome.UNCHANGED, row)
    row = await transaction.fetchrow(sql.delete(resource), found.id, job_id, origin.request_id, origin.api_key_id)
    return _written(job_id, found.id, Outcome.DELETED, row)


async def _demanded(transaction: Connection, resource: Resource, demand: Demand) -> Locked | None:
    row = await transaction.fetchrow(sql.lock(resource), demand.record_id, demand.external_id)
    found = _locked(row) if row else None
    if demand.must_be_new and found:
        raise VersionConflict(details={"currentVersion": found.version})
    if (demand.must_exist or demand.record_id) and (found is None or (demand.must_exist and found.deleted)):
        raise ResourceNotFound
    if demand.versions is not None and (found is None or found.version not in demand.versions):
        raise VersionConflict(details={"currentVersion": found.version if found else None})
    return found


def _locked(row: Any) -> Locked:
    return Locked(
        id=row["id"],
        external_id=row["external_id"],
        version=row["version"],
        deleted=row["deleted_at"] is not None,
        body=msgspec.json.decode(row["body"]),
    )


async def _rekey(
    transaction: Connection, resource: Resource, found: Locked, external_id: str, origin: Origin
) -> Written:
    taken = await transaction.fetchrow(sql.lock(resource), None, external_id)
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
    """The patch with its free JSON merged into the record's; what the record must have, it must have afterwards."""
    patch = {
        name: _merge(found.body.get(name) or {}, value) if name in _MERGED and value else value
        for name, value in draft.patch.items()
    }
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
