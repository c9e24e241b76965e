"""Token buckets: so much at once, so much in the long run, and never more memory than they were given."""

from ipaddress import ip_address

import pytest

from retailos.api.limits import BUCKETS_MOST, CALLERS_OF_AN_ADDRESS, Buckets, FailureRate, RequestRate
from retailos.settings import Settings


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """What it shows."""
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock of this test's own."""
    return Clock()


def taken(buckets: Buckets, name: str) -> bool:
    """Take a token, if there is one."""
    return buckets.take(name) <= buckets.depth


def test_a_bucket_holds_its_burst_and_fills_at_its_rate(clock: Clock) -> None:
    """After a pause a burst may be taken at once, then one for each share of a second, and never more than a burst."""
    buckets = Buckets(10, 5, clock=clock)
    assert [buckets.take("a") for _ in range(5)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])
    assert buckets.take("a") - buckets.depth == pytest.approx(0.1)
    assert buckets.wait("a") == pytest.approx(0.1)
    clock.now += 0.099
    assert not taken(buckets, "a")
    clock.now += 0.001
    assert taken(buckets, "a")
    assert not taken(buckets, "a")
    clock.now += 3600
    assert [taken(buckets, "a") for _ in range(6)] == [True] * 5 + [False]


@pytest.mark.parametrize("rate", [1, 3, 7, 100, 1_000_000])
def test_a_bucket_loses_nothing_by_counting(clock: Clock, rate: int) -> None:
    """Whoever asks at just the rate of the bucket is never refused, whatever fractions that makes."""
    buckets = Buckets(rate, 1, clock=clock)
    for _ in range(1000):
        assert buckets.wait("a") == 0
        assert taken(buckets, "a")
        clock.now += 1 / rate


def test_a_refusal_costs_nothing(clock: Clock) -> None:
    """Whoever asks on while he is refused is let in when it was said, and no later."""
    buckets = Buckets(1, 1, clock=clock)
    assert taken(buckets, "a")
    for _ in range(100):
        assert buckets.take("a") - buckets.depth == buckets.wait("a") == 1
    clock.now += 1
    assert buckets.wait("a") == 0
    assert taken(buckets, "a")


def test_each_name_has_a_bucket_of_its_own(clock: Clock) -> None:
    """What one takes is not taken from another."""
    buckets = Buckets(1, 2, clock=clock)
    assert [taken(buckets, "a") for _ in range(3)] == [True, True, False]
    assert [taken(buckets, "b") for _ in range(3)] == [True, True, False]


def test_the_bucket_asked_longest_ago_makes_room(clock: Clock) -> None:
    """However many names there are, so many buckets are kept, and those that are in use stay."""
    buckets = Buckets(0.001, 2, most=3, clock=clock)
    for name in ("a", "b", "c", "a", "d"):
        assert taken(buckets, name)
    assert len(buckets) == 3
    assert [buckets.wait(name) > 0 for name in ("a", "b", "c")] == [True, False, False]
    assert taken(buckets, "b")
    assert taken(buckets, "b")


def test_memory_is_bounded(clock: Clock) -> None:
    """A flood of names leaves no more buckets than there may be."""
    failures = FailureRate(1, clock)
    for i in range(BUCKETS_MOST + 100):
        failures.take(ip_address(i), f"key{i}")
    assert len(failures._callers) == len(failures._addresses) == BUCKETS_MOST


def test_the_rate_of_a_key_is_told(clock: Clock) -> None:
    """The headers tell the policy, what is left, and when all is there again, as structured fields."""
    usual = Settings()
    rate = RequestRate(usual.requests_per_second, usual.requests_burst, clock)
    headers, wait = rate.take("a")
    assert (dict(headers), wait) == ({b"ratelimit-policy": b'"key";q=200;w=2', b"ratelimit": b'"key";r=199;t=1'}, 0)
    for _ in range(199):
        headers, wait = rate.take("a")
    assert (dict(headers)[b"ratelimit"], wait) == (b'"key";r=0;t=2', 0)
    headers, wait = rate.take("a")
    assert dict(headers)[b"ratelimit"] == b'"key";r=0;t=2'
    assert 0 < wait <= 0.01
    assert rate.take("b")[1] == 0


def test_failures_are_counted_per_address_and_key(clock: Clock) -> None:
    """Whoever fails too often waits; neither his other keys nor the same key elsewhere wait with him."""
    failures = FailureRate(6, clock)
    here, there = ip_address("203.0.113.9"), ip_address("203.0.113.10")
    assert [failures.take(here, "a") for _ in range(6)] == [0] * 6
    assert failures.wait(here, "a") == failures.take(here, "a") == pytest.approx(10)
    assert failures.wait(here, "b") == failures.wait(there, "a") == failures.wait(None, "a") == 0
    clock.now += 10
    assert failures.wait(here, "a") == 0


def test_key_ids_are_not_tried_out(clock: Clock) -> None:
    """Whoever tries one key id after the other waits as well, though each of them failed but once."""
    failures = FailureRate(6, clock)
    here, there = ip_address("203.0.113.9"), ip_address("203.0.113.10")
    waits = [failures.take(here, f"key{i}") for i in range(6 * CALLERS_OF_AN_ADDRESS + 1)]
    assert [bool(each) for each in waits] == [False] * 6 * CALLERS_OF_AN_ADDRESS + [True]
    assert failures.wait(here, "new") > 0
    assert failures.wait(there, "new") == 0


def test_a_host_with_many_ipv6_addresses_is_one(clock: Clock) -> None:
    """Addresses of one /64, which a single host may have whole, share what they may fail."""
    failures = FailureRate(6, clock)
    for i in range(6):
        failures.take(ip_address(f"2001:db8::{i:x}"), "a")
    assert failures.wait(ip_address("2001:db8::ffff"), "a") > 0
    assert failures.wait(ip_address("2001:db8:0:1::1"), "a") == 0
