"""What happened in this process keeps its order, however late the database's clock is looked at."""

from datetime import UTC, datetime, timedelta

import pytest

from retailos.deliveries.clock import SET_SECONDS, Clock

#: When everything is looked at: a machine that is busy would add to what is told of as late.
NOW = datetime(2026, 3, 29, tzinfo=UTC)


def set_clock() -> Clock:
    """A clock in a process whose own stands still."""
    return Clock(lambda: NOW)


def looked(clock: Clock, *, ahead: float, late: float = 0.0) -> float:
    """Look at a clock that is so far ahead, so late; by how much what is told there of a moment is off."""
    shown = NOW + timedelta(seconds=ahead - late)
    moment = NOW - timedelta(seconds=1)
    told = shown - (clock.here(shown) - moment)
    return (told - moment).total_seconds() - ahead


@pytest.mark.parametrize("ahead", [0.0, 3600.0, -3600.0])
def test_a_late_look_moves_nothing(ahead: float) -> None:
    """However late the database's clock is looked at, moments are where the best look puts them."""
    clock = set_clock()
    offs = [looked(clock, ahead=ahead, late=late) for late in (0.2, 0.001, 0.3, 0.05)]
    assert offs == pytest.approx([-0.2, -0.001, -0.001, -0.001], abs=1e-6)


def test_of_two_moments_the_earlier_stays_the_earlier() -> None:
    """What is told later of a later moment is never put before what was told of an earlier one."""
    clock = set_clock()
    offs = [looked(clock, ahead=0.0, late=late) for late in (0.5, 0.1, 0.4, 0.0, 0.9)]
    assert offs == sorted(offs)


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_a_clock_that_was_set_is_believed(step: float) -> None:
    """Where one of the two clocks was set, moments are told by how it is now."""
    clock = set_clock()
    looked(clock, ahead=0.0)
    assert abs(step) > SET_SECONDS
    assert looked(clock, ahead=step) == pytest.approx(0.0, abs=1e-6)
