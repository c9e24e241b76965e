"""Keys as they are kept: made, changed, rotated, listed and taken away."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import asyncpg

from retailos.cidr import plain
from retailos.database.pool import Connection, Pool, acquire
from retailos.database.statements import load
from retailos.declare.values import printed
from retailos.errors import KeyRevoked, ResourceNotFound
from retailos.exchanges.networks import IPNetwork
from retailos.keys.key import Key, ListedKey, NewKey
from retailos.keys.text import digested, draw, written

_SQL = load(__file__)
_INSERT, _FIND, _LIST, _CHANGE = _SQL.insert, _SQL.find, _SQL.list, _SQL.change
_ROTATE, _REVOKE, _USED, _PEPPER = _SQL.rotate, _SQL.revoke, _SQL.used, _SQL.pepper


async def create(
    pool: Pool,
    *,
    name: str,
    environment: str,
    scopes: tuple[str, ...],
    pepper: bytes | None,
    networks: tuple[IPNetwork, ...] = (),
    expires_at: datetime | None = None,
) -> NewKey:
    """Make a key and keep its digest; the text in the answer is shown once and can't be had again."""
    parts = draw(environment)
    async with acquire(pool) as connection:
        digest = digested(parts.secret, await pepper_of(connection, pepper))
        row = await connection.fetchrow(_INSERT, parts.id, name, digest, list(scopes), list(networks), expires_at)
    assert row is not None  # noqa: S101 - an insert without a conflict clause returns its row
    return NewKey(**_told(row), key=written(parts))


async def listed(pool: Pool) -> list[ListedKey]:
    """List all keys, the newest first."""
    async with acquire(pool) as connection:
        return [ListedKey(**_told(row)) for row in await connection.fetch(_LIST, None)]


async def shown(pool: Pool, key_id: str) -> ListedKey:
    """Show one key; ResourceNotFound if there is none of this id."""
    async with acquire(pool) as connection:
        return await _shown(connection, key_id)


async def change(
    pool: Pool,
    key_id: str,
    *,
    name: str,
    scopes: tuple[str, ...],
    networks: tuple[IPNetwork, ...],
    expires_at: datetime | None,
) -> ListedKey:
    """Say anew what a key may do, from where and until when; ResourceNotFound, or KeyRevoked if it was."""
    async with acquire(pool) as connection:
        changed = await connection.fetchval(_CHANGE, key_id, name, list(scopes), list(networks), expires_at)
        after = await _shown(connection, key_id)
    if changed is None:
        raise KeyRevoked
    return after


async def rotate(pool: Pool, key_id: str, *, environment: str, pepper: bytes | None, grace_seconds: int) -> NewKey:
    """Give a key another secret, shown this once; the one that it has now opens on for so many seconds.

    Rotated again meanwhile, it keeps the newest two. Raises ResourceNotFound, or KeyRevoked if it was.
    """
    parts = draw(environment, key_id)
    async with acquire(pool) as connection:
        digest = digested(parts.secret, await pepper_of(connection, pepper))
        rotated = await connection.fetchval(_ROTATE, key_id, digest, float(grace_seconds))
        row = await _row(connection, key_id)
    if rotated is None:
        raise KeyRevoked
    return NewKey(**_told(row), key=written(parts))


async def revoke(pool: Pool, key_id: str) -> ListedKey:
    """Take a key away for good; every process refuses it within 5 s. ResourceNotFound if there is none."""
    async with acquire(pool) as connection:
        await connection.execute(_REVOKE, key_id)
        return await _shown(connection, key_id)


async def find(pool: Pool, key_id: str) -> Key | None:
    """What there is to recognise a key by, or None if there is none of this id."""
    async with acquire(pool) as connection:
        row = await connection.fetchrow(_FIND, key_id)
    if row is None:
        return None
    return Key(**(dict(row) | {"scopes": frozenset(row["scopes"]), "networks": tuple(map(plain, row["networks"]))}))


async def remember_use(pool: Pool, key_ids: Iterable[str]) -> None:
    """Remember that keys are used just now."""
    async with acquire(pool) as connection:
        await connection.execute(_USED, list(key_ids))


async def pepper_of(connection: Connection, configured: bytes | None) -> bytes:
    """The configured pepper, or the one that the installation made for itself."""
    return configured or bytes(await connection.fetchval(_PEPPER))


async def _shown(connection: Connection, key_id: str) -> ListedKey:
    return ListedKey(**_told(await _row(connection, key_id)))


async def _row(connection: Connection, key_id: str) -> asyncpg.Record:
    row = await connection.fetchrow(_LIST, key_id)
    if row is None:
        raise ResourceNotFound(f"expected the id of a key, as `retailos keys list` shows it, got {key_id[:20]!r}")
    return row


def _told(row: asyncpg.Record) -> dict[str, Any]:
    told = {name: printed(value) if isinstance(value, datetime) else value for name, value in row.items()}
    return told | {"networks": [str(plain(each)) for each in row["networks"]]}
