"""API keys: how they are made, written down, recognised and taken away.

A key is `rk_<env>_<id 10>_<secret 32>_<crc 6>` in base 62: a typing error is seen without asking the database, and a
leak can be searched for. Of the secret only HMAC-SHA256 under the installation's pepper is kept.
"""

import hashlib
import hmac
import secrets
import time
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from retailos.database.pool import Connection, Pool, acquire
from retailos.database.statements import load
from retailos.errors import Problem, ResourceNotFound, ValidationFailed

_SQL = load(__file__)
_INSERT, _FIND, _LIST, _REVOKE, _PEPPER = _SQL.insert, _SQL.find, _SQL.list, _SQL.revoke, _SQL.pepper
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID, _SECRET, _CRC = 10, 32, 6
#: How long a process may go by what it read of a key: a revoked key is refused everywhere within 5 s.
FRESH_SECONDS = 2.0
#: Keys in use at once by one process; beyond it the oldest are read again.
REMEMBERED = 10_000

#: What a key may do unless it is told: everything with records, nothing with the administration.
DEFAULT_SCOPES = ("*:read", "*:write")
ADMIN = "admin:*"
REQUEUE = "jobs:requeue"


class Parts(NamedTuple):
    """A key's text taken apart."""

    id: str
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key as the database knows it."""

    id: str
    name: str
    digest: bytes
    scopes: frozenset[str]
    expires_at: datetime | None
    revoked_at: datetime | None

    def lives(self, now: datetime) -> bool:
        """Tell whether the key is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def allows(self, scope: str) -> bool:
        """Tell whether the key may do what `customer:write` names; `*:write` allows it for every resource."""
        _, _, verb = scope.partition(":")
        return scope in self.scopes or (scope != ADMIN and f"*:{verb}" in self.scopes)


class NewKey(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A key just made: the only time that it is shown."""

    id: str
    name: str
    key: str
    scopes: tuple[str, ...]
    created_at: datetime


class ListedKey(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A key as it is listed: everything but the key."""

    id: str
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


async def create(pool: Pool, *, name: str, environment: str, scopes: tuple[str, ...], pepper: bytes | None) -> NewKey:
    """Make a key and keep its digest; the text in the answer is shown once and can't be had again."""
    problems = list(_problems(name, scopes))
    if problems:
        raise ValidationFailed(problems)
    parts = Parts(_random(_ID), _random(_SECRET))
    async with acquire(pool) as connection:
        digest = digested(parts.secret, await pepper_of(connection, pepper))
        created_at = await connection.fetchval(_INSERT, parts.id, name, digest, list(scopes))
    return NewKey(id=parts.id, name=name, key=written(environment, parts), scopes=scopes, created_at=created_at)


async def listed(pool: Pool) -> list[ListedKey]:
    """List all keys, the newest first."""
    async with acquire(pool) as connection:
        return [ListedKey(**row) for row in await connection.fetch(_LIST)]


async def revoke(pool: Pool, key_id: str) -> None:
    """Take a key away for good; every process refuses it within 5 s. ResourceNotFound if there is none."""
    async with acquire(pool) as connection:
        found = await connection.fetchval(_REVOKE, key_id)
    if found is None:
        raise ResourceNotFound(f"expected the id of a key, as `retailos keys list` shows it, got {key_id[:20]!r}")


async def pepper_of(connection: Connection, configured: bytes | None) -> bytes:
    """The configured pepper, or the one that the installation made for itself."""
    return configured or bytes(await connection.fetchval(_PEPPER))


def _problems(name: str, scopes: tuple[str, ...]) -> list[Problem]:
    problems = []
    if not 1 <= len(name) <= 100 or not name.isprintable():
        problems.append(Problem("/name", "INVALID_NAME", "expected a name of 1 to 100 printable characters"))
    for scope in scopes:
        resource, colon, verb = scope.partition(":")
        if scope not in (ADMIN, REQUEUE) and not (colon and resource and verb in ("read", "write")):
            problems.append(
                Problem(
                    "/scopes",
                    "INVALID_SCOPE",
                    "expected scopes such as customer:read, *:write, jobs:requeue or admin:*",
                )
            )
    if not scopes:
        problems.append(Problem("/scopes", "REQUIRED", "expected at least one scope"))
    return problems


def written(environment: str, parts: Parts) -> str:
    """Write a key down, its check digits behind it."""
    body = f"rk_{environment}_{parts.id}_{parts.secret}"
    return f"{body}_{_checked(body)}"


def taken_apart(text: str) -> Parts | None:
    """Read a key's text; None if it is no key, or one with a typing error."""
    pieces = text.split("_")
    if len(pieces) != 5 or pieces[0] != "rk" or not text.isascii():
        return None
    _, _, key_id, secret, crc = pieces
    if len(key_id) != _ID or len(secret) != _SECRET or crc != _checked(text.rpartition("_")[0]):
        return None
    return Parts(key_id, secret)


def digested(secret: str, pepper: bytes) -> bytes:
    """What is kept of a secret."""
    return hmac.digest(pepper, secret.encode(), hashlib.sha256)


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _checked(body: str) -> str:
    crc = zlib.crc32(body.encode())
    digits = ""
    for _ in range(_CRC):
        crc, rest = divmod(crc, len(_ALPHABET))
        digits = _ALPHABET[rest] + digits
    return digits


class KeyRing:
    """The keys that a process has lately seen, each read again when it is older than FRESH_SECONDS."""

    def __init__(self, pool: Pool, pepper: bytes | None) -> None:
        self._pool, self._pepper = pool, pepper
        self._seen: dict[str, tuple[float, Key | None]] = {}
        self._recognised: dict[str, tuple[float, Key]] = {}

    async def recognise(self, text: str) -> Key | None:
        """Give the living key that a text is, or None."""
        lately = self._recognised.get(text)
        if lately and time.monotonic() - lately[0] < FRESH_SECONDS and lately[1].lives(datetime.now(UTC)):
            return lately[1]
        asked = time.monotonic()
        key = await self._prove(text)
        if key is not None:
            if len(self._recognised) >= REMEMBERED:
                self._recognised.clear()
            self._recognised[text] = (asked, key)
        return key

    async def _prove(self, text: str) -> Key | None:
        parts = taken_apart(text)
        if parts is None:
            return None
        key = await self._known(parts.id)
        if self._pepper is None:
            async with acquire(self._pool) as connection:
                self._pepper = await pepper_of(connection, None)
        right = key is not None and hmac.compare_digest(key.digest, digested(parts.secret, self._pepper))
        return key if key and right and key.lives(datetime.now(UTC)) else None

    async def _known(self, key_id: str) -> Key | None:
        seen = self._seen.get(key_id)
        if seen and time.monotonic() - seen[0] < FRESH_SECONDS:
            return seen[1]
        asked = time.monotonic()
        async with acquire(self._pool) as connection:
            row = await connection.fetchrow(_FIND, key_id)
        key = Key(**(dict(row) | {"scopes": frozenset(row["scopes"])})) if row else None
        while len(self._seen) >= REMEMBERED:
            self._seen.pop(next(iter(self._seen)))
        self._seen[key_id] = (asked, key)
        return key
