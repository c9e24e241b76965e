"""Backfills and resyncs: records that exist are owed to a webhook by an operation; and how far it is behind."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from retailos.database.pool import Connection, Pool, acquire, transaction
from retailos.declare.field import Field, switch
from retailos.declare.kind import expected
from retailos.declare.object import read_object
from retailos.declare.resource import Resources
from retailos.declare.values import Number
from retailos.deliveries import drift as drifting
from retailos.deliveries.drift import Drift
from retailos.errors import ValidationFailed
from retailos.stints import operation, resync
from retailos.stints.operation import By, Operation, Order
from retailos.webhooks import orders
from retailos.webhooks.webhook import Webhook

_RATE: Final = Field(name="rate", kind=Number(1, 100_000))
#: What a backfill and a resync say.
BACKFILL_FIELDS: Final[Mapping[str, Field]] = MappingProxyType({"rate": _RATE})
RESYNC_FIELDS: Final[Mapping[str, Field]] = MappingProxyType({"rate": _RATE, "behind": switch("behind")})


async def backfill(pool: Pool, resources: Resources, webhook_id: int, body: Any, by: By) -> Operation:
    """Owe a webhook every record that exists and that it does not know, paced, changes first."""
    said = _read(BACKFILL_FIELDS, body)
    webhook = await orders.webhook(pool, webhook_id)
    async with transaction(pool) as connection:
        return await begin(connection, resources, webhook, "backfill", by, rate=said["rate"])


async def resync_webhook(pool: Pool, resources: Resources, webhook_id: int, body: Any, by: By) -> Operation:
    """Owe a webhook every record once more, or, `behind`, only those of which it was not owed the newest version."""
    said = _read(RESYNC_FIELDS, body)
    webhook = await orders.webhook(pool, webhook_id)
    async with transaction(pool) as connection:
        return await begin(connection, resources, webhook, "resync", by, rate=said["rate"], behind=said["behind"])


async def begin(
    connection: Connection,
    resources: Resources,
    webhook: Webhook,
    kind: str,
    by: By,
    *,
    rate: Any = None,
    behind: bool = False,
) -> Operation:
    """Begin it in a transaction that may have made the webhook, or changed what it is owed."""
    order = Order(
        kind=kind,
        webhook_id=webhook.id,
        total=await drifting.count_living(connection, resources[webhook.resource]),
        selection=resync.ONLY_BEHIND if behind else {},
        rate=None if rate is None else float(rate),
    )
    return await operation.begin(connection, order, by)


async def show_drift(pool: Pool, resources: Resources, webhook_id: int) -> Drift:
    """Count how the deliveries of a webhook stand, and of which records it was never told."""
    webhook = await orders.webhook(pool, webhook_id)
    async with acquire(pool) as connection:
        return await drifting.drift(connection, resources[webhook.resource], webhook)


def _read(fields: Mapping[str, Field], body: Any) -> dict[str, Any]:
    if type(body) is not dict:
        raise ValidationFailed([expected("an object, which may be empty", body, "")])
    said, problems = read_object(fields, "request", body)
    if problems:
        raise ValidationFailed(problems)
    return said
