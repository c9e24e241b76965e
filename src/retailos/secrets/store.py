"""Secrets as they are kept: one row for each, sealed, beside the table whose secret it is."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Final

from retailos.database.pool import Connection, Pool, acquire
from retailos.database.statements import load
from retailos.secrets.ring import Locked, Owner, Ring, Sealed

_SQL = load(__file__)
_KEEP, _READ, _FORGET, _OLDER, _COUNT = _SQL.keep, _SQL.read, _SQL.forget, _SQL.older, _SQL.count

#: Where a secret stands among all: its owner's table and row, and its name.
Place = tuple[str, str, str]
#: Before every other.
FIRST: Final[Place] = ("", "", "")


async def keep(transaction: Connection, ring: Ring, owner: Owner, secrets: Mapping[str, bytes]) -> None:
    """Keep secrets by their names, in place of those that were there; ConfigurationError where there is no key."""
    for name, secret in secrets.items():
        await _keep(transaction, owner, name, ring.seal(owner, name, secret))


async def forget(transaction: Connection, owner: Owner, names: Iterable[str] | None = None) -> None:
    """Forget secrets, all of an owner unless told otherwise."""
    await transaction.execute(_FORGET, owner.table, owner.row, None if names is None else list(names))


async def opened(connection: Connection, ring: Ring, owner: Owner) -> dict[str, bytes]:
    """The secrets of an owner by their names; Locked if one can't be opened."""
    return {name: ring.open(owner, name, sealed) for name, sealed in (await _read(connection, owner)).items()}


async def openable(connection: Connection, ring: Ring, owner: Owner) -> tuple[dict[str, bytes], frozenset[str]]:
    """As opened(), but what can't be opened is named, and not raised."""
    known, locked = {}, set()
    for name, sealed in (await _read(connection, owner)).items():
        try:
            known[name] = ring.open(owner, name, sealed)
        except Locked:
            locked.add(name)
    return known, frozenset(locked)


async def reseal(transaction: Connection, ring: Ring, after: Place, most: int) -> tuple[int, Place | None]:
    """Seal some secrets behind a place with the newest key; how many, and the place to go on behind, None at the end.

    Those that can't be opened stay as they are; count_by_key() tells of them.
    """
    rows = await transaction.fetch(_OLDER, ring.newest, list(ring.keys), most, *after)
    count = 0
    for row in rows:
        owner, name = Owner(table=row["owner_table"], row=row["owner_row"]), row["name"]
        with suppress(Locked):
            secret = ring.open(owner, name, Sealed(row["key_id"], row["sealed"]))
            await _keep(transaction, owner, name, ring.seal(owner, name, secret))
            count += 1
    return count, (rows[-1]["owner_table"], rows[-1]["owner_row"], rows[-1]["name"]) if rows else None


async def count_by_key(pool: Pool) -> dict[str, int]:
    """How many secrets each key has sealed, by the keys' ids."""
    async with acquire(pool) as connection:
        return {row["key_id"]: row["count"] for row in await connection.fetch(_COUNT)}


async def _keep(transaction: Connection, owner: Owner, name: str, sealed: Sealed) -> None:
    await transaction.execute(_KEEP, owner.table, owner.row, name, sealed.key_id, sealed.data)


async def _read(connection: Connection, owner: Owner) -> dict[str, Sealed]:
    rows = await connection.fetch(_READ, owner.table, owner.row)
    return {row["name"]: Sealed(row["key_id"], row["sealed"]) for row in rows}
