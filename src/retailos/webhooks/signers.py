"""How a message is signed: what a secret looks like says it, as Standard Webhooks has it.

`whsec_` is a secret that the receiver shares, for `v1` (HMAC-SHA256). `whsk_` is a private key, for `v1a` (Ed25519):
the receiver has the public key, `whpk_`, and can check signatures without being able to make any.
"""

import base64
import hashlib
import hmac
import os
from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SCHEMES: Final = ("v1", "v1a")
_SHARED, _PRIVATE, _PUBLIC = "whsec_", "whsk_", "whpk_"
#: What Standard Webhooks asks of a shared secret, and what we draw.
_BYTES_LEAST, _BYTES_MOST, _BYTES = 24, 64, 32
#: A private key; some write the public key behind it.
_SEED_BYTES, _PAIR_BYTES = 32, 64
EXPECTED: Final = (
    f"expected {_SHARED} and {_BYTES_LEAST} to {_BYTES_MOST} bytes in base64, "
    f"or {_PRIVATE} and a private key of Ed25519"
)
#: A secret that signs nothing, and a public key that nobody has the private one of.
LIKE: Final = _SHARED + base64.b64encode(bytes(_BYTES)).decode()
PUBLIC_LIKE: Final = _PUBLIC + base64.b64encode(bytes(_SEED_BYTES)).decode()

#: Gives the signature of a message, with the name of its scheme before it.
Signer = Callable[[bytes], str]


def signer_of(secret: str) -> Signer:
    """What signs with a secret; ValueError where it is none."""
    if secret.startswith(_PRIVATE):
        private = _private(secret)
        return lambda message: f"v1a,{_text(private.sign(message))}"
    key = _bytes(secret, _SHARED)
    if not _BYTES_LEAST <= len(key) <= _BYTES_MOST:
        raise ValueError(EXPECTED)
    return lambda message: f"v1,{_text(hmac.digest(key, message, hashlib.sha256))}"


def scheme_of(secret: str | None) -> str:
    """The scheme of a secret; where there is none, the one that every receiver knows."""
    return "v1a" if secret and secret.startswith(_PRIVATE) else "v1"


def public_key_of(secret: str) -> str | None:
    """The public key by which signatures of a secret are checked; None where the receiver needs the secret itself."""
    return _PUBLIC + _text(_private(secret).public_key().public_bytes_raw()) if secret.startswith(_PRIVATE) else None


def new_secret(scheme: str = "v1") -> str:
    """Draw a secret, as text."""
    return (_PRIVATE if scheme == "v1a" else _SHARED) + _text(os.urandom(_BYTES))


def _private(secret: str) -> Ed25519PrivateKey:
    given = _bytes(secret, _PRIVATE)
    if len(given) not in (_SEED_BYTES, _PAIR_BYTES):
        raise ValueError(EXPECTED)
    private = Ed25519PrivateKey.from_private_bytes(given[:_SEED_BYTES])
    if given[_SEED_BYTES:] not in (b"", private.public_key().public_bytes_raw()):
        raise ValueError("expected the public key behind its private key")
    return private


def _bytes(secret: str, prefix: str) -> bytes:
    """The bytes of a secret; some write their base64 without padding."""
    if not secret.startswith(prefix):
        raise ValueError(EXPECTED)
    text = secret.removeprefix(prefix)
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
