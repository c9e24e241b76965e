"""What workers share of a webhook: its breaker, and who makes how many of its requests at once."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from retailos.database.pool import Pool, transaction
from retailos.deliveries import openings, register
from retailos.deliveries.outcome import Outcome
from retailos.deliveries.settlement import Settlement
from retailos.sending import gate
from retailos.sending.gate import Gate
from retailos.webhooks import orders
from tests.conftest import eventually, observed
from tests.store.conftest import LEASE_SECONDS, Store, add_webhook
from tests.store.registers import DELIVERED, HELD, RETRY, SKIPPED, claim, settlement

LOCKED = "select count(*) > 0 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"


async def gates(store: Store, count: int = 1, **settings: Any) -> list[Gate]:
    """Gates of as many lanes of one webhook, each of a worker of its own."""
    [webhook] = await orders.webhooks(store.pool)
    policy = replace(webhook.breaker, failures=3, probe_seconds=60.0)
    made = [Gate(store.pool, replace(webhook, **({"breaker": policy} | settings))) for _ in range(count)]
    for each in made:
        each.give(16)
    return made


async def answers(store: Store, webhook: int, worker: int, *outcomes: Outcome) -> list[Settlement]:
    """What became of as many requests."""
    for _ in outcomes:
        await store.write("customer", str(uuid4()), {"firstName": "A"})
    held = await claim(store.pool, webhook, worker, len(outcomes))
    return [settlement(each, 1, outcome) for each, outcome in zip(held, outcomes, strict=True)]


async def row(pool: Pool) -> dict[str, Any]:
    """The breaker as it is kept."""
    found = await pool.fetchrow("select * from breaker")
    return dict(found) if found else {}


async def learn(store: Store, webhook: int, *learning: Gate) -> None:
    """Look, as a worker does."""
    asked_at = time.monotonic()
    breaker = (await register.next_due(store.pool))[webhook].breaker
    for each in learning:
        each.tell(breaker, asked_at)


async def test_a_breaker_opens_after_failures_in_a_row(
    store: Store, webhook: int, worker: int, caplog: pytest.LogCaptureFixture
) -> None:
    """It opens at the third failure in a row, whichever workers saw them, and says so once."""
    await store.write("customer", "c-1", {"firstName": "A"})
    one, other = await gates(store, 2)
    await one.note(await answers(store, webhook, worker, DELIVERED))
    assert await row(store.pool) == {}
    await one.note(await answers(store, webhook, worker, RETRY, RETRY, DELIVERED, RETRY))
    await other.note(await answers(store, webhook, worker, RETRY))
    assert ((await row(store.pool))["failures"], one.held, other.held) == (2, False, False)
    await one.note(await answers(store, webhook, worker, RETRY))
    await learn(store, webhook, other)
    assert (one.held, other.held, one.most(), other.most()) == (True, True, 0, 0)
    await other.note(await answers(store, webhook, worker, RETRY, HELD))
    assert [type(each).__name__ for each in observed(caplog)] == ["BreakerOpened"]
    assert (await orders.webhook(store.pool, webhook)).held_since == (await row(store.pool))["opened_at"]


async def test_one_worker_probes_and_success_closes(
    store: Store, webhook: int, worker: int, caplog: pytest.LogCaptureFixture
) -> None:
    """When a probe is due one of all workers has it; whatever gets through closes the breaker, and sending ramps up."""
    await store.write("customer", "c-1", {"firstName": "A"})
    some = await gates(store, 4)
    await some[0].note(await answers(store, webhook, worker, RETRY, RETRY, RETRY))
    assert [await each.probe() for each in some] == [False] * 4
    await store.pool.execute("update breaker set probe_at = now() - interval '1 second'")
    assert (await register.next_due(store.pool))[webhook].seconds <= 0
    await learn(store, webhook, *some)
    assert sorted(await asyncio.gather(*(each.probe() for each in some))) == [False, False, False, True]
    # Whoever has it may die: until its request must be over, nobody asks again, and then somebody does.
    assert 85 < (await register.next_due(store.pool))[webhook].seconds <= 90
    await some[1].note(await answers(store, webhook, worker, HELD))
    assert 55 < (await register.next_due(store.pool))[webhook].seconds <= 60
    assert (await row(store.pool))["failures"] == 4
    await some[1].note(await answers(store, webhook, worker, DELIVERED))
    closed = await row(store.pool)
    assert (closed["failures"], closed["opened_at"], closed["probe_at"]) == (0, None, None)
    [opening] = await store.pool.fetch("select * from opening")
    assert (opening["webhook_id"], opening["failures"], opening["closed_at"]) == (webhook, 4, closed["closed_at"])
    assert closed["closed_at"] is not None
    assert (some[1].held, some[1].most()) == (False, 1)
    assert [type(each).__name__ for each in observed(caplog)] == ["BreakerOpened", "BreakerClosed"]
    await learn(store, webhook, *some)
    assert [each.held for each in some] == [False] * 4


async def test_what_will_open_the_breaker_holds_at_once(store: Store, webhook: int, worker: int) -> None:
    """Nothing more is sent once so many requests came to nothing, though the breaker is told of them a little later."""
    await store.write("customer", "c-1", {"firstName": "A"})
    one, other = await gates(store, 2)
    for outcome, doubtful in ((RETRY, False), (RETRY, False), (SKIPPED, False), (RETRY, True), (DELIVERED, False)):
        one.hear(outcome)
        assert one.doubtful is doubtful
    for _ in range(2):
        one.hear(RETRY)
    await other.note(await answers(store, webhook, worker, RETRY))
    await learn(store, webhook, one)
    assert one.doubtful
    # Another worker's requests get through: told of both, the breaker stays closed, and sending goes on.
    await other.note(await answers(store, webhook, worker, DELIVERED))
    await one.note(await answers(store, webhook, worker, RETRY, RETRY))
    assert (one.doubtful, one.held, (await row(store.pool))["failures"]) == (False, False, 2)


async def test_a_probe_that_finds_nothing_to_send_is_put_back(store: Store, webhook: int, worker: int) -> None:
    """It is wanted again as soon as there is something, as when a lane that closes has given back what it had."""
    await store.write("customer", "c-1", {"firstName": "A"})
    one, other = await gates(store, 2)
    await one.note(await answers(store, webhook, worker, RETRY, RETRY, RETRY))
    await store.pool.execute("update breaker set probe_at = now() - interval '1 second'")
    await learn(store, webhook, one, other)
    assert (await one.probe(), await other.probe()) == (True, False)
    await one.put_back()
    await learn(store, webhook, other)
    assert await eventually(other.probe)


async def test_a_probe_is_sent_as_the_webhook_is_now(store: Store, webhook: int, worker: int) -> None:
    """A lane that has not heard yet that its webhook was changed leaves the probe to the one that has."""
    await store.write("customer", "c-1", {"firstName": "A"})
    [before] = await gates(store)
    await before.note(await answers(store, webhook, worker, RETRY, RETRY, RETRY))
    await store.pool.execute("update breaker set probe_at = now() - interval '1 second'")
    await store.pool.execute("update webhook set updated_at = updated_at + interval '1 second'")
    [after] = await gates(store)
    await learn(store, webhook, before, after)
    assert (await before.probe(), await after.probe()) == (False, True)


async def test_what_went_out_before_a_change_says_nothing_of_it(store: Store, webhook: int, worker: int) -> None:
    """Answers to what a lane sent as the webhook was before neither open its breaker nor close it."""
    [before] = await gates(store)
    await before.note(await answers(store, webhook, worker, RETRY))
    await store.pool.execute("update webhook set updated_at = updated_at + interval '1 second'")
    await before.note(await answers(store, webhook, worker, RETRY, RETRY, RETRY))
    assert ((await row(store.pool))["failures"], (await row(store.pool))["opened_at"]) == (1, None)
    [after] = await gates(store)
    await after.note(await answers(store, webhook, worker, RETRY, RETRY))
    await before.note(await answers(store, webhook, worker, DELIVERED))
    assert (await row(store.pool))["opened_at"]


async def test_openings_are_kept_as_long_as_they_should(store: Store, webhook: int, worker: int) -> None:
    """A breaker that something got through and that opens at once again has two; what is long over is forgotten."""
    [one] = await gates(store)
    await one.note(await answers(store, webhook, worker, RETRY, RETRY, RETRY))
    await store.pool.execute("update breaker set opened_at = now() - interval '1 hour'")
    await one.note(await answers(store, webhook, worker, DELIVERED, HELD, HELD, HELD))
    async with store.pool.acquire() as connection:
        now, before = await openings.openings(connection, webhook, 10, 0)
    assert (now.closed_at, now.failures, before.closed_at, before.failures) == (None, 3, now.opened_at, 3)
    await openings.forget(store.pool, 0)
    assert await store.value("select count(*) from opening") == 1
    await store.pool.execute("update opening set closed_at = now() - interval '2 days'")
    await openings.forget(store.pool, 1)
    assert await store.value("select count(*) from opening") == 0


async def test_a_breaker_that_is_off_keeps_nothing_back(store: Store, webhook: int, worker: int) -> None:
    """`breaker: off` is the guide's plain policy: nothing is counted, nothing held, nothing probed."""
    [webhook_] = await orders.webhooks(store.pool)
    [plain] = await gates(store, breaker=replace(webhook_.breaker, on=False))
    await plain.note(await answers(store, webhook, worker, *([RETRY] * 30)))
    assert (await row(store.pool), plain.held, plain.most(), await plain.probe()) == ({}, False, 16, False)


async def test_a_share_is_as_large_as_anybodys(store: Store) -> None:
    """Each worker has its part of the requests at once, all of them together never more than the webhook allows."""
    webhooks = [await add_webhook(store.pool, name=name) for name in "abc"]
    workers: list[int] = []
    for count in range(1, 6):
        workers.append(await register.enlist(store.pool, f"w-{count}", LEASE_SECONDS))
        # The new one comes first, and has to wait for what others give up.
        for _ in range(2):
            for each in reversed(workers):
                wanted = {name: due for name, (_, due) in (await gate.shares(store.pool, each)).items()}
                async with transaction(store.pool) as connection:
                    await gate.divide(connection, each, wanted)
                for name in webhooks:
                    total = "select sum(slots) from share where webhook_id = $1"
                    assert await store.value(total, name) <= 16
        for name in webhooks:
            slots = [row[0] for row in await store.pool.fetch("select slots from share where webhook_id = $1", name)]
            assert (sum(slots), max(slots) - min(slots) <= 1, len(slots)) == (16, True, count)


async def test_workers_that_take_at_once_do_not_take_too_much(store: Store, webhook: int) -> None:
    """However many workers divide a webhook at the same moment, its requests at once are given to one each."""
    workers = [await register.enlist(store.pool, f"w-{i}", LEASE_SECONDS) for i in range(8)]

    async def take(worker: int) -> None:
        async with transaction(store.pool) as connection:
            await gate.divide(connection, worker, {webhook: 5})

    await asyncio.gather(*map(take, workers))
    slots = sorted(row[0] for row in await store.pool.fetch("select slots from share"))
    assert slots == [0, 0, 0, 0, 1, 5, 5, 5]


async def test_one_worker_at_a_time_divides(store: Store, webhook: int) -> None:
    """Who divides a webhook while another does waits for what that takes, and takes no more than it leaves."""
    workers = [await register.enlist(store.pool, f"w-{i}", LEASE_SECONDS) for i in range(2)]

    async def take() -> Mapping[int, int]:
        async with transaction(store.pool) as connection:
            return await gate.divide(connection, workers[1], {webhook: 16})

    async def waits() -> bool:
        return waiting.done() or await store.value(LOCKED)

    async with transaction(store.pool) as connection:
        assert await gate.divide(connection, workers[0], {webhook: 16}) == {webhook: 16}
        waiting = asyncio.create_task(take())
        assert await eventually(waits)
    assert await waiting == {webhook: 0}


async def test_what_a_worker_had_is_free_when_it_is_gone(store: Store, webhook: int) -> None:
    """The share of a worker whose lease has ended counts no more, and is forgotten."""
    workers = [await register.enlist(store.pool, f"w-{i}", LEASE_SECONDS) for i in range(2)]
    async with transaction(store.pool) as connection:
        assert await gate.divide(connection, workers[0], {webhook: 16}) == {webhook: 16}
        assert await gate.divide(connection, workers[1], {webhook: 16}) == {webhook: 0}
    await store.pool.execute("delete from worker where id = $1", workers[0])
    async with transaction(store.pool) as connection:
        assert await gate.divide(connection, workers[1], {webhook: 16}) == {webhook: 16}
    await gate.forget(store.pool)
    assert await store.value("select count(*) from share") == 1
