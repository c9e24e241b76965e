"""The register: what is owed is claimed once, settled by its holder only, and never forgotten."""

import asyncio
from uuid import uuid4

import pytest
from msgspec.structs import replace

from retailos.deliveries import register, sweep
from retailos.deliveries.claim import DOUBTFUL, LEFT, RETURNING, Claim
from retailos.deliveries.outcome import Outcome
from tests.store.conftest import LEASE_SECONDS, Store, add_webhook
from tests.store.registers import (
    DELIVERED,
    FAILED,
    RETRY,
    claim,
    rescued,
    settle,
    settlement,
    state,
)
from tests.store.requeueing import count_failed, requeue_failed


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
    assert await settle(store.pool, webhook, [settlement(held, 1)]) == 1
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
            assert await settle(store.pool, webhook, [settlement(stale, 1, outcome)]) == 0
    assert await settle(store.pool, webhook + 1, [settlement(held, 1)]) == 0
    assert await state(store.pool, record) == before
    assert await settle(store.pool, webhook, [settlement(held, 1)]) == 1
    done = await state(store.pool, record)
    assert await settle(store.pool, webhook, [settlement(held, 1, FAILED)]) == 0
    assert await state(store.pool, record) == done


async def test_a_settlement_that_is_made_again_is_told_once(store: Store, webhook: int, worker: int) -> None:
    """Where nobody knows whether a settlement was made, it can be made again: the history has each attempt once."""
    await store.write("customer", "c-1", {"firstName": "A"})
    [held] = await claim(store.pool, webhook, worker)
    made = [settlement(held, 1)]
    assert (await register.settle(store.pool, webhook, made, 90.0)).held == 1
    again = [*made, settlement(held, 1)]
    assert await register.settle(store.pool, webhook, again, 90.0, careful=True) == (0, frozenset())
    assert await store.value("select count(*) from attempt") == 2


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
    await settle(store.pool, webhook, [settlement(held, 1, outcome)])
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
    await settle(store.pool, webhook, [settlement(held, 2)])
    done = await state(store.pool, record)
    assert (done["status"], done["acknowledged"], done["wanted"], done["due"]) == ("delivered", 2, 2, None)


async def test_what_a_disabled_webhook_was_owed_may_be_read_newer(store: Store, webhook: int, worker: int) -> None:
    """What was owed before it was disabled is sent as the record is by now, and then nothing else is owed of it."""
    record = (await store.write("customer", "c-1", {"firstName": "A"})).record_id
    await store.pool.execute("update webhook set active = false, disabled = true")
    await store.write("customer", "c-1", {"firstName": "B"})
    await store.pool.execute("update webhook set active = true, disabled = false")
    [held] = await claim(store.pool, webhook, worker)
    await settle(store.pool, webhook, [settlement(held, 2)])
    done = await state(store.pool, record)
    assert (done["status"], done["acknowledged"], done["wanted"], done["due"]) == ("delivered", 2, 2, None)


async def test_a_retry_is_due_when_it_is_due(store: Store, webhook: int, worker: int) -> None:
    """A failed attempt is not claimed before its time, and counts on when it is."""
    record = (await store.write("customer", "c-1", {"firstName": "A"})).record_id
    [held] = await claim(store.pool, webhook, worker)
    await settle(store.pool, webhook, [settlement(held, 1, RETRY)])
    waiting = await state(store.pool, record)
    assert (waiting["status"], waiting["attempts"], waiting["error_class"]) == ("retrying", 1, "http_5xx")
    assert 55 < waiting["due"] <= 60
    assert await claim(store.pool, webhook, worker) == []
    assert 55 < (await register.next_due(store.pool))[webhook].seconds <= 60
    await store.pool.execute("update due set due_at = now()")
    assert [each.attempt for each in await claim(store.pool, webhook, worker)] == [2]


@pytest.mark.parametrize("outcome", [RETRY, FAILED], ids=["retrying", "failed"])
async def test_a_change_does_not_wait_for_a_retry(store: Store, webhook: int, worker: int, outcome: Outcome) -> None:
    """A new change of a record that is being retried, or has failed, is due at once and counts from one."""
    record = (await store.write("customer", "c-1", {"firstName": "A"})).record_id
    [held] = await claim(store.pool, webhook, worker)
    await settle(store.pool, webhook, [settlement(held, 1, outcome)])
    await store.write("customer", "c-1", {"firstName": "B"})
    owed = await state(store.pool, record)
    assert (owed["status"], owed["attempts"], owed["wanted"]) == ("owed", 0, 2)
    assert owed["due"] <= 0
    assert [each.attempt for each in await claim(store.pool, webhook, worker)] == [1]


async def test_a_failed_delivery_stays_until_it_is_requeued(store: Store, webhook: int, worker: int) -> None:
    """A failed delivery is never due by itself; a requeue owes it again, as a first attempt."""
    record = (await store.write("customer", "c-1", {"firstName": "A"})).record_id
    [held] = await claim(store.pool, webhook, worker)
    await settle(store.pool, webhook, [settlement(held, 1, FAILED)])
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
        assert (owed["status"], owed["attempts"], owed["doubt_until"]) == ("owed", 0, None)
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
        assert (owed["status"], owed["doubt_until"] is None, owed["token"]) == ("owed", False, None)
        assert owed["due"] <= 0
    assert (await state(store.pool, kept[0].record_id))["status"] == "sending"
    assert await settle(store.pool, webhook, [settlement(each, 1) for each in held]) == 0
    again = await claim(store.pool, webhook, other)
    assert sorted(each.record_id for each in [*again, *kept]) == sorted(records)


@pytest.mark.parametrize("swept", [False, True])
async def test_of_what_a_dead_worker_had_claimed_it_stays_known_that_it_left(
    store: Store, webhook: int, worker: int, swept: bool
) -> None:
    """What the receiver may have been told is in doubt; whether it was told before that the record left is not."""
    words = [None, uuid4(), DOUBTFUL, LEFT, RETURNING]
    records = [(await store.write("customer", f"c-{i}", {"firstName": "A"})).record_id for i in range(len(words))]
    for each, word in zip(records, words, strict=True):
        await store.pool.execute("update delivery set told = $2 where record_id = $1", each, word)
    assert [each.told for each in await claim(store.pool, webhook, worker)] == words
    if swept:
        await store.pool.execute("delete from worker")
        assert await sweep.sweep(store.pool, 60.0) == len(words)
    else:
        await rescued(store.pool, leaving=worker)
    found = [(await state(store.pool, each))["told"] for each in records]
    assert found == [DOUBTFUL, DOUBTFUL, DOUBTFUL, RETURNING, RETURNING]


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
