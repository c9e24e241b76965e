"""What is said of deliveries: sent, skipped, held and found, and of the webhooks and workers that they wait for."""

import logging
from dataclasses import dataclass
from typing import ClassVar

from retailos.observe.line import Observation


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
