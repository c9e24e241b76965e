"""Many records in one transaction: all of them, or none."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from uuid import UUID

import asyncpg

from retailos.database.pool import Connection
from retailos.declare.resource import Resource, Resources
from retailos.errors import Problem, RetailOSError, Unavailable, ValidationFailed
from retailos.records import sql
from retailos.records.record import Draft, Written
from retailos.records.resolve import lock_tree, resolve
from retailos.records.upsert import Upsert, objection, refusal_of, write_rows


async def upsert_all(
    transaction: Connection,
    resources: Resources,
    resource: Resource,
    drafts: Sequence[Draft],
    origin: tuple[UUID | None, str | None, UUID | None],
) -> list[Written]:
    """Write all drafts, or raise everything that is wrong with any of them; `origin`: request, API key, batch."""
    if any(reference.levels for reference in resource.references):
        await lock_tree(transaction, resource)
    findings = await resolve(transaction, resources, resource, drafts)
    errors = [each for each in findings if isinstance(each, RetailOSError)]
    if errors:
        raise together(errors)
    request_id, api_key_id, batch_id = origin
    rows = [
        (Upsert(draft=draft, request_id=request_id, api_key_id=api_key_id, batch_id=batch_id, position=i), found)
        for i, (draft, found) in enumerate(zip(drafts, findings, strict=True))
        if not isinstance(found, RetailOSError)
    ]
    try:
        written = await write_rows(transaction, sql.upsert(resource), rows)
    except asyncpg.IntegrityConstraintViolationError as error:
        refused = objection(resource, "", error)
        if refused is None:
            raise
        # The database names the rule that was broken, and not the record that broke it.
        raise type(refused)([replace(each, path="") for each in refused.problems]) from None
    if len(written) < len(rows):
        raise Unavailable("Some of the records are being written by others; send again.")
    refusals = [refusal for each in written.values() if (refusal := refusal_of(each))]
    if refusals:
        raise refusals[0]
    return [written[upsert.job_id] for upsert, _ in rows]


def together(errors: Iterable[RetailOSError]) -> ValidationFailed:
    """Make one error of many, each problem with its own pointer."""
    problems: list[Problem] = []
    for error in errors:
        if isinstance(error, ValidationFailed):
            problems.extend(error.problems)
        else:
            problems.append(Problem(error.details.get("path", ""), error.code, error.message))
    return ValidationFailed(problems[:1000])
