"""A worker: a lease, a lane for each webhook, and an eye on what is due; run until it is told to stop."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any

from retailos.database.pool import Pool, connect, transaction
from retailos.declare.resource import Resources
from retailos.deliveries import hint, register
from retailos.errors import Unavailable
from retailos.observe import emit
from retailos.observe.deliveries import ClaimsRescued, WorkerStarted
from retailos.observe.process import DatabaseBack, DatabaseLost, Stopping
from retailos.resources import RESOURCES
from retailos.sending import gate
from retailos.sending.lanes import Lanes
from retailos.sending.lease import Lease
from retailos.settings import Settings

#: How long nothing may be asked of the database, when no hint comes and nothing is known to be due before.
LOOK_SECONDS = 1.0
#: How often workers look whether what they share is divided as it should be.
DIVIDE_SECONDS = 1.0
#: Two looks are at least so far apart, however many hints come.
PAUSE_SECONDS = 0.002
#: Workers' statements are by the hundred, and may wait for the locks of a hundred writes.
STATEMENT_SECONDS = 30.0


#: Other work that a worker does beside: it runs until the event is set, and gives back then what it holds.
Beside = Callable[[Pool, asyncio.Event], Coroutine[Any, Any, None]]


async def run_worker(settings: Settings, url: str, ready: Callable[[], None], beside: Sequence[Beside] = ()) -> None:
    """Deliver, and do what else is to be done, until SIGTERM or SIGINT; call `ready` once the lease is held."""
    stop = asyncio.Event()
    pool = await connect(
        url,
        min_size=2,
        max_size=settings.worker_pool_size,
        application_name="retailos worker",
        statement_timeout_seconds=STATEMENT_SECONDS,
        # Durable, although a claim or a settlement that a crash takes back is no loss: a claim that is taken back is
        # made again while its request is still under way, and a settlement that is taken back leaves a claim that its
        # living worker has forgotten.
    )
    try:
        worker = Worker(pool, RESOURCES, settings)
        await worker.start()
        # Until now, there was nothing to be ended politely.
        for each in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(each, stop.set)
        ready()
        others = [asyncio.create_task(each(pool, stop)) for each in beside]
        ends: list[asyncio.Future[Any]] = [asyncio.create_task(stop.wait()), worker.broken, *others]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        emit(Stopping(role="worker"))
        stop.set()
        closing = [asyncio.create_task(worker.close()), *others]
        await asyncio.wait(closing)
        # Not a worker that looks alive and does not work: whoever keeps this process starts another.
        for ended in (worker.broken, *closing):
            if ended.done():
                ended.result()
    finally:
        await pool.close()


class Worker:
    """Delivers what is due, as long as its lease holds."""

    def __init__(self, pool: Pool, resources: Resources, settings: Settings) -> None:
        self._pool, self._settings = pool, settings
        self._lease = Lease(pool, f"{socket.gethostname()}:{os.getpid()}", settings.lease_seconds)
        self._lanes = Lanes(pool, resources, settings, self._lease.holder, self._note_end)
        self._hinted = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        #: Fails with the defect that ended one of the worker's tasks.
        self.broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self) -> None:
        """Take a lease and begin."""
        await self._lease.take()
        emit(WorkerStarted(worker=self._lease.name))
        lease = self._settings.lease_seconds
        self._tasks = [
            asyncio.create_task(each)
            for each in (
                self._every(lease / 4, self._lease.renew),
                self._every(lease / 2, self._rescue),
                self._every(DIVIDE_SECONDS, self._divide),
                self._look(),
                self._listen(),
            )
        ]
        for task in self._tasks:
            task.add_done_callback(self._note_end)

    async def close(self) -> None:
        """Stop politely: what is under way ends, what was not sent is given back, the lease is returned."""
        for task in self._tasks[2:]:
            task.cancel()
        await self._lanes.close()
        for task in self._tasks[:2]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # Otherwise the lease runs out by itself.
        with suppress(Unavailable):
            async with transaction(self._pool) as connection:
                await register.rescue(connection, self._settings.late_seconds, leaving=self._lease.worker_id)

    def _note_end(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (defect := task.exception()) and not self.broken.done():
            self.broken.set_exception(defect)

    async def _rescue(self) -> None:
        async with transaction(self._pool) as connection:
            rescued = await register.rescue(connection, self._settings.late_seconds)
        for name, count in rescued.items():
            emit(ClaimsRescued(worker=name, count=count))
            self._hinted.set()

    async def _look(self) -> None:
        """Keep a lane for each active webhook, and wake those that have something due."""
        lost_since: float | None = None
        while True:
            self._hinted.clear()
            try:
                wait = await self._look_once()
                if lost_since is not None:
                    emit(DatabaseBack(seconds=time.monotonic() - lost_since))
                    lost_since = None
            except Unavailable as error:
                wait = LOOK_SECONDS / 4
                if lost_since is None:
                    lost_since = time.monotonic()
                    emit(DatabaseLost(error=str(error)))
            await asyncio.sleep(PAUSE_SECONDS)
            await _event_or_time(self._hinted, wait)

    async def _look_once(self) -> float:
        """Look once; give in how many seconds to look again."""
        if await self._lanes.keep():
            await self._divide()
        for lane in self._lanes.values():
            if lane.owes_back:
                lane.wake()
        soonest, asked_at = LOOK_SECONDS, time.monotonic()
        for webhook_id, due in (await register.next_due(self._pool)).items():
            if webhook_id in self._lanes:
                self._lanes[webhook_id].gate.tell(due.breaker, asked_at)
            if due.seconds > 0:
                soonest = min(soonest, due.seconds)
            elif webhook_id in self._lanes:
                self._lanes[webhook_id].wake()
        return soonest

    async def _divide(self) -> None:
        """Have as much of each webhook's requests at once, and of its rate, as any other worker."""
        if (worker_id := self._lease.worker_id) is None:
            return
        wanted: dict[int, int] = {}
        due: dict[int, int] = {}
        for webhook_id, (has, due[webhook_id]) in (await gate.shares(self._pool, worker_id)).items():
            if lane := self._lanes.get(webhook_id):
                # What is given up is not used any more before others may have it.
                lane.gate.give(min(has, due[webhook_id]))
                keeps = max(due[webhook_id], min(self._lanes.under_way(webhook_id), has))
                if keeps != has:
                    wanted[webhook_id] = keeps
        if wanted:
            async with transaction(self._pool) as connection:
                divided = await gate.divide(connection, worker_id, wanted)
            for webhook_id, slots in divided.items():
                if lane := self._lanes.get(webhook_id):
                    lane.gate.give(min(slots, due[webhook_id]))
                    lane.wake()

    async def _listen(self) -> None:
        """Hear hints; without them everything is found by looking, a little later."""
        while True:
            with suppress(Unavailable):
                await hint.hear(self._pool, self._hinted)
            await asyncio.sleep(LOOK_SECONDS)

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            with suppress(Unavailable):
                await work()
            await asyncio.sleep(seconds)


async def _event_or_time(event: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
