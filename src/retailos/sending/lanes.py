"""A worker's lanes: one for each active webhook, as these come, change and go."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial

from retailos.database.pool import Pool, acquire
from retailos.declare.resource import Resources
from retailos.exchanges.addresses import Policy
from retailos.observe import emit
from retailos.observe.deliveries import WebhookLocked
from retailos.secrets import Locked, read_ring
from retailos.sending.gate import Gate
from retailos.sending.lane import Lane
from retailos.sending.sender import sender
from retailos.settings import Settings
from retailos.webhooks import orders
from retailos.webhooks.webhook import Webhook

#: Requests that are under way when the worker is told to stop have so long to end.
DRAIN_SECONDS = 10.0
#: Connections that wait for what somebody has locked, of whatever webhooks: the others are there for all else.
WAITING_MOST = 2


class Lanes(Mapping[int, Lane]):
    """The lanes that are open, by their webhooks' ids."""

    def __init__(
        self,
        pool: Pool,
        resources: Resources,
        settings: Settings,
        lease: Callable[[], int | None],
        ended: Callable[[asyncio.Task[None]], None],
    ) -> None:
        """`lease` and `ended` are each lane's, as it has them."""
        self._pool, self._resources, self._lease, self._ended = pool, resources, lease, ended
        self._policy = Policy(allow=settings.allow_addresses)
        self._late_seconds = settings.late_seconds
        self._ring = read_ring(settings.encryption_keys)
        self._patience = asyncio.Semaphore(WAITING_MOST)
        self._lanes: dict[int, Lane] = {}
        #: Webhooks that can't be sent to as they were saved then.
        self._locked: dict[int, datetime] = {}
        #: Lanes that are closing, by the task that closes each.
        self._leaving: dict[asyncio.Task[None], Lane] = {}

    def __getitem__(self, webhook_id: int) -> Lane:
        return self._lanes[webhook_id]

    def __iter__(self) -> Iterator[int]:
        return iter(self._lanes)

    def __len__(self) -> int:
        return len(self._lanes)

    async def keep(self) -> bool:
        """Open lanes for webhooks that are new, close those that are gone or paused, and renew those that changed.

        Gives whether there are new ones, which have no share yet.
        """
        active = {each.id: each for each in await orders.webhooks(self._pool) if each.active}
        for webhook_id, lane in list(self._lanes.items()):
            current = active.get(webhook_id)
            if current is None or current.updated_at != lane.webhook.updated_at:
                del self._lanes[webhook_id]
                self._leave(lane)
        fresh = [
            each
            for webhook_id, each in active.items()
            if webhook_id not in self._lanes and self._locked.get(webhook_id) != each.updated_at
        ]
        for webhook in fresh:
            await self._open(webhook)
        return bool(fresh)

    async def close(self) -> None:
        """Close them all; what is under way has a while to end, and is rescued then."""
        for lane in self._lanes.values():
            self._leave(lane)
        for lane in self._leaving.values():
            lane.go()
        if leaving := dict(self._leaving):
            _, late = await asyncio.wait(leaving, timeout=DRAIN_SECONDS)
            for task in late:
                leaving[task].abandon()
                task.cancel()

    def under_way(self, webhook_id: int) -> int:
        """How many requests of a webhook are under way in this process, whichever lane has sent them."""
        lanes = (*self._leaving.values(), *self._lanes.values())
        return sum(lane.under_way for lane in lanes if lane.webhook.id == webhook_id)

    def _leave(self, lane: Lane) -> None:
        closing = asyncio.create_task(lane.close())
        self._leaving[closing] = lane
        closing.add_done_callback(self._forget)

    def _forget(self, closing: asyncio.Task[None]) -> None:
        del self._leaving[closing]
        self._ended(closing)

    def _end(self, webhook_id: int, task: asyncio.Task[None]) -> None:
        """Note that a task of one of a webhook's lanes has ended; another lane may send more now."""
        self._ended(task)
        if self._leaving and (lane := self._lanes.get(webhook_id)):
            lane.gate.changed()
            lane.wake()

    async def _open(self, stored: Webhook) -> None:
        """Open a webhook's lane, its secrets opened once for all that it sends."""
        try:
            async with acquire(self._pool) as connection:
                webhook = await orders.opened_now(connection, self._ring, stored)
        except Locked as error:
            self._locked[stored.id] = stored.updated_at
            emit(WebhookLocked(webhook=stored.name, error=str(error)))
            return
        if webhook is None:
            # The next look finds it as it is now.
            return
        before = [lane for lane in self._leaving.values() if lane.webhook.id == webhook.id]
        self._lanes[webhook.id] = Lane(
            self._pool,
            self._resources,
            webhook,
            sender(webhook, self._policy),
            Gate(self._pool, webhook, partial(_under_way, before)),
            self._lease,
            partial(self._end, webhook.id),
            late_seconds=self._late_seconds,
            patience=self._patience,
        )


def _under_way(closing: list[Lane]) -> int:
    """How many requests these have under way; a lane that has none begins none any more, and is forgotten."""
    closing[:] = [lane for lane in closing if lane.under_way]
    return sum(lane.under_way for lane in closing)
