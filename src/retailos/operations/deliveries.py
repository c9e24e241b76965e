"""Deliveries: found, and shown with their attempts."""

from uuid import UUID

from retailos.database.pool import Pool
from retailos.declare.resource import Resources
from retailos.declare.values import Uuid
from retailos.deliveries import deliveries, lately
from retailos.deliveries.deliveries import Asked, DeliveryWithAttempts, Found
from retailos.deliveries.lately import Look
from retailos.errors import ResourceNotFound
from retailos.webhooks import orders


async def find_deliveries(pool: Pool, resources: Resources, asked: Asked) -> Found:
    """Find deliveries by webhook, state and external id."""
    return await deliveries.find(pool, resources, await orders.webhooks(pool), asked)


async def show_delivery(pool: Pool, resources: Resources, text: str) -> DeliveryWithAttempts:
    """Show one delivery, `<webhook>-<record>`, with its attempts."""
    webhook_id, record_id = _delivery(text)
    return await deliveries.one(pool, resources, await orders.webhooks(pool), webhook_id, record_id)


async def look_lately(
    pool: Pool, resources: Resources, last: Look | None, webhook_id: int | None, failed: bool
) -> Look:
    """See which attempts were settled since the last look: of a webhook or of all, only what `failed` or everything."""
    return await lately.look(pool, resources, await orders.webhooks(pool), last, webhook_id, failed)


def _delivery(text: str) -> tuple[int, UUID]:
    webhook_id, _, record_id = text.partition("-")
    try:
        if webhook_id.isascii() and webhook_id.isdigit() and int(webhook_id) < 2**31:
            return int(webhook_id), Uuid().parse(record_id)
    except ValueError:
        pass
    raise ResourceNotFound("expected a delivery's id such as 3-0190c2a4-7b1e-7c3a-9d52-3f1b2c4d5e6f")
