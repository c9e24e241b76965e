"""A breaker decides from answers alone: what counts, what is spared, and how fast sending goes on afterwards."""

from uuid import UUID, uuid4

import pytest

from retailos.deliveries.breaker import Breaker, Noted, allowed, noted, spared
from retailos.deliveries.outcome import Blame, Delivered, Failed, Held, Outcome, Retry, Skipped
from retailos.exchanges.exchange import ErrorClass
from retailos.webhooks.breaker_policy import FIELDS, BreakerPolicy

DELIVERED = Delivered()
SKIPPED = Skipped(acknowledged=False)
LATER = Retry(after_seconds=1, error_class=ErrorClass.HTTP_5XX, blame=Blame.RECEIVER)
NEVER = Failed(error_class=ErrorClass.TIMEOUT, blame=Blame.RECEIVER, ambiguous=True)
HELD = Held(error_class=ErrorClass.HTTP_5XX, blame=Blame.RECEIVER)
REFUSED = Failed(error_class=ErrorClass.HTTP_4XX, blame=Blame.RECORD)
GONE = Retry(after_seconds=1, error_class=ErrorClass.HTTP_4XX, blame=Blame.GONE)
UNSENT = Failed(error_class=ErrorClass.INVALID_REQUEST, blame=Blame.RECORD)


def each_alone(*outcomes: Outcome) -> list[tuple[UUID | None, Outcome]]:
    """Each outcome of a request of its own."""
    return [(uuid4(), each) for each in outcomes]


@pytest.mark.parametrize(
    ("outcomes", "failures", "passed"),
    [
        ((), 0, False),
        ((DELIVERED,), 0, True),
        ((LATER, NEVER, HELD), 3, False),
        ((LATER, DELIVERED, NEVER), 1, True),
        ((LATER, NEVER, DELIVERED), 0, True),
        ((LATER, REFUSED), 0, True),
        ((LATER, GONE), 0, True),
        ((LATER, SKIPPED, UNSENT), 1, False),
        ((SKIPPED, UNSENT), 0, False),
    ],
)
def test_failures_in_a_row_are_counted(outcomes: tuple[Outcome, ...], failures: int, passed: bool) -> None:
    """What comes to nothing through the receiver counts, any answer of its own ends the row, what is unsent is none."""
    assert noted(each_alone(*outcomes)) == Noted(failures=failures, passed=passed)


def test_a_request_counts_once() -> None:
    """A batch of a hundred deliveries that all came to nothing is one failure, and one that was told apart is none."""
    one, other = uuid4(), uuid4()
    assert noted([(one, LATER)] * 100 + [(other, NEVER)] * 100) == Noted(failures=2, passed=False)
    assert noted([(one, LATER), (one, REFUSED), (one, LATER)]) == Noted(failures=0, passed=True)


@pytest.mark.parametrize("outcome", [LATER, NEVER])
def test_what_fails_while_nothing_gets_through_is_spared(outcome: Retry | Failed) -> None:
    """While deliveries are held an attempt is not counted, and its doubt is kept; otherwise it is what it is."""
    kept = Held(error_class=outcome.error_class, blame=Blame.RECEIVER, ambiguous=outcome.ambiguous)
    assert spared(outcome, held=True) == kept
    assert spared(outcome, held=False) == outcome


@pytest.mark.parametrize("outcome", [DELIVERED, REFUSED, SKIPPED, UNSENT])
def test_what_the_receiver_decided_is_not_spared(outcome: Outcome) -> None:
    """A refusal of a record is a refusal, be the breaker open or not."""
    assert spared(outcome, held=True) == spared(outcome, held=False) == outcome


def test_what_is_gone_is_kept() -> None:
    """A 410 pauses the webhook, so that it counts as no attempt of the delivery."""
    assert spared(GONE, held=False) == Held(error_class=ErrorClass.HTTP_4XX, blame=Blame.GONE)


def test_sending_ramps_up() -> None:
    """Nothing while it is open; then one request at once, twice as many each second, up to what there may be."""
    assert allowed(Breaker(failures=20, probe_seconds=3.0), 16, 100.0) == 0
    assert allowed(Breaker(failures=19), 16, 0.0) == 16
    ramp = [allowed(Breaker(closed_seconds=0.5), 16, elapsed) for elapsed in (0.0, 0.6, 1.6, 2.6, 3.6, 4.6)]
    assert ramp == [1, 2, 4, 8, 16, 16]
    assert allowed(Breaker(closed_seconds=1e9), 256, 0.0) == 256
    assert allowed(Breaker(closed_seconds=0.0), 0, 9.0) == 0


def test_the_standard_breaker() -> None:
    """Twenty failures in a row open it, and it is probed every fifteen seconds, unless the webhook says otherwise."""
    told = {each.name: each.default for each in FIELDS}
    assert told == {"breaker": "on", "breakerFailures": 20, "breakerProbe": 15.0}
    assert BreakerPolicy.of(told) == BreakerPolicy(on=True, failures=20, probe_seconds=15.0)
    assert not BreakerPolicy.of(told | {"breaker": "off"}).on
