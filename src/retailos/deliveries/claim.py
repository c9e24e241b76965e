"""A claim: the right to send one delivery, until it is settled or its worker's lease runs out."""

from uuid import UUID

import msgspec

#: It was told that the record is none of those that it is told of any more.
LEFT = UUID(int=0)
#: It may have been told something that nobody knows to have arrived.
DOUBTFUL = UUID(int=1)
#: It was told that the record left, and since then something that nobody knows to have arrived.
RETURNING = UUID(int=2)


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
    #: Changes up to this version are behind it, where every change is sent.
    passed: int = 0
    #: What the receiver has been told, as a digest of what the webhook watches, or one of the words below.
    told: UUID | None = None
    #: The same, once what was read under this claim is acknowledged.
    tells: UUID | None = None
    #: When it was due, in seconds of the epoch by the database's clock; None: nobody asks.
    due_at: float | None = None

    @property
    def position(self) -> int:
        """The version behind which the next change is read, where every change is sent."""
        return max(self.acknowledged, self.passed)

    @property
    def known(self) -> bool:
        """Whether the receiver has the record, or may have it."""
        return self.told in (DOUBTFUL, RETURNING) or (self.acknowledged > 0 and self.told != LEFT)

    @property
    def left(self) -> bool:
        """Whether the receiver was told that the record left, and has acknowledged nothing of it since."""
        return self.told in (LEFT, RETURNING)

    @property
    def doubted(self) -> UUID:
        """What it has been told, once it may have been told what was read under this claim as well."""
        return RETURNING if self.left else DOUBTFUL
