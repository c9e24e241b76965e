"""R16: workers, retries, leases, the breaker and batches on a virtual clock; what happens is decided by a seed."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

import pytest

from retailos.deliveries.outcome import Delivered, Outcome, Retry
from tests.reliability import stand
from tests.reliability.simulated_register import Claimed, Key, SimulatedRegister
from tests.reliability.simulation import Attempt, Simulation

SEEDS: Final = stand.sized(quick=500, long=50_000)
#: Moments are sums of floats.
SLACK_SECONDS: Final = 1e-6


def faults(run: Simulation) -> list[str]:
    """What is wrong with a run that has ended."""
    return [*_unsettled(run), *_stale(run), *_needless(run), *_hasty(run), *_probing(run)]


def _unsettled(run: Simulation) -> Iterator[str]:
    """Every change has reached every webhook, once what had failed was requeued and nothing went wrong any more."""
    for key, row in run.register.rows.items():
        if (row.status, row.acknowledged) != ("delivered", run.versions[key[1]]):
            yield f"{key} is not delivered at v{run.versions[key[1]]}: {row}"


def _stale(run: Simulation) -> Iterator[str]:
    """After quiet, the version that a receiver applied last is the database's."""
    last = dict(run.applied)
    for key in run.register.rows:
        if last.get(key) != run.versions[key[1]]:
            yield f"{key} ends on v{last.get(key)}, the database on v{run.versions[key[1]]}"


def _needless(run: Simulation) -> Iterator[str]:
    """Nothing comes twice or goes backwards unless a worker was given up, or a request was."""
    doubtful = run.register.rescued | {each.key for each in run.attempts if each.outcome.ambiguous}
    applied: dict[Key, list[int]] = defaultdict(list)
    for key, version in run.applied:
        applied[key].append(version)
    for key, versions in applied.items():
        if key not in doubtful and any(later <= earlier for earlier, later in pairwise(versions)):
            yield f"{key} got {versions}, and nothing had gone wrong"


def _hasty(run: Simulation) -> Iterator[str]:
    """Retries come when the policy says, and there are no more of them than it says."""
    by_key: dict[Key, list[Attempt]] = defaultdict(list)
    for each in sorted(run.attempts, key=lambda attempt: attempt.begun):
        by_key[each.key].append(each)
    policy = run.plan.policy
    for key, attempts in by_key.items():
        for each, following in pairwise(attempts):
            wait = following.begun - each.ended
            same = each.held and isinstance(each.outcome, Retry) and following.version == each.version
            # Who stood still since before, and then sent what others had claimed since, has retried nothing.
            late = not following.held and following.number <= each.number
            if same and not late and wait < policy.delay_before(each.number) - SLACK_SECONDS:
                yield f"{key} was retried after {wait:.3f} s, before attempt {following.number}"
        if (
            max(each.number for each in attempts if each.held) > 1 + policy.retry_limit
            and key not in run.register.rescued
        ):
            yield f"{key} was attempted more often than 1 + {policy.retry_limit} times"


def _probing(run: Simulation) -> Iterator[str]:
    """While a breaker is open, probes keep their distance."""
    for name in run.plan.sizes:
        moments = [at for webhook, at in run.probes if webhook == name]
        for earlier, later in pairwise(moments):
            if later - earlier < run.plan.breaker.probe_seconds - SLACK_SECONDS:
                yield f"{name} was probed after {later - earlier:.3f} s"


@pytest.mark.timeout(3_600)
def test_whatever_happens_every_receiver_ends_on_the_newest_version() -> None:
    """Hundreds of runs of deaths, standstills, outages, refusals and late requests keep what is promised."""
    first = stand.seed()
    attempts = 0
    for seed in range(first, first + SEEDS):
        run = Simulation(seed)
        run.run()
        attempts += len(run.attempts)
        assert faults(run) == [], f"RETAILOS_SEED={seed}"
    print(f"{SEEDS} runs, {attempts:,} attempts")


def test_a_seed_decides_everything() -> None:
    """A run that failed can be looked at again: its seed makes the same one."""
    one, other = Simulation(7), Simulation(7)
    one.run()
    other.run()
    assert one.attempts == other.attempts
    assert one.applied == other.applied


class Unfenced(SimulatedRegister):
    """Settles whatever comes, under whichever claim."""

    def settle(self, now: float, claimed: Claimed, version: int, outcome: Outcome) -> bool:
        """Settle without looking at the token."""
        return super().settle(now, claimed._replace(token=self.rows[claimed.key].token or 0), version, outcome)


class Forgetful(SimulatedRegister):
    """Takes a success for all that is wanted by then."""

    def settle(self, now: float, claimed: Claimed, version: int, outcome: Outcome) -> bool:
        """Settle at the version that is wanted now."""
        wanted = self.rows[claimed.key].wanted
        return super().settle(now, claimed, wanted if outcome == Delivered() else version, outcome)


class Certain(SimulatedRegister):
    """Never doubts."""

    def settle(self, now: float, claimed: Claimed, version: int, outcome: Outcome) -> bool:
        """Settle, and forget any doubt."""
        self.rows[claimed.key].doubt_until = None
        settled = super().settle(now, claimed, version, outcome)
        self.rows[claimed.key].doubt_until = None
        return settled


class Hurried(SimulatedRegister):
    """Confirms at once."""

    def settle(self, now: float, claimed: Claimed, version: int, outcome: Outcome) -> bool:
        """Settle, and end the doubt now."""
        settled = super().settle(now, claimed, version, outcome)
        row = self.rows[claimed.key]
        row.doubt_until = row.doubt_until and now
        row.due_at = now if row.status == "confirming" else row.due_at
        return settled


class Heartless(SimulatedRegister):
    """Rescues nobody."""

    def rescue(self, now: float) -> None:
        """Do nothing."""


@pytest.mark.parametrize("kind", [Unfenced, Forgetful, Certain, Hurried, Heartless])
def test_a_register_without_one_of_its_rules_is_found_out(kind: type[SimulatedRegister]) -> None:
    """Some of the seeds show what each rule of the register is there for."""
    for seed in range(500):
        run = Simulation(seed, kind)
        run.run()
        if faults(run):
            print(f"{kind.__name__}: seed {seed}: {faults(run)[0]}")
            return
    pytest.fail(f"nothing misses what {kind.__name__} leaves out")
