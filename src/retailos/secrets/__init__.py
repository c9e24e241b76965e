"""Secrets that are saved to be used: kept in the database, and never in clear; only keys outside of it open them."""

from retailos.secrets.ring import NO_KEY, NO_RING, Locked, Owner, Ring, new_key, read_ring
from retailos.secrets.store import FIRST, Place, count_by_key, forget, keep, openable, opened, reseal

__all__ = (
    "FIRST",
    "NO_KEY",
    "NO_RING",
    "Locked",
    "Owner",
    "Place",
    "Ring",
    "count_by_key",
    "forget",
    "keep",
    "new_key",
    "openable",
    "opened",
    "read_ring",
    "reseal",
)
