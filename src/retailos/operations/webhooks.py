"""Webhooks: listed, shown, saved, changed and taken away."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import msgspec

from retailos.database.pool import Pool, transaction
from retailos.declare.resource import Resources
from retailos.declare.values import printed
from retailos.errors import Problem, ValidationFailed
from retailos.webhooks import orders
from retailos.webhooks.addresses import Policy, Refused, vet
from retailos.webhooks.exchange import ErrorClass
from retailos.webhooks.webhook import HIDDEN, Webhook, read_webhook

_PORTS = {"http": 80, "https": 443}.get


class WebhookView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A webhook as it is shown: the values of its headers stay hidden."""

    id: int
    name: str
    resource: str
    url: str
    method: str
    headers: dict[str, str]
    retry_limit: int
    retry_delay: float
    retry_backoff: bool
    retry_delay_max: float
    timeout: float
    concurrency: int
    active: bool
    created_at: str
    updated_at: str


class Removed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A webhook that was taken away, and how many deliveries it was still owed."""

    id: int
    owed: int


async def list_webhooks(pool: Pool) -> list[WebhookView]:
    """List the webhooks, oldest first."""
    return [view(each) for each in await orders.webhooks(pool)]


async def show_webhook(pool: Pool, webhook_id: int) -> WebhookView:
    """Show one webhook."""
    return view(await orders.webhook(pool, webhook_id))


async def add_webhook(pool: Pool, resources: Resources, policy: Policy, body: Any) -> WebhookView:
    """Save a new webhook, or say field by field why it can't be."""
    values = await _checked(resources, body, policy, None)
    return view(await orders.add(pool, values))


async def change_webhook(pool: Pool, resources: Resources, policy: Policy, webhook_id: int, body: Any) -> WebhookView:
    """Change a webhook: what is absent is kept. Its resource stays, since what is owed belongs to it."""
    kept = stored(await orders.webhook(pool, webhook_id))
    values = await _checked(resources, body, policy, kept)
    if values["resource"] != kept["resource"]:
        message = f"expected {kept['resource']}, which can't be changed; add another webhook instead"
        raise ValidationFailed([Problem("/resource", "NOT_SETTABLE", message)])
    return view(await orders.change(pool, webhook_id, values))


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


def view(order: Webhook) -> WebhookView:
    """Show a webhook without its secrets."""
    return WebhookView(
        **_common(order),
        headers=dict.fromkeys(order.headers, HIDDEN),
        retry_limit=order.retry.retry_limit,
        retry_delay=order.retry.retry_delay,
        retry_backoff=order.retry.retry_backoff,
        retry_delay_max=order.retry.retry_delay_max,
        id=order.id,
        created_at=printed(order.created_at),
        updated_at=printed(order.updated_at),
    )


def stored(order: Webhook) -> dict[str, Any]:
    """A webhook as a request's body would say it, its secrets included."""
    return _common(order) | {
        "headers": dict(order.headers),
        "retryLimit": order.retry.retry_limit,
        "retryDelay": _number(order.retry.retry_delay),
        "retryBackoff": order.retry.retry_backoff,
        "retryDelayMax": _number(order.retry.retry_delay_max),
        "timeout": _number(order.timeout),
    }


def _common(order: Webhook) -> dict[str, Any]:
    return {
        "name": order.name,
        "resource": order.resource,
        "url": order.url,
        "method": order.method,
        "timeout": order.timeout,
        "concurrency": order.concurrency,
        "active": order.active,
    }


def _number(value: float) -> Decimal:
    """A number as a body's reader knows it: exact, at the precision of the fields."""
    return round(Decimal(value), 3)
