"""Applies imports, one after another, in the background of a worker: whoever dies over one, another goes on with it."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import msgspec
from asyncpg import Record

from retailos.database.pool import Pool, acquire, transaction
from retailos.database.statements import load
from retailos.declare.resource import Resources
from retailos.deliveries.hint import Hint
from retailos.errors import BadRequest, Internal, RetailOSError, Unavailable
from retailos.imports.apply import Hold, apply_chunk
from retailos.imports.rows import Layout, Row, cut, form_of, layout_of, read_row
from retailos.imports.upload import LAPSE_SECONDS
from retailos.observe import describe, emit
from retailos.observe.process import DefectFound
from retailos.observe.work import ImportEnded
from retailos.records import resent
from retailos.resources import RESOURCES
from retailos.settings import Settings

_SQL = load(__file__)
_CLAIM, _CHUNK, _RELEASE, _FAIL = _SQL.claim, _SQL.chunk, _SQL.release, _SQL.fail
_FAIL_LAPSED, _DROP_CHUNKS, _FORGET = _SQL.fail_lapsed, _SQL.drop_chunks, _SQL.forget

#: How long a file may wait until somebody sees that it is there.
LOOK_SECONDS = 0.5
TIDY_SECONDS = 10.0
#: Chunks and imports that one statement removes, so that it is over soon.
CHUNKS_DROPPED = 50
IMPORTS_FORGOTTEN = 10
#: Rows that are read without letting others have a turn: some milliseconds.
ROWS_AT_ONCE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """What applies imports: on which database, for how long it holds one unasked, and how long imports are kept."""

    pool: Pool
    resources: Resources
    lease_seconds: float
    days: int
    #: Called after each commit that may owe deliveries.
    after_commit: Callable[[], None]
    #: Who holds what it holds, after an outage too.
    id: UUID = field(default_factory=uuid4)


async def run_imports(pool: Pool, settings: Settings, stop: asyncio.Event) -> None:
    """Apply what waits until `stop` is set; what is under way is given back after the chunk that is being applied."""
    hint = Hint(pool)
    runner = Runner(
        pool=pool,
        resources=RESOURCES,
        lease_seconds=settings.lease_seconds,
        days=settings.import_days,
        after_commit=hint.give,
    )
    try:
        await _run(runner, stop)
    finally:
        await hint.close()


async def _run(runner: Runner, stop: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as group:
        tidying = group.create_task(_keep_tidy(runner))
        while not stop.is_set():
            worked = False
            with suppress(Unavailable):
                worked = await run_next(runner, stop)
            if not worked:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), LOOK_SECONDS)
        tidying.cancel()


async def run_next(runner: Runner, stop: asyncio.Event) -> bool:
    """Apply the import whose turn it is, to its end or until `stop` is set; give whether there was one.

    Unavailable while the database is away; then its checkpoint tells where to go on.
    """
    async with acquire(runner.pool) as connection:
        claimed = await connection.fetchrow(_CLAIM, runner.id, runner.lease_seconds)
    if claimed is None:
        return False
    try:
        await _apply(runner, claimed, stop)
    except Unavailable:
        raise
    except RetailOSError as error:
        # Such as a header row with a column that this version of the program has no more.
        await _fail(runner, claimed["id"], error)
    except Exception as defect:
        emit(DefectFound(request_id="", error=describe(defect)))
        await _fail(runner, claimed["id"], Internal())
    return True


async def _fail(runner: Runner, import_id: UUID, error: RetailOSError) -> None:
    async with acquire(runner.pool) as connection:
        await connection.execute(_FAIL, import_id, runner.id, msgspec.json.encode(error.fault).decode())
    emit(ImportEnded(import_id=str(import_id), status="failed"))


async def _apply(runner: Runner, claimed: Record, stop: asyncio.Event) -> None:
    resource = runner.resources[claimed["resource"]]
    layout = layout_of(runner.resources, resource, claimed["header"])
    hold = Hold(import_id=claimed["id"], layout=layout, runner=runner.id, lease_seconds=runner.lease_seconds)
    number, status = claimed["applied"] + 1, "active"
    reading = asyncio.create_task(read_chunk(runner, layout, hold, number))
    try:
        while status == "active" and not stop.is_set():
            rows = await reading
            if rows is None:
                break
            # While the database writes one chunk, the next is read.
            reading = asyncio.create_task(read_chunk(runner, layout, hold, number + 1))
            async with transaction(runner.pool) as connection:
                status = await apply_chunk(connection, runner.resources, hold, number, rows) or ""
            runner.after_commit()
            number += 1
    finally:
        reading.cancel()
        await asyncio.wait([reading])
    if status == "active":
        async with acquire(runner.pool) as connection:
            await connection.execute(_RELEASE, hold.import_id, runner.id)
    elif status:
        emit(ImportEnded(import_id=str(hold.import_id), status=status))


async def read_chunk(runner: Runner, layout: Layout, hold: Hold, number: int) -> Sequence[Row] | None:
    """Read a chunk, but for what is as it was sent before; None if it is not there, or others ended the import."""
    async with acquire(runner.pool) as connection:
        chunk = await connection.fetchrow(_CHUNK, hold.import_id, number)
    if chunk is None:
        return None
    sent = list(cut(layout, chunk["first_line"], chunk["data"]))
    form = form_of(runner.resources, layout)
    async with acquire(runner.pool) as connection:
        known = await resent.unchanged(connection, runner.resources, layout.resource, form, sent)
    rows: list[Row] = []
    for i, each in enumerate(sent):
        if same := known.get(i):
            rows.append(Row(sent=each, read=same, external_id=same.external_id))
            continue
        rows.append(read_row(runner.resources, layout, each))
        if len(rows) % ROWS_AT_ONCE == 0:
            await asyncio.sleep(0)
    return rows


async def tidy(runner: Runner) -> None:
    """Remove what is no longer needed, and end uploads that nobody goes on with."""
    broken = msgspec.json.encode(BadRequest("The upload broke off; send the file again.").fault).decode()
    async with acquire(runner.pool) as connection:
        await connection.execute(_FAIL_LAPSED, LAPSE_SECONDS, broken)
        await connection.execute(_FORGET, runner.days, IMPORTS_FORGOTTEN)
        while await connection.fetchval(_DROP_CHUNKS, CHUNKS_DROPPED) == CHUNKS_DROPPED:
            pass


async def _keep_tidy(runner: Runner) -> None:
    while True:
        with suppress(Unavailable):
            await tidy(runner)
        await asyncio.sleep(TIDY_SECONDS)
