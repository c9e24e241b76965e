"""Requeues as tests of the register make them: every failed delivery of a webhook, a set at a time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from retailos.database.pool import Pool, acquire, transaction
from retailos.deliveries.selection import Selection
from retailos.stints import requeue
from retailos.stints.operation import Held


async def count_failed(pool: Pool, webhook_id: int) -> int:
    """How many deliveries of a webhook have failed."""
    async with acquire(pool) as connection:
        return await requeue.count(connection, webhook_id, Selection())


async def requeue_failed(pool: Pool, webhook_id: int, *, take: int = 1_000) -> int:
    """Owe them all again; give how many there were."""
    held = Held(
        id=uuid4(),
        kind="requeue",
        webhook_id=webhook_id,
        resource="customer",
        selection={},
        rate=None,
        after_id=UUID(int=0),
        ahead=take,
        created_at=datetime.now(UTC) + timedelta(hours=1),
    )
    count = 0
    while True:
        async with transaction(pool) as connection:
            moved = await requeue.requeue(connection, held, take)
        count += moved.done
        held = replace(held, after_id=moved.after_id)
        if moved.ended:
            return count
