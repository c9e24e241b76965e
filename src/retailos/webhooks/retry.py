"""When what failed is attempted again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

from retailos.declare.field import Field
from retailos.declare.texts import Choice
from retailos.declare.values import Boolean, Number
from retailos.errors import Problem

#: Doublings beyond this leave every retryDelayMax behind; without an end a long retryLimit would overflow.
_MOST_DOUBLINGS: Final = 62


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When a failed attempt is made again, in the guide's words (section 6); the defaults are the standard policy."""

    retry_limit: int = 5
    #: Seconds before the first retry.
    retry_delay: float = 120
    retry_backoff: bool = True
    #: Seconds that neither the doubling nor a Retry-After goes beyond.
    retry_delay_max: float = 21_600
    #: `any` failure, as in the guide, or only those that may pass by themselves.
    retry_on: Literal["any", "transient"] = "any"

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """Read it from a webhook's settings."""
        return cls(
            retry_limit=settings["retryLimit"],
            retry_delay=float(settings["retryDelay"]),
            retry_backoff=settings["retryBackoff"],
            retry_delay_max=float(settings["retryDelayMax"]),
            retry_on=settings["retryOn"],
        )

    def delay_before(self, retry_number: int, jitter: float = 0.0) -> float:
        """Seconds to wait before a retry, counted from 1; `jitter` is the share to add, from 0 to 0.1."""
        doublings = min(retry_number - 1, _MOST_DOUBLINGS) if self.retry_backoff else 0
        return min(self.retry_delay * 2.0**doublings, self.retry_delay_max) * (1 + jitter)

    def schedule(self) -> tuple[float, ...]:
        """The delay before each retry in seconds, without jitter, as it is shown to people."""
        return tuple(self.delay_before(number) for number in range(1, self.retry_limit + 1))


def retry_problems(values: Mapping[str, Any], body: Mapping[str, Any]) -> Iterator[Problem]:
    """A first delay that the longest one would shorten, where either is said anew."""
    delay, most = values["retryDelay"], values["retryDelayMax"]
    if delay > most and {"retryDelay", "retryDelayMax"} & body.keys():
        yield Problem("/retryDelay", "OUT_OF_RANGE", f"expected at most retryDelayMax, which is {most}, got {delay}")


_STANDARD: Final = RetryPolicy()
#: The words for it in a webhook.
FIELDS: Final = (
    Field(name="retryLimit", kind=Number(0, 1000), default=_STANDARD.retry_limit, nullable=False),
    Field(name="retryDelay", kind=Number(0, 604_800, places=3), default=_STANDARD.retry_delay, nullable=False),
    Field(name="retryBackoff", kind=Boolean(), default=_STANDARD.retry_backoff, nullable=False),
    Field(name="retryDelayMax", kind=Number(0, 604_800, places=3), default=_STANDARD.retry_delay_max, nullable=False),
    Field(name="retryOn", kind=Choice(words=("any", "transient")), default=_STANDARD.retry_on, nullable=False),
)
