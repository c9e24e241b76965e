"""How an observation is written: only here it is decided what line it is, and whether anybody asked for it.

Lines are JSON on stderr, those of the libraries too. What happens thousands of times a second is *frequent*: it is
written only when asked for (`log_requests`, or the level debug), and costs a quarter of a microsecond when not.
"""

import dataclasses
import logging
import sys
from dataclasses import dataclass
from typing import ClassVar, Final, TextIO

import msgspec
import structlog

from retailos.observe.fault import describe

_RARE, _FREQUENT = logging.getLogger("retailos"), logging.getLogger("retailos.frequent")
_STAMPS: Final = (structlog.stdlib.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True))
_STEPS: Final = (*_STAMPS, structlog.stdlib.ProcessorFormatter.wrap_for_formatter)


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
