"""What is said of work that goes on behind an answer: imports, operations, upserts that wait, and reports."""

import logging
from dataclasses import dataclass
from typing import ClassVar

from retailos.observe.line import Observation


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportEnded(Observation):
    """An import was applied to its end, or was stopped."""

    import_id: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationEnded(Observation):
    """An operation, such as a requeue, has come to its end; done is how many deliveries it was about."""

    operation: str
    kind: str
    status: str
    done: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsertsExpired(Observation):
    """So many upserts waited too long for records that they refer to; their jobs failed and can be requeued."""

    level: ClassVar[int] = logging.WARNING
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSent(Observation):
    """The mail server took the mail of a report's issue, which tells of so many failures."""

    report: int
    issue: str
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportNotSent(Observation):
    """The mail of a report's issue was not taken, or not for everybody; it is tried again, or given up."""

    level: ClassVar[int] = logging.ERROR

    report: int
    issue: str
    error: str
    again: bool
