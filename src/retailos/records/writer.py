"""The writer: while one batch of upserts is being committed, those that arrive collect, and then go together.

One statement writes a batch's records, their changes, what is owed to webhooks, and the jobs: one round trip and one
commit, shared by all requests that arrived meanwhile. A batch forms by itself, no timer is needed.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from retailos.database.pool import Connection, Pool, acquire, is_outage
from retailos.declare.resource import Resource, Resources
from retailos.errors import RetailOSError, Unavailable
from retailos.records import sql
from retailos.records.record import Draft, Written
from retailos.records.resolve import lock_tree, reference_of, resolve
from retailos.records.upsert import Upsert, objection, refusal_of, write_rows

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
                ids = {each.upsert.external_id for each in batch}
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
            if each.upsert.external_id in taken or (batch and not self._go_together(batch[0].upsert, each.upsert)):
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
            if self._climbs(batch[0].upsert):
                async with connection.transaction():
                    await lock_tree(connection, self._resource)
                    results = await self._write_with(connection, batch)
            else:
                results = await self._write_with(connection, batch)
        except _IN_THE_WAY as error:
            return error
        except asyncpg.PostgresError as error:
            if is_outage(error):
                raise
            return error
        # Only now is it committed.
        self._after_commit()
        for each, written in results:
            self._answer(each, written)
        return None

    async def _write_with(
        self, connection: Connection, batch: list[Waiting]
    ) -> list[tuple[Waiting, Written | RetailOSError | None]]:
        drafts = [each.upsert.draft for each in batch]
        findings = await resolve(connection, self._resources, self._resource, drafts)
        found = list(zip(batch, findings, strict=True))
        rows = [(each.upsert, filled) for each, filled in found if not isinstance(filled, RetailOSError)]
        written = await write_rows(connection, self._statement, rows) if rows else {}
        return [
            (each, finding if isinstance(finding, RetailOSError) else written.get(each.upsert.job_id))
            for each, finding in found
        ]

    def _go_together(self, one: Upsert, other: Upsert) -> bool:
        return one.create_only is other.create_only and not (self._climbs(one) or self._climbs(other))

    def _climbs(self, upsert: Upsert) -> bool:
        """Whether an upsert names a parent: then it goes alone, so that no two close a circle that neither sees."""
        return any(reference_of(self._resource, want).levels for want in upsert.draft.wants)

    def _answer(self, waiting: Waiting, written: Written | RetailOSError | None) -> None:
        if isinstance(written, RetailOSError):
            waiting.fail(written)
        elif written is None:
            self._again(waiting, Unavailable("The record is being written by others; send again."))
        elif refusal := refusal_of(written):
            waiting.fail(refusal)
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
        else:
            waiting.fail(objection(self._resource, waiting.upsert.draft.at, error) or error)
