"""Ids made here: UUID version 7 (RFC 9562), so that ids sort by the time they were made."""

import os
import time
from uuid import UUID


def new_id() -> UUID:
    """Make an id: 48 bits of milliseconds, then 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    noise = int.from_bytes(os.urandom(10))
    upper = (milliseconds << 16) | 0x7000 | (noise >> 68)
    lower = (0b10 << 62) | (noise & ((1 << 62) - 1))
    return UUID(int=(upper << 64) | lower)
