"""Webhooks switched: paused and resumed, and disabled and enabled, with what each is owed then."""

import msgspec

from retailos.database.pool import Connection, Pool, transaction
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
    async with transaction(pool) as connection:
        held = await orders.locked(connection, webhook_id)
        return await _switch(connection, webhook_id, active=False, disabled=held.disabled)


async def resume_webhook(pool: Pool, webhook_id: int) -> Switched:
    """Send again, beginning with what is owed; a webhook that is disabled is to be enabled instead."""
    async with transaction(pool) as connection:
        if (await orders.locked(connection, webhook_id)).disabled:
            raise disabled()
        return await _switch(connection, webhook_id, active=True, disabled=False)


async def disable_webhook(pool: Pool, webhook_id: int) -> Switched:
    """Send nothing, and owe nothing of what changes from now on; what is owed by now is kept until it is enabled."""
    async with transaction(pool) as connection:
        return await _switch(connection, webhook_id, active=False, disabled=True)


async def enable_webhook(pool: Pool, resources: Resources, webhook_id: int, by: By) -> Switched:
    """Owe and send again, and begin a resync of what changed while the webhook was disabled."""
    async with transaction(pool) as connection:
        # Nobody disables it in between, so that nothing is missed for which no resync is begun.
        held = await orders.locked(connection, webhook_id)
        switched = await _switch(connection, webhook_id, active=True, disabled=False)
        if not held.disabled:
            return switched
        begun = await filling.begin(connection, resources, held, "resync", by, behind=True)
        return msgspec.structs.replace(switched, operation=begun)


def disabled() -> ValidationFailed:
    """The refusal to have a webhook send that is owed nothing of what changes."""
    message = "expected a webhook that is not disabled; POST /v2/admin/webhooks/{id}/enable first"
    return ValidationFailed([Problem("/active", "DISABLED", message)])


async def _switch(transaction: Connection, webhook_id: int, *, active: bool, disabled: bool) -> Switched:
    owed = await orders.switch(transaction, webhook_id, active=active, disabled=disabled)
    return Switched(id=webhook_id, active=active, disabled=disabled, owed=owed)
