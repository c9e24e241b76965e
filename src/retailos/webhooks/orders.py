"""Webhooks as they are kept: saved, changed, listed and taken away."""

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

import asyncpg
import msgspec

from retailos import secrets
from retailos.database.pool import Connection, Pool, acquire
from retailos.database.statements import load
from retailos.errors import NotUnique, Problem, ResourceNotFound
from retailos.secrets import Owner, Ring
from retailos.webhooks.webhook import SECRETS, SETTINGS, Webhook, has_clear, hidden

_SQL = load(__file__)
_LIST, _FIND, _INSERT, _UPDATE = _SQL.list, _SQL.find, _SQL.insert, _SQL.update
_PAUSE, _DELETE, _OWED, _CLEAR = _SQL.pause, _SQL.delete, _SQL.owed, _SQL.clear
_LIST_LOCKED, _SEAL, _SWITCH = _SQL.list_locked, _SQL.seal, _SQL.switch
_LOCK = _SQL.lock

_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


async def webhooks(pool: Pool) -> list[Webhook]:
    """List the webhooks that stand, oldest first."""
    async with acquire(pool) as connection:
        return [_webhook(row) for row in await connection.fetch(_LIST)]


async def webhook(pool: Pool, webhook_id: int) -> Webhook:
    """Give one webhook; ResourceNotFound if there is none."""
    async with acquire(pool) as connection:
        found = await find(connection, webhook_id)
    if found is None:
        raise _none()
    return found


async def find(connection: Connection, webhook_id: int) -> Webhook | None:
    """Give one webhook, if it stands."""
    row = await connection.fetchrow(_FIND, webhook_id)
    return None if row is None else _webhook(row)


async def locked(transaction: Connection, webhook_id: int) -> Webhook:
    """One webhook, which nobody changes until the transaction ends; ResourceNotFound if there is none."""
    row = await transaction.fetchrow(_LOCK, webhook_id)
    if row is None:
        raise _none()
    return _webhook(row)


async def add(transaction: Connection, ring: Ring, values: Mapping[str, Any]) -> int:
    """Save a new webhook, checked by `read_webhook`; its id. NotUnique if its resource has one of that name."""
    webhook_id: int | None = await transaction.fetchval(_INSERT, *_parameters(values))
    if webhook_id is None:
        raise _taken()
    await _keep_secrets(transaction, ring, webhook_id, {name: values[name] for name in SECRETS})
    return webhook_id


async def change(
    transaction: Connection, ring: Ring, webhook_id: int, values: Mapping[str, Any], anew: Collection[str]
) -> None:
    """Save a webhook anew, its resource apart, of its secrets those that are said `anew`; the others are in `values` as
    they are stored. ResourceNotFound and NotUnique as above.
    """
    try:
        found = await transaction.fetchval(_UPDATE, *_parameters(values, anew), webhook_id)
    except asyncpg.UniqueViolationError:
        raise _taken() from None
    if found is None:
        raise _none()
    await _keep_secrets(transaction, ring, webhook_id, {name: values[name] for name in SECRETS.intersection(anew)})


async def opened(connection: Connection, ring: Ring, webhook: Webhook) -> Webhook:
    """A webhook with its secrets, to send with; Locked if one can't be opened."""
    return webhook.with_secrets(_decoded(await secrets.opened(connection, ring, _owner(webhook.id))))


async def opened_now(connection: Connection, ring: Ring, known: Webhook) -> Webhook | None:
    """As opened(); None where it was changed since it was read, so that a former receiver gets no newer secret."""
    found = await opened(connection, ring, known)
    current = await find(connection, known.id)
    return found if current is not None and current.updated_at == known.updated_at else None


async def openable(connection: Connection, ring: Ring, webhook: Webhook) -> Webhook:
    """As opened(), but what can't be opened stays hidden."""
    known, _ = await secrets.openable(connection, ring, _owner(webhook.id))
    return webhook.with_secrets(_decoded(known))


async def count_clear(connection: Connection) -> int:
    """How many webhooks have a secret stored in clear, as earlier versions did."""
    return sum(has_clear(_webhook(row).settings) for row in await connection.fetch(_LIST))


async def seal(transaction: Connection, ring: Ring) -> int:
    """Seal what earlier versions have stored in clear, of all webhooks, and give of how many."""
    clear = [each for each in map(_webhook, await transaction.fetch(_LIST_LOCKED)) if has_clear(each.settings)]
    for each in clear:
        known = {name: value for name, value in each.settings.items() if has_clear({name: value})}
        await _keep_secrets(transaction, ring, each.id, known)
        await transaction.execute(_SEAL, each.id, _encode(hidden(each.settings)).decode())
    return len(clear)


async def switch(transaction: Connection, webhook_id: int, *, active: bool, disabled: bool = False) -> int:
    """Have a webhook send or not, and be owed what changes or not; give how many deliveries it is owed."""
    if await transaction.fetchval(_SWITCH, webhook_id, active, disabled) is None:
        raise _none()
    owed: int = await transaction.fetchval(_OWED, webhook_id)
    return owed


async def pause(pool: Pool, known: Webhook, reason: str) -> bool:
    """Pause a webhook by ourselves, until somebody resumes it; False where it was changed meanwhile, or is paused."""
    async with acquire(pool) as connection:
        return await connection.fetchval(_PAUSE, known.id, reason, known.updated_at) is not None


async def remove(transaction: Connection, webhook_id: int) -> int:
    """Take a webhook away and give how many deliveries it was still owed; ResourceNotFound if there is none."""
    if await transaction.fetchval(_DELETE, webhook_id) is None:
        raise _none()
    owed: int = await transaction.fetchval(_OWED, webhook_id)
    await transaction.execute(_CLEAR, webhook_id)
    await secrets.forget(transaction, _owner(webhook_id))
    return owed


async def _keep_secrets(transaction: Connection, ring: Ring, webhook_id: int, values: Mapping[str, Any]) -> None:
    owner = _owner(webhook_id)
    await secrets.forget(transaction, owner, values)
    await secrets.keep(transaction, ring, owner, {name: _encode(value) for name, value in values.items() if value})


def _owner(webhook_id: int) -> Owner:
    return Owner(table="webhook", row=str(webhook_id))


def _decoded(known: Mapping[str, bytes]) -> dict[str, Any]:
    return {name: _decode(secret) for name, secret in known.items()}


def _parameters(values: Mapping[str, Any], anew: Collection[str] = SECRETS) -> tuple[Any, ...]:
    shown = hidden(values)
    settings = {name: shown[name] if name in anew else values[name] for name in SETTINGS}
    return values["name"], values["resource"], _encode(settings).decode(), values["active"]


def _webhook(row: asyncpg.Record) -> Webhook:
    return Webhook.of(**{**row, "settings": _decode(row["settings"])})


def _none() -> ResourceNotFound:
    return ResourceNotFound("There is no such webhook; GET /v2/admin/webhooks, or `retailos webhook list`, lists them.")


def _taken() -> NotUnique:
    message = "expected a name that no other webhook of this resource has"
    return NotUnique([Problem("/name", NotUnique.code, message)])
