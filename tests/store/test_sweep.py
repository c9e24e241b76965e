"""The sweep finds what is owed and would never be sent, and leaves alone what is in order."""

from typing import Any
from uuid import UUID

import pytest

from retailos.database.pool import Pool
from retailos.deliveries import register, sweep
from retailos.deliveries.outcome import Outcome
from retailos.observe.deliveries import DeliveriesFound
from retailos.resources import RESOURCES
from tests.conftest import observed
from tests.store.conftest import LEASE_SECONDS, Store, add_webhook
from tests.store.registers import DELIVERED, FAILED, RETRY, claim, settle, settlement, state

LATE_SECONDS = 60.0


async def written(store: Store, count: int) -> list[UUID]:
    """Customers that somebody is owed."""
    return [(await store.write("customer", f"c-{i}", {"firstName": "A"})).record_id for i in range(count)]


async def registers(pool: Pool) -> list[dict[str, Any]]:
    """Every register, with when it is due."""
    joined = "select * from delivery left join due using (webhook_id, record_id) order by webhook_id, record_id"
    return [dict(row) for row in await pool.fetch(joined)]


async def test_what_is_in_order_is_left_alone(store: Store, webhook: int, worker: int) -> None:
    """Deliveries that are due, claimed, waiting, failed or done are none of its business."""
    await written(store, 6)
    held = await claim(store.pool, webhook, worker, 4)
    outcomes: tuple[Outcome, ...] = (DELIVERED, FAILED, RETRY)
    for each, outcome in zip(held, outcomes, strict=False):
        await settle(store.pool, webhook, [settlement(each, 1, outcome)])
    before = await registers(store.pool)
    for look_most in (1, 2, 100):
        assert await sweep.sweep(store.pool, LATE_SECONDS, look_most=look_most) == 0
    assert await sweep.compare(store.pool, RESOURCES, look_most=2) == 0
    assert await registers(store.pool) == before


async def test_what_is_owed_and_stands_nowhere_is_armed(
    store: Store, webhook: int, worker: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A due row that was lost is made again, for what failed as never due, for what is in doubt after the doubt."""
    ids = await written(store, 4)
    [held] = await claim(store.pool, webhook, worker, 1)
    await settle(store.pool, webhook, [settlement(held, 1, FAILED)])
    await store.pool.execute("delete from due")
    confirming = next(each for each in ids if each != held.record_id)
    doubt = "update delivery set status = 'confirming', doubt_until = now() + interval '90 s' where record_id = $1"
    await store.pool.execute(doubt, confirming)
    assert await sweep.sweep(store.pool, LATE_SECONDS, look_most=3) == 4
    assert await sweep.sweep(store.pool, LATE_SECONDS, look_most=3) == 0
    assert (await state(store.pool, held.record_id))["due"] == float("inf")
    assert 85 < (await state(store.pool, confirming))["due"] <= 90
    assert len(await claim(store.pool, webhook, worker)) == 2
    [said] = observed(caplog)
    assert isinstance(said, DeliveriesFound)
    assert said.count == 4


async def test_what_nobody_holds_any_more_is_owed(store: Store, webhook: int, worker: int) -> None:
    """A claim of a worker that is gone without a trace is owed again, in doubt; that of a living one is kept."""
    await written(store, 2)
    other = await register.enlist(store.pool, "w-2", LEASE_SECONDS)
    [lost] = await claim(store.pool, webhook, other, 1)
    [kept] = await claim(store.pool, webhook, worker)
    await store.pool.execute("delete from worker where id = $1", other)
    assert await sweep.sweep(store.pool, LATE_SECONDS) == 1
    owed = await state(store.pool, lost.record_id)
    assert (owed["status"], owed["token"], owed["doubt_until"] is None) == ("owed", None, False)
    assert (await state(store.pool, kept.record_id))["status"] == "sending"
    assert [each.record_id for each in await claim(store.pool, webhook, worker)] == [lost.record_id]


async def test_what_was_written_past_the_program_is_owed(store: Store, webhook: int, worker: int) -> None:
    """A version that no register has, or a record without one, is owed; what is older than the webhook is not."""
    ids = await written(store, 5)
    held = await claim(store.pool, webhook, worker)
    await settle(store.pool, webhook, [settlement(each, 1) for each in held])
    raised = "update customers set version = version + 1, updated_at = now() where id = any($1)"
    await store.pool.execute(raised, ids[:2])
    await store.pool.execute("delete from delivery where record_id = $1", ids[4])
    later = await add_webhook(store.pool, name="later")
    assert await sweep.compare(store.pool, RESOURCES, look_most=2) == 3
    assert await sweep.compare(store.pool, RESOURCES, look_most=2) == 0
    owed = await claim(store.pool, webhook, worker)
    assert {each.record_id for each in owed} == {*ids[:2], ids[4]}
    assert [(await state(store.pool, each))["wanted"] for each in ids[:2]] == [2, 2]
    assert await claim(store.pool, later, worker) == []
