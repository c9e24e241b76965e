"""The keys that secrets are sealed with: the first seals, each of them opens what it has sealed.

A secret is sealed with AES-256-GCM under a random nonce. Whose it is and what it is called are sealed with it, so that
a row that is copied to another place in the database opens nothing there.
"""

import base64
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from retailos.errors import ConfigurationError, RetailOSError

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
#: What tells a key from all other texts, for those who search for leaks.
_PREFIX: Final = "rek_"
#: A key as text: 32 bytes are 43 digits of base 64.
_TEXT: Final = re.compile(rf"{_PREFIX}[0-9A-Za-z_-]{{43}}")
_ID_DIGITS: Final = 12
#: What to do where there is no key; said to whoever would save a secret.
NO_KEY: Final = (
    "a key to encrypt it with, which this deployment has not; "
    "retailos secrets new-key makes one, and RETAILOS_ENCRYPTION_KEYS takes it"
)


class Locked(RetailOSError):
    """A secret can't be opened; put the key that sealed it back into RETAILOS_ENCRYPTION_KEYS, or save it anew."""

    status = 409
    code = "SECRET_LOCKED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose secret it is: a table of the database, and the row in it."""

    table: str
    row: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """A secret as it is kept: which key opens it, and the nonce with what was sealed behind it."""

    key_id: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Ring:
    """The keys of a deployment by their ids, the one that seals first; there may be none."""

    keys: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    @property
    def newest(self) -> str | None:
        """The id of the key that seals; None: nothing can be sealed."""
        return next(iter(self.keys), None)

    def seal(self, owner: Owner, name: str, secret: bytes) -> Sealed:
        """Seal a secret under its owner and name; ConfigurationError where there is no key."""
        key_id = self.newest
        if key_id is None:
            raise ConfigurationError(f"Expected {NO_KEY}.")
        nonce = os.urandom(NONCE_BYTES)
        return Sealed(key_id, nonce + AESGCM(self.keys[key_id]).encrypt(nonce, secret, _bound(owner, name, key_id)))

    def open(self, owner: Owner, name: str, sealed: Sealed) -> bytes:
        """Open a secret; Locked if its key is not here, or if it is not what was sealed under this owner and name."""
        key = self.keys.get(sealed.key_id)
        if key is None:
            raise Locked(
                f"The secret {name} was sealed with the key {sealed.key_id}, which this deployment has not; "
                "put it back into RETAILOS_ENCRYPTION_KEYS, or save the secret anew."
            )
        nonce, text = sealed.data[:NONCE_BYTES], sealed.data[NONCE_BYTES:]
        try:
            return AESGCM(key).decrypt(nonce, text, _bound(owner, name, sealed.key_id))
        except InvalidTag:
            raise Locked(f"The secret {name} is not what was sealed in its place; save it anew.") from None


#: A deployment without a key.
NO_RING: Final = Ring(MappingProxyType({}))


def new_key() -> str:
    """Draw a key, as text."""
    return _PREFIX + base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).decode().rstrip("=")


def read_ring(text: str | None) -> Ring:
    """The ring of a setting's text: keys between commas, spaces or lines; None is the ring without keys."""
    keys = [_decoded(each) for each in re.split(r"[\s,]+", text or "") if each]
    return Ring(MappingProxyType({_id(each): each for each in keys}))


def _decoded(text: str) -> bytes:
    if not _TEXT.fullmatch(text):
        raise ConfigurationError("Expected encryption keys such as rek_…, as retailos secrets new-key makes them.")
    return base64.urlsafe_b64decode(text.removeprefix(_PREFIX) + "=")


def _id(key: bytes) -> str:
    """What a key is called where it must not be seen; it can't be mistaken, since it is made of the key."""
    return hashlib.sha256(b"retailos key id\0" + key).hexdigest()[:_ID_DIGITS]


def _bound(owner: Owner, name: str, key_id: str) -> bytes:
    """What a sealed secret is bound to; no part holds a NUL, so two places never read alike."""
    return "\0".join((owner.table, owner.row, name, key_id)).encode()
