"""What receivers have answered and is not settled yet: heard at once, settled by the set, as fast as a commit goes."""

import asyncio
from collections import deque
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
from retailos.webhooks import orders
from retailos.webhooks.webhook import Webhook

#: What one statement settles: answers come faster than a commit is done.
SET_MOST = 1_000
#: So many are worth a statement; one alone costs as much as fifty more in a set.
SET_WORTH = 200
#: So long answers may wait for others to be settled with.
GATHER_SECONDS = 0.1
#: Why a webhook was paused whose receiver wants no more.
GONE = "the receiver answered 410 Gone"
#: While the database is away, what was answered waits here.
AGAIN_SECONDS = 0.2


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
    ) -> None:
        """`more` tells whether many answers are about to come, for which others may wait.

        `settled` is told how many deliveries a settlement let go of, `ended` of each task of settling that ends. A
        request that was given up may be applied for so many seconds.
        """
        #: The receiver wants no more.
        self.gone = False
        self._pool, self._webhook, self._gate, self._doubt_seconds = pool, webhook, gate, doubt_seconds
        self._more, self._settled, self._ended, self._clock = more, settled, ended, Clock()
        self._waiting: deque[Settlement] = deque()
        self._under_way = 0
        self._enough = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """How many are not settled."""
        return len(self._waiting) + self._under_way

    def add(self, answers: Iterable[Settlement]) -> None:
        """Hear what was answered to one request, and have it settled."""
        before = len(self._waiting)
        self._waiting.extend(answers)
        if len(self._waiting) == before:
            return
        # While they are settled, others would still be sent to a receiver that is down or gone.
        self._gate.hear(self._waiting[-1].outcome)
        self.gone = self.gone or _says_gone(self._waiting[-1])
        if self._gathered:
            self._enough.set()
        if self._task is None:
            self._task = asyncio.create_task(self._settle_on())
            self._task.add_done_callback(self._ended)

    async def done(self) -> None:
        """Return when everything is settled."""
        while self._task:
            await asyncio.wait([self._task])

    def cancel(self) -> None:
        """Leave unsettled what is not settled yet."""
        if self._task:
            self._task.cancel()

    async def _settle_on(self) -> None:
        """Settle what has been answered; what is answered meanwhile goes together with the next."""
        try:
            while self._waiting:
                await self._gather()
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), SET_MOST))]
                self._under_way = len(batch)
                try:
                    await self._settle(batch)
                except Unavailable:
                    self._waiting.extendleft(reversed(batch))
                    self._under_way = 0
                    await asyncio.sleep(AGAIN_SECONDS)
                    continue
                self._under_way = 0
                # What goes on in two halves is still claimed.
                self._settled(sum(not isinstance(each.outcome, Divided) for each in batch))
        finally:
            self._task = None

    @property
    def _gathered(self) -> bool:
        """Whether to wait for no more."""
        return len(self._waiting) >= SET_WORTH or not self._more()

    async def _gather(self) -> None:
        """Let answers come together while many come, since a statement for few costs nearly as much as one for many."""
        self._enough.clear()
        if not self._gathered:
            with suppress(TimeoutError):
                async with asyncio.timeout(GATHER_SECONDS):
                    await self._enough.wait()

    async def _settle(self, batch: Sequence[Settlement]) -> None:
        """Settle a set of answers, as the breaker takes them; an answer that the receiver is gone ends all sending."""
        await self._gate.note(batch)
        spared, scope = [self._gate.spared(each) for each in batch], self._webhook.scope
        await register.settle(
            self._pool,
            self._webhook.id,
            spared,
            self._doubt_seconds,
            every=scope.every,
            skips=scope.skips,
            clock=self._clock,
        )
        if wanted(AttemptSettled) or scope.skips:
            for each in spared:
                observe(self._webhook, each)
        if any(map(_says_gone, spared)) and await orders.pause(self._pool, self._webhook.id, GONE):
            emit(WebhookGone(webhook=self._webhook.name))


def _says_gone(settlement: Settlement) -> bool:
    outcome = settlement.outcome
    return isinstance(outcome, Retry | Failed | Held) and outcome.blame is Blame.GONE
