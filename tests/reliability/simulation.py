"""Delivery on a virtual clock: workers, a network and receivers, decided by a seed, around the parts that think."""

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from random import Random
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec

from retailos.deliveries.breaker import Breaker, allowed, noted, spared
from retailos.deliveries.outcome import Delivered, Outcome, read_outcome, retry_or_fail
from retailos.exchanges.exchange import ErrorClass, Reply
from retailos.resources.customer import CUSTOMER
from retailos.sending.answer import read_answer
from retailos.sending.request import Told
from retailos.sending.settling import WHOLE_REFUSALS
from retailos.webhooks.agreement import Agreement
from retailos.webhooks.breaker_policy import BreakerPolicy
from retailos.webhooks.retry import RetryPolicy
from tests.reliability.simulated_register import Claimed, Key, SimulatedRegister

TIMEOUT_SECONDS: Final = 5.0
LATE_SECONDS: Final = 10.0
LEASE_SECONDS: Final = 4.0
LOOK_SECONDS: Final = 1.0
CONCURRENCY: Final = 4
#: After these seconds nothing goes wrong any more, and nothing is written.
QUIET_AFTER: Final = 60.0
#: Longer than all retries, doubts and probes together.
END: Final = 3_000.0
OK: Final = 200
TERMS: Final = Agreement().terms(CUSTOMER)
EPOCH: Final = datetime(2026, 3, 29, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one seed has decided on beforehand."""

    records: Sequence[str]
    workers: int
    writes: int
    #: How many deliveries go out as one request, by webhook.
    sizes: dict[str, int]
    policy: RetryPolicy
    breaker: BreakerPolicy
    #: When each webhook's receiver is away.
    away: dict[str, tuple[float, float]]
    #: The shares of requests that are refused, never answered, and applied late.
    refused: float
    unanswered: float


def planned(random: Random) -> Plan:
    """Decide on a run."""
    webhooks = {"single": 1, "batch": random.choice((2, 5))}
    return Plan(
        records=[f"c-{number}" for number in range(random.randint(1, 8))],
        workers=random.randint(1, 3),
        writes=random.randint(1, 60),
        sizes=webhooks,
        policy=RetryPolicy(
            retry_limit=random.choice((0, 2, 5)),
            retry_delay=random.choice((0.5, 3, 20)),
            retry_backoff=random.random() < 0.5,
            retry_delay_max=60,
        ),
        breaker=BreakerPolicy(on=random.random() < 0.7, failures=random.choice((2, 5, 20)), probe_seconds=3),
        away={name: (begin, begin + random.uniform(0, 40)) for name in webhooks for begin in [random.uniform(0, 45)]},
        refused=random.choice((0.0, 0.1, 0.4)),
        unanswered=random.choice((0.0, 0.1, 0.3)),
    )


class Sent(NamedTuple):
    """A delivery on its way: its claim, and the record as it was read after it."""

    claimed: Claimed
    told: Told


Sending = Sequence[Sent]


def told_of(record: str, version: int) -> Told:
    """A record as it is told."""
    return Told(id=UUID(int=0), external_id=record, version=version, operation="update", json="{}")


def refused_whole(batch: Sending, reply: Reply) -> bool:
    """Whether a batch was refused for what may be one record's fault, so that its halves are sent."""
    return len(batch) > 1 and reply.status in WHOLE_REFUSALS


@dataclass(frozen=True, slots=True)
class Attempt:
    """One delivery's part of a request."""

    key: Key
    version: int
    number: int
    begun: float
    ended: float
    outcome: Outcome
    #: Whether its settlement counted.
    held: bool


@dataclass(slots=True)
class SimulatedBreaker:
    """The row that all workers share of one webhook's breaker."""

    failures: int = 0
    opened_at: float | None = None
    probe_at: float = 0.0
    closed_at: float | None = None

    def shown(self, now: float) -> Breaker:
        """As a worker is told of it."""
        return Breaker(
            failures=self.failures,
            probe_seconds=None if self.opened_at is None else max(self.probe_at - now, 0),
            closed_seconds=None if self.closed_at is None else now - self.closed_at,
        )

    def note(self, now: float, policy: BreakerPolicy, answered: Sequence[tuple[UUID | None, Outcome]]) -> None:
        """Take note of answers."""
        seen = noted(answered)
        self.failures = seen.failures + (0 if seen.passed else self.failures)
        held = self.failures >= policy.failures or (self.opened_at is not None and not seen.passed)
        if held:
            self.opened_at = now if seen.passed or self.opened_at is None else self.opened_at
            self.probe_at = now + policy.probe_seconds
        elif self.opened_at is not None:
            self.opened_at, self.closed_at = None, now


@dataclass(slots=True)
class Process:
    """A worker's process, as it knows itself."""

    id: int
    alive: bool = True
    #: It stands still until then.
    still_until: float = 0.0
    lease_until: float = 0.0
    in_flight: dict[str, int] = field(default_factory=dict)


class Simulation:
    """One run: everything that happens is an event at a moment, and what happens at one moment goes by its number."""

    def __init__(self, seed: int, kind: type[SimulatedRegister] = SimulatedRegister) -> None:
        self.random = Random(seed)
        self.plan = planned(self.random)
        self.register = kind(tuple(self.plan.sizes), TIMEOUT_SECONDS + LATE_SECONDS)
        self.breakers = {name: SimulatedBreaker() for name in self.plan.sizes}
        self.versions = dict.fromkeys(self.plan.records, 0)
        #: What each receiver applied, in order: the key and the version.
        self.applied: list[tuple[Key, int]] = []
        self.attempts: list[Attempt] = []
        self.probes: list[tuple[str, float]] = []
        self.processes: list[Process] = []
        self.now = 0.0
        self._numbers, self._workers, self._requests = count(), count(1), count(1)
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    def run(self) -> None:
        """Let everything happen."""
        for _ in range(self.plan.writes):
            self.at(self.random.uniform(0, QUIET_AFTER), self._write)
        for _ in range(self.plan.workers):
            self.at(0, self._start)
        for _ in range(self.random.randint(0, 4)):
            self.at(self.random.uniform(0, QUIET_AFTER), self._disturb)
        for moment in (QUIET_AFTER + 1, 2 * QUIET_AFTER):
            self.at(moment, lambda: self.register.requeue(self.now))
        quiet = max(QUIET_AFTER, *(ends for _, ends in self.plan.away.values()))
        while self._events and self.now < END:
            self.now, _, happen = heapq.heappop(self._events)
            if self.now > quiet and self.register.at_rest():
                return
            happen()

    def at(self, moment: float, happen: Callable[[], None]) -> None:
        """Have something happen at a moment."""
        heapq.heappush(self._events, (moment, next(self._numbers), happen))

    def after(self, seconds: float, happen: Callable[[], None]) -> None:
        """Have something happen later."""
        self.at(self.now + seconds, happen)

    def calm(self) -> bool:
        """Whether nothing goes wrong any more."""
        return self.now > QUIET_AFTER

    def _write(self) -> None:
        record = self.random.choice(self.plan.records)
        self.versions[record] += 1
        self.register.write(self.now, record, self.versions[record])

    def _start(self) -> None:
        process = Process(next(self._workers))
        self.processes.append(process)
        self._enlist(process)
        self.after(0, lambda: self._look(process))
        self.after(LEASE_SECONDS / 4, lambda: self._renew(process))

    def _enlist(self, process: Process) -> None:
        process.lease_until = self.now + LEASE_SECONDS
        self.register.leases[process.id] = process.lease_until

    def _disturb(self) -> None:
        """Kill a worker and start another, or let one stand still."""
        alive = [each for each in self.processes if each.alive]
        if not alive:
            return
        process = self.random.choice(alive)
        if self.random.random() < 0.5:
            process.alive = False
            self.after(self.random.uniform(0, 5), self._start)
        else:
            process.still_until = self.now + self.random.uniform(0, 3 * LEASE_SECONDS)

    def _of(self, process: Process, happen: Callable[[], None]) -> bool:
        """Whether a process can act now; one that stands still does it later, and one that is dead never."""
        if process.alive and self.now < process.still_until:
            self.at(process.still_until, happen)
        return process.alive and self.now >= process.still_until

    def _renew(self, process: Process) -> None:
        if not self._of(process, lambda: self._renew(process)):
            return
        if self.register.renew(self.now, process.id, LEASE_SECONDS):
            process.lease_until = self.now + LEASE_SECONDS
        else:
            process.id = next(self._workers)
            self._enlist(process)
        self.register.rescue(self.now)
        self.after(LEASE_SECONDS / 4, lambda: self._renew(process))

    def _look(self, process: Process) -> None:
        if not self._of(process, lambda: self._look(process)):
            return
        for webhook, size in self.plan.sizes.items():
            claims = self._claim(process, webhook, size)
            for first in range(0, len(claims), size):
                self._read(process, webhook, claims[first : first + size])
        self.after(self.random.uniform(0.05, LOOK_SECONDS), lambda: self._look(process))

    def _claim(self, process: Process, webhook: str, size: int) -> list[Claimed]:
        breaker, shown = self.breakers[webhook], self.breakers[webhook].shown(self.now)
        room = (allowed(shown, CONCURRENCY, 0) if self.plan.breaker.on else CONCURRENCY) * size
        if self.plan.breaker.on and shown.open and breaker.probe_at <= self.now:
            room = size
        room -= process.in_flight.get(webhook, 0)
        claims = self.register.claim(self.now, webhook, process.id, room) if room > 0 else []
        if claims and shown.open and self.plan.breaker.on:
            breaker.probe_at = self.now + self.plan.breaker.probe_seconds + TIMEOUT_SECONDS
            self.probes.append((webhook, self.now))
        process.in_flight[webhook] = process.in_flight.get(webhook, 0) + len(claims)
        return claims

    def _read(self, process: Process, webhook: str, claims: Sequence[Claimed]) -> None:
        batch = [Sent(claimed, told_of(claimed.key[1], self.versions[claimed.key[1]])) for claimed in claims]
        claimed_by = process.id
        self.after(self.random.uniform(0, 0.2), lambda: self._send(process, claimed_by, webhook, batch))

    def _send(self, process: Process, claimed_by: int, webhook: str, batch: Sending) -> None:
        if not self._of(process, lambda: self._send(process, claimed_by, webhook, batch)):
            return
        if process.id != claimed_by or self.now >= process.lease_until:
            for each in batch:
                self.register.release(self.now, each.claimed)
            process.in_flight[webhook] -= len(batch)
            return
        began, seconds = self.now, self.random.uniform(0.01, 0.5)
        reply = self._reply(webhook, batch, seconds)
        self.after(reply.milliseconds / 1000, lambda: self._settle(process, webhook, batch, reply, began))

    def _reply(self, webhook: str, batch: Sending, seconds: float) -> Reply:
        """What a receiver makes of a request, and when: it is applied before the answer, or late, or not at all."""
        begins, ends = self.plan.away[webhook]
        chance = 1.0 if self.calm() else self.random.random()
        if begins <= self.now < ends:
            return self._answer(seconds, error=ErrorClass.CONNECTION_REFUSED, sent=False)
        if chance < self.plan.unanswered:
            if self.random.random() < 0.7:
                self._apply(batch, self.random.uniform(0, TIMEOUT_SECONDS + LATE_SECONDS))
            return self._answer(TIMEOUT_SECONDS, error=ErrorClass.TIMEOUT)
        if chance < self.plan.unanswered + self.plan.refused:
            return self._answer(seconds, status=self.random.choice((400, 422, 500, 503)))
        taken = [each for each in batch if self.calm() or len(batch) == 1 or self.random.random() > self.plan.refused]
        self._apply(taken, seconds / 2)
        return self._answer(seconds, status=200, body=self._results(batch, taken))

    def _results(self, batch: Sending, taken: Sending) -> bytes:
        """What the answer says of each record: taken, refused, or nothing at all."""
        error = {"code": "NO", "message": "not this one", "details": []}
        items = [
            {"externalCustomerId": each.claimed.key[1], "error": None if each in taken else error}
            for each in batch
            if each in taken or self.random.random() < 0.8
        ]
        return msgspec.json.encode({"results": items})

    def _answer(self, seconds: float, **said: Any) -> Reply:
        return Reply(at=EPOCH + timedelta(seconds=self.now + seconds), milliseconds=seconds * 1000, **said)

    def _apply(self, batch: Sending, seconds: float) -> None:
        applied = [(each.claimed.key, each.told.version) for each in batch]
        self.after(seconds, lambda: self.applied.extend(applied))

    def _settle(self, process: Process, webhook: str, batch: Sending, reply: Reply, began: float) -> None:
        if not self._of(process, lambda: self._settle(process, webhook, batch, reply, began)):
            return
        read = self._outcomes(webhook, batch, reply)
        if refused_whole(batch, reply):
            half, lease = len(batch) // 2, process.id
            for part in (batch[:half], batch[half:]):
                self._send(process, lease, webhook, part)
            return
        process.in_flight[webhook] -= len(batch)
        breaker = self.breakers[webhook]
        if self.plan.breaker.on:
            request_id = UUID(int=next(self._requests))
            breaker.note(self.now, self.plan.breaker, [(request_id, each) for each in read])
            read = [spared(each, held=breaker.opened_at is not None) for each in read]
        for each, outcome in zip(batch, read, strict=True):
            held = self.register.settle(self.now, each.claimed, each.told.version, outcome)
            attempt = Attempt(each.claimed.key, each.told.version, each.claimed.attempt, began, self.now, outcome, held)
            self.attempts.append(attempt)

    def _outcomes(self, webhook: str, batch: Sending, reply: Reply) -> list[Outcome]:
        """What the reply means to each delivery, as the program decides it."""
        jitter, policy = self.random.uniform(0, 0.1), self.plan.policy
        if self.plan.sizes[webhook] == 1 or reply.status != OK:
            return [read_outcome(reply, each.claimed.attempt, policy, jitter) for each in batch]
        verdicts = read_answer(TERMS, [each.told for each in batch], reply)
        return [
            retry_or_fail(refusal.error_class, reply, each.claimed.attempt, policy, jitter) if refusal else Delivered()
            for each, refusal in zip(batch, verdicts.refusals, strict=True)
        ]
