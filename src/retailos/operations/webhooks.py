"""Webhooks: listed, shown, saved, changed and taken away."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from retailos.database.pool import Pool, transaction
from retailos.declare.resource import Resources
from retailos.errors import Problem, ValidationFailed
from retailos.webhooks import orders
from retailos.webhooks.addresses import Policy, Refused, vet
from retailos.webhooks.exchange import ErrorClass
from retailos.webhooks.webhook import read_webhook, said, shown

#: A webhook as it is shown: its members by name, its secrets hidden.
Shown = dict[str, Any]

_PORTS = {"http": 80, "https": 443}.get


class Removed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A webhook that was taken away, and how many deliveries it was still owed."""

    id: int
    owed: int


async def list_webhooks(pool: Pool) -> list[Shown]:
    """List the webhooks, oldest first."""
    return [shown(each) for each in await orders.webhooks(pool)]


async def show_webhook(pool: Pool, webhook_id: int) -> Shown:
    """Show one webhook."""
    return shown(await orders.webhook(pool, webhook_id))


async def add_webhook(pool: Pool, resources: Resources, policy: Policy, body: Any) -> Shown:
    """Save a new webhook, or say field by field why it can't be."""
    values = await _checked(resources, body, policy, None)
    return shown(await orders.add(pool, values))


async def change_webhook(pool: Pool, resources: Resources, policy: Policy, webhook_id: int, body: Any) -> Shown:
    """Change a webhook: what is absent is kept. Its resource stays, since what is owed belongs to it."""
    kept = said(await orders.webhook(pool, webhook_id))
    values = await _checked(resources, body, policy, kept)
    if values["resource"] != kept["resource"]:
        message = f"expected {kept['resource']}, which can't be changed; add another webhook instead"
        raise ValidationFailed([Problem("/resource", "NOT_SETTABLE", message)])
    return shown(await orders.change(pool, webhook_id, values))


async def remove_webhook(pool: Pool, webhook_id: int) -> Removed:
    """Take a webhook away, with all that it was owed."""
    async with transaction(pool) as connection:
        return Removed(id=webhook_id, owed=await orders.remove(connection, webhook_id))


async def _checked(
    resources: Resources, body: Any, policy: Policy, kept: Mapping[str, Any] | None
) -> Mapping[str, Any]:
    values, problems = read_webhook(resources, body, policy, kept)
    if not any(each.path in ("/url", "/resource", "") for each in problems):
        problems.extend(await _address_problems(values["url"], policy))
    if problems:
        raise ValidationFailed(problems)
    return values


async def _address_problems(url: str, policy: Policy) -> list[Problem]:
    """Look the host up and judge its addresses now, so that who saves the webhook learns it, and not its deliveries."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or _PORTS(parts.scheme) or 0
    vetted = await vet(host, port, policy, scheme=parts.scheme)
    # A name that can't be resolved just now may be resolved later; an address that is forbidden stays forbidden.
    if isinstance(vetted, Refused) and vetted.error_class is ErrorClass.BLOCKED_ADDRESS:
        return [Problem("/url", "BLOCKED_ADDRESS", f"expected a host that may be reached: {vetted.reason}")]
    return []
