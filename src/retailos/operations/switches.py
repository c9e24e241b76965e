"""Webhooks switched: paused and resumed, and disabled and enabled, with what each is owed then."""

import msgspec

from retailos.database.pool import Pool, transaction
from retailos.declare.resource import Resources
from retailos.errors import Problem, ValidationFailed
from retailos.operations import filling
from retailos.stints.operation import By, Operation
from retailos.webhooks import orders


class Switched(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How a webhook stands now, and how many deliveries it is owed."""

    id: int
    active: bool
    disabled: bool
    owed: int
    #: Enabling begins a resync of what changed meanwhile.
    operation: Operation | None = None


async def pause_webhook(pool: Pool, webhook_id: int) -> Switched:
    """Send nothing for now; what changes meanwhile is owed, each record once, and sent afterwards."""
    stored = await orders.webhook(pool, webhook_id)
    return await _switch(pool, webhook_id, active=False, disabled=stored.disabled)


async def resume_webhook(pool: Pool, webhook_id: int) -> Switched:
    """Send again, beginning with what is owed; a webhook that is disabled is to be enabled instead."""
    if (await orders.webhook(pool, webhook_id)).disabled:
        raise disabled()
    return await _switch(pool, webhook_id, active=True, disabled=False)


async def disable_webhook(pool: Pool, webhook_id: int) -> Switched:
    """Send nothing, and owe nothing of what changes from now on; what is owed by now is kept until it is enabled."""
    return await _switch(pool, webhook_id, active=False, disabled=True)


async def enable_webhook(pool: Pool, resources: Resources, webhook_id: int, by: By) -> Switched:
    """Owe and send again, and begin a resync of what changed while the webhook was disabled."""
    webhook = await orders.webhook(pool, webhook_id)
    async with transaction(pool) as connection:
        owed = await orders.switch(connection, webhook_id, active=True)
        begun = None
        if webhook.disabled:
            begun = await filling.begin(connection, resources, webhook, "resync", by, behind=True)
    return Switched(id=webhook_id, active=True, disabled=False, owed=owed, operation=begun)


def disabled() -> ValidationFailed:
    """The refusal to have a webhook send that is owed nothing of what changes."""
    message = "expected a webhook that is not disabled; POST /v2/admin/webhooks/{id}/enable first"
    return ValidationFailed([Problem("/active", "DISABLED", message)])


async def _switch(pool: Pool, webhook_id: int, *, active: bool, disabled: bool) -> Switched:
    async with transaction(pool) as connection:
        owed = await orders.switch(connection, webhook_id, active=active, disabled=disabled)
    return Switched(id=webhook_id, active=active, disabled=disabled, owed=owed)
