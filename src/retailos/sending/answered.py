"""What receivers have answered and is not settled yet: heard at once, settled by the set, as fast as a commit goes.

A record that somebody else writes for long is waited for by itself, and keeps no other from being settled.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from retailos.database.pool import Pool
from retailos.deliveries import register
from retailos.deliveries.clock import Clock
from retailos.deliveries.outcome import Blame, Divided, Failed, Held, Retry
from retailos.deliveries.seen import observe
from retailos.deliveries.settlement import Settlement
from retailos.errors import Unavailable
from retailos.observe import emit, wanted
from retailos.observe.deliveries import AttemptSettled, WebhookGone
from retailos.sending.gate import Gate
from retailos.sending.sets import Sets
from retailos.webhooks import orders
from retailos.webhooks.webhook import Webhook

#: So many are worth a statement; one alone costs as much as fifty more in a set.
SET_WORTH = 200
#: So long answers may wait for others to be settled with.
GATHER_SECONDS = 0.1
#: Why a webhook was paused whose receiver wants no more.
GONE = "the receiver answered 410 Gone"


class Answered:
    """The answers of one webhook's receiver, in the order in which they came, until they are settled."""

    def __init__(
        self,
        pool: Pool,
        webhook: Webhook,
        gate: Gate,
        doubt_seconds: float,
        more: Callable[[], bool],
        settled: Callable[[int], None],
        ended: Callable[[asyncio.Task[None]], None],
        patience: asyncio.Semaphore,
    ) -> None:
        """`more` tells whether many answers are about to come, for which others may wait.

        `settled` is told how many deliveries a settlement let go of, `ended` of each task of settling that ends. A
        request that was given up may be applied for so many seconds. Who waits for a lock holds a place of `patience`.
        """
        #: The receiver wants no more.
        self.gone = False
        self._pool, self._webhook, self._gate, self._doubt_seconds = pool, webhook, gate, doubt_seconds
        self._more, self._settled, self._patience, self._clock = more, settled, patience, Clock()
        self._fresh = Sets(self._settle, ended, gather=self._gather)
        #: What somebody else had locked, or the database was away for: it is waited for, while others are settled.
        self._left = Sets(self._settle_left, ended)
        self._enough = asyncio.Event()

    def __len__(self) -> int:
        """How many are not settled."""
        return len(self._fresh) + len(self._left)

    def add(self, answers: Iterable[Settlement]) -> None:
        """Hear what was answered to one request, and have it settled."""
        last = self._fresh.add(answers)
        if last is None:
            return
        # While they are settled, others would still be sent to a receiver that is down or gone.
        self._gate.hear(last.outcome)
        self.gone = self.gone or _says_gone(last)
        if self._gathered:
            self._enough.set()

    async def done(self) -> None:
        """Return when everything is settled."""
        await self._fresh.done()
        await self._left.done()

    def cancel(self) -> None:
        """Leave unsettled what is not settled yet."""
        self._fresh.cancel()
        self._left.cancel()

    @property
    def _gathered(self) -> bool:
        """Whether to wait for no more."""
        return self._fresh.waiting >= SET_WORTH or not self._more()

    async def _gather(self) -> None:
        """Let answers come together while many come, since a statement for few costs nearly as much as one for many."""
        self._enough.clear()
        if not self._gathered:
            with suppress(TimeoutError):
                async with asyncio.timeout(GATHER_SECONDS):
                    await self._enough.wait()

    async def _settle(self, answers: Sequence[Settlement]) -> None:
        """Settle a set of answers, as the breaker takes them; an answer that the receiver is gone ends all sending."""
        await self._gate.note(answers)
        spared = [self._gate.spared(each) for each in answers]
        if any(map(_says_gone, spared)) and await orders.pause(self._pool, self._webhook, GONE):
            emit(WebhookGone(webhook=self._webhook.name))
        try:
            await self._record(spared, careful=False)
        except Unavailable:
            # Perhaps it was done all the same.
            self._left.add(spared)

    async def _settle_left(self, answers: Sequence[Settlement]) -> None:
        async with self._patience:
            await self._record(answers, careful=True)

    async def _record(self, answers: Sequence[Settlement], *, careful: bool) -> None:
        """Record what came of deliveries, but of those that somebody else has locked."""
        scope = self._webhook.scope
        told = await register.settle(
            self._pool,
            self._webhook.id,
            answers,
            self._doubt_seconds,
            every=scope.every,
            skips=scope.skips,
            careful=careful,
            clock=self._clock,
        )
        if told.busy:
            self._left.add(each for at, each in enumerate(answers) if at in told.busy)
            answers = [each for at, each in enumerate(answers) if at not in told.busy]
        if wanted(AttemptSettled) or scope.skips:
            for each in answers:
                observe(self._webhook, each)
        # What goes on in two halves is still claimed.
        self._settled(sum(not isinstance(each.outcome, Divided) for each in answers))


def _says_gone(settlement: Settlement) -> bool:
    outcome = settlement.outcome
    return isinstance(outcome, Retry | Failed | Held) and outcome.blame is Blame.GONE
