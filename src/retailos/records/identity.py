"""Ids made here: UUID version 7 (RFC 9562), so that ids sort by the time they were made."""

import time
from random import getrandbits
from uuid import UUID

from asyncpg.pgproto import pgproto


def new_id() -> UUID:
    """Make an id: 48 bits of milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    # Ids are no secrets: a generator that each process seeds from the system's noise asks the system no more.
    upper = (milliseconds << 16) | 0x7000 | getrandbits(12)
    lower = (0b10 << 62) | getrandbits(62)
    # The driver's kind of UUID, such as it gives for ids that it reads: it is made, printed and sent in C.
    made: UUID = pgproto.UUID(((upper << 64) | lower).to_bytes(16, "big"))
    return made
