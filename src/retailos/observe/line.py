"""How an observation is written: only here it is decided what line it is, and whether anybody asked for it.

Lines are JSON on stderr, those of the libraries too. What happens thousands of times a second is *frequent*: it is
written only when asked for (`log_requests`, or the level debug), and costs a quarter of a microsecond when not.
"""

import dataclasses
import logging
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, TextIO

import msgspec

from retailos.observe.fault import describe

_RARE, _FREQUENT = logging.getLogger("retailos"), logging.getLogger("retailos.frequent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One happening worth a log line or a count."""

    level: ClassVar[int] = logging.INFO
    frequent: ClassVar[bool] = False


def emit(observation: Observation) -> None:
    """Write the observation as one line, if its level and its frequency are asked for."""
    log = _FREQUENT if observation.frequent else _RARE
    if log.isEnabledFor(observation.level):
        log.log(observation.level, observation)


def wanted(kind: type[Observation]) -> bool:
    """Tell whether such an observation would be written, for a hot path to ask before it builds one."""
    return (_FREQUENT if kind.frequent else _RARE).isEnabledFor(kind.level)


def configure(level: str = "info", stream: TextIO | None = None, *, frequent: bool = False) -> None:
    """Write JSON lines of `level` and above to `stream` (stderr), and the frequent ones if asked or at debug.

    Call it once as a process starts; a later call replaces the earlier one.
    """
    threshold = logging.getLevelNamesMapping()[level.upper()]
    output = logging.StreamHandler(stream or sys.stderr)
    output.setFormatter(_Lines())
    root = logging.getLogger()
    for earlier in [each for each in root.handlers if isinstance(each.formatter, _Lines)]:
        root.removeHandler(earlier)
    root.addHandler(output)
    root.setLevel(max(threshold, logging.WARNING))  # of the libraries, only what is wrong
    _RARE.setLevel(threshold)
    _FREQUENT.setLevel(threshold if frequent or threshold == logging.DEBUG else logging.CRITICAL)


class _Lines(logging.Formatter):
    """Makes JSON of our lines and of the libraries', whose errors are told by `describe` as well."""

    def format(self, record: logging.LogRecord) -> str:
        said = _observed(record.msg) if isinstance(record.msg, Observation) else _of_a_library(record)
        written = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
        line = {**said, "level": record.levelname.lower(), "timestamp": written.replace("+00:00", "Z")}
        return msgspec.json.encode(line, enc_hook=repr).decode()


def _observed(observation: Observation) -> dict[str, Any]:
    fields = {field.name: getattr(observation, field.name) for field in dataclasses.fields(observation)}
    return {**fields, "event": type(observation).__name__}


def _of_a_library(record: logging.LogRecord) -> dict[str, Any]:
    said: dict[str, Any] = {"event": record.getMessage(), "logger": record.name}
    if record.exc_info and record.exc_info[1]:
        said["error"] = describe(record.exc_info[1])
    return said
