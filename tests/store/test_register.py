"""The register: what is owed is claimed once, settled by its holder only, and never forgotten."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest

from retailos.database.pool import Connection, Pool, transaction
from retailos.webhooks import register
from retailos.webhooks.claim import Claim
from retailos.webhooks.exchange import ErrorClass, Reply
from retailos.webhooks.outcome import Blame, Delivered, Failed, Outcome, Retry
from retailos.webhooks.settlement import Settlement
from tests.conftest import eventually
from tests.store.conftest import Store, add_webhook, stored
from tests.store.requeueing import count_failed, requeue_failed

LEASE_SECONDS = 60.0
DELIVERED = Delivered()
RETRY = Retry(after_seconds=60.0, error_class=ErrorClass.HTTP_5XX, blame=Blame.RECEIVER)
FAILED = Failed(error_class=ErrorClass.HTTP_4XX, blame=Blame.RECORD)


@pytest.fixture
async def webhook(store: Store) -> int:
    """A webhook of customers."""
    return await add_webhook(store.pool)


@pytest.fixture
async def worker(store: Store) -> int:
    """A worker whose lease holds."""
    return await register.enlist(store.pool, "w-1", LEASE_SECONDS)


def settlement(claim: Claim, version: int, outcome: Outcome = DELIVERED) -> Settlement:
    """What an attempt of a claim came to."""
    reply = Reply(at=datetime.now(UTC), milliseconds=1.0, status=200 if outcome == DELIVERED else 500)
    return Settlement(claim=claim, version=version, outcome=outcome, request_id=uuid4(), url="https://x", reply=reply)


async def claim(pool: Pool, webhook: int, worker: int, most: int = 100) -> list[Claim]:
    """Claim under a new token."""
    return await register.claim(pool, webhook, most, worker, uuid4())


async def state(pool: Pool, record_id: UUID) -> dict[str, Any]:
    """A register, and in how many seconds it is due: None if it is not, infinity if never."""
    row = await pool.fetchrow(
        "select delivery.*, extract(epoch from due_at - now())::float8 as due from delivery"
        " left join due using (webhook_id, record_id) where record_id = $1",
        record_id,
    )
    assert row is not None
    return dict(row)


async def rescued(pool: Pool, leaving: int | None = None) -> dict[str, int]:
    """Rescue what dead workers had claimed."""
    async with transaction(pool) as connection:
        return await register.rescue(connection, leaving=leaving)


async def test_a_change_is_owed_claimed_and_settled(store: Store, webhook: int, worker: int) -> None:
    """A change is due at once, claimed with its attempt, and done when the version that was sent is acknowledged."""
    record = (await store.write("customer", "c-1", {"firstName": "A"})).record_id
    owed = await state(store.pool, record)
    assert (owed["status"], owed["wanted"], owed["acknowledged"], owed["attempts"]) == ("owed", 1, 0, 0)
    assert owed["due"] <= 0
    [held] = await claim(store.pool, webhook, worker)
    assert (held.record_id, held.attempt, held.acknowledged) == (record, 1, 0)
    sending = await state(store.pool, record)
    assert (sending["status"], sending["due"], sending["token"], sending["worker_id"]) == (
        "sending",
        None,
        held.token,
        worker,
    )
    assert await claim(store.pool, webhook, worker) == []
    assert await register.settle(store.pool, webhook, [settlement(held, 1)]) == 1
    done = await state(store.pool, record)
    assert (done["status"], done["acknowledged"], done["due"], done["token"]) == ("delivered", 1, None, None)
    assert await store.value("select count(*) from attempt") == 1


async def test_a_settlement_without_its_claim_does_nothing(store: Store, webhook: int, worker: int) -> None:
    """A settlement is fenced: with another token, or a second time, it changes nothing but the history."""
    record = (await store.write("customer", "c-1", {"firstName": "A"})).record_id
    [held] = await claim(store.pool, webhook, worker)
    before = await state(store.pool, record)
    for stale in (replace(held, token=uuid4()), replace(held, record_id=uuid4())):
        for outcome in (DELIVERED, RETRY, FAILED):
            assert await register.settle(store.pool, webhook, [settlement(stale, 1, outcome)]) == 0
    assert await register.settle(store.pool, webhook + 1, [settlement(held, 1)]) == 0
    assert await state(store.pool, record) == before
    assert await register.settle(store.pool, webhook, [settlement(held, 1)]) == 1
    done = await state(store.pool, record)
    assert await register.settle(store.pool, webhook, [settlement(held, 1, FAILED)]) == 0
    assert await state(store.pool, record) == done


@pytest.mark.parametrize("outcome", [DELIVERED, RETRY, FAILED], ids=["delivered", "retry", "failed"])
async def test_a_write_between_claim_and_settlement_is_owed(
    store: Store, webhook: int, worker: int, outcome: Outcome
) -> None:
    """What changed while an older version was under way is owed at once, from the first attempt, in any case."""
    record = (await store.write("customer", "c-1", {"firstName": "A"})).record_id
    [held] = await claim(store.pool, webhook, worker)
    await store.write("customer", "c-1", {"firstName": "B"})
    assert (await state(store.pool, record))["status"] == "sending"
    assert await claim(store.pool, webhook, worker) == []
    await register.settle(store.pool, webhook, [settlement(held, 1, outcome)])
    owed = await state(store.pool, record)
    assert (owed["status"], owed["wanted"], owed["attempts"]) == ("owed", 2, 0)
    assert owed["acknowledged"] == (1 if outcome == DELIVERED else 0)
    assert owed["due"] <= 0
    [again] = await claim(store.pool, webhook, worker)
    assert again.attempt == 1


async def test_a_newer_version_than_wanted_at_the_claim_settles_what_was_sent(
    store: Store, webhook: int, worker: int
) -> None:
    """The record is read after the claim, so a later version may be sent and acknowledged, and nothing is owed then."""
    record = (await store.write("customer", "c-1", {"firstName": "A"})).record_id
    [held] = await claim(store.pool, webhook, worker)
    await store.write("customer", "c-1", {"firstName": "B"})
    await register.settle(store.pool, webhook, [settlement(held, 2)])
    done = await state(store.pool, record)
    assert (done["status"], done["acknowledged"], done["wanted"], done["due"]) == ("delivered", 2, 2, None)


async def test_a_retry_is_due_when_it_is_due(store: Store, webhook: int, worker: int) -> None:
    """A failed attempt is not claimed before its time, and counts on when it is."""
    record = (await store.write("customer", "c-1", {"firstName": "A"})).record_id
    [held] = await claim(store.pool, webhook, worker)
    await register.settle(store.pool, webhook, [settlement(held, 1, RETRY)])
    waiting = await state(store.pool, record)
    assert (waiting["status"], waiting["attempts"], waiting["error_class"]) == ("retrying", 1, "http_5xx")
    assert 55 < waiting["due"] <= 60
    assert await claim(store.pool, webhook, worker) == []
    assert 55 < (await register.next_due(store.pool))[webhook] <= 60
    await store.pool.execute("update due set due_at = now()")
    assert [each.attempt for each in await claim(store.pool, webhook, worker)] == [2]


@pytest.mark.parametrize("outcome", [RETRY, FAILED], ids=["retrying", "failed"])
async def test_a_change_does_not_wait_for_a_retry(store: Store, webhook: int, worker: int, outcome: Outcome) -> None:
    """A new change of a record that is being retried, or has failed, is due at once and counts from one."""
    record = (await store.write("customer", "c-1", {"firstName": "A"})).record_id
    [held] = await claim(store.pool, webhook, worker)
    await register.settle(store.pool, webhook, [settlement(held, 1, outcome)])
    await store.write("customer", "c-1", {"firstName": "B"})
    owed = await state(store.pool, record)
    assert (owed["status"], owed["attempts"], owed["wanted"]) == ("owed", 0, 2)
    assert owed["due"] <= 0
    assert [each.attempt for each in await claim(store.pool, webhook, worker)] == [1]


async def test_a_failed_delivery_stays_until_it_is_requeued(store: Store, webhook: int, worker: int) -> None:
    """A failed delivery is never due by itself; a requeue owes it again, as a first attempt."""
    record = (await store.write("customer", "c-1", {"firstName": "A"})).record_id
    [held] = await claim(store.pool, webhook, worker)
    await register.settle(store.pool, webhook, [settlement(held, 1, FAILED)])
    failed = await state(store.pool, record)
    assert (failed["status"], failed["due"], failed["acknowledged"]) == ("failed", float("inf"), 0)
    assert await register.next_due(store.pool) == {}
    assert await claim(store.pool, webhook, worker) == []
    assert await count_failed(store.pool, webhook) == 1
    assert await requeue_failed(store.pool, webhook) == 1
    assert await count_failed(store.pool, webhook) == 0
    assert [each.attempt for each in await claim(store.pool, webhook, worker)] == [1]


async def test_what_is_released_was_never_attempted(store: Store, webhook: int, worker: int) -> None:
    """A claim that is given back is due again and its attempt does not count; one that is lost can't be given back."""
    record = (await store.write("customer", "c-1", {"firstName": "A"})).record_id
    for _ in range(3):
        [held] = await claim(store.pool, webhook, worker)
        assert held.attempt == 1
        await register.release(store.pool, webhook, [replace(held, token=uuid4())])
        assert (await state(store.pool, record))["status"] == "sending"
        await register.release(store.pool, webhook, [held])
        owed = await state(store.pool, record)
        assert (owed["status"], owed["attempts"], owed["ambiguous"]) == ("owed", 0, False)
        assert owed["due"] <= 0
    assert await store.value("select count(*) from attempt") == 0


async def test_a_claim_whose_answer_was_lost_is_given_back(store: Store, webhook: int, worker: int) -> None:
    """What was taken under a token can be found by the token, and given back whole."""
    for i in range(5):
        await store.write("customer", f"c-{i}", {"firstName": "A"})
    token = uuid4()
    assert len(await register.claim(store.pool, webhook, 3, worker, token)) == 3
    await register.unclaim(store.pool, webhook, token)
    await register.unclaim(store.pool, webhook, token)
    assert len(await claim(store.pool, webhook, worker)) == 5


async def test_a_lease_that_ran_out_claims_and_renews_nothing(store: Store, webhook: int, worker: int) -> None:
    """A worker whose lease is over, or that never was, gets nothing, and can't prolong what has ended."""
    await store.write("customer", "c-1", {"firstName": "A"})
    assert await register.renew(store.pool, worker, LEASE_SECONDS)
    await store.pool.execute("update worker set lease_until = now() - interval '1 s'")
    assert await claim(store.pool, webhook, worker) == []
    assert await claim(store.pool, webhook, worker + 1) == []
    assert not await register.renew(store.pool, worker, LEASE_SECONDS)
    fresh = await register.enlist(store.pool, "w-2", LEASE_SECONDS)
    assert fresh != worker
    assert len(await claim(store.pool, webhook, fresh)) == 1


async def test_what_a_dead_worker_had_claimed_is_rescued(store: Store, webhook: int, worker: int) -> None:
    """When a lease has run out its claims are owed again, doubtful, once; their holder can settle nothing any more."""
    records = [(await store.write("customer", f"c-{i}", {"firstName": "A"})).record_id for i in range(3)]
    other = await register.enlist(store.pool, "w-2", LEASE_SECONDS)
    held = await claim(store.pool, webhook, worker, 2)
    kept = await claim(store.pool, webhook, other)
    assert await rescued(store.pool) == {}
    await store.pool.execute("update worker set lease_until = now() - interval '1 s' where id = $1", worker)
    assert await rescued(store.pool) == {"w-1": 2}
    assert await rescued(store.pool) == {}
    for each in held:
        owed = await state(store.pool, each.record_id)
        assert (owed["status"], owed["ambiguous"], owed["token"]) == ("owed", True, None)
        assert owed["due"] <= 0
    assert (await state(store.pool, kept[0].record_id))["status"] == "sending"
    assert await register.settle(store.pool, webhook, [settlement(each, 1) for each in held]) == 0
    again = await claim(store.pool, webhook, other)
    assert sorted(each.record_id for each in [*again, *kept]) == sorted(records)


async def test_a_worker_that_leaves_gives_everything_back(store: Store, webhook: int, worker: int) -> None:
    """A worker that leaves ends its lease and what it still held is owed, while the others keep theirs."""
    await store.write("customer", "c-1", {"firstName": "A"})
    await claim(store.pool, webhook, worker)
    assert await rescued(store.pool, leaving=worker) == {"w-1": 1}
    assert await store.value("select count(*) from worker") == 0
    assert await claim(store.pool, webhook, worker) == []


async def test_claims_do_not_overlap(store: Store, webhook: int) -> None:
    """Workers that claim at once share what is due: nothing twice, nothing left."""
    await asyncio.gather(*(store.write("customer", f"c-{i}", {"firstName": "A"}) for i in range(300)))
    workers = [await register.enlist(store.pool, f"w-{i}", LEASE_SECONDS) for i in range(4)]

    async def take(worker: int) -> list[Claim]:
        held: list[Claim] = []
        while more := await claim(store.pool, webhook, worker, 17):
            held += more
        return held

    taken = [each for many in await asyncio.gather(*map(take, workers)) for each in many]
    assert len(taken) == len({each.record_id for each in taken}) == 300
    assert len({each.token for each in taken}) > 10


async def test_what_is_owed_to_a_deleted_webhook_is_swept(store: Store, webhook: int) -> None:
    """What a write that was under way still owed to a webhook that is gone is removed, and nobody else's."""
    other = await add_webhook(store.pool, name="other")
    await store.write("customer", "c-1", {"firstName": "A"})
    await store.pool.execute("update webhook set deleted_at = now(), active = false where id = $1", webhook)
    await register.tidy(store.pool)
    assert [row[0] for row in await store.pool.fetch("select webhook_id from delivery")] == [other]
    assert [row[0] for row in await store.pool.fetch("select webhook_id from due")] == [other]
    await store.write("customer", "c-1", {"firstName": "B"})
    assert await store.value("select count(*) from delivery") == 1


async def test_the_tally_is_folded_and_stays_right(store: Store) -> None:
    """Many small differences become one for each resource, while writers go on, and the count stays exact."""
    await asyncio.gather(*(store.write("customer", f"c-{i}", {"firstName": "A"}) for i in range(50)))
    await store.pool.execute("insert into tally select 'store', 1 from generate_series(1, 500)")
    await asyncio.gather(
        *(store.write("customer", f"d-{i}", {"firstName": "A"}) for i in range(100)),
        *(register.tidy(store.pool) for _ in range(5)),
    )
    assert await store.value("select sum(delta) from tally where resource = 'customer'") == 150
    assert await store.value("select sum(delta) from tally where resource = 'store'") == 500
    assert await store.value("select count(*) from tally where resource = 'store'") == 1


class Strain:
    """Writers, workers and operators that get in each other's way until they are told to stop."""

    def __init__(self, stores: Sequence[Store], webhooks: Sequence[int]) -> None:
        self.stores, self.webhooks = stores, webhooks
        self.stop = asyncio.Event()
        self.random = Random(11)
        self.written = self.settled = self.requeued = 0

    async def write(self, store: Store) -> None:
        """Write in bursts that touch the same few records."""
        while not self.stop.is_set():
            keys = [f"c-{self.random.randrange(40)}" for _ in range(30)]
            await asyncio.gather(
                *(store.write("customer", key, {"details": {"n": self.random.random()}}) for key in keys)
            )
            self.written += len(keys)

    async def deliver(self, store: Store, webhook: int) -> None:
        """Claim, read and settle with any outcome, sometimes late, sometimes not at all."""
        worker = await register.enlist(store.pool, f"w-{self.random.random()}", LEASE_SECONDS)
        while not self.stop.is_set():
            held = await claim(store.pool, webhook, worker, 25)
            if not held:
                await asyncio.wait([asyncio.ensure_future(self.stop.wait())], timeout=0.002)
                continue
            records = [each.record_id for each in held]
            rows = await store.pool.fetch("select id, version from customers where id = any($1)", records)
            versions = {row["id"]: row["version"] for row in rows}
            self.random.shuffle(held)
            given, back = held[: -len(held) // 4] or held, held[-len(held) // 4 :]
            choices: list[Outcome] = [DELIVERED, DELIVERED, replace(RETRY, after_seconds=0.0), FAILED]
            outcomes = self.random.choices(choices, k=len(given))
            settlements = [settlement(c, versions[c.record_id], o) for c, o in zip(given, outcomes, strict=True)]
            self.settled += await register.settle(store.pool, webhook, settlements)
            await register.release(store.pool, webhook, back)

    async def operate(self, store: Store) -> None:
        """Requeue, rescue and tidy all the time."""
        while not self.stop.is_set():
            for webhook in self.webhooks:
                self.requeued += await requeue_failed(store.pool, webhook)
            await rescued(store.pool)
            await register.tidy(store.pool)

    async def run(self, seconds: float) -> None:
        """Strain for so long; whatever goes wrong is raised."""
        tasks = [asyncio.ensure_future(self.write(each)) for each in self.stores]
        tasks += [asyncio.ensure_future(self.deliver(s, w)) for s in self.stores for w in self.webhooks]
        tasks.append(asyncio.ensure_future(self.operate(self.stores[0])))
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        self.stop.set()
        await asyncio.gather(*tasks)


async def test_writers_workers_and_operators_never_deadlock(database: str, connection: Connection) -> None:
    """Locks are taken in one order everywhere: under strain there is no deadlock, and the registers stay sound."""
    async with stored(database) as one, stored(database) as two:
        webhooks = [await add_webhook(one.pool, name=name) for name in ("a", "b")]
        strain = Strain((one, two), webhooks)
        await strain.run(4)
        assert min(strain.written, strain.settled, strain.requeued) > 100
        await assert_sound(one.pool)
        await assert_all_can_be_delivered(one.pool, webhooks)

    # What a connection counted is certain to be told when it has ended.
    async def ended() -> bool:
        return not await connection.fetchval("select count(*) from pg_stat_activity where application_name = 'tests'")

    assert await eventually(ended)
    assert await connection.fetchval("select deadlocks from pg_stat_database where datname = current_database()") == 0


async def assert_sound(pool: Pool) -> None:
    """See that registers, due rows and records tell the same, whatever the moment."""
    unsound = await pool.fetch(
        "select delivery.*, due_at from delivery full join due using (webhook_id, record_id)"
        " where status is null or (status in ('owed', 'retrying', 'failed')) <> (due_at is not null)"
        " or (status = 'failed') <> (due_at is not distinct from 'infinity')"
        " or (status = 'delivered' and acknowledged <> wanted)"
    )
    assert [dict(each) for each in unsound] == []
    behind = "select count(*) from delivery join customers on id = record_id where wanted <> version"
    assert await pool.fetchval(behind) == 0


async def assert_all_can_be_delivered(pool: Pool, webhooks: Sequence[int]) -> None:
    """See that whatever is owed can be claimed, or requeued, and that nothing is left then."""
    worker = await register.enlist(pool, "last", LEASE_SECONDS)
    await pool.execute("update worker set lease_until = now() where id <> $1", worker)
    await rescued(pool)
    for webhook in webhooks:
        await requeue_failed(pool, webhook)
        await pool.execute("update due set due_at = now()")
        held = await claim(pool, webhook, worker)
        rows = await pool.fetch("select record_id, wanted from delivery where webhook_id = $1", webhook)
        wanted = {row["record_id"]: row["wanted"] for row in rows}
        await register.settle(pool, webhook, [settlement(each, wanted[each.record_id]) for each in held])
    assert await pool.fetchval("select count(*) from delivery where acknowledged < wanted") == 0
    assert await pool.fetchval("select count(*) from due") == 0
