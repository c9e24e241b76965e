"""What a write asks for and what came of it: drafts, wants and the outcome of an upsert."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec

from retailos.errors import Problem


class Outcome(StrEnum):
    """What an upsert did to its record."""

    CREATED = "created"
    UPDATED = "updated"
    UNDELETED = "undeleted"
    #: The record was like this already: nothing changed, nothing is owed.
    UNCHANGED = "unchanged"
    #: The record was merged into another, which was updated instead, or was like that already.
    REDIRECTED = "redirected"
    #: The record is newer at its source than what was sent: nothing changed.
    STALE = "stale"
    #: The record is a tombstone now; reading it says that there is none.
    DELETED = "deleted"
    #: A record with this external id exists and only a new one was wanted: nothing changed.
    EXISTS = "exists"
    #: The external id that follows from the record's natural key is that of a record with another: nothing changed.
    TAKEN = "taken"
    #: The record is written once, and was written otherwise: nothing changed.
    FINAL = "final"
    #: It waits for records that it refers to: nothing changed yet.
    PARKED = "parked"
    #: It would have to wait, and one of the same record that is newer at its source waits already: nothing changed.
    SUPERSEDED = "superseded"


class OnUnresolved(StrEnum):
    """What is done with an upsert that refers to a record which is not there."""

    #: It waits for the record, if it names it by its external id.
    PARK = "park"
    #: It is refused.
    REJECT = "reject"
    #: The reference is cleared, and the caller warned.
    NULL = "null"


class Want(msgspec.Struct, frozen=True, kw_only=True):
    """A reference of a draft that must be found: by id, by external id, or, where both were sent, by both alike."""

    #: The reference's name, `registeredAt`.
    reference: str
    #: Where it stands in the request, as a JSON pointer.
    at: str
    id: UUID | None = None
    external_id: str | None = None
    #: The array and the position of the item that it is a reference of; None: it is one of the record's own.
    item: tuple[str, int] | None = None


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """One record as a caller wants it, checked: what is absent from `patch` is kept as it is."""

    #: None: the record takes its own id as its external id.
    external_id: str | None
    #: Nobody sent the external id: the record is the one with the draft's natural key, whatever it is called.
    by_key: bool = False
    patch: dict[str, Any]
    #: Of a merge patch (RFC 7396): the objects to be merged into those of the record, by field, as they were sent.
    parts: dict[str, Any] = msgspec.field(default_factory=dict)
    wants: tuple[Want, ...] = ()
    #: The id that the body claims the record to have.
    claimed_id: UUID | None = None
    source_updated_at: datetime | None = None
    #: Where the record stands in the request: "" or "/customer".
    at: str = ""
    on_unresolved: OnUnresolved = OnUnresolved.REJECT
    #: What is odd about it and was taken all the same.
    warnings: tuple[Problem, ...] = ()


class Awaited(msgspec.Struct, frozen=True, kw_only=True):
    """A record that an upsert waits for, and the reference that names it, as a JSON pointer into the request."""

    path: str
    resource: str
    external_id: str


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one upsert: the job that stands for it, the record and its version (0 while it is parked)."""

    job_id: UUID
    external_id: str
    record_id: UUID
    version: int
    outcome: Outcome
    #: When the job was made and completed, by the database's clock.
    at: datetime
    #: What a parked upsert waits for.
    awaits: tuple[Awaited, ...] = ()
    #: What was done otherwise than it was asked for.
    warnings: tuple[Problem, ...] = ()
