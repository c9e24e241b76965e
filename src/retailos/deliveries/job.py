"""A delivery as a job, as the guide speaks of it: what it is called, and where it stands."""

from collections.abc import Mapping
from hashlib import blake2b
from types import MappingProxyType
from typing import Final
from uuid import UUID

#: The bits of a UUID that are free whatever its version, RFC 9562: those behind the variant.
_FREE_BITS: Final = (1 << 62) - 1
#: What a delivery's status is called where jobs are looked up.
JOB_STATUSES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "owed": "queued",
        "sending": "active",
        "retrying": "retrying",
        "confirming": "completed",
        "delivered": "completed",
        "skipped": "completed",
        "failed": "failed",
        "dismissed": "cancelled",
    }
)


def job_id(webhook_id: int, record_id: UUID) -> UUID:
    """What the job is called that tells a webhook of a record: always the same, and no other's.

    The webhook is mixed into the record's id, so that no table has to know it, and the same mixing gives the record
    again: `record_of`.
    """
    mixed = blake2b(webhook_id.to_bytes(8, "big"), digest_size=8).digest()
    return UUID(int=record_id.int ^ (int.from_bytes(mixed, "big") & _FREE_BITS))


def record_of(webhook_id: int, job: UUID) -> UUID:
    """The record that a job would be about, if it were this webhook's."""
    return job_id(webhook_id, job)
