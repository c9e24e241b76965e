"""A webhook's lane: what is due is claimed, read, sent and settled, by the hundred, at the receiver's own pace.

No connection to the database is held while the receiver is waited for. What an answer means is decided once, in
`outcome`; here it only flows on to be settled.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from uuid import UUID, uuid4

from retailos.database.pool import Pool, acquire
from retailos.declare.resource import Resources
from retailos.deliveries import register
from retailos.deliveries.claim import Claim
from retailos.deliveries.outcome import error_class_of
from retailos.deliveries.settlement import Settlement
from retailos.errors import Unavailable
from retailos.exchanges.exchange import Reply, Request
from retailos.sending.answered import Answered
from retailos.sending.batch import Limit, cut, halves
from retailos.sending.gate import Gate
from retailos.sending.lost import LostClaims
from retailos.sending.pace import Pace
from retailos.sending.reading import Reading
from retailos.sending.request import Batch, CannotBeAddressed, Item, Told, build_request, frame_bytes
from retailos.sending.sender import LeaseOver, Sender
from retailos.sending.settling import batch_settlements, refused_whole, settlements, unaddressed, vanished
from retailos.sending.sift import sift
from retailos.sending.turns import Turns
from retailos.webhooks.webhook import Webhook

#: What one statement claims of single deliveries; more gains nothing and holds locks for longer.
SET_MOST = 200
#: The same of those that go in batches.
MANY_MOST = 1_000
#: Answers that wait to be settled while more is claimed: beyond it, the database is slower than the receiver.
UNSETTLED_MOST = 1_000
TOO_LARGE = 413
#: While the database is away, what was claimed waits here.
AGAIN_SECONDS = 0.2


class Lane:
    """The deliveries of one webhook in this process."""

    def __init__(
        self,
        pool: Pool,
        resources: Resources,
        webhook: Webhook,
        sender: Sender,
        gate: Gate,
        lease: Callable[[], int | None],
        ended: Callable[[asyncio.Task[None]], None],
        *,
        late_seconds: float,
        patience: asyncio.Semaphore,
    ) -> None:
        """`lease` gives the worker's id while its lease holds, by this process's own clock, else None.

        `ended` is told of each of the lane's own tasks when it ends, as it should only after `close`. A request may be
        applied as late as `late_seconds` after its timeout. `patience` is what all lanes of the process have together.
        """
        self.webhook, self.gate = webhook, gate
        self._pool, self._sender, self._lease, self._ended = pool, sender, lease, ended
        self._resource = resources[webhook.resource]
        self._reading = Reading.of(resources, webhook)
        self._terms = webhook.agreement.terms(self._resource)
        self._limit = Limit(webhook.batching.bytes_most)
        self._pace, self._capacity = Pace(), 0
        #: Claims that are not settled.
        self._in_hand = 0
        self._sending = Turns(lambda: max(gate.most(), 1), self._send, ended)
        gate.changed = self._sending.stir
        doubt_seconds = webhook.timeout + late_seconds
        self._answered = Answered(pool, webhook, gate, doubt_seconds, self._expecting, self._let_go, ended, patience)
        self._unsent: list[Claim] = []
        self._lost = LostClaims(pool, webhook.id)
        self._stirred = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._stirs_at = 0.0
        #: What is claimed as a probe, and passes where all else is held.
        self._probing: UUID | None = None
        self._closing, self._going = False, False
        self._claiming = asyncio.create_task(self._claim_on())
        self._claiming.add_done_callback(ended)

    @property
    def owes_back(self) -> bool:
        """Whether it has claims that nobody will send: the answer was lost, or the lease was over before their turn."""
        return self._lost.due or bool(self._unsent)

    @property
    def under_way(self) -> int:
        """How many requests are under way."""
        return self._sending.taken

    def wake(self) -> None:
        """Something is due, or to be given back."""
        self._stirred.set()

    def go(self) -> None:
        """The worker is going: what can't be given back at once is rescued, so that nobody waits for it."""
        self._going = True

    async def close(self) -> None:
        """Claim no more, wait for what is under way, settle it, and give back what was not sent, however long it takes.

        While the worker lives, nobody else would; it need not once it is going.
        """
        self._closing = True
        if self._timer:
            self._timer.cancel()
        self._stirred.set()
        self._sending.stir()
        await asyncio.wait([self._claiming])
        await self._sending.done()
        await self._answered.done()
        while self._unsent or self._lost:
            with suppress(Unavailable):
                await self._give_back()
            if self._going:
                break
            await asyncio.sleep(AGAIN_SECONDS)
        self._sender.close()

    def abandon(self) -> None:
        """Leave what is not done yet to whoever rescues the claims of this worker, which is going."""
        self._sending.cancel()
        self._claiming.cancel()
        self._answered.cancel()
        self._sender.close()

    async def _claim_on(self) -> None:
        """Claim while there is room and something is due; wait for either otherwise."""
        while not self._closing:
            self._stirred.clear()
            if self._held:
                await self._probe()
            room = await self._filled(self._room())
            if room and await self._claim(room) == room:
                continue
            await self._stirred.wait()

    def _room(self) -> int:
        """How many deliveries may be claimed now; 0: none, until some have been settled."""
        size, most = self.webhook.batching.size, 0 if self._held else self.gate.most()
        if most and (seconds := self.gate.seconds()):
            self._stir_in(seconds)
            return 0
        if not most:
            return 0
        if size > 1:
            size = self._limit.records(size)
            # No more than can go out now: what waits here is no longer there to fill a batch.
            free = min(most - len(self._sending), most - self._in_hand // size, max(1, MANY_MOST // size))
            return max(min(free, self.gate.room()), 0) * size
        # What has its answer keeps no receiver busy while it waits to be settled.
        self._capacity = self._pace.capacity(most)
        # What was under way when there was room yet may have been answered since, so there may be less than none.
        room = max(min(self._capacity - self._ahead, UNSETTLED_MOST - len(self._answered), SET_MOST), 0)
        if self.webhook.rate:
            return max(min(room, self.gate.room()), 0)
        return room if self._runs_low else 0

    @property
    def _ahead(self) -> int:
        """How many claims have no answer yet."""
        return self._in_hand - len(self._answered)

    def _expecting(self) -> bool:
        """Whether single requests enough are under way that answers come one after the other."""
        return self.webhook.batching.size == 1 and not self._closing and 2 * self._ahead >= max(self.gate.most(), 1)

    @property
    def _runs_low(self) -> bool:
        """Whether a good many may be claimed: a few at a time would cost a statement each."""
        return 3 * self._ahead < 2 * self._capacity

    async def _filled(self, room: int) -> int:
        """How many deliveries to claim now, where batches wait to be full: none yet, full batches, or all there are."""
        size, wait_seconds = self.webhook.batching.size, self.webhook.batching.wait_seconds
        # What is claimed already and nobody will send is given back by the next claim, which so waits for nothing.
        if size == 1 or not wait_seconds or not room or self.owes_back:
            return room
        try:
            due, waited_seconds = await register.waiting(self._pool, self.webhook.id, room)
        except Unavailable:
            return 0
        if waited_seconds >= wait_seconds:
            return room
        self._stir_in(wait_seconds - waited_seconds)
        return due - due % self._limit.records(size)

    def _stir_in(self, seconds: float) -> None:
        """Look for work after so many seconds, if not sooner."""
        loop = asyncio.get_running_loop()
        when = loop.time() + seconds
        if loop.time() < self._stirs_at <= when:
            return
        if self._timer:
            self._timer.cancel()
        # A handle knows its time in some loops only.
        self._stirs_at, self._timer = when, loop.call_at(when, self._stirred.set)

    @property
    def _held(self) -> bool:
        """Whether nothing may be sent, but perhaps a probe."""
        return self._answered.gone or self.gate.held or self.gate.doubtful

    async def _probe(self) -> None:
        """Give back what is held, and send one delivery through the open breaker where it is this lane's turn."""
        try:
            await self._give_back()
            if self._answered.gone or self._lease() is None or not await self.gate.probe():
                return
            while not self._closing and await self._claim(1, probe=True):
                # What need not be sent tells nothing of the receiver.
                if self._probing is not None:
                    return
            await self._put_back_probe()
        except Unavailable:
            self._stir_in(AGAIN_SECONDS)

    async def _put_back_probe(self) -> None:
        """Have the probe made with another delivery, since nothing goes out of this one."""
        self._probing = None
        with suppress(Unavailable):
            await self.gate.put_back()

    async def _claim(self, room: int, *, probe: bool = False) -> int:
        """Claim, read, and begin to send; give how many."""
        worker_id, token = self._lease(), uuid4()
        if worker_id is None:
            return 0
        try:
            await self._give_back()
            claims = await register.claim(self._pool, self.webhook.id, room, worker_id, token)
        except Unavailable:
            self._lost.add(token)
            return 0
        if not claims:
            return 0
        self._in_hand += len(claims)
        records = await self._records(claims)
        items = [Item(each, records[each.record_id]) for each in claims if each.record_id in records]
        if len(items) < len(claims):
            self._answer(await self._vanished([each for each in claims if each.record_id not in records]))
        if self.webhook.scope.sifts:
            items, needless = sift(items, marks=self.webhook.scope.marks)
            self._answer(needless)
        batches = list(cut(items, self.webhook.batching.size, self._limit.bytes - frame_bytes(self._resource)))
        self.gate.take(len(batches))
        if probe:
            self._probing = token if batches else None
        for batch in batches:
            self._sending.add((batch, worker_id))
        return len(claims)

    async def _records(self, claims: Sequence[Claim]) -> Mapping[UUID, Told]:
        """Read what was claimed, as it is now; while the database is away, wait for it."""
        while True:
            try:
                async with acquire(self._pool) as connection:
                    rows = await connection.fetch(self._reading.statement, *self._reading.arguments(claims))
                return {row["id"]: Told(**row) for row in rows}
            except Unavailable:
                await asyncio.sleep(AGAIN_SECONDS)

    async def _vanished(self, claims: Sequence[Claim]) -> Iterable[Settlement]:
        """Settle claims of records that there are no more; one person's SQL must not keep all else from being sent."""
        while True:
            try:
                return vanished(
                    claims, await register.wanted(self._pool, self.webhook.id, [each.record_id for each in claims])
                )
            except Unavailable:
                await asyncio.sleep(AGAIN_SECONDS)

    async def _send(self, turn: tuple[Batch, int]) -> None:
        """Make one attempt of a batch, claimed under a worker's lease, and pass what came of it on."""
        batch, worker_id = turn
        # A claim is given back where it waited for its turn at the end, and when the lease that it was made under is
        # over: a new one does not bring it back from whoever has rescued it. So it is while nothing gets through.
        held = self._held and batch[0].claim.token != self._probing
        if self._closing or held or self._lease() != worker_id:
            self._put_back(batch)
            return
        try:
            request_id, request = build_request(self._resource, self.webhook, batch)
            reply = await self._sender.send(request, lambda: self._lease() == worker_id)
        except CannotBeAddressed as error:
            self._answer(unaddressed(batch, str(error)))
            if batch[0].claim.token == self._probing:
                await self._put_back_probe()
            return
        except LeaseOver:
            self._put_back(batch)
            return
        if self.webhook.batching.size == 1:
            self._answer(settlements(batch, request_id, request, reply, self.webhook.retry))
        else:
            self._answer(batch_settlements(batch, request_id, request, reply, self.webhook.retry, self._terms))
            self._heed(batch, request, reply, worker_id)

    def _put_back(self, batch: Batch) -> None:
        """Have claims given back that are not sent."""
        self._unsent.extend(item.claim for item in batch)
        self._in_hand -= len(batch)
        self._stirred.set()

    def _heed(self, batch: Batch, request: Request, reply: Reply, worker_id: int) -> None:
        """Do what a batch's reply asks for beyond its deliveries: make smaller ones, or ask for each half alone."""
        self._limit.note(len(request.body), len(batch))
        if reply.status == TOO_LARGE:
            self._limit.halve(len(request.body))
        elif error_class_of(reply) is None:
            self._limit.grow()
        if refused_whole(batch, reply):
            self.gate.take(2)
            for half in halves(batch):
                self._sending.add((half, worker_id))
        self._stirred.set()

    def _answer(self, answers: Iterable[Settlement]) -> None:
        self._answered.add(answers)
        if self._runs_low:
            self._stirred.set()

    def _let_go(self, settled: int) -> None:
        """So many deliveries are settled, and their room is free."""
        self._in_hand -= settled
        self._pace.count(settled)
        self._stirred.set()

    async def _give_back(self) -> None:
        """Owe again what is claimed under a token of ours and will not be sent; nobody else would, while we live."""
        await self._lost.give_back()
        while unsent := self._unsent[:SET_MOST]:
            await register.release(self._pool, self.webhook.id, unsent)
            del self._unsent[: len(unsent)]
