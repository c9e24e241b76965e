"""A webhook's limits hold over all workers together: requests at once, and requests in a second."""

from retailos.receiver import Behaviour, Receiver
from retailos.sending.lane import UNSETTLED_MOST
from tests.conftest import eventually
from tests.contract.conftest import Api
from tests.contract.delivering import HOLD_SECONDS, all_settled, most_at_once, webhook, working
from tests.contract.test_breaker import write


async def test_requests_at_once_are_shared_by_all_workers(api: Api) -> None:
    """Three workers together make no more requests at once than the webhook allows, and all of them take part."""
    held = Behaviour(delay_seconds=HOLD_SECONDS)
    async with Receiver.listen(behaviour=held) as receiver, working(api), working(api), working(api):
        await webhook(api, receiver, concurrency=5)

        async def divided() -> bool:
            async with api.engine.pool.acquire() as connection:
                return bool(await connection.fetchval("select array_agg(slots order by slots) = '{1,2,2}' from share"))

        await eventually(divided)
        await write(api, 100)
        await all_settled(api)
        # A request leaves its place when its answer has come, a little after the receiver has given it.
        assert 3 <= most_at_once(receiver.received, HOLD_SECONDS * 0.9) <= 5


async def test_a_worker_that_joins_waits_for_what_others_have_under_way(api: Api) -> None:
    """A worker that comes while all requests at once are under way makes none until some of them have ended."""
    hanging = Behaviour(delay_seconds=2.5)
    async with Receiver.listen(behaviour=hanging) as receiver, working(api):
        await webhook(api, receiver, concurrency=4)
        await write(api, 4)
        await receiver.expect(4)
        receiver.behave(Behaviour())
        async with working(api):
            await write(api, 100, "B")
            await all_settled(api)
    first, fifth = receiver.received[0], receiver.received[4]
    assert fifth.at - first.at >= hanging.delay_seconds * 0.9


async def test_a_rate_is_kept_over_all_workers(api: Api) -> None:
    """Two workers together make no more requests in a second than the webhook says."""
    async with Receiver.listen() as receiver, working(api), working(api):
        await webhook(api, receiver, rate=20, concurrency=4)
        await write(api, 50)
        await all_settled(api)
        times = sorted(each.at for each in receiver.received)
    assert len(times) == 50
    # A quarter of a second's may go out at once; those that a busy machine keeps waiting arrive nearer to the next.
    assert times[-1] - times[0] > 0.9 * 45 / 20, "45 requests at a rate of 20"
    for first, later in zip(times, times[25:], strict=False):
        assert later - first > 0.6, "25 requests in the time of 12 at a rate of 20"


async def test_what_can_not_be_settled_for_a_while_stops_nobody(api: Api) -> None:
    """While settlements wait, a worker sends so many more at the most, and goes on when they are done."""
    records = [{"externalCustomerId": f"c-{i}", "firstName": "Ada"} for i in range(2_000)]
    async with Receiver.listen() as receiver, api.engine.pool.acquire() as other:
        await webhook(api, receiver, concurrency=64)
        for begin in (0, 1_000):
            assert (await api.put("/customers", {"customers": records[begin : begin + 1_000]})).status == 200
        async with working(api):
            async with other.transaction():
                # Attempts can't be written down, so nothing is settled; claims go on.
                await other.execute("lock table attempt in share mode")

                async def answered() -> int:
                    claimed: int = await other.fetchval("select count(*) from delivery where status = 'sending'")
                    return claimed if UNSETTLED_MOST <= claimed == receiver.count else 0

                assert await eventually(answered) < 2 * UNSETTLED_MOST
            await eventually(lambda: other.fetchval("select bool_and(status = 'delivered') from delivery"))
    assert receiver.count == 2_000
