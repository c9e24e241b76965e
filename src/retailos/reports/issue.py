"""An issue of a report: what had failed at a moment, counted, and what became of its mail."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

#: What becomes of an issue's mail: it is tried, it was taken for one recipient at the least, or it never was.
STATUSES = ("sending", "sent", "failed")


class FailureCount(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How much failed in one queue for one reason."""

    #: The webhook whose deliveries they are; None: they are upserts that were given up.
    webhook_id: int | None
    queue_name: str
    error_class: str
    count: int


class Issue(msgspec.Struct, frozen=True, kw_only=True):
    """An issue as it is kept; all but the last members stay as they were at its moment."""

    id: UUID
    report_id: int
    at: datetime
    counts: Sequence[FailureCount]
    #: How much failed in all.
    total: int
    #: Rows of its file, which are as many but where the file has a limit.
    rows: int
    status: str
    attempts: int
    recipients: Sequence[str]
    #: Who has it not yet, and may get it.
    waiting: Sequence[str]
    #: Who is not to get it, and what the mail server said to that.
    refused: Mapping[str, str]
    #: What went wrong at the last attempt; None while one is under way.
    error: str | None
    sent_at: datetime | None
