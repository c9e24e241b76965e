"""What is said of a process: that it serves, stops, and reaches its database, or does not."""

import logging
from dataclasses import dataclass
from typing import ClassVar

from retailos.observe.line import Observation


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
class DatabaseLost(Observation):
    """The database can't be reached; requests get 503 until it is back."""

    level: ClassVar[int] = logging.ERROR
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseBack(Observation):
    """The database answers again after so many seconds."""

    level: ClassVar[int] = logging.WARNING
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DefectFound(Observation):
    """The program is at fault: error is the kind and place as `describe` tells them, without personal values."""

    level: ClassVar[int] = logging.ERROR

    request_id: str
    error: str
