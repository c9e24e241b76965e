"""A requeue policy: a webhook's failed deliveries are owed again by themselves, where what failed may have passed."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from retailos.declare.field import Field
from retailos.declare.values import Boolean, Number
from retailos.errors import Problem

#: More often than that nothing is owed again.
SECONDS_LEAST: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class RequeuePolicy:
    """How often what failed for a passing reason is owed again, beyond the retries of each delivery."""

    #: Seconds from one requeue to the next; 0: never.
    every_seconds: float = 0
    #: Also when the breaker closes, since something gets through again.
    on_recovery: bool = True

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Read it from a webhook's settings."""
        return cls(every_seconds=float(settings["requeueEvery"]), on_recovery=settings["requeueOnRecovery"])


def requeue_problems(values: Mapping[str, Any]) -> Iterator[Problem]:
    """A policy that would do nothing but look for what failed."""
    if 0 < values["requeueEvery"] < SECONDS_LEAST:
        yield Problem("/requeueEvery", "OUT_OF_RANGE", f"expected 0, which is never, or at least {SECONDS_LEAST}")


#: The kind of schedule that it is done by, with the webhook's id as the subject.
TICKS: Final = "requeue policy"
#: The words for it in a webhook.
FIELDS: Final = (
    Field(name="requeueEvery", kind=Number(0, 2_592_000, places=3), default=0, nullable=False),
    Field(name="requeueOnRecovery", kind=Boolean(), default=True, nullable=False),
)
