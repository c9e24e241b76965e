"""The queue: upserts that were accepted before they are written, and then are, in the order of their coming.

A draft at rest is a row, deleted by the transaction that writes its record. Whichever process takes it writes it.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

import asyncpg
import msgspec

from retailos.database.pool import Connection, Pool, acquire, is_outage, transaction
from retailos.database.statements import load
from retailos.declare.resource import Resource, Resources
from retailos.errors import Internal, RetailOSError, Unavailable
from retailos.jobs import jobs
from retailos.jobs.jobs import JobQueueMeta
from retailos.observe import describe, emit
from retailos.observe.process import DefectFound
from retailos.records import keyed, waking
from retailos.records.identity import new_id
from retailos.records.record import Draft, Written
from retailos.records.resolve import climbs
from retailos.records.upsert import Upsert, objection

_SQL = load(__file__)
_ACCEPT, _WAITING, _FIRST, _SETTLE, _REFUSE = _SQL.accept, _SQL.waiting, _SQL.first, _SQL.settle, _SQL.refuse

#: About ten seconds' worth of writing; beyond it, senders are told to come later.
QUEUED_MOST = 100_000
#: Bounds how long one transaction holds its locks, and with them those who wait for a record: some ten milliseconds.
BATCH_MOST = 100
#: How long a row may lie that another process has left behind.
LOOK_SECONDS = 2.0

_encode = msgspec.json.Encoder(decimal_format="number").encode

#: A resource's name and an external id.
Name = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The request that drafts came in, and whose it was."""

    request_id: UUID
    api_key_id: str | None
    #: None: the draft came alone.
    batch_id: UUID | None = None


class Queue:
    """Accepts upserts and writes them, and knows what this process has accepted and not seen written."""

    def __init__(self, pool: Pool, resources: Resources, *, after_commit: Callable[[], None]) -> None:
        self._pool, self._resources, self._after_commit = pool, resources, after_commit
        #: The last place of each record in the queue, by its name.
        self._places: dict[Name, int] = {}
        # One transaction of this process at a time takes a resource's rows; more would only hold connections.
        self._turns = {name: asyncio.Lock() for name in resources}
        self._accepted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def open(self) -> None:
        """Learn what was left, and begin to write it."""
        async with acquire(self._pool) as connection:
            rows = await connection.fetch(_WAITING)
        self._places |= {(row["resource"], row["external_id"]): row["seq"] for row in rows}
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop; what still waits is written by whoever opens the queue next."""
        # A cancellation may be lost where what was waited for came at that very moment.
        self._closed = True
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])

    @property
    def busy(self) -> bool:
        """Whether anything is known to wait: if not, nothing has to be let pass."""
        return bool(self._places)

    async def accept(
        self, resource: Resource, drafts: Sequence[tuple[int, Draft]], origin: Origin
    ) -> dict[int, JobQueueMeta]:
        """Queue drafts with external ids, each with its position in the request; give their jobs, by position.

        When it returns they are on the disk. Raises Unavailable where too many wait.
        """
        if not drafts:
            return {}
        ids, names = [new_id() for _ in drafts], [draft.external_id or "" for _, draft in drafts]
        try:
            rows = await self._store(resource, drafts, ids, names, origin)
        except Unavailable:
            # They may be on the disk all the same, and then nobody overtakes them.
            self._note(resource, dict.fromkeys(names, 0))
            raise
        if not rows:
            raise Unavailable("More upserts are queued than can be written soon; send again a little later.")
        self._note(resource, {name: row["seq"] for name, row in zip(names, rows, strict=True)})
        at = rows[0]["accepted_at"]
        return {
            position: jobs.queued(resource, job_id, name, at, batch_id=origin.batch_id, index=position)
            for (position, _), job_id, name in zip(drafts, ids, names, strict=True)
        }

    async def _store(
        self,
        resource: Resource,
        drafts: Sequence[tuple[int, Draft]],
        ids: Sequence[UUID],
        names: Sequence[str],
        origin: Origin,
    ) -> list[asyncpg.Record]:
        async with acquire(self._pool) as connection:
            return await connection.fetch(
                _ACCEPT,
                resource.name,
                resource.queue("upsert"),
                QUEUED_MOST,
                origin.request_id,
                origin.api_key_id,
                origin.batch_id,
                ids,
                names,
                [_encode(draft).decode() for _, draft in drafts],
                [position for position, _ in drafts],
            )

    def _note(self, resource: Resource, places: Mapping[str, int]) -> None:
        self._places |= {(resource.name, name): place for name, place in places.items()}
        self._accepted.set()

    async def passed(self, resource: Resource, external_ids: Iterable[str] | None = None) -> None:
        """Return when what waits of these records, or of all of the resource, is written: nobody overtakes it."""
        waiting = {(resource.name, each) for each in external_ids} if external_ids is not None else self._of(resource)
        if waiting := waiting & self._places.keys():
            await self._write_all(
                resource, waiting, [name for _, name in waiting] if external_ids is not None else None
            )

    async def let_pass(self, resource: Resource, external_ids: Iterable[str] | None = None) -> None:
        """As `passed`, also for what other processes have accepted, which is asked of the database."""
        waiting = {(resource.name, each) for each in external_ids} if external_ids is not None else self._of(resource)
        names = [name for _, name in waiting] if external_ids is not None else None
        await self._write_all(resource, waiting & self._places.keys(), names)

    def _of(self, resource: Resource) -> set[Name]:
        return {name for name in self._places if name[0] == resource.name}

    async def _run(self) -> None:
        """Write what is accepted as it comes, and look now and then for what others have left."""
        while not self._closed:
            self._accepted.clear()
            # While the database is away, the next look comes soon enough.
            with suppress(Unavailable):
                await self._write_what_waits()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._accepted.wait()

    async def _write_what_waits(self) -> None:
        async with acquire(self._pool) as connection:
            waiting = {row["resource"] for row in await connection.fetch(_WAITING)}
        for name in waiting.union(name for name, _ in self._places):
            resource = self._resources[name]
            try:
                await self._write_all(resource, self._of(resource), None)
            except Unavailable:
                raise
            except Exception as error:
                emit(DefectFound(request_id="", error=describe(error)))

    async def _write_all(self, resource: Resource, names: Iterable[Name], external_ids: list[str] | None) -> None:
        places = {name: self._places[name] for name in names}
        async with self._turns[resource.name]:
            while not self._closed and await self._write_some(resource, external_ids):
                pass
        # Whoever wrote them, they do not wait any more, unless they were accepted since.
        for name, place in places.items():
            if self._places.get(name) == place:
                del self._places[name]

    async def _write_some(self, resource: Resource, external_ids: list[str] | None) -> bool:
        """Write some of what waits, in its order, in one transaction; False where nothing was left."""
        async with transaction(self._pool) as connection:
            rows = await connection.fetch(_FIRST, resource.name, external_ids, BATCH_MOST)
            upserts = _together(resource, [_upsert(row) for row in rows])
            if not upserts:
                return False
            results = await _written(connection, self._resources, resource, upserts)
            done = [job_id for job_id, result in results.items() if isinstance(result, Written)]
            refused = {job_id: each for job_id, each in results.items() if isinstance(each, RetailOSError)}
            await connection.execute(_SETTLE, done)
            if refused:
                errors = [msgspec.json.encode(each.fault).decode() for each in refused.values()]
                await connection.execute(_REFUSE, list(refused), errors)
        self._after_commit()
        return True


def _upsert(row: asyncpg.Record) -> Upsert:
    # Numbers as they were sent, to the last digit.
    read = json.loads(row["draft"], parse_float=Decimal, parse_int=Decimal)
    return Upsert(
        draft=msgspec.convert(read, Draft),
        job_id=row["job_id"],
        request_id=row["request_id"],
        api_key_id=row["api_key_id"],
        batch_id=row["batch_id"],
        position=row["position"],
    )


def _together(resource: Resource, upserts: Sequence[Upsert]) -> list[Upsert]:
    """The first of them, as many as can go in one statement: each external id once, and what climbs a tree alone."""
    chosen: dict[str, Upsert] = {}
    for each in upserts:
        if each.external_id in chosen or (chosen and climbs(resource, each.draft)):
            break
        chosen[each.external_id] = each
        if climbs(resource, each.draft):
            break
    return list(chosen.values())


async def _written(
    transaction: Connection, resources: Resources, resource: Resource, upserts: Sequence[Upsert], *, again: bool = False
) -> dict[UUID, Written | RetailOSError]:
    """Write upserts; what came of each, by its job. Where the database objects, each goes alone."""
    try:
        async with transaction.transaction():
            return (await waking.write(transaction, resources, resource, upserts))[0]
    except asyncpg.PostgresError as error:
        if is_outage(error):
            raise
        if len(upserts) == 1 and not again and keyed.is_met(resource, upserts[0].draft, error):
            return await _written(transaction, resources, resource, upserts, again=True)
        if len(upserts) == 1:
            return {upserts[0].job_id: _objection(resource, upserts[0], error)}
    results: dict[UUID, Written | RetailOSError] = {}
    for each in upserts:
        results |= await _written(transaction, resources, resource, [each])
    return results


def _objection(resource: Resource, upsert: Upsert, error: asyncpg.PostgresError) -> RetailOSError:
    refusal = objection(resource, upsert.draft.at, error, upsert.draft.patch)
    if refusal is None:
        emit(DefectFound(request_id=str(upsert.request_id), error=describe(error)))
    return refusal or Internal()
