"""A stint: an operation is gone on with, a step at each tick, by whichever worker takes the tick."""

import time
from datetime import datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

from retailos.database.pool import Connection, Pool
from retailos.declare.resource import Resources
from retailos.deliveries import hint
from retailos.observe import emit
from retailos.observe.work import OperationEnded
from retailos.schedule import Schedule, Tick
from retailos.stints import operation
from retailos.stints.feeding import feed
from retailos.stints.operation import By, Held, Moved, Operation, Order
from retailos.stints.requeue import dismiss, requeue
from retailos.stints.resync import resync

LEAST_PAUSE_SECONDS: Final = 0.01


def operations(resources: Resources) -> Schedule:
    """The schedule by which operations go on: each step is done once, with its checkpoint, whoever dies."""
    return Schedule(kind=operation.STEPS, tick=partial(_tick, resources), afterwards=_tell)


async def begin(transaction: Connection, resources: Resources, order: Order, by: By) -> Operation:
    """Begin an operation with its first step, so that a small one is over at once; give it as it is then."""
    begun = await operation.begin(transaction, order, by)
    done = await step(transaction, resources, begun.id)
    return begun if done is None else done[0]


async def step(transaction: Connection, resources: Resources, operation_id: UUID) -> tuple[Operation, float] | None:
    """Do the next step of an operation; give it as it is then, and the pause before the next; None if it has ended."""
    held = await operation.hold(transaction, operation_id)
    if held is None:
        return None
    # What is dismissed is not sent, and needs no receiver that takes it.
    waiting = 0 if held.kind == "dismiss" else await operation.count_waiting(transaction, held.webhook_id, held.ahead)
    fed = feed(held.ahead, waiting, held.rate)
    if fed.take:
        moved = await _move(transaction, resources, held, fed.take)
    else:
        moved = Moved(done=0, skipped=0, after_id=held.after_id, ended=False)
    return await operation.advance(transaction, held, moved, fed.ahead), fed.pause_seconds


async def _move(transaction: Connection, resources: Resources, held: Held, take: int) -> Moved:
    match held.kind:
        case "requeue":
            return await requeue(transaction, held, take)
        case "dismiss":
            return await dismiss(transaction, held, take)
        case _:
            return await resync(transaction, resources, held, take)


async def _tick(resources: Resources, transaction: Connection, tick: Tick) -> datetime | None:
    began = time.monotonic()
    done = await step(transaction, resources, UUID(tick.subject))
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
