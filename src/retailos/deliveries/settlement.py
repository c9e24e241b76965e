"""Settlements: what became of each delivery that this process had claimed."""

from uuid import UUID

import msgspec

from retailos.deliveries.claim import Claim
from retailos.deliveries.outcome import Outcome
from retailos.exchanges.exchange import Reply


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A batch that was sent: what the attempts of its records have in common."""

    request_id: UUID
    url: str
    #: Records, and bytes of the body.
    size: int
    bytes: int
    reply: Reply
    warnings: tuple[str, ...]


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one claim; what was skipped had no request and got no reply."""

    claim: Claim
    version: int
    outcome: Outcome
    request_id: UUID | None = None
    url: str = ""
    reply: Reply | None = None
    #: The batch that it went out with, for the first of a batch alone, so that it is kept once.
    sent: Sent | None = None
