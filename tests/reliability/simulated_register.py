"""The register on a virtual clock: what its statements do, as they are described in register.sql, on a dictionary."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import NamedTuple

from retailos.deliveries.outcome import Delivered, Held, Outcome, Retry

#: A delivery: which webhook's, of which record.
Key = tuple[str, str]


class Claimed(NamedTuple):
    """A claim: only its token settles it."""

    key: Key
    token: int
    attempt: int


@dataclass(slots=True)
class Row:
    """One delivery; moments are seconds of the virtual clock."""

    wanted: int = 0
    acknowledged: int = 0
    status: str = "delivered"
    attempts: int = 0
    token: int | None = None
    worker: int | None = None
    doubt_until: float | None = None
    due_at: float | None = None


@dataclass(slots=True)
class SimulatedRegister:
    """The registers of some webhooks, and the leases of their workers."""

    webhooks: Sequence[str]
    doubt_seconds: float
    rows: dict[Key, Row] = field(default_factory=dict)
    leases: dict[int, float] = field(default_factory=dict)
    tokens: int = 0
    #: Deliveries of which something was in flight when its worker was given up.
    rescued: set[Key] = field(default_factory=set)

    def write(self, now: float, record: str, version: int) -> None:
        """Owe a version of a record to every webhook."""
        for webhook in self.webhooks:
            row = self.rows.setdefault((webhook, record), Row())
            row.wanted, row.attempts = version, 0
            if row.status != "sending":
                row.status, row.due_at = "owed", now

    def claim(self, now: float, webhook: str, worker: int, most: int) -> list[Claimed]:
        """Take what is due, under a new token, while the worker's lease holds; a doubt that is over ends."""
        if self.leases.get(worker, -inf) <= now:
            return []
        due = sorted((row.due_at, key) for key, row in self._due(webhook) if (row.due_at or 0) <= now)
        return [self._take(now, key, worker) for _, key in due[:most]]

    def next_due(self, webhook: str) -> float:
        """When something of a webhook is due next."""
        return min((row.due_at or 0 for _, row in self._due(webhook)), default=inf)

    def settle(self, now: float, claimed: Claimed, version: int, outcome: Outcome) -> bool:
        """Record what became of a claim's attempt, if the claim still holds."""
        row = self.rows[claimed.key]
        if row.token != claimed.token:
            return False
        row.token = row.worker = None
        if outcome.ambiguous:
            row.doubt_until = now + self.doubt_seconds
        if isinstance(outcome, Delivered):
            row.acknowledged = max(row.acknowledged, version)
        if row.wanted > version:
            row.status, row.attempts, row.due_at = "owed", 0, now
        elif isinstance(outcome, Delivered):
            row.attempts = 0
            row.status = "delivered" if row.doubt_until is None else "confirming"
            row.due_at = row.doubt_until
        elif isinstance(outcome, Held):
            row.status, row.attempts = "owed", max(row.attempts - 1, 0)
            row.due_at = now + outcome.after_seconds
        elif isinstance(outcome, Retry):
            row.status, row.due_at = "retrying", now + outcome.after_seconds
        else:
            row.status, row.due_at = "failed", inf
        return True

    def release(self, now: float, claimed: Claimed) -> None:
        """Give back a claim that was not sent."""
        row = self.rows[claimed.key]
        if row.token == claimed.token:
            row.token = row.worker = None
            row.status, row.attempts, row.due_at = "owed", max(row.attempts - 1, 0), now

    def renew(self, now: float, worker: int, seconds: float) -> bool:
        """Prolong a lease that has not run out."""
        if self.leases.get(worker, -inf) <= now:
            return False
        self.leases[worker] = now + seconds
        return True

    def rescue(self, now: float) -> None:
        """Owe again what workers had claimed whose leases have run out."""
        dead = {worker for worker, until in self.leases.items() if until <= now}
        for worker in dead:
            del self.leases[worker]
        for key, row in self.rows.items():
            if row.worker in dead:
                self.rescued.add(key)
                row.token = row.worker = None
                row.status, row.due_at, row.doubt_until = "owed", now, now + self.doubt_seconds

    def requeue(self, now: float) -> None:
        """Owe what has failed again."""
        for row in self.rows.values():
            if row.status == "failed":
                row.status, row.attempts, row.due_at = "owed", 0, now

    def at_rest(self) -> bool:
        """Whether nothing is left to do."""
        return all(row.status == "delivered" for row in self.rows.values())

    def _due(self, webhook: str) -> Iterator[tuple[Key, Row]]:
        for key, row in self.rows.items():
            if key[0] == webhook and row.due_at is not None and row.token is None:
                yield key, row

    def _take(self, now: float, key: Key, worker: int) -> Claimed:
        row = self.rows[key]
        self.tokens += 1
        row.status, row.token, row.worker, row.due_at = "sending", self.tokens, worker, None
        row.attempts += 1
        if row.doubt_until is not None and row.doubt_until <= now:
            row.doubt_until = None
        return Claimed(key, self.tokens, row.attempts)
