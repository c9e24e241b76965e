"""Webhooks as they are kept: saved, changed, listed and taken away."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import asyncpg
import msgspec

from retailos.database.pool import Connection, Pool, acquire
from retailos.database.statements import load
from retailos.errors import NotUnique, Problem, ResourceNotFound
from retailos.webhooks.webhook import SETTINGS, Webhook

_SQL = load(__file__)
_LIST, _FIND, _INSERT, _UPDATE = _SQL.list, _SQL.find, _SQL.insert, _SQL.update
_DELETE, _OWED, _CLEAR = _SQL.delete, _SQL.owed, _SQL.clear

_encode = msgspec.json.Encoder(decimal_format="number").encode
_decode = msgspec.json.Decoder(float_hook=Decimal).decode


async def webhooks(pool: Pool) -> list[Webhook]:
    """List the webhooks that stand, oldest first."""
    async with acquire(pool) as connection:
        return [_webhook(row) for row in await connection.fetch(_LIST)]


async def webhook(pool: Pool, webhook_id: int) -> Webhook:
    """Give one webhook; ResourceNotFound if there is none."""
    async with acquire(pool) as connection:
        row = await connection.fetchrow(_FIND, webhook_id)
    if row is None:
        raise _none()
    return _webhook(row)


async def add(pool: Pool, values: Mapping[str, Any]) -> Webhook:
    """Save a new webhook, checked by `read_webhook`; NotUnique if its resource has one of that name."""
    async with acquire(pool) as connection:
        webhook_id = await connection.fetchval(_INSERT, *_parameters(values))
    if webhook_id is None:
        raise _taken()
    return await webhook(pool, webhook_id)


async def change(pool: Pool, webhook_id: int, values: Mapping[str, Any]) -> Webhook:
    """Save a webhook anew, its resource apart; ResourceNotFound and NotUnique as above."""
    async with acquire(pool) as connection:
        try:
            found = await connection.fetchval(_UPDATE, *_parameters(values), webhook_id)
        except asyncpg.UniqueViolationError:
            raise _taken() from None
    if found is None:
        raise _none()
    return await webhook(pool, webhook_id)


async def remove(transaction: Connection, webhook_id: int) -> int:
    """Take a webhook away and give how many deliveries it was still owed; ResourceNotFound if there is none."""
    if await transaction.fetchval(_DELETE, webhook_id) is None:
        raise _none()
    owed: int = await transaction.fetchval(_OWED, webhook_id)
    await transaction.execute(_CLEAR, webhook_id)
    return owed


def _parameters(values: Mapping[str, Any]) -> tuple[Any, ...]:
    settings = {name: values[name] for name in SETTINGS}
    return values["name"], values["resource"], _encode(settings).decode(), values["active"]


def _webhook(row: asyncpg.Record) -> Webhook:
    return Webhook.of(**{**row, "settings": _decode(row["settings"])})


def _none() -> ResourceNotFound:
    return ResourceNotFound("There is no such webhook; GET /v2/admin/webhooks lists them.")


def _taken() -> NotUnique:
    message = "expected a name that no other webhook of this resource has"
    return NotUnique([Problem("/name", NotUnique.code, message)])
