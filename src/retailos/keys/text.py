"""How a key is written down: `rk_<env>_<id 10>_<secret 32>_<crc 6>` in base 62.

A typing error is seen without asking the database, and a leak can be searched for. Of the secret only HMAC-SHA256
under the installation's pepper is kept.
"""

import hashlib
import hmac
import secrets
import zlib
from typing import NamedTuple

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ID, _SECRET, _CRC = 10, 32, 6


class Parts(NamedTuple):
    """A key's text taken apart."""

    environment: str
    id: str
    secret: str


def draw(environment: str, key_id: str | None = None) -> Parts:
    """Draw a new secret, for the key of this id or for a new one."""
    return Parts(environment, key_id or _random(_ID), _random(_SECRET))


def written(parts: Parts) -> str:
    """Write a key down, its check digits behind it."""
    body = "_".join(("rk", *parts))
    return f"{body}_{_checked(body)}"


def taken_apart(text: str) -> Parts | None:
    """Read a key's text; None if it is no key, or one with a typing error."""
    pieces = text.split("_")
    if len(pieces) != 5 or pieces[0] != "rk" or not text.isascii():
        return None
    _, environment, key_id, secret, crc = pieces
    if len(key_id) != _ID or len(secret) != _SECRET or crc != _checked(text.rpartition("_")[0]):
        return None
    return Parts(environment, key_id, secret)


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
