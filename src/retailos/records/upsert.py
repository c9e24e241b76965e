"""Upserts on their way into the database: what goes into the statement of a write, and what comes of each."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from retailos.database.pool import Connection
from retailos.declare.resource import Resource
from retailos.errors import ExternalIdExists, NotUnique, Problem, RetailOSError, ValidationFailed, WrittenOnce
from retailos.records.identity import new_id
from retailos.records.record import Draft, Outcome, Written
from retailos.records.resolve import Filled
from retailos.records.table import check, keeper, together_index, unique_index

encode_body = msgspec.json.Encoder(decimal_format="number").encode


class Upsert(msgspec.Struct, frozen=True, kw_only=True):
    """A draft on its way into the database, with the ids that it will have if it is a new record's."""

    draft: Draft
    create_only: bool = False
    request_id: UUID | None = None
    api_key_id: str | None = None
    #: The request that it came with others in, and where it stood there.
    batch_id: UUID | None = None
    position: int = 0
    #: It was parked: its job stands already, and is told of by who wakes it.
    woken: bool = False
    record_id: UUID = msgspec.field(default_factory=new_id)
    job_id: UUID = msgspec.field(default_factory=new_id)

    @property
    def external_id(self) -> str:
        """The record's external id; one that was given none has its own id."""
        return self.draft.external_id or str(self.record_id)


async def write_rows(
    connection: Connection,
    resource: Resource,
    statement: str,
    rows: Sequence[tuple[Upsert, Filled]],
    *,
    wakes: bool = False,
) -> dict[UUID, Written]:
    """Write upserts, with their references filled in, in one statement; give what came of each, by its job's id.

    Rows are locked in the order of their external ids, by every writer. One that another writer made while the
    statement ran is not among the results: it has to be tried again. Where parked upserts are concerned the statement
    fails, as `is_awaited` tells, unless its transaction `wakes` them.
    """
    rows = sorted(rows, key=lambda row: row[0].external_id.encode())
    results = await connection.fetch(
        statement,
        [each.external_id for each, _ in rows],
        [encode_body(filled.patch).decode() for _, filled in rows],
        [each.record_id for each, _ in rows],
        [None if each.woken else each.job_id for each, _ in rows],
        [each.draft.source_updated_at for each, _ in rows],
        [each.request_id for each, _ in rows],
        [each.api_key_id for each, _ in rows],
        rows[0][0].create_only,
        [each.batch_id for each, _ in rows],
        [each.position for each, _ in rows],
        wakes,
        [encode_body(filled.warnings).decode() if filled.warnings else None for _, filled in rows],
        *([[each.draft.by_key for each, _ in rows]] if resource.natural_key else []),
    )
    written = (_written(rows[each["i"] - 1], each) for each in results if each["record_id"] is not None)
    return {each.job_id: each for each in written}


class Overtaking(Exception):
    """A write of a record came before one that was accepted earlier, and has to come after it."""


def is_overtaking(error: BaseException) -> bool:
    """Whether a write failed because one of the same record was accepted before and is not written yet."""
    return isinstance(error, Overtaking) or (isinstance(error, asyncpg.PostgresError) and error.sqlstate == "RW002")


def is_awaited(error: BaseException) -> bool:
    """Whether a write failed because parked upserts wait for its records, or are older than it."""
    return isinstance(error, asyncpg.PostgresError) and error.sqlstate == "RW001"


def _written(row: tuple[Upsert, Filled], result: asyncpg.Record) -> Written:
    upsert, filled = row
    return Written(
        job_id=upsert.job_id,
        external_id=result["target"],
        record_id=result["record_id"],
        version=result["version"],
        outcome=Outcome(result["outcome"]),
        at=result["at"],
        warnings=filled.warnings,
    )


def refusal_of(resource: Resource, written: Written) -> RetailOSError | None:
    """Give the error of an upsert that its record was not open to; None of one that was done."""
    if written.outcome is Outcome.TAKEN:
        names = " and ".join(resource.natural_key.references if resource.natural_key else ())
        message = (
            f"The external id that follows from {names} is that of a record which has others;"
            f" send an {resource.external_id.name} of its own."
        )
        return ExternalIdExists(message, details={"resourceId": str(written.record_id)})
    if written.outcome is Outcome.FINAL:
        return WrittenOnce(details={"resourceId": str(written.record_id)})
    return None


def objection(
    resource: Resource, at: str, error: Exception, sent: Mapping[str, Any] = MappingProxyType({})
) -> ValidationFailed | None:
    """Say in the guide's words which rule of the declaration the database found broken; None where it was none.

    `at` is the JSON pointer of the record that was at fault, `sent` what was sent of it, where that is known.
    """
    if not isinstance(error, asyncpg.IntegrityConstraintViolationError) or error.constraint_name is None:
        return None
    name = error.constraint_name
    for path in resource.unique:
        if name == unique_index(resource, path):
            return NotUnique([Problem(f"{at}/{path}", NotUnique.code, f"expected a {path} that no other has")])
    for together in resource.together:
        if name == together_index(resource, together):
            return NotUnique([together.problem(at)])
    for rule in resource.rules:
        if name == check(resource, rule):
            return ValidationFailed([rule.problem(at)])
    for naming in resource.namings:
        if name == keeper(resource, naming):
            return ValidationFailed(naming.told(sent, at, msgspec.json.decode(error.detail or "[]")))
    return None
