"""The writer: while one batch of upserts is being committed, those that arrive collect, and then go together.

One statement writes a batch's records, their changes, what is owed to webhooks, and the jobs: one round trip and one
commit, shared by all requests that arrived meanwhile. A batch forms by itself, no timer is needed. Where upserts wait
for other records, or such records come, a batch is a transaction of several statements (`waking.py`).
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

import asyncpg

from retailos.database.pool import Connection, Pool, acquire, in_the_way
from retailos.declare.resource import Resource, Resources
from retailos.errors import RetailOSError, Unavailable
from retailos.records import keyed, parked, waking
from retailos.records.applying import Result
from retailos.records.record import Draft, Written
from retailos.records.resolve import climbs
from retailos.records.upsert import Overtaking, Upsert, is_overtaking, objection

#: Bounds how long one statement holds its locks: about four milliseconds. Beyond it a row gets no cheaper, and the
#: callers of a large batch all come back at once, so that the database and this process take turns in waiting.
BATCH_MOST = 32
#: Of the rows that one request brought together; they wait for each other anyway.
BATCH_OF_MANY_MOST = 250
#: Batches of such requests that are written at once, so that they leave connections to all others.
MANY_AT_ONCE = 2
#: About half a second's worth of upserts; beyond it, waiting only makes callers give up.
WAITING_MOST = 4_000
#: A row is tried again when another writer was in its way; more often than this, something else is wrong.
TRIES_MOST = 5

#: Sees to it that what was accepted of these records before is written, whoever accepted it.
LetPass: TypeAlias = Callable[[Resource, Sequence[str]], Awaitable[None]]


@dataclass(slots=True)
class Waiting:
    """An upsert that waits for its batch, and the future that its caller waits for."""

    upsert: Upsert
    answer: asyncio.Future[Written]
    tries: int = 0

    def result(self) -> Written | RetailOSError:
        """What came of it, once it has its answer; a defect is raised."""
        error = self.answer.exception()
        if error is None:
            return self.answer.result()
        if isinstance(error, RetailOSError):
            return error
        raise error

    def fail(self, error: Exception) -> None:
        """Tell the caller what went wrong, if it still waits."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Writer:
    """Writes records; concurrent writes of a resource share a statement and a commit."""

    def __init__(
        self, pool: Pool, resources: Resources, *, after_commit: Callable[[], None], let_pass: LetPass | None = None
    ) -> None:
        """Take the pool to write with, what to call after a commit that owes deliveries, and who lets others pass."""
        self._lines = {name: Line(pool, resources, each, after_commit, let_pass) for name, each in resources.items()}
        self._many = asyncio.Semaphore(MANY_AT_ONCE)

    async def write(
        self,
        resource: Resource,
        draft: Draft,
        *,
        create_only: bool = False,
        request_id: UUID | None = None,
        api_key_id: str | None = None,
    ) -> Written:
        """Write one draft and return when it is committed, parked ones included.

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
        """Write many drafts, each with its position in the request; give what came of each, by its position.

        They go in batches of their own, so that nobody with one record waits for them.
        """
        loop, line = asyncio.get_running_loop(), self._lines[resource.name]
        waiting = [
            Waiting(
                Upsert(draft=draft, request_id=request_id, api_key_id=api_key_id, batch_id=batch_id, position=position),
                loop.create_future(),
            )
            for position, draft in drafts
        ]
        for first in range(0, len(waiting), BATCH_OF_MANY_MOST):
            async with self._many:
                await line.write(waiting[first : first + BATCH_OF_MANY_MOST])
        # Nearly all have their answer by now.
        if late := [each.answer for each in waiting if not each.answer.done()]:
            await asyncio.gather(*late, return_exceptions=True)
        return {each.upsert.position: each.result() for each in waiting}

    async def close(self) -> None:
        """Wait until everything that waits is written."""
        await asyncio.gather(*(line.drained() for line in self._lines.values()))


class Line:
    """The upserts of one resource, in the order in which they were accepted."""

    def __init__(
        self,
        pool: Pool,
        resources: Resources,
        resource: Resource,
        after_commit: Callable[[], None],
        let_pass: LetPass | None,
    ) -> None:
        self._pool, self._resources, self._resource = pool, resources, resource
        self._after_commit, self._let_pass = after_commit, let_pass
        self._waiting: deque[Waiting] = deque()
        #: The last batch woke parked upserts, so the next one is likely to.
        self._wakes = False
        self._run: asyncio.Task[None] | None = None

    def join(self, waiting: Waiting) -> None:
        """Take an upsert in, to go with the next batch that has room for it."""
        if len(self._waiting) >= WAITING_MOST:
            raise Unavailable("More writes are waiting than can be done soon; send again a little later.")
        self._waiting.append(waiting)
        self._begin()

    async def write(self, batch: Sequence[Waiting]) -> None:
        """Write a batch at once, but for what must go alone, and answer each, if need be later."""
        together = [each for each in batch if not self._climbs(each.upsert)]
        if together:
            await self._write(together)
        self._waiting.extend(each for each in batch if self._climbs(each.upsert))
        self._begin()

    async def drained(self) -> None:
        """Return when nothing waits any more."""
        while self._run:
            await asyncio.wait([self._run])

    def _begin(self) -> None:
        if self._waiting and self._run is None:
            self._run = asyncio.create_task(self._write_all())

    async def _write_all(self) -> None:
        """Write batch after batch until nothing waits."""
        try:
            while batch := self._next_batch():
                await self._write(batch)
        finally:
            self._run = None

    def _next_batch(self) -> list[Waiting]:
        """Take what goes together: each external id once, its later upserts left for later batches, in their order."""
        batch: list[Waiting] = []
        later: deque[Waiting] = deque()
        taken: set[str] = set()
        while self._waiting and len(batch) < BATCH_MOST:
            each = self._waiting.popleft()
            if each.upsert.external_id in taken or (batch and not self._go_together(batch[0].upsert, each.upsert)):
                later.append(each)
            else:
                batch.append(each)
            taken.add(each.upsert.external_id)
        self._waiting.extendleft(reversed(later))
        return batch

    async def _write(self, batch: Sequence[Waiting]) -> None:
        """Write a batch; where it fails as a whole, each row goes alone, so that a bad one hurts nobody else."""
        try:
            refusal = await self._attempt(batch)
            if refusal and is_overtaking(refusal) and self._let_pass:
                await self._let_pass(self._resource, [each.upsert.external_id for each in batch])
                refusal = await self._attempt(batch)
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

    async def _attempt(self, batch: Sequence[Waiting]) -> Exception | None:
        """Write a batch, or give what the database objects to; an outage is not an objection and passes."""
        try:
            async with acquire(self._pool) as connection:
                if self._wakes or self._climbs(batch[0].upsert):
                    results = await self._write_and_wake(connection, batch)
                else:
                    results = await self._write_alone(connection, batch)
        except Unavailable as error:
            if in_the_way(error):
                return error
            raise
        except (asyncpg.PostgresError, Overtaking) as error:
            return error
        # Only now is it committed.
        self._after_commit()
        for each in batch:
            self._answer(each, results.get(each.upsert.job_id))
        return None

    async def _write_alone(self, connection: Connection, batch: Sequence[Waiting]) -> dict[UUID, Result]:
        """Write a batch that parked upserts do not concern, which the statement itself finds out."""
        try:
            return await waking.write_alone(
                connection, self._resources, self._resource, [each.upsert for each in batch]
            )
        except waking.Concerned:
            return await self._write_and_wake(connection, batch)

    async def _write_and_wake(self, connection: Connection, batch: Sequence[Waiting]) -> dict[UUID, Result]:
        upserts = [each.upsert for each in batch]
        async with connection.transaction():
            if await parked.overtakes(connection, self._resource, [each.external_id for each in upserts]):
                raise Overtaking
            results, others = await waking.write(connection, self._resources, self._resource, upserts)
        self._wakes = others > 0
        return results

    def _go_together(self, one: Upsert, other: Upsert) -> bool:
        return one.create_only is other.create_only and not (self._climbs(one) or self._climbs(other))

    def _climbs(self, upsert: Upsert) -> bool:
        return climbs(self._resource, upsert.draft)

    def _answer(self, waiting: Waiting, written: Written | RetailOSError | None) -> None:
        if isinstance(written, RetailOSError):
            waiting.fail(written)
        elif written is None:
            self._again(waiting, Unavailable("The record is being written by others; send again."))
        elif not waiting.answer.done():
            waiting.answer.set_result(written)

    def _again(self, waiting: Waiting, error: Exception) -> None:
        waiting.tries += 1
        if waiting.tries < TRIES_MOST:
            self._waiting.appendleft(waiting)
            self._begin()
        else:
            waiting.fail(error)

    def _refuse(self, waiting: Waiting, error: Exception) -> None:
        """Say in the guide's words what the database objected to in one row."""
        if (
            isinstance(error, Unavailable)
            or is_overtaking(error)
            or keyed.is_met(self._resource, waiting.upsert.draft, error)
        ):
            self._again(waiting, Unavailable("The record is being written by others; send again."))
        else:
            draft = waiting.upsert.draft
            waiting.fail(objection(self._resource, draft.at, error, draft.patch) or error)
