"""Rearming: a webhook's requeue policy, done by the clock as an operation that nobody had to begin."""

from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from retailos.database.pool import Connection
from retailos.declare.resource import Resources
from retailos.deliveries.outcome import TRANSIENT
from retailos.deliveries.selection import Selection
from retailos.schedule import Schedule, Tick, arm, disarm
from retailos.stints import operation, requeue, stint
from retailos.stints.operation import POLICY, Order
from retailos.webhooks import orders
from retailos.webhooks.requeue_policy import TICKS, RequeuePolicy
from retailos.webhooks.webhook import Webhook

#: Whose deliveries a policy owes again: those whose failure may pass without anyone changing the record or the webhook.
PASSING: Final[tuple[str, ...]] = tuple(sorted(TRANSIENT))

#: What has to wait for an operation to end is looked at again so much later.
AGAIN: Final = timedelta(seconds=5)


def policies(resources: Resources) -> Schedule:
    """The schedule by which webhooks that say so have their failed deliveries requeued."""
    return Schedule(kind=TICKS, tick=partial(_tick, resources))


async def plan(transaction: Connection, webhook_id: int, policy: RequeuePolicy) -> None:
    """Plan the requeues of a webhook as its policy says, the first one now; or none."""
    if policy.every_seconds:
        await arm(transaction, TICKS, str(webhook_id))
    else:
        await disarm(transaction, TICKS, str(webhook_id))


async def rearm(transaction: Connection, resources: Resources, webhook: Webhook) -> bool:
    """Owe again what failed for a passing reason; False where an operation that began before that still goes on."""
    said: dict[str, Any] = {"errorClasses": list(PASSING)}
    count = await requeue.count(transaction, webhook.id, Selection.of(said))
    if not count:
        return True
    if await operation.goes_on(transaction, webhook.id, "requeue"):
        return False
    order = Order(kind="requeue", webhook_id=webhook.id, total=count, selection=said)
    await stint.begin(transaction, resources, order, POLICY)
    return True


async def _tick(resources: Resources, transaction: Connection, tick: Tick) -> datetime | None:
    webhook = await orders.find(transaction, int(tick.subject))
    if webhook is None:
        return None
    done = not webhook.active or await rearm(transaction, resources, webhook)
    if not webhook.requeue.every_seconds:
        # It was the breaker that closed, perhaps for the second time while the requeue of the first goes on.
        return None if done else tick.now + AGAIN
    pause = timedelta(seconds=webhook.requeue.every_seconds)
    # By the plan, so that the moments stay where they are; from now on where nobody was there for longer.
    return max(tick.due_at + pause, tick.now)
