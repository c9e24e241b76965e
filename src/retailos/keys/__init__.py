"""API keys: how they are written down, made, recognised, rotated and taken away."""

from retailos.keys.key import ADMIN, ANY_VERB, ANY_WRITE, DEFAULT_SCOPES, REQUEUE, Key, ListedKey, NewKey
from retailos.keys.ring import KeyRing
from retailos.keys.store import change, create, listed, revoke, rotate, shown

__all__ = (
    "ADMIN",
    "ANY_VERB",
    "ANY_WRITE",
    "DEFAULT_SCOPES",
    "REQUEUE",
    "Key",
    "KeyRing",
    "ListedKey",
    "NewKey",
    "change",
    "create",
    "listed",
    "revoke",
    "rotate",
    "shown",
)
