"""A webhook's breaker: when nothing gets through to its receiver, deliveries are held, and a probe asks now and then.

Open, as with a switch, is when nothing flows. What stands here only thinks; the state that all workers share is kept by
`sending.gate`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from retailos.deliveries.outcome import Blame, Failed, Held, Outcome, Retry, Skipped
from retailos.exchanges.exchange import ErrorClass

#: After it has closed, the requests at once double every second, from one.
_MOST_DOUBLINGS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """A breaker as the database told it; seconds count from then, by the database's clock."""

    #: Requests that came to nothing since the last one that got through.
    failures: int = 0
    #: Seconds until the next probe; None: it is closed.
    probe_seconds: float | None = None
    #: Seconds since it closed; None: it never was open.
    closed_seconds: float | None = None

    @property
    def open(self) -> bool:
        """Whether deliveries are held."""
        return self.probe_seconds is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """What some answers say of the receiver: whether any request got through, and how many since then did not."""

    failures: int = 0
    passed: bool = False


def noted(answered: Iterable[tuple[UUID | None, Outcome]]) -> Noted:
    """Read outcomes, each with its request, in their order; a request counts once, what was not sent tells nothing."""
    through: dict[UUID | None, bool] = {}
    for request_id, outcome in answered:
        verdict = got_through(outcome)
        if verdict is not None:
            through[request_id] = verdict or through.get(request_id, False)
    failures = 0
    for passed in through.values():
        failures = 0 if passed else failures + 1
    return Noted(failures=failures, passed=any(through.values()))


def got_through(outcome: Outcome) -> bool | None:
    """Whether a request reached a receiver that works; None: it tells nothing of that."""
    match outcome:
        case Skipped():
            return None
        case Retry() | Failed() | Held() if outcome.error_class is ErrorClass.INVALID_REQUEST:
            return None
        case Retry() | Failed() | Held():
            return outcome.blame is not Blame.RECEIVER
        case _:
            return True


def spared(outcome: Outcome, *, held: bool) -> Outcome:
    """What becomes of a delivery: what comes to nothing while deliveries are `held`, or is gone, counts no attempt."""
    match outcome:
        case Retry() | Failed() if outcome.blame is Blame.GONE or (held and outcome.blame is Blame.RECEIVER):
            return Held(
                error_class=outcome.error_class,
                blame=outcome.blame,
                ambiguous=outcome.ambiguous,
                # Who is gone says so of all, and whoever resumes the webhook knows better.
                after_seconds=0.0 if outcome.blame is Blame.GONE else outcome.asked_seconds,
            )
        case _:
            return outcome


def allowed(breaker: Breaker, most: int, elapsed_seconds: float) -> int:
    """How many requests may be under way at once, of `most`, so many seconds after the breaker's state was told."""
    if breaker.open:
        return 0
    if breaker.closed_seconds is None:
        return most
    doublings = min(int(breaker.closed_seconds + elapsed_seconds), _MOST_DOUBLINGS)
    return min(most, 1 << max(doublings, 0))
