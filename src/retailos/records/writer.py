"""The writer: while one batch of upserts is being committed, those that arrive collect, and then go together.

One statement writes a batch's records, their changes, what is owed to webhooks, and the jobs: one round trip and one
commit, shared by all requests that arrived meanwhile. A batch forms by itself, no timer is needed.
"""

import asyncio
from collections import deque
from collections.abc import Callable
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

#: Bounds how long one statement holds its locks: about four milliseconds. Beyond it a row gets no cheaper, and the
#: callers of a large batch all come back at once, so that the database and this process take turns in waiting.
BATCH_MOST = 32
#: Batches of a resource that are written at once, so that the database has one while another is made or answered.
BATCHES_MOST = 2
#: About half a second's worth of upserts; beyond it, waiting only makes callers give up.
WAITING_MOST = 4_000
#: A row is tried again when another writer was in its way; more often than this, something else is wrong.
TRIES_MOST = 5

_IN_THE_WAY = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError)

_encode = msgspec.json.Encoder(decimal_format="number").encode


@dataclass(slots=True, kw_only=True)
class Waiting:
    """An upsert that waits for its batch, and the future that its caller waits for."""

    draft: Draft
    create_only: bool
    request_id: UUID | None
    api_key_id: str | None
    answer: asyncio.Future[Written]
    record_id: UUID = field(default_factory=new_id)
    job_id: UUID = field(default_factory=new_id)
    #: The record's; one that was given none has its own id.
    external_id: str = field(init=False)
    tries: int = 0

    def __post_init__(self) -> None:
        self.external_id = self.draft.external_id or str(self.record_id)

    def fail(self, error: Exception) -> None:
        """Tell the caller what went wrong, if it still waits."""
        if not self.answer.done():
            self.answer.set_exception(error)


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
        waiting = Waiting(
            draft=draft, create_only=create_only, request_id=request_id, api_key_id=api_key_id, answer=answer
        )
        self._lines[resource.name].join(waiting)
        return await answer

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
        #: The external ids of the batches that are being written.
        self._writing: set[str] = set()
        self._runs = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def join(self, waiting: Waiting) -> None:
        """Take an upsert in, to go with the next batch that has room for it."""
        if len(self._waiting) >= WAITING_MOST:
            raise Unavailable("More writes are waiting than can be done soon; send again a little later.")
        self._waiting.append(waiting)
        if self._runs < BATCHES_MOST:
            self._runs += 1
            task = asyncio.create_task(self._run())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def drained(self) -> None:
        """Return when nothing waits any more."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _run(self) -> None:
        """Write batch after batch, until nothing waits but what another run has in hand and will come back to."""
        try:
            while batch := self._next_batch():
                ids = {each.external_id for each in batch}
                self._writing |= ids
                try:
                    await self._write(batch)
                finally:
                    self._writing -= ids
        finally:
            self._runs -= 1

    def _next_batch(self) -> list[Waiting]:
        """Take what goes together: each external id once, its later upserts left for later batches, in their order."""
        batch: list[Waiting] = []
        later: deque[Waiting] = deque()
        taken = self._writing.copy()
        while self._waiting and len(batch) < BATCH_MOST:
            each = self._waiting.popleft()
            if each.external_id in taken or (batch and each.create_only is not batch[0].create_only):
                later.append(each)
            else:
                batch.append(each)
            taken.add(each.external_id)
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
        findings = await resolve(connection, self._resources, self._resource, [each.draft for each in batch])
        rows: list[tuple[Waiting, str]] = []
        for each, finding in zip(batch, findings, strict=True):
            if isinstance(finding, RetailOSError):
                each.fail(finding)
            else:
                rows.append((each, _encode(finding).decode()))
        if not rows:
            return
        rows.sort(key=lambda row: row[0].external_id.encode())
        results = await connection.fetch(
            self._statement,
            [each.external_id for each, _ in rows],
            [patch for _, patch in rows],
            [each.record_id for each, _ in rows],
            [each.job_id for each, _ in rows],
            [each.draft.source_updated_at for each, _ in rows],
            [each.request_id for each, _ in rows],
            [each.api_key_id for each, _ in rows],
            rows[0][0].create_only,
        )
        self._after_commit()
        for result in results:
            self._answer(rows[result["i"] - 1][0], result)

    def _answer(self, waiting: Waiting, result: Any) -> None:
        if result["record_id"] is None:
            # Another process made the same record while this statement ran, so it could not be seen yet.
            self._again(waiting, Unavailable("The record is being written by others; send again."))
        elif not waiting.answer.done():
            waiting.answer.set_result(
                Written(
                    job_id=waiting.job_id,
                    external_id=result["target"],
                    record_id=result["record_id"],
                    version=result["version"],
                    outcome=Outcome(result["outcome"]),
                    at=result["at"],
                )
            )

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
        elif isinstance(error, asyncpg.UniqueViolationError) and (name := self._unique_field(error)):
            problem = Problem(f"{waiting.draft.at}/{name}", NotUnique.code, f"expected a {name} that no other has")
            waiting.fail(NotUnique([problem]))
        else:
            waiting.fail(error)

    def _unique_field(self, error: asyncpg.UniqueViolationError) -> str | None:
        constraint = error.constraint_name or ""
        unique = {unique_index(self._resource, path): path for path in self._resource.unique}
        return unique.get(constraint)
