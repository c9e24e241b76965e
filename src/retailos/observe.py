"""What happened, said once: code emits an observation, and only this file decides its level and its line.

Lines are JSON on stderr, those of the libraries too. What happens thousands of times a second is *frequent*: it is
written only when asked for (`log_requests`, or the level debug), and costs a quarter of a microsecond when not.
"""

import dataclasses
import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, TextIO

import msgspec
import structlog

_RARE, _FREQUENT = logging.getLogger("retailos"), logging.getLogger("retailos.frequent")
_PACKAGE: Final = Path(__file__).parent
_STAMPS: Final = (structlog.stdlib.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True))
_STEPS: Final = (*_STAMPS, structlog.stdlib.ProcessorFormatter.wrap_for_formatter)
_FRAMES_SHOWN: Final = 5  # enough to tell the caller's caller; more is for a debugger


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One happening worth a log line or a count."""

    level: ClassVar[int] = logging.INFO
    frequent: ClassVar[bool] = False


def emit(observation: Observation) -> None:
    """Write the observation as one line, if its level and its frequency are asked for."""
    log = _FREQUENT if observation.frequent else _RARE
    if log.isEnabledFor(observation.level):
        fields = {field.name: getattr(observation, field.name) for field in dataclasses.fields(observation)}
        line = structlog.stdlib.BoundLogger(log, _STEPS, {})  # the standard logger keeps the level, nothing here has to
        line.log(observation.level, type(observation).__name__, **fields)


def wanted(kind: type[Observation]) -> bool:
    """Tell whether such an observation would be written, for a hot path to ask before it builds one."""
    return (_FREQUENT if kind.frequent else _RARE).isEnabledFor(kind.level)


def configure(level: str = "info", stream: TextIO | None = None, *, frequent: bool = False) -> None:
    """Write JSON lines of `level` and above to `stream` (stderr), and the frequent ones if asked or at debug.

    Call it once as a process starts; a later call replaces the earlier one.
    """
    threshold = logging.getLevelNamesMapping()[level.upper()]
    output = logging.StreamHandler(stream or sys.stderr)
    output.setFormatter(_json())
    root = logging.getLogger()
    for earlier in [each for each in root.handlers if isinstance(each.formatter, structlog.stdlib.ProcessorFormatter)]:
        root.removeHandler(earlier)
    root.addHandler(output)
    root.setLevel(max(threshold, logging.WARNING))  # of the libraries, only what is wrong
    _RARE.setLevel(threshold)
    _FREQUENT.setLevel(threshold if frequent or threshold == logging.DEBUG else logging.CRITICAL)


def describe(error: BaseException) -> str:
    """Say what kind of error it is and where it arose, innermost first, without its message.

    The message is left out because it may quote a personal value: `KeyError at records/body.py:40 in read <
    api/endpoints.py:81 in upsert; caused by …`.
    """
    places = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{_short(code.co_filename)}:{trace.tb_lineno} in {code.co_name}")
        trace = trace.tb_next
    said = type(error).__qualname__
    if places:
        said += " at " + " < ".join(places[: -_FRAMES_SHOWN - 1 : -1])
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return f"{said}; caused by {type(cause).__qualname__}" if cause else said


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(Observation):
    """A process serves its role; address is where, or empty for a role that nobody connects to."""

    role: str
    address: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping(Observation):
    """A process was asked to stop, takes nothing new and finishes what it holds."""

    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRestarted(Observation):
    """A process ended unasked, and another was started for its role."""

    level: ClassVar[int] = logging.ERROR

    role: str
    exit_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedInClear(Observation):
    """The API listens beyond this machine without TLS and behind no trusted proxy, so keys can be read on the way."""

    level: ClassVar[int] = logging.WARNING

    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRead(Observation):
    """The certificate's files had changed, and new connections get what is in them now."""

    certificate: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRefused(Observation):
    """The certificate's files have changed and can't be used; new connections get the certificate from before."""

    level: ClassVar[int] = logging.ERROR

    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationsApplied(Observation):
    """The schema was brought up to date by these migrations."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestAnswered(Observation):
    """A request was answered; route is its template, so that no external id reaches the log."""

    frequent: ClassVar[bool] = True

    method: str
    route: str
    status: int
    milliseconds: float
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRefusedByProtocol(Observation):
    """What came was not HTTP that the server understands, so no route has seen it."""

    frequent: ClassVar[bool] = True

    status: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DefectFound(Observation):
    """The program is at fault: error is the kind and place as `describe` tells them, without personal values."""

    level: ClassVar[int] = logging.ERROR

    request_id: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptSettled(Observation):
    """A webhook was sent a record; status is None if no answer came, error_class None if all went well."""

    frequent: ClassVar[bool] = True

    webhook: str
    delivery: str
    attempt: int
    status: int | None
    outcome: str
    error_class: str | None
    milliseconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySkipped(Observation):
    """A webhook was not sent a version of a record, since it is not concerned: `filtered`, `unchanged` or an `echo`."""

    frequent: ClassVar[bool] = True

    webhook: str
    delivery: str
    version: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePassedOver(Observation):
    """A change failed for good, and the webhook, which sends every change, goes on with the next."""

    level: ClassVar[int] = logging.WARNING

    webhook: str
    delivery: str
    version: int
    error_class: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStarted(Observation):
    """A worker took its lease and claims deliveries."""

    worker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimsRescued(Observation):
    """A worker's lease ran out, and what it had claimed is owed again."""

    level: ClassVar[int] = logging.WARNING
    worker: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveriesFound(Observation):
    """The sweep found deliveries that nobody would have made, by a defect or a write past the program; now they are."""

    level: ClassVar[int] = logging.WARNING

    count: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerOpened(Observation):
    """So many requests of a webhook in a row came to nothing; its deliveries are held, and probed now and then."""

    level: ClassVar[int] = logging.ERROR

    webhook: str
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerClosed(Observation):
    """A webhook's requests get through again after so many seconds."""

    level: ClassVar[int] = logging.WARNING

    webhook: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookGone(Observation):
    """A receiver answered 410, so that its webhook was paused; somebody has to resume it, or take it away."""

    level: ClassVar[int] = logging.ERROR

    webhook: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookLocked(Observation):
    """A webhook's credentials can't be opened, so nothing is sent to it; what it is owed is kept until they can be."""

    level: ClassVar[int] = logging.ERROR
    webhook: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateExpiring(Observation):
    """A certificate of a webhook ends soon, or has ended: afterwards nothing reaches its receiver; told once a day."""

    level: ClassVar[int] = logging.WARNING
    webhook: str
    expires_at: str


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


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseLost(Observation):
    """The database can't be reached; requests get 503 until it is back."""

    level: ClassVar[int] = logging.ERROR
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseBack(Observation):
    """The database answers again after so many seconds."""

    level: ClassVar[int] = logging.WARNING
    seconds: float


OBSERVATIONS: Final[tuple[type[Observation], ...]] = (
    *(Started, Stopping, ProcessRestarted, ServedInClear, CertificateRead, CertificateRefused, MigrationsApplied),
    *(RequestAnswered, RequestRefusedByProtocol, DefectFound, AttemptSettled, DeliverySkipped, ChangePassedOver),
    *(WorkerStarted, ClaimsRescued, DeliveriesFound, BreakerOpened, BreakerClosed, WebhookGone, WebhookLocked),
    *(CertificateExpiring, ImportEnded, OperationEnded, UpsertsExpired, ReportSent, ReportNotSent, DatabaseLost),
    DatabaseBack,
)


def reference() -> str:
    """Write the page of all observations, as Markdown; `make docs` puts it into docs/observations.md."""
    rows = []
    for kind in OBSERVATIONS:
        level = logging.getLevelName(kind.level).lower() + (", frequent" if kind.frequent else "")
        fields = ", ".join(f"`{field.name}`" for field in dataclasses.fields(kind))
        rows.append(f"| `{kind.__name__}` | {level} | {' '.join((kind.__doc__ or '').split())} | {fields} |")
    return _PAGE + "\n".join(rows) + "\n"


_PAGE: Final = """\
# Observations

What the program says while it runs: one JSON line each on stderr, with `event`, `level`, `timestamp` and the fields
below. *Frequent* ones are written with `RETAILOS_LOG_REQUESTS=true` or at the level debug only. None carries a personal
value.

| event | level | when | fields |
| --- | --- | --- | --- |
"""


def _json() -> logging.Formatter:
    """Make JSON of our lines and of the libraries', whose errors are told by `describe` as well."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_STAMPS, structlog.stdlib.add_logger_name, _without_message],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _render],
    )


def _without_message(_log: object, _name: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
    caught = line.pop("exc_info", None)
    if isinstance(caught, tuple) and caught[1] is not None:
        line["error"] = describe(caught[1])
    return line


def _render(_log: object, _name: str, line: structlog.typing.EventDict) -> str:
    return msgspec.json.encode(line, enc_hook=repr).decode()


def _short(filename: str) -> str:
    """Shorten a path to what tells the place: within the package, or the last two parts of a library's."""
    path = Path(filename)
    return str(path.relative_to(_PACKAGE)) if path.is_relative_to(_PACKAGE) else "/".join(path.parts[-2:])
