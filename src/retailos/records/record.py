"""What a write asks for and what came of it: drafts, wants and the outcome of an upsert."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from retailos.errors import Problem


class Outcome(StrEnum):
    """What an upsert did to its record."""

    CREATED = "created"
    UPDATED = "updated"
    UNDELETED = "undeleted"
    #: The record was like this already: nothing changed, nothing is owed.
    UNCHANGED = "unchanged"
    #: The record is newer at its source than what was sent: nothing changed.
    STALE = "stale"
    #: The record is a tombstone now; reading it says that there is none.
    DELETED = "deleted"
    #: A record with this external id exists and only a new one was wanted: nothing changed.
    EXISTS = "exists"
    #: The record is written once, and was written otherwise: nothing changed.
    FINAL = "final"


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """A reference of a draft that must be found: by id, by external id, or, where both were sent, by both alike."""

    #: The reference's name, `registeredAt`.
    reference: str
    #: Where it stands in the request, as a JSON pointer.
    at: str
    id: UUID | None = None
    external_id: str | None = None
    #: The array and the position of the item that it is a reference of; None: it is one of the record's own.
    item: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One record as a caller wants it, checked: what is absent from `patch` is kept as it is."""

    #: None: the record takes its own id as its external id.
    external_id: str | None
    patch: dict[str, Any]
    wants: tuple[Want, ...] = ()
    #: The id that the body claims the record to have.
    claimed_id: UUID | None = None
    source_updated_at: datetime | None = None
    #: Where the record stands in the request: "" or "/customer".
    at: str = ""
    #: What is odd about it and was taken all the same.
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What came of one upsert: the job that stands for it, the record and its version."""

    job_id: UUID
    external_id: str
    record_id: UUID
    version: int
    outcome: Outcome
    #: When the job was made and completed, by the database's clock.
    at: datetime
    warnings: tuple[Problem, ...] = ()
