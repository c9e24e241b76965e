"""What is sent once more although it was acknowledged, and what is settled without being delivered."""

from dataclasses import replace
from uuid import uuid4

import pytest

from retailos.database.pool import transaction
from retailos.deliveries import register
from retailos.deliveries.outcome import Outcome, Skipped
from retailos.deliveries.settlement import Settlement
from retailos.deliveries.told import status_of
from tests.store.conftest import Store
from tests.store.registers import FAILED, HELD, RETRY, claim, over, owe, settle, settlement, state
from tests.store.requeueing import count_failed, requeue_failed


async def test_what_was_in_doubt_is_confirmed(store: Store, webhook: int, worker: int) -> None:
    """After a request without an answer the newest state is sent once more, when that request can't be applied now."""
    record = (await store.write("customer", "c-1", {"firstName": "A"})).record_id
    [held] = await claim(store.pool, webhook, worker)
    await settle(store.pool, webhook, [settlement(held, 1, replace(RETRY, after_seconds=0.0, ambiguous=True))])
    [held] = await claim(store.pool, webhook, worker)
    await settle(store.pool, webhook, [settlement(held, 1)])
    waiting = await state(store.pool, record)
    assert (waiting["status"], waiting["acknowledged"], waiting["attempts"]) == ("confirming", 1, 0)
    assert 85 < waiting["due"] <= 90
    assert await claim(store.pool, webhook, worker) == []
    await over(store.pool)
    [held] = await claim(store.pool, webhook, worker)
    assert (held.attempt, held.acknowledged, held.again) == (1, 1, True)
    await settle(store.pool, webhook, [settlement(held, 1)])
    done = await state(store.pool, record)
    assert (done["status"], done["due"], done["doubt_until"], done["again"]) == ("delivered", None, None, False)
    history = await store.pool.fetch("select again from attempt order by at, request_id")
    assert sorted(row["again"] for row in history) == [False, False, True]


async def test_a_later_attempt_needs_no_confirming(store: Store, webhook: int, worker: int) -> None:
    """What is claimed when the doubtful request can't be applied any more comes after it, and settles."""
    record = (await store.write("customer", "c-1", {"firstName": "A"})).record_id
    [held] = await claim(store.pool, webhook, worker)
    await settle(store.pool, webhook, [settlement(held, 1, replace(RETRY, ambiguous=True))])
    await over(store.pool)
    [held] = await claim(store.pool, webhook, worker)
    assert (held.attempt, held.again) == (2, False)
    await settle(store.pool, webhook, [settlement(held, 1)])
    assert (await state(store.pool, record))["status"] == "delivered"


async def test_a_change_is_not_delayed_by_a_doubt(store: Store, webhook: int, worker: int) -> None:
    """A change during the wait is sent at once, and confirmed after the same moment; each new doubt moves it."""
    record = (await store.write("customer", "c-1", {"firstName": "A"})).record_id
    [held] = await claim(store.pool, webhook, worker)
    await settle(store.pool, webhook, [settlement(held, 1, replace(RETRY, after_seconds=0.0, ambiguous=True))])
    doubt = (await state(store.pool, record))["doubt_until"]
    await store.write("customer", "c-1", {"firstName": "B"})
    [held] = await claim(store.pool, webhook, worker)
    await settle(store.pool, webhook, [settlement(held, 2)])
    waiting = await state(store.pool, record)
    assert (waiting["status"], waiting["acknowledged"], waiting["doubt_until"]) == ("confirming", 2, doubt)
    await over(store.pool)
    [held] = await claim(store.pool, webhook, worker)
    await settle(store.pool, webhook, [settlement(held, 2, replace(RETRY, ambiguous=True))])
    waiting = await state(store.pool, record)
    assert (waiting["status"], waiting["again"]) == ("retrying", True)
    assert waiting["doubt_until"] > doubt


@pytest.mark.parametrize("outcome", [RETRY, FAILED, HELD], ids=["retry", "failed", "held"])
async def test_what_could_not_be_confirmed_is_not_forgotten(
    store: Store, webhook: int, worker: int, outcome: Outcome
) -> None:
    """A confirming request that is refused leaves the delivery unsettled, although the version was acknowledged."""
    record = (await store.write("customer", "c-1", {"firstName": "A"})).record_id
    await store.pool.execute("update delivery set acknowledged = 1, status = 'confirming'")
    [held] = await claim(store.pool, webhook, worker)
    await settle(store.pool, webhook, [settlement(held, 1, outcome)])
    kept = await state(store.pool, record)
    assert (kept["status"], kept["again"]) == (status_of(outcome), True)
    assert await requeue_failed(store.pool, webhook) == (outcome == FAILED)
    await store.pool.execute("update due set due_at = now()")
    [held] = await claim(store.pool, webhook, worker)
    assert held.again
    await settle(store.pool, webhook, [settlement(held, 1)])
    assert (await state(store.pool, record))["status"] == "delivered"


async def test_a_record_is_owed_once_more_whatever_is_acknowledged(store: Store, webhook: int, worker: int) -> None:
    """What was delivered can be owed again, and what never was wanted for the first time, in its version or later."""
    record = (await store.write("customer", "c-1", {"firstName": "A"})).record_id
    [held] = await claim(store.pool, webhook, worker)
    await settle(store.pool, webhook, [settlement(held, 1)])
    other = {"id": uuid4(), "version": 7}
    async with transaction(store.pool) as connection:
        assert await owe(connection, webhook, [{"id": record, "version": 1}, other], after_seconds=60) == 2
        assert await owe(connection, webhook, [{"id": record, "version": 1}, other], again=False) == 0
        assert await owe(connection, webhook, [{"id": other["id"], "version": 8}], again=False) == 1
    owed = await state(store.pool, record)
    assert (owed["status"], owed["again"], owed["acknowledged"], owed["attempts"]) == ("owed", True, 1, 0)
    assert 55 < owed["due"] <= 60
    assert [each.record_id for each in await claim(store.pool, webhook, worker)] == [other["id"]]
    await store.pool.execute("update due set due_at = now()")
    [held] = await claim(store.pool, webhook, worker)
    assert (held.record_id, held.again, held.acknowledged) == (record, True, 1)
    await register.release(store.pool, webhook, [held])
    [held] = await claim(store.pool, webhook, worker)
    assert held.again
    await settle(store.pool, webhook, [settlement(held, 1)])
    assert (await state(store.pool, record))["status"] == "delivered"


async def test_what_is_in_flight_can_be_owed_once_more(store: Store, webhook: int, worker: int) -> None:
    """Whoever asks while a request is under way gets one that begins afterwards."""
    record = (await store.write("customer", "c-1", {"firstName": "A"})).record_id
    [held] = await claim(store.pool, webhook, worker)
    async with transaction(store.pool) as connection:
        assert await owe(connection, webhook, [{"id": record, "version": 1}]) == 1
    assert (await state(store.pool, record))["status"] == "sending"
    await settle(store.pool, webhook, [settlement(held, 1)])
    owed = await state(store.pool, record)
    assert (owed["status"], owed["acknowledged"], owed["again"]) == ("owed", 1, True)
    assert owed["due"] <= 0


async def test_what_nothing_gets_through_for_counts_no_attempt(store: Store, webhook: int, worker: int) -> None:
    """An attempt that is held is in the history, and the delivery is due as if it had not been made."""
    record = (await store.write("customer", "c-1", {"firstName": "A"})).record_id
    [held] = await claim(store.pool, webhook, worker)
    await settle(store.pool, webhook, [settlement(held, 1, replace(HELD, ambiguous=True))])
    owed = await state(store.pool, record)
    assert (owed["status"], owed["attempts"], owed["error_class"]) == ("owed", 0, "http_5xx")
    assert owed["due"] <= 0
    assert owed["doubt_until"] is not None
    assert await store.value("select count(*) from attempt") == 1


@pytest.mark.parametrize("known", [False, True])
async def test_what_is_skipped_is_settled_without_an_attempt(
    store: Store, webhook: int, worker: int, known: bool
) -> None:
    """What need not be sent is acknowledged only where the receiver has it, and owed again by the next change."""
    record = (await store.write("customer", "c-1", {"firstName": "A"})).record_id
    [held] = await claim(store.pool, webhook, worker)
    given = Settlement(claim=held, version=1, outcome=Skipped(acknowledged=known))
    assert await settle(store.pool, webhook, [given]) == 1
    done = await state(store.pool, record)
    assert (done["status"], done["acknowledged"], done["attempts"], done["due"]) == ("skipped", int(known), 0, None)
    assert await store.value("select count(*) from attempt") == 0
    await store.write("customer", "c-1", {"firstName": "B"})
    assert len(await claim(store.pool, webhook, worker)) == 1


async def test_a_failed_delivery_can_be_dismissed(store: Store, webhook: int, worker: int) -> None:
    """A dismissed delivery is settled and not requeued with the failed; a newer change owes it again."""
    for i in range(4):
        await store.write("customer", f"c-{i}", {"firstName": "A"})
    held = await claim(store.pool, webhook, worker)
    await settle(
        store.pool, webhook, [*(settlement(each, 1, FAILED) for each in held[:3]), settlement(held[3], 1, RETRY)]
    )
    failed = [each.record_id for each in held[:3]]
    async with transaction(store.pool) as connection:
        assert await register.dismiss(connection, webhook, [failed[0], held[3].record_id], 10) == 1
        assert await register.dismiss(connection, webhook, None, 1) == 1
    assert await count_failed(store.pool, webhook) == 1
    assert await requeue_failed(store.pool, webhook) == 1
    first = await state(store.pool, failed[0])
    assert (first["status"], first["due"], first["acknowledged"]) == ("dismissed", None, 0)
    name = await store.value("select external_id from customers where id = $1", failed[0])
    await store.write("customer", name, {"firstName": "B"})
    assert failed[0] in {each.record_id for each in await claim(store.pool, webhook, worker)}
