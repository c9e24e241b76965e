"""A claim: the right to send one delivery, until it is settled or its worker's lease runs out."""

from uuid import UUID

import msgspec


class Claim(msgspec.Struct, frozen=True):
    """A delivery that this process may send, until it settles it or its lease runs out."""

    record_id: UUID
    token: UUID
    #: Which attempt of this cycle it is, from 1.
    attempt: int
    #: The version that the receiver acknowledged last; 0: none.
    acknowledged: int
    #: It is to be sent even where the receiver has acknowledged this version.
    again: bool = False
    #: When it was due, in seconds of the epoch by the database's clock; None: nobody asks.
    due_at: float | None = None
