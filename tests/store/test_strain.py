"""Writers, workers and operators at once: no deadlock, and registers that stay sound."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from random import Random

from retailos.database.pool import Connection, Pool, transaction
from retailos.deliveries import register
from retailos.deliveries.outcome import Outcome
from tests.conftest import eventually
from tests.store.conftest import LEASE_SECONDS, Store, add_webhook, stored
from tests.store.registers import (
    DELIVERED,
    FAILED,
    HELD,
    RETRY,
    SKIPPED,
    claim,
    owe,
    rescued,
    settle,
    settlement,
)
from tests.store.requeueing import requeue_failed


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
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.002):
                        await self.stop.wait()
                continue
            records = [each.record_id for each in held]
            rows = await store.pool.fetch("select id, version from customers where id = any($1)", records)
            versions = {row["id"]: row["version"] for row in rows}
            self.random.shuffle(held)
            given, back = held[: -len(held) // 4] or held, held[-len(held) // 4 :]
            retry = replace(RETRY, after_seconds=0.0)
            doubtful = replace(retry, ambiguous=True)
            choices: list[Outcome] = [DELIVERED, DELIVERED, retry, doubtful, HELD, SKIPPED, FAILED]
            outcomes = self.random.choices(choices, k=len(given))
            settlements = [settlement(c, versions[c.record_id], o) for c, o in zip(given, outcomes, strict=True)]
            self.settled += await settle(store.pool, webhook, settlements, 0.01)
            await register.release(store.pool, webhook, back)

    async def operate(self, store: Store) -> None:
        """Requeue, owe once more, dismiss, rescue and tidy all the time."""
        while not self.stop.is_set():
            for webhook in self.webhooks:
                self.requeued += await requeue_failed(store.pool, webhook)
                rows = await store.pool.fetch("select id, version from customers limit 15")
                async with transaction(store.pool) as connection:
                    await owe(connection, webhook, rows)
                async with transaction(store.pool) as connection:
                    await register.dismiss(connection, webhook, None, 3)
            await rescued(store.pool)
            await register.tidy(store.pool)

    async def run(self, seconds: float, least: int) -> None:
        """Strain for so long, and until so much of each kind was done; whatever goes wrong is raised."""
        tasks = [asyncio.ensure_future(self.write(each)) for each in self.stores]
        tasks += [asyncio.ensure_future(self.deliver(s, w)) for s in self.stores for w in self.webhooks]
        tasks.append(asyncio.ensure_future(self.operate(self.stores[0])))
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)

        def enough() -> bool:
            ended = any(each.done() for each in tasks)
            return ended or min(self.written, self.settled, self.requeued) >= least

        await eventually(enough)
        self.stop.set()
        await asyncio.gather(*tasks)


async def test_writers_workers_and_operators_never_deadlock(database: str, connection: Connection) -> None:
    """Locks are taken in one order everywhere: under strain there is no deadlock, and the registers stay sound."""
    async with stored(database) as one, stored(database) as two:
        webhooks = [await add_webhook(one.pool, name=name) for name in ("a", "b")]
        strain = Strain((one, two), webhooks)
        await strain.run(6, least=30)
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
        " where status is null or (status in ('owed', 'retrying', 'confirming', 'failed')) <> (due_at is not null)"
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
        await pool.execute("update delivery set doubt_until = null")
        held = await claim(pool, webhook, worker)
        rows = await pool.fetch("select record_id, wanted from delivery where webhook_id = $1", webhook)
        wanted = {row["record_id"]: row["wanted"] for row in rows}
        await settle(pool, webhook, [settlement(each, wanted[each.record_id]) for each in held])
    left = "select count(*) from delivery where status not in ('delivered', 'skipped', 'dismissed')"
    assert await pool.fetchval(left) == 0
    assert await pool.fetchval("select count(*) from due") == 0
