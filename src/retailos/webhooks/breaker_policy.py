"""A breaker policy: when a webhook's deliveries are held since nothing gets through, and how often a probe asks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from retailos.declare.field import Field
from retailos.declare.texts import Choice
from retailos.declare.values import Number


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    """When a webhook's breaker opens, and how often it asks whether it may close."""

    on: bool = True
    #: Requests in a row that come to nothing before it opens.
    failures: int = 20
    #: Seconds from one probe to the next.
    probe_seconds: float = 15

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Read it from a webhook's settings."""
        return cls(
            on=settings["breaker"] == "on",
            failures=settings["breakerFailures"],
            probe_seconds=float(settings["breakerProbe"]),
        )


_STANDARD: Final = BreakerPolicy()
#: The words for it in a webhook.
FIELDS: Final = (
    Field(name="breaker", kind=Choice(words=("on", "off")), default="on", nullable=False),
    Field(name="breakerFailures", kind=Number(1, 10_000), default=_STANDARD.failures, nullable=False),
    Field(name="breakerProbe", kind=Number(1, 3600, places=3), default=_STANDARD.probe_seconds, nullable=False),
)
