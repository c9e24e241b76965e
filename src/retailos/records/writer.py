"""The writer: while one batch of upserts is being committed, those that arrive collect, and then go together.

One statement writes a batch's records, their changes, what is owed to webhooks, and the jobs: one round trip and one
commit, shared by all requests that arrived meanwhile. A batch forms by itself, no timer is needed.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from retailos.database.pool import Connection, Pool, acquire, is_outage
from retailos.declare.resource import Resource, Resources
from retailos.errors import NotUnique, Problem, RetailOSError, Unavailable
from retailos.records import sql
from retailos.records.identity import new_id
from retailos.records.record import Draft, Outcome, Written
from retailos.records.resolve import resolve
from retailos.records.table import unique_index

#: Bounds how long one statement holds its locks; about four milliseconds' worth of customers.
BATCH_MOST = 100
#: About half a second's worth of upserts; beyond it, waiting only makes callers give up.
WAITING_MOST = 4_000
#: A row is tried again when another writer was in its way; more often than this, something else is wrong.
TRIES_MOST = 5

_IN_THE_WAY = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)

_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Upsert:
    """A draft on its way into the database, with the ids that it will have if it is a new record's."""

    draft: Draft
    create_only: bool = False
    request_id: UUID | None = None
    api_key_id: str | None = None
    #: The request that it came with others in, and where it stood there.
    batch_id: UUID | None = None
    position: int = 0
    record_id: UUID = field(default_factory=new_id)
    job_id: UUID = field(default_factory=new_id)

    @property
    def external_id(self) -> str:
        """The record's external id; one that was given none has its own id."""
        return self.draft.external_id or str(self.record_id)


@dataclass(slots=True)
class Waiting:
    """An upsert that waits for its batch, and the future that its caller waits for."""

    upsert: Upsert
    answer: asyncio.Future[Written]
    tries: int = 0

    def fail(self, error: Exception) -> None:
        """Tell the caller what went wrong, if it still waits."""
        if not self.answer.done():
            self.answer.set_exception(error)


async def write_rows(
    connection: Connection, statement: str, rows: Sequence[tuple[Upsert, dict[str, Any]]]
) -> dict[UUID, Written]:
    """Write upserts, with their patches filled in, in one statement; give what came of each, by its job's id.

    Rows are locked in the order of their external ids, by every writer. One that another writer made while the
    statement ran is not among the results: it has to be tried again.
    """
    rows = sorted(rows, key=lambda row: row[0].external_id.encode())
    results = await connection.fetch(
        statement,
        [each.external_id for each, _ in rows],
        [_encode(patch).decode() for _, patch in rows],
        [each.record_id for each, _ in rows],
        [each.job_id for each, _ in rows],
        [each.draft.source_updated_at for each, _ in rows],
        [each.request_id for each, _ in rows],
        [each.api_key_id for each, _ in rows],
        rows[0][0].create_only,
        [each.batch_id for each, _ in rows],
        [each.position for each, _ in rows],
    )
    return {
        rows[result["i"] - 1][0].job_id: _written(rows[result["i"] - 1][0].job_id, result)
        for result in results
        if result["record_id"] is not None
    }


def _written(job_id: UUID, result: asyncpg.Record) -> Written:
    return Written(
        job_id=job_id,
        external_id=result["target"],
        record_id=result["record_id"],
        version=result["version"],
        outcome=Outcome(result["outcome"]),
        at=result["at"],
    )


class Writer:
    """Writes records; concurrent writes of a resource share a statement and a commit."""

    def __init__(self, pool: Pool, resources: Resources, *, after_commit: Callable[[], None]) -> None:
        """Take the pool to write with, and what to call after a commit that owes deliveries."""
        self._lines = {name: Line(pool, resources, each, after_commit) for name, each in resources.items()}

    async def write(
        self,
        resource: Resource,
        draft: Draft,
        *,
        create_only: bool = False,
        request_id: UUID | None = None,
        api_key_id: str | None = None,
    ) -> Written:
        """Write one draft and return when it is committed.

        Raises ReferenceNotFound, ReferenceConflict, IdMismatch, NotUnique and ValidationFailed for what only the
        database can know, and Unavailable when it can't be reached or too much is waiting; then the write may or
        may not have been done, and can be sent again.
        """
        answer: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        upsert = Upsert(draft=draft, create_only=create_only, request_id=request_id, api_key_id=api_key_id)
        self._lines[resource.name].join(Waiting(upsert, answer))
        return await answer

    async def write_many(
        self,
        resource: Resource,
        drafts: Sequence[tuple[int, Draft]],
        *,
        request_id: UUID | None,
        api_key_id: str | None,
        batch_id: UUID,
    ) -> dict[int, Written | RetailOSError]:
        """Write many drafts, each with its position in the request; give what came of each, by its position."""
        loop, line = asyncio.get_running_loop(), self._lines[resource.name]
        waiting: dict[int, asyncio.Future[Written]] = {}
        for position, draft in drafts:
            upsert = Upsert(
                draft=draft, request_id=request_id, api_key_id=api_key_id, batch_id=batch_id, position=position
            )
            waiting[position] = loop.create_future()
            line.join(Waiting(upsert, waiting[position]))
        results = await asyncio.gather(*waiting.values(), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, RetailOSError):
                raise result
        return dict(zip(waiting, results, strict=True))  # type: ignore[arg-type]

    async def close(self) -> None:
        """Wait until everything that waits is written."""
        await asyncio.gather(*(line.drained() for line in self._lines.values()))


class Line:
    """The upserts of one resource, in the order in which they were accepted."""

    def __init__(self, pool: Pool, resources: Resources, resource: Resource, after_commit: Callable[[], None]) -> None:
        self._pool, self._resources, self._resource = pool, resources, resource
        self._after_commit = after_commit
        self._statement = sql.upsert(resource)
        self._waiting: deque[Waiting] = deque()
        self._task: asyncio.Task[None] | None = None

    def join(self, waiting: Waiting) -> None:
        """Take an upsert in, to go with the next batch that has room for it."""
        if len(self._waiting) >= WAITING_MOST:
            raise Unavailable("More writes are waiting than can be done soon; send again a little later.")
        self._waiting.append(waiting)
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def drained(self) -> None:
        """Return when nothing waits any more."""
        while self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._write(self._next_batch())
        finally:
            self._task = None

    def _next_batch(self) -> list[Waiting]:
        """Take what goes together: each external id once, its later upserts left for later batches, in their order."""
        batch: list[Waiting] = []
        later: deque[Waiting] = deque()
        taken: set[str] = set()
        create_only = self._waiting[0].upsert.create_only
        while self._waiting and len(batch) < BATCH_MOST:
            each = self._waiting.popleft()
            if each.upsert.external_id in taken or each.upsert.create_only is not create_only:
                later.append(each)
            else:
                batch.append(each)
            taken.add(each.upsert.external_id)
        self._waiting.extendleft(reversed(later))
        return batch

    async def _write(self, batch: list[Waiting]) -> None:
        """Write a batch; where it fails as a whole, each row goes alone, so that a bad one hurts nobody else."""
        try:
            async with acquire(self._pool) as connection:
                refusal = await self._attempt(connection, batch)
        except Exception as error:
            for each in batch:
                each.fail(error)
            return
        if refusal is None:
            return
        if len(batch) == 1:
            self._refuse(batch[0], refusal)
        else:
            for each in batch:
                await self._write([each])

    async def _attempt(self, connection: Connection, batch: list[Waiting]) -> asyncpg.PostgresError | None:
        """Write a batch, or give what the database objects to; an outage is not an objection and passes."""
        try:
            await self._write_with(connection, batch)
        except _IN_THE_WAY as error:
            return error
        except asyncpg.PostgresError as error:
            if is_outage(error):
                raise
            return error
        return None

    async def _write_with(self, connection: Connection, batch: list[Waiting]) -> None:
        drafts = [each.upsert.draft for each in batch]
        findings = await resolve(connection, self._resources, self._resource, drafts)
        rows: list[tuple[Waiting, dict[str, Any]]] = []
        for each, finding in zip(batch, findings, strict=True):
            if isinstance(finding, RetailOSError):
                each.fail(finding)
            else:
                rows.append((each, finding))
        if not rows:
            return
        written = await write_rows(connection, self._statement, [(each.upsert, patch) for each, patch in rows])
        self._after_commit()
        for each, _ in rows:
            self._answer(each, written.get(each.upsert.job_id))

    def _answer(self, waiting: Waiting, written: Written | None) -> None:
        if written is None:
            self._again(waiting, Unavailable("The record is being written by others; send again."))
        elif not waiting.answer.done():
            waiting.answer.set_result(written)

    def _again(self, waiting: Waiting, error: Exception) -> None:
        waiting.tries += 1
        if waiting.tries < TRIES_MOST:
            self._waiting.appendleft(waiting)
        else:
            waiting.fail(error)

    def _refuse(self, waiting: Waiting, error: asyncpg.PostgresError) -> None:
        """Say in the guide's words what the database objected to in one row."""
        if isinstance(error, _IN_THE_WAY):
            self._again(waiting, Unavailable("The record is being written by others; send again."))
        elif isinstance(error, asyncpg.UniqueViolationError):
            waiting.fail(taken(self._resource, waiting.upsert.draft, error) or error)
        else:
            waiting.fail(error)


def taken(resource: Resource, draft: Draft, error: asyncpg.UniqueViolationError) -> NotUnique | None:
    """Say in the guide's words which value of a draft another record has; None where it was none of its fields."""
    for path in resource.unique:
        if error.constraint_name == unique_index(resource, path):
            return NotUnique([Problem(f"{draft.at}/{path}", NotUnique.code, f"expected a {path} that no other has")])
    return None
