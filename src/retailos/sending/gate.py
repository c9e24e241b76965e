"""A lane's gate: how much of a webhook's work may go out of this process just now.

Workers share a webhook's requests at once and a second: each has a share that nobody else has, so that nothing is
counted before each claim. They share its breaker too, one row that is written only while requests come to nothing.
"""

import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from retailos.database.pool import Connection, Pool, acquire, transaction
from retailos.database.statements import load
from retailos.deliveries.breaker import Breaker, allowed, got_through, noted, spared
from retailos.deliveries.outcome import Outcome
from retailos.deliveries.settlement import Settlement
from retailos.observe import emit
from retailos.observe.deliveries import BreakerClosed, BreakerOpened
from retailos.schedule import arm
from retailos.sending.pace import Bucket
from retailos.webhooks.requeue_policy import TICKS
from retailos.webhooks.webhook import Webhook

_SQL = load(__file__)
_BEGIN, _NOTE, _PROBE, _PUT_BACK = _SQL.begin, _SQL.note, _SQL.probe, _SQL.put_back
_SHARES, _LOCK_WEBHOOKS, _DIVIDE, _FORGET = _SQL.shares, _SQL.lock_webhooks, _SQL.divide, _SQL.forget


class Gate:
    """What a webhook's lane may send: its share, what its rate leaves, and what the breaker lets through."""

    def __init__(self, pool: Pool, webhook: Webhook, taken: Callable[[], int] = lambda: 0) -> None:
        """`taken` tells how many requests of this process's share an earlier lane of the webhook has under way."""
        #: How many of the webhook's requests at once are this process's.
        self.share = 0
        #: Called when more may go out than before, or less.
        self.changed: Callable[[], None] = lambda: None
        self._pool, self._webhook, self._policy, self._taken = pool, webhook, webhook.breaker, taken
        self._bucket = Bucket()
        self._breaker, self._told_at = Breaker(), time.monotonic()
        #: Requests that came to nothing, one after the other, of which the breaker has not been told yet.
        self._untold = 0

    @property
    def held(self) -> bool:
        """Whether the breaker is open, so that nothing is sent but probes."""
        return self._policy.on and self._breaker.open

    @property
    def doubtful(self) -> bool:
        """Whether the breaker will open once it is told what was heard, unless others have got through meanwhile."""
        return self._policy.on and self._breaker.failures + self._untold >= self._policy.failures

    def most(self) -> int:
        """How many requests may be under way at once; 0: none is to be begun."""
        share = max(self.share - self._taken(), 0)
        return allowed(self._breaker, share, time.monotonic() - self._told_at) if self._policy.on else share

    def room(self) -> int:
        """How many more requests the rate leaves room for."""
        return self._bucket.room() if self._webhook.rate else self.most()

    def take(self, requests: int) -> None:
        """Take note of requests that are going out."""
        if self._webhook.rate:
            self._bucket.take(requests)

    def seconds(self) -> float | None:
        """In how many seconds the rate leaves room again; None: it leaves some now."""
        return None if self.room() or not self._webhook.rate else self._bucket.seconds()

    def give(self, share: int) -> None:
        """Have this share of the webhook's requests at once, and as much of its rate, from now on."""
        self.share = share
        self._bucket.fill(self._webhook.rate * share / self._webhook.concurrency)
        self.changed()

    def tell(self, breaker: Breaker, asked_at: float) -> None:
        """Learn how the breaker stands, unless something was learnt since this was asked."""
        if asked_at >= self._told_at:
            self._learn(breaker)

    def _learn(self, breaker: Breaker) -> None:
        self._breaker, self._told_at = breaker, time.monotonic()
        self.changed()

    async def probe(self) -> bool:
        """Whether it falls to this lane to send one delivery through the open breaker."""
        due = self._breaker.probe_seconds
        if not self.held or due is None or time.monotonic() < self._told_at + due:
            return False
        seconds = self._policy.probe_seconds + self._webhook.timeout
        async with acquire(self._pool) as connection:
            given = (self._webhook.id, seconds, self._webhook.updated_at)
            return await connection.fetchval(_PROBE, *given) is not None

    async def put_back(self) -> None:
        """Give back the probe that fell to this lane, since there was nothing to send."""
        async with acquire(self._pool) as connection:
            await connection.execute(_PUT_BACK, self._webhook.id)

    def spared(self, settlement: Settlement) -> Settlement:
        """A settlement as the breaker takes it: what comes to nothing while deliveries are held counts no attempt."""
        outcome = spared(settlement.outcome, held=self.held)
        return settlement if outcome is settlement.outcome else msgspec.structs.replace(settlement, outcome=outcome)

    def hear(self, outcome: Outcome) -> None:
        """Hear what came of a request, some time before the breaker is told of it."""
        through = got_through(outcome)
        if through is not None:
            self._untold = 0 if through else self._untold + 1

    async def note(self, settlements: Sequence[Settlement]) -> None:
        """Tell the breaker of answers, where they matter to it: while all is well, they cost nothing."""
        seen = noted((each.request_id, each.outcome) for each in settlements)
        if not self._policy.on or not (seen.failures or self._breaker.failures or self._breaker.open):
            return
        webhook, policy = self._webhook, self._policy
        given = (webhook.id, seen.failures, seen.passed, policy.failures, policy.probe_seconds, webhook.updated_at)
        async with transaction(self._pool) as connection:
            row = await connection.fetchrow(_NOTE, *given)
            if row is None:
                await connection.execute(_BEGIN, self._webhook.id)
                row = await connection.fetchrow(_NOTE, *given)
            if row is None:
                return
            closed = not row["held"] and row["opened_seconds"] is not None
            if closed and webhook.requeue.on_recovery:
                await arm(connection, TICKS, str(webhook.id))
        self._untold = max(self._untold - seen.failures, 0)
        told = {name: row[name] for name in ("failures", "probe_seconds", "closed_seconds")}
        self._learn(Breaker(**told))
        if row["held"] and row["opened_seconds"] is None:
            emit(BreakerOpened(webhook=webhook.name, failures=row["failures"]))
        if closed:
            emit(BreakerClosed(webhook=webhook.name, seconds=row["opened_seconds"]))


async def shares(pool: Pool, worker_id: int) -> Mapping[int, tuple[int, int]]:
    """Give for each active webhook which share of its requests at once a worker has, and which it should have."""
    async with acquire(pool) as connection:
        return {row["id"]: (row["has"], row["due"]) for row in await connection.fetch(_SHARES, worker_id)}


async def divide(transaction: Connection, worker_id: int, wanted: Mapping[int, int]) -> Mapping[int, int]:
    """Let a worker have so much of each webhook's requests at once, or what others leave; give what it has now."""
    webhooks, slots = list(wanted), list(wanted.values())
    # A second statement, since its snapshot must show what others took while this one waited for its turn.
    await transaction.execute(_LOCK_WEBHOOKS, webhooks)
    rows = await transaction.fetch(_DIVIDE, worker_id, webhooks, slots)
    return {row["webhook_id"]: row["slots"] for row in rows}


async def forget(pool: Pool) -> None:
    """Forget the shares of workers that are gone."""
    async with acquire(pool) as connection:
        await connection.execute(_FORGET)
