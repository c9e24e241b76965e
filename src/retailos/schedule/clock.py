"""The clock of a worker: looks for what has become due by the database's clock, takes it, and does it.

Any number of workers may look. Whoever locks a schedule's row has the tick; the others pass it over, and find it moved.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType

from asyncpg import Record

from retailos.database.pool import Pool, acquire, transaction
from retailos.database.statements import load
from retailos.errors import Unavailable
from retailos.observe import describe, emit
from retailos.observe.process import DefectFound
from retailos.schedule.schedule import Schedule, Tick

_SQL = load(__file__)
_STAND, _CLAIM, _MOVE, _END = _SQL.stand, _SQL.claim, _SQL.move, _SQL.end
_POSTPONE, _NEXT = _SQL.postpone, _SQL.next

#: How late a tick may be noticed that somebody has planned meanwhile.
LOOK_SECONDS = 1.0
#: What is due and not to be had is being done by another; it is looked for again so soon.
TAKEN_SECONDS = 0.1
#: A tick that could not be done is tried again so much later, whoever has it then.
AGAIN_SECONDS = 60.0
#: What is done after ticks has so long to end when the worker is told to stop.
DRAIN_SECONDS = 10.0


async def run_schedules(
    pool: Pool, schedules: Iterable[Schedule], stop: asyncio.Event, *, look_seconds: float = LOOK_SECONDS
) -> None:
    """Do what becomes due until `stop` is set; what is under way then is given some seconds to end."""
    clock = Clock(pool, schedules)
    while not stop.is_set():
        wait = look_seconds
        with suppress(Unavailable):
            wait = min(await clock.look(stop.is_set), look_seconds)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), wait)
    await clock.close(DRAIN_SECONDS)


class Clock:
    """What this process does by the clock, and what of it is under way."""

    def __init__(self, pool: Pool, schedules: Iterable[Schedule]) -> None:
        self._pool = pool
        self._schedules: Mapping[str, Schedule] = MappingProxyType({each.kind: each for each in schedules})
        self._stood = False
        self._under_way: dict[str, asyncio.Task[None]] = {}

    async def look(self, stopped: Callable[[], bool] = lambda: False) -> float:
        """Do what is due, all or until stopped, and give in how many seconds to look again.

        Unavailable while the database is away.
        """
        if not self._stood:
            standing = [each.kind for each in self._schedules.values() if each.standing]
            async with acquire(self._pool) as connection:
                await connection.execute(_STAND, standing)
            self._stood = True
        while not stopped() and await self._tick():
            pass
        async with acquire(self._pool) as connection:
            seconds: float | None = await connection.fetchval(_NEXT, list(self._schedules), list(self._under_way))
        if seconds is None:
            return LOOK_SECONDS
        return seconds if seconds > 0 else TAKEN_SECONDS

    async def close(self, patience_seconds: float) -> None:
        """Wait for what is under way, and cut off what takes longer."""
        tasks: Sequence[asyncio.Task[None]] = list(self._under_way.values())
        if tasks:
            await asyncio.wait(tasks, timeout=patience_seconds)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _tick(self) -> bool:
        """Do one thing that is due; give whether there was any."""
        row: Record | None = None
        try:
            async with transaction(self._pool) as connection:
                row = await connection.fetchrow(_CLAIM, list(self._schedules), list(self._under_way))
                if row is None:
                    return False
                tick = Tick(**row)
                due_at = await self._schedules[tick.kind].tick(connection, tick)
                if due_at is None:
                    await connection.execute(_END, tick.kind, tick.subject)
                else:
                    await connection.execute(_MOVE, tick.kind, tick.subject, due_at)
        except Exception as error:
            if row is not None:
                await self._postpone(Tick(**row), error)
            if row is None or isinstance(error, Unavailable):
                raise
            return True
        self._follow(tick)
        return True

    async def _postpone(self, tick: Tick, error: Exception) -> None:
        """One thing that can't be done must not keep the others from being done, nor be tried without a pause."""
        if not isinstance(error, Unavailable):
            emit(DefectFound(request_id="", error=describe(error)))
        with suppress(Unavailable):
            async with acquire(self._pool) as connection:
                await connection.execute(_POSTPONE, tick.kind, tick.subject, tick.due_at, AGAIN_SECONDS)

    def _follow(self, tick: Tick) -> None:
        """Begin what is done after a tick; until its end this process takes no other tick of the same subject."""
        schedule = self._schedules[tick.kind]
        if schedule.afterwards is not None:
            name = f"{tick.kind} {tick.subject}"
            self._under_way[name] = asyncio.create_task(self._afterwards(schedule, tick, name))

    async def _afterwards(self, schedule: Schedule, tick: Tick, name: str) -> None:
        try:
            if schedule.afterwards is not None:
                await schedule.afterwards(self._pool, tick)
        except Unavailable:
            # It was planned again when it was taken.
            pass
        except Exception as defect:
            emit(DefectFound(request_id="", error=describe(defect)))
        finally:
            del self._under_way[name]
