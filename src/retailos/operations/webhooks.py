"""Webhooks: listed, shown, saved, changed and taken away."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from retailos import keys
from retailos.database.pool import Pool, acquire, transaction
from retailos.declare.field import switch
from retailos.declare.kind import expected
from retailos.declare.object import read_object
from retailos.declare.resource import Resources
from retailos.declare.values import printed
from retailos.deliveries import openings
from retailos.deliveries.openings import Opening
from retailos.errors import Problem, SecretsRedirected, ValidationFailed
from retailos.exchanges.addresses import Policy, Refused, origin_of, vet
from retailos.exchanges.exchange import ErrorClass
from retailos.operations import filling
from retailos.operations.switches import disabled
from retailos.secrets import NO_KEY, read_ring
from retailos.settings import Settings
from retailos.stints import following, operation, rearming
from retailos.stints.operation import OPERATOR, By
from retailos.webhooks import orders
from retailos.webhooks.body import read_webhook
from retailos.webhooks.certificates import expires_at
from retailos.webhooks.redirected import redirected
from retailos.webhooks.requeue_policy import RequeuePolicy
from retailos.webhooks.scope import Scope
from retailos.webhooks.signature import ROTATION_FIELDS, rotated, secret_problem
from retailos.webhooks.signers import new_secret, scheme_of
from retailos.webhooks.webhook import SECRETS, SETTINGS, Webhook, said, shown

#: A webhook as it is shown: its members by name, its secrets hidden.
Shown = dict[str, Any]

#: Said when a webhook is added, and no part of it afterwards.
BACKFILL = switch("backfill")


class Removed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A webhook that was taken away, and how many deliveries it was still owed."""

    id: int
    owed: int


class NewSigningSecret(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a webhook signs with from now on, shown this once, and until when the secret before it signs too.

    Of a private key only the public one is told.
    """

    webhook: int
    secret: str | None
    public_key: str | None
    former_until: str | None


class Expiring(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A webhook one of whose certificates ends soon, or has ended."""

    webhook: int
    name: str
    expires_at: str


async def list_webhooks(pool: Pool) -> list[Shown]:
    """List the webhooks, oldest first."""
    return [shown(each) for each in await orders.webhooks(pool)]


async def show_webhook(pool: Pool, webhook_id: int) -> Shown:
    """Show one webhook."""
    return shown(await orders.webhook(pool, webhook_id))


async def add_webhook(pool: Pool, resources: Resources, settings: Settings, body: Any, by: By = OPERATOR) -> Shown:
    """Save a new webhook, or say field by field why it can't be; with `backfill` it is told of what exists, too."""
    ring = read_ring(settings.encryption_keys)
    backfilled, body = _backfilled(body)
    values = await _checked(pool, resources, body, settings, None)
    async with transaction(pool) as connection:
        webhook_id = await orders.add(connection, ring, values)
        made = await orders.find(connection, webhook_id)
        assert made is not None  # noqa: S101 - it was made in this transaction
        await rearming.plan(connection, webhook_id, made.requeue)
        await following.plan(connection, webhook_id, made.scope)
        if backfilled:
            await filling.begin(connection, resources, made, "backfill", by)
    return shown(made)


async def change_webhook(pool: Pool, resources: Resources, settings: Settings, webhook_id: int, body: Any) -> Shown:
    """Change a webhook: what is absent is kept. Its resource stays, since what is owed belongs to it.

    SecretsRedirected where a secret that is kept would go to another host.
    """
    while not await _changed(pool, resources, settings, webhook_id, body):
        # Somebody else changed it meanwhile, so that what it keeps is to be looked at anew.
        pass
    return await show_webhook(pool, webhook_id)


async def _changed(pool: Pool, resources: Resources, settings: Settings, webhook_id: int, body: Any) -> bool:
    """Change a webhook, unless it is not any more what the change was judged by: then nothing is done."""
    ring = read_ring(settings.encryption_keys)
    stored = await orders.webhook(pool, webhook_id)
    async with acquire(pool) as connection:
        kept = said(await orders.openable(connection, ring, stored))
    values = await _checked(pool, resources, body, settings, kept)
    _refuse_change(stored, kept, values, body)
    anew = SECRETS.intersection(body)
    as_stored = {name: stored.settings[name] for name in SECRETS - anew}
    async with transaction(pool) as connection:
        if (await orders.locked(connection, webhook_id)).updated_at != stored.updated_at:
            return False
        await orders.change(connection, ring, webhook_id, {**values, **as_stored}, anew)
        policy = RequeuePolicy.of(values)
        if policy != stored.requeue:
            await rearming.plan(connection, webhook_id, policy)
        scope = Scope.of(values)
        if scope.marks != stored.scope.marks:
            await following.plan(connection, webhook_id, scope)
    return True


def _refuse_change(stored: Webhook, kept: Mapping[str, Any], values: Mapping[str, Any], body: Any) -> None:
    """Refuse what a webhook may be and this one may not become."""
    if values["resource"] != stored.resource:
        message = f"expected {stored.resource}, which can't be changed; add another webhook instead"
        raise ValidationFailed([Problem("/resource", "NOT_SETTABLE", message)])
    if stored.disabled and values["active"]:
        raise disabled()
    if problems := list(redirected(values, body, kept)):
        raise SecretsRedirected(problems)


async def list_openings(pool: Pool, webhook_id: int, limit: int, offset: int) -> list[Opening]:
    """List from when to when a webhook's breaker held what it was owed, the newest first."""
    await orders.webhook(pool, webhook_id)
    async with acquire(pool) as connection:
        return await openings.openings(connection, webhook_id, limit, offset)


async def rotate_signing_secret(pool: Pool, settings: Settings, webhook_id: int, body: Any) -> NewSigningSecret:
    """Give a webhook another secret to sign with, shown this once; the one that it has signs too for a time of grace.

    A webhook that was not signed is from now on.
    """
    secret, scheme, grace_seconds = _read_rotation(body)
    if not settings.encryption_keys:
        raise ValidationFailed([_unsealable("secret")])
    ring = read_ring(settings.encryption_keys)
    async with transaction(pool) as connection:
        webhook = await orders.opened(connection, ring, await orders.locked(connection, webhook_id))
        former = webhook.settings["signing"]
        drawn = secret or new_secret(scheme or scheme_of(former and former["secret"]))
        signing = rotated(former, drawn, grace_seconds, datetime.now(UTC))
        await orders.change(connection, ring, webhook_id, {**said(webhook), "signing": signing}, SECRETS)
    public = signing["publicKey"]
    return NewSigningSecret(
        webhook=webhook_id,
        secret=None if public else signing["secret"],
        public_key=public,
        former_until=signing["formerUntil"],
    )


async def list_expiring(pool: Pool, days: int) -> list[Expiring]:
    """List the webhooks one of whose certificates ends within so many days, or has ended, the first to end first."""
    until = datetime.now(UTC) + timedelta(days=days)
    found = [(expires_at(each.settings), each) for each in await orders.webhooks(pool)]
    ending = sorted((at, each.id, each.name) for at, each in found if at is not None and at < until)
    return [Expiring(webhook=webhook_id, name=name, expires_at=printed(at)) for at, webhook_id, name in ending]


async def remove_webhook(pool: Pool, webhook_id: int) -> Removed:
    """Take a webhook away, with all that it was owed."""
    async with transaction(pool) as connection:
        await operation.cancel_all(connection, webhook_id)
        return Removed(id=webhook_id, owed=await orders.remove(connection, webhook_id))


def _backfilled(body: Any) -> tuple[bool, Any]:
    """Whether a new webhook is to be told of what exists, and the rest of its request."""
    if type(body) is not dict or "backfill" not in body:
        return False, body
    problems: list[Problem] = []
    wanted = BACKFILL.kind.read(body["backfill"], "/backfill", problems)
    if problems:
        raise ValidationFailed(problems)
    return wanted, {name: value for name, value in body.items() if name != "backfill"}


async def _checked(
    pool: Pool, resources: Resources, body: Any, settings: Settings, kept: Mapping[str, Any] | None
) -> Mapping[str, Any]:
    policy = Policy(allow=settings.allow_addresses)
    values, problems = read_webhook(resources, body, policy, kept)
    if not any(each.path in ("/url", "/resource", "") for each in problems):
        problems.extend(await _address_problems("/url", values["url"], policy))
    token_url = (values.get("credentials") or {}).get("tokenUrl") if not problems else None
    if token_url:
        problems.extend(await _address_problems("/credentials/tokenUrl", token_url, policy))
    if not any(each.path.startswith("/suppressEcho") or not each.path for each in problems):
        problems.extend(await _key_problems(pool, values["suppressEcho"]))
    if not settings.encryption_keys and type(body) is dict:
        problems.extend(_unsealable(name) for name in SETTINGS if name in SECRETS and name in body and body[name])
    if problems:
        raise ValidationFailed(problems)
    return values


async def _key_problems(pool: Pool, key_ids: Sequence[str]) -> list[Problem]:
    known = {each.id for each in await keys.listed(pool)} if key_ids else set()
    message = "expected the id of an API key, as `retailos keys list` shows it"
    return [
        Problem(f"/suppressEcho/{i}", "UNKNOWN_KEY", message) for i, each in enumerate(key_ids) if each not in known
    ]


def _read_rotation(body: Any) -> tuple[str | None, str | None, int]:
    """The secret that was given, or else the scheme of the one to draw, and for how long the one before signs too."""
    if type(body) is not dict:
        raise ValidationFailed([expected("an object with graceSeconds", body, "")])
    values, problems = read_object(ROTATION_FIELDS, "rotation", body)
    secret = values["secret"]
    if secret is not None and not problems and (problem := secret_problem(secret, "/secret")):
        problems.append(problem)
    if secret is not None and values["scheme"] is not None:
        problems.append(Problem("/scheme", "REFERENCE_CONFLICT", "expected secret or scheme: a secret says its own"))
    if problems:
        raise ValidationFailed(problems)
    return secret, values["scheme"], values["graceSeconds"]


def _unsealable(name: str) -> Problem:
    return Problem(f"/{name}", "NO_ENCRYPTION_KEY", f"expected {NO_KEY}")


async def _address_problems(at: str, url: str, policy: Policy) -> list[Problem]:
    """Look the host up and judge its addresses now, so that who saves the webhook learns it, and not its deliveries."""
    scheme, host, port = origin_of(url)
    vetted = await vet(host, port, policy, scheme=scheme)
    # A name that can't be resolved just now may be resolved later; an address that is forbidden stays forbidden.
    if isinstance(vetted, Refused) and vetted.error_class is ErrorClass.BLOCKED_ADDRESS:
        return [Problem(at, "BLOCKED_ADDRESS", f"expected a host that may be reached: {vetted.reason}")]
    return []
