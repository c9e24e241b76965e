"""How much an operation owes at a time: what a change finds before itself stays little, whatever the receiver takes."""

import pytest

from retailos.stints.feeding import AHEAD_FIRST, AHEAD_LEAST, AHEAD_MOST, STALLED_SECONDS, STEP_MOST, feed


def simulated(taken_a_step: int, steps: int = 600, rate: float | None = None) -> list[tuple[int, int]]:
    """What waits before each step and what it adds, at a receiver that takes so much between two steps."""
    ahead, waiting, told = AHEAD_FIRST, 0, []
    for _ in range(steps):
        fed = feed(ahead, waiting, rate)
        told.append((waiting, fed.take))
        ahead, waiting = fed.ahead, max(waiting + fed.take - taken_a_step, 0)
    return told


@pytest.mark.parametrize("taken", [1, 10, 100, 900])
def test_a_change_waits_for_what_is_sent_in_some_steps(taken: int) -> None:
    """However fast or slow the receiver is, little more waits than it takes in a moment, and it never runs dry."""
    later = simulated(taken)[300:]
    assert max(waiting for waiting, _ in later) <= max(4 * taken, AHEAD_LEAST)
    assert sum(take for _, take in later) >= 0.5 * taken * len(later)


def test_nothing_is_added_while_nothing_is_taken() -> None:
    """While a webhook is paused or its receiver away, what waits for it stays, and it is looked at once a second."""
    told = simulated(0)
    assert sum(take for _, take in told) == min(2 * AHEAD_FIRST, STEP_MOST)
    assert feed(AHEAD_LEAST, 1_000, None) == (feed(AHEAD_LEAST, 1_000, 5.0))
    assert feed(AHEAD_LEAST, 1_000, None).pause_seconds == STALLED_SECONDS


@pytest.mark.parametrize("rate", [0.5, 1, 7, 200, 5_000])
def test_a_rate_is_kept(rate: float) -> None:
    """An operation owes no more a second than it was asked to."""
    fed = feed(AHEAD_MOST, 0, rate)
    assert fed.take >= 1
    assert fed.take / fed.pause_seconds <= rate
