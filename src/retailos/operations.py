"""What an operator may do: the admin API, the commands and the console all call these."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from retailos import keys
from retailos.database.pool import Pool, acquire, transaction
from retailos.declare.resource import Resources
from retailos.declare.values import Uuid
from retailos.errors import Problem, ResourceNotFound, ValidationFailed
from retailos.keys import ListedKey, NewKey
from retailos.keys.key import read_key, read_rotation
from retailos.records import parked, waking
from retailos.records.parked import Choice
from retailos.settings import Settings
from retailos.webhooks import deliveries, orders
from retailos.webhooks.addresses import Policy, Refused, vet
from retailos.webhooks.deliveries import Asked, DeliveryWithAttempts, Found
from retailos.webhooks.exchange import ErrorClass
from retailos.webhooks.webhook import read_webhook, said, shown

#: A webhook as it is shown: its members by name, its secrets hidden.
Shown = dict[str, Any]

_BEFORE_ALL = UUID(int=0)
_PORTS = {"http": 80, "https": 443}.get


class Removed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A webhook that was taken away, and how many deliveries it was still owed."""

    id: int
    owed: int


class Requeued(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many failed deliveries of a webhook are owed again, or would be."""

    webhook: int
    count: int
    dry_run: bool


class JobsRequeued(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many jobs are tried again, or would be."""

    count: int
    dry_run: bool


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


async def find_deliveries(pool: Pool, resources: Resources, asked: Asked) -> Found:
    """Find deliveries by webhook, state and external id."""
    return await deliveries.find(pool, resources, await orders.webhooks(pool), asked)


async def show_delivery(pool: Pool, resources: Resources, text: str) -> DeliveryWithAttempts:
    """Show one delivery, `<webhook>-<record>`, with its attempts."""
    webhook_id, record_id = _delivery(text)
    return await deliveries.one(pool, resources, await orders.webhooks(pool), webhook_id, record_id)


async def requeue(pool: Pool, webhook_id: int, *, dry_run: bool) -> Requeued:
    """Owe the failed deliveries of a webhook again, or only count them; the newest state of each record is sent."""
    await orders.webhook(pool, webhook_id)
    work = deliveries.count_failed if dry_run else deliveries.requeue
    return Requeued(webhook=webhook_id, count=await work(pool, webhook_id), dry_run=dry_run)


async def requeue_jobs(pool: Pool, resources: Resources, choice: Choice, *, dry_run: bool) -> JobsRequeued:
    """Try upserts again that were parked and given up, or only count them; those that miss a record wait anew."""
    async with acquire(pool) as connection:
        count = await parked.count(connection, choice)
    last = None if dry_run else _BEFORE_ALL
    while last is not None:
        async with transaction(pool) as connection:
            last = await waking.requeue(connection, resources, choice, last)
    return JobsRequeued(count=count, dry_run=dry_run)


async def list_keys(pool: Pool) -> list[ListedKey]:
    """List the API keys, the newest first."""
    return await keys.listed(pool)


async def show_key(pool: Pool, key_id: str) -> ListedKey:
    """Show one API key."""
    return await keys.shown(pool, key_id)


async def add_key(pool: Pool, resources: Resources, settings: Settings, body: Any) -> NewKey:
    """Make an API key, or say field by field why it can't be; its text is shown this once."""
    values = read_key(resources, body)
    return await keys.create(pool, environment=settings.environment, pepper=settings.pepper_bytes, **values)


async def change_key(pool: Pool, resources: Resources, key_id: str, body: Any) -> ListedKey:
    """Change an API key: what is absent is kept. KeyRevoked if it was."""
    kept = msgspec.to_builtins(await keys.shown(pool, key_id))
    return await keys.change(pool, key_id, **read_key(resources, body, kept))


async def rotate_key(pool: Pool, settings: Settings, key_id: str, body: Any) -> NewKey:
    """Give an API key another secret, shown this once; the one that it has opens on for the seconds in the body."""
    return await keys.rotate(
        pool,
        key_id,
        environment=settings.environment,
        pepper=settings.pepper_bytes,
        grace_seconds=read_rotation(body),
    )


async def revoke_key(pool: Pool, key_id: str) -> ListedKey:
    """Take an API key away for good; every process refuses it within 5 s."""
    return await keys.revoke(pool, key_id)


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


def _delivery(text: str) -> tuple[int, UUID]:
    webhook_id, _, record_id = text.partition("-")
    try:
        if webhook_id.isascii() and webhook_id.isdigit() and int(webhook_id) < 2**31:
            return int(webhook_id), Uuid().parse(record_id)
    except ValueError:
        pass
    raise ResourceNotFound("expected a delivery's id such as 3-0190c2a4-7b1e-7c3a-9d52-3f1b2c4d5e6f")
