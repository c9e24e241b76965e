"""Which deliveries an operator means: how that is said in a request, and kept for as long as an operation runs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Self
from uuid import UUID

from retailos.declare.field import Field
from retailos.declare.shapes import ListOf
from retailos.declare.texts import Choice, Text
from retailos.declare.values import Number, Timestamp, Uuid, moment
from retailos.errors import Problem
from retailos.exchanges.exchange import ErrorClass

#: Records that one request can name; whoever means more says which by the other fields.
RECORDS_MOST: Final = 1_000
#: An HTTP status has three digits.
HTTP_STATUS_MOST: Final = 999
HTTP_STATUSES_MOST: Final = 100
ERROR_CLASSES: Final = tuple(each.value for each in ErrorClass)
_CLASS: Final = Choice(words=ERROR_CLASSES)

#: The words for it in a request; each absent one stands for any.
FIELDS: Final[Mapping[str, Field]] = MappingProxyType(
    {
        each.name: each
        for each in (
            Field(name="since", kind=Timestamp()),
            Field(name="until", kind=Timestamp()),
            Field(name="errorClasses", kind=ListOf(_CLASS, len(ERROR_CLASSES))),
            Field(name="httpStatuses", kind=ListOf(Number(100, HTTP_STATUS_MOST), HTTP_STATUSES_MOST)),
            Field(name="recordIds", kind=ListOf(Uuid(), RECORDS_MOST)),
            Field(name="externalIds", kind=ListOf(Text(255, least=1), RECORDS_MOST)),
        )
    }
)


def selection_problems(said: Mapping[str, Any]) -> Iterator[Problem]:
    """A range of time, checked by FIELDS, in which nothing can be."""
    since, until = said.get("since"), said.get("until")
    if since is not None and until is not None and moment(until) <= moment(since):
        yield Problem("/until", "OUT_OF_RANGE", "expected a moment after since")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Deliveries of a webhook by their state, when they came to be so, why, and whose they are; None stands for any."""

    status: str = "failed"
    #: Not before this moment, and before that one.
    since: datetime | None = None
    until: datetime | None = None
    error_classes: tuple[str, ...] | None = None
    #: With what their last attempts were answered.
    http_statuses: tuple[int, ...] | None = None
    record_ids: tuple[UUID, ...] | None = None

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Self:
        """Read it from what was checked by FIELDS, or kept by `said`."""
        since, until, records = said.get("since"), said.get("until"), said.get("recordIds")
        classes, statuses = said.get("errorClasses"), said.get("httpStatuses")
        return cls(
            status=said.get("status") or "failed",
            since=None if since is None else moment(since),
            until=None if until is None else moment(until),
            error_classes=None if classes is None else tuple(classes),
            http_statuses=None if statuses is None else tuple(statuses),
            record_ids=None if records is None else tuple(map(UUID, records)),
        )

    def until_began(self, created_at: datetime) -> datetime:
        """The moment that bounds it once an operation has begun: what fails afterwards is none of it."""
        began = created_at + timedelta(milliseconds=1)
        return began if self.until is None else min(self.until, began)
