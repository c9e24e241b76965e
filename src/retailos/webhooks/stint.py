"""A stint: an operation is gone on with, a step at each tick, by whichever worker takes the tick."""

import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final
from uuid import UUID

from retailos.database.pool import Connection, Pool
from retailos.observe import OperationEnded, emit
from retailos.schedule import Schedule, Tick
from retailos.webhooks import hint, operation
from retailos.webhooks.feeding import feed
from retailos.webhooks.operation import By, Held, Moved, Operation, Order
from retailos.webhooks.requeue import dismiss, requeue

LEAST_PAUSE_SECONDS: Final = 0.01
_STEPS: Final[Mapping[str, Callable[[Connection, Held, int], Awaitable[Moved]]]] = MappingProxyType(
    {"requeue": requeue, "dismiss": dismiss}
)


def operations() -> Schedule:
    """The schedule by which operations go on: each step is done once, with its checkpoint, whoever dies."""
    return Schedule(kind=operation.STEPS, tick=_tick, afterwards=_tell)


async def begin(transaction: Connection, order: Order, by: By) -> Operation:
    """Begin an operation with its first step, so that a small one is over at once; give it as it is then."""
    begun = await operation.begin(transaction, order, by)
    done = await step(transaction, begun.id)
    return begun if done is None else done[0]


async def step(transaction: Connection, operation_id: UUID) -> tuple[Operation, float] | None:
    """Do the next step of an operation; give it as it is then, and the pause before the next; None if it has ended."""
    held = await operation.hold(transaction, operation_id)
    if held is None:
        return None
    # What is dismissed is not sent, and needs no receiver that takes it.
    waiting = 0 if held.kind == "dismiss" else await operation.count_waiting(transaction, held.webhook_id, held.ahead)
    fed = feed(held.ahead, waiting, held.rate)
    if fed.take:
        moved = await _STEPS[held.kind](transaction, held, fed.take)
    else:
        moved = Moved(done=0, skipped=0, after_id=held.after_id, ended=False)
    return await operation.advance(transaction, held, moved, fed.ahead), fed.pause_seconds


async def _tick(transaction: Connection, tick: Tick) -> datetime | None:
    began = time.monotonic()
    done = await step(transaction, UUID(tick.subject))
    if done is None:
        return None
    shown, pause_seconds = done
    if shown.status != "active":
        emit(OperationEnded(operation=str(shown.id), kind=shown.kind, status=shown.status, done=shown.done))
        return None
    # Never due at once, so that a worker that is told to stop gets to hear of it between two steps.
    return tick.now + timedelta(seconds=max(pause_seconds, time.monotonic() - began + LEAST_PAUSE_SECONDS))


async def _tell(pool: Pool, _tick: Tick) -> None:
    """Tell the workers that something may be due, once the step is committed."""
    await hint.tell(pool)
