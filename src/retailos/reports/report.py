"""A report: the standing order to mail what has failed, of one webhook or of everything, and how it is declared."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, Self

from retailos.declare.field import CREATED_AT, UPDATED_AT, Field
from retailos.declare.kind import expected
from retailos.declare.object import read_object
from retailos.declare.shapes import ListOf
from retailos.declare.texts import TIME_ZONE, Text
from retailos.declare.values import Boolean, Number, Timestamp, printed
from retailos.errors import Problem
from retailos.reports import cadence
from retailos.reports.addresses import Address

#: More are a distribution list's business.
RECIPIENTS_MOST: Final = 50
DAILY: Final = "0 7 * * *"

#: What is kept as one value; the rest of a report is what others must find it by.
SETTINGS: Final[Mapping[str, Field]] = MappingProxyType(
    {
        each.name: each
        for each in (
            Field(name="cron", kind=Text(100, least=9, like=(DAILY,)), default=DAILY, nullable=False),
            Field(name="timeZone", kind=TIME_ZONE, default="UTC", nullable=False),
            Field(name="recipients", kind=ListOf(Address(), RECIPIENTS_MOST), required=True, nullable=False),
            Field(name="sendEmpty", kind=Boolean(), default=True, nullable=False),
        )
    }
)
FIELDS: Final[Mapping[str, Field]] = MappingProxyType(
    {
        each.name: each
        for each in (
            Field(name="id", kind=Number(1, 2**31 - 1), read_only=True, nullable=False),
            Field(name="name", kind=Text(100, least=1, like=("daily",)), required=True, nullable=False),
            Field(name="webhook", kind=Number(1, 2**31 - 1)),
            *SETTINGS.values(),
            Field(name="active", kind=Boolean(), default=True, nullable=False),
            Field(name="nextAt", kind=Timestamp(), read_only=True),
            CREATED_AT,
            UPDATED_AT,
        )
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report as it is saved and obeyed."""

    id: int
    name: str
    #: The webhook whose failures it tells of; None: those of all, and upserts that were given up.
    webhook_id: int | None
    settings: Mapping[str, Any]
    active: bool
    #: When it is due next; None: not at all, as things stand.
    next_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, *, settings: Mapping[str, Any], **known: Any) -> Self:
        """Make it of its settings, those that are younger than it at their defaults, and of what else is known."""
        return cls(settings={name: each.default for name, each in SETTINGS.items()} | dict(settings), **known)

    @property
    def time_zone(self) -> str:
        """The time zone that its moments are told in."""
        return str(self.settings["timeZone"])

    @property
    def recipients(self) -> Sequence[str]:
        """Whom it goes to."""
        return tuple(self.settings["recipients"])

    @property
    def sends_empty(self) -> bool:
        """Whether it is sent where nothing has failed."""
        return bool(self.settings["sendEmpty"])

    def next_after(self, moment: datetime) -> datetime:
        """When it is due next behind a moment, in UTC."""
        return cadence.next_after(self.settings["cron"], self.time_zone, moment)


def said(report: Report) -> dict[str, Any]:
    """A report as a request's body would say it."""
    return {"name": report.name, "webhook": report.webhook_id, **report.settings, "active": report.active}


def shown(report: Report) -> dict[str, Any]:
    """A report as it is shown: its members in the declared order."""
    known = said(report) | {
        "id": report.id,
        "nextAt": report.next_at and printed(report.next_at),
        "createdAt": printed(report.created_at),
        "updatedAt": printed(report.updated_at),
    }
    return {name: known[name] for name in FIELDS}


def read_report(
    body: Any, now: datetime, kept: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], list[Problem]]:
    """Read a report from a request's body, over what is `kept` of it where it exists; give it and every problem."""
    if type(body) is not dict:
        return {}, [expected("an object with the fields of a report", body, "")]
    values, problems = read_object(FIELDS, "report", dict(kept or {}) | body)
    wrong = {f"/{problem.path[1:].split('/')[0]}" for problem in problems}
    if "/name" not in wrong and not values["name"].isprintable():
        problems.append(Problem("/name", "INVALID_NAME", "expected a name of printable characters"))
    if "/recipients" not in wrong:
        values["recipients"] = list(dict.fromkeys(values["recipients"]))
        if not values["recipients"]:
            problems.append(Problem("/recipients", "TOO_FEW", "expected at least one address"))
    if not wrong & {"/cron", "/timeZone"}:
        problems.extend(cadence.problems(values["cron"], values["timeZone"], now))
    return values, problems
