"""Answers kept for 24 hours: a request that comes again under its Idempotency-Key gets the one that it had."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import msgspec

from retailos.database.pool import Connection, Pool, acquire
from retailos.database.statements import load
from retailos.errors import IdempotencyInProgress, IdempotencyKeyReused

_SQL = load(__file__)
_TAKE_TURN, _FIND, _KEEP, _SWEEP = _SQL.take_turn, _SQL.find, _SQL.keep, _SQL.sweep


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a request is recognised by: who sent it where under which key, and a digest of what it said."""

    api_key_id: str
    route: str
    key: str
    #: SHA-256 of all that decides what is done: another digest under the same key is another request. b"": it is not
    #: known yet, since the request is still coming.
    digest: bytes = b""

    @property
    def number(self) -> int:
        """A number of 64 bits for whose, where and which, by which transactions keep out of each other's way."""
        name = "\n".join((self.api_key_id, self.route, self.key)).encode()
        return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big", signed=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An answer as it was given: its status, its own headers, and the envelope's result as JSON text."""

    status: int
    headers: Mapping[str, str]
    result: str


async def begin(transaction: Connection, asked: Asked) -> Kept | None:
    """Give the answer that the request had, or None: then it is this transaction's to do, and nobody else's.

    Raises IdempotencyKeyReused where the key came with another request, IdempotencyInProgress while another
    transaction is about it.
    """
    kept = await _find(transaction, asked)
    if kept is None:
        if not await transaction.fetchval(_TAKE_TURN, asked.number):
            raise IdempotencyInProgress
        # Looked up again: whoever had the turn may have committed since the first look.
        kept = await _find(transaction, asked)
    return kept


async def is_known(pool: Pool, asked: Asked) -> bool:
    """Tell whether an answer is kept under the key, be it to the same request or to another."""
    async with acquire(pool) as connection:
        return await connection.fetchrow(_FIND, asked.api_key_id, asked.route, asked.key) is not None


async def keep(transaction: Connection, asked: Asked, answer: Kept, record_id: UUID) -> None:
    """Keep an answer in the transaction of its effect: both are there, or neither. `record_id` is whom it shows."""
    await transaction.execute(
        _KEEP,
        asked.api_key_id,
        asked.route,
        asked.key,
        asked.digest,
        answer.status,
        msgspec.json.encode(answer.headers).decode(),
        answer.result,
        record_id,
    )


async def sweep(pool: Pool) -> None:
    """Remove the answers that have been kept long enough."""
    async with acquire(pool) as connection:
        await connection.execute(_SWEEP)


async def _find(transaction: Connection, asked: Asked) -> Kept | None:
    row = await transaction.fetchrow(_FIND, asked.api_key_id, asked.route, asked.key)
    if row is None:
        return None
    if row["digest"] != asked.digest:
        raise IdempotencyKeyReused
    return Kept(status=row["status"], headers=msgspec.json.decode(row["headers"]), result=row["result"])
