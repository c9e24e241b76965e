"""R9: one webhook's receiver never answers, and the others' deliveries are as quick as before."""

import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import count

from retailos.receiver import Behaviour, Received, Receiver
from tests.conftest import eventually, soonest
from tests.reliability import stand
from tests.reliability.clients import Clients, clients_of

HEALTHY = ("one", "two", "three")
WRITES = 200
#: What the machine adds now and then, to both.
SLACK_SECONDS = 0.05


def noting(seen: dict[tuple[str, str], float]) -> Callable[[Received], Behaviour]:
    """Note when each request came."""

    def answer(received: Received) -> Behaviour:
        _, webhook, record = received.path.rsplit("/", 2)
        seen[webhook, record] = time.monotonic()
        return Behaviour()

    return answer


async def lag(clients: Clients, seen: dict[tuple[str, str], float], prefix: str) -> float:
    """Write records one after the other; the lag that nineteen of twenty deliveries keep, from write to request."""
    written: dict[str, float] = {}
    for number in range(WRITES):
        record = f"{prefix}-{number}"
        written[record] = time.monotonic()
        await clients.write([record])
    wanted = {(webhook, record) for webhook in HEALTHY for record in written}
    await eventually(lambda: wanted <= seen.keys())
    lags = sorted(seen[each] - written[each[1]] for each in wanted)
    return lags[len(lags) * 19 // 20]


async def test_a_hanging_receiver_delays_nobody_else(database: str) -> None:
    """With one of four receivers hanging for thirty seconds, the other three get theirs within twice the usual lag."""
    seen: dict[tuple[str, str], float] = {}
    allowed = {"database_url": database, "allow_addresses": "127.0.0.0/8"}
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(Receiver.listen(behaviour=noting(seen)))
        hanging = await stack.enter_async_context(Receiver.listen(behaviour=Behaviour(hang=True)))
        api = await stack.enter_async_context(stand.program("serve", "--api", port=0, **allowed))
        worker = await stack.enter_async_context(stand.program("serve", "--worker", **allowed))
        await worker.until("WorkerStarted")
        address = (await api.until("Started"))["address"]
        clients = await stack.enter_async_context(clients_of(address, await stand.make_key(database)))
        for name in HEALTHY:
            await clients.add_webhook(name, receiver.url)
        await lag(clients, seen, "warm")
        usual = await lag(clients, seen, "a")
        await clients.add_webhook("hanging", hanging.url, timeout=30)
        await lag(clients, seen, "b")
        held, most, names = hanging.count, 2 * usual + SLACK_SECONDS, count()
        beside = await soonest(lambda: lag(clients, seen, f"c{next(names)}"), enough=most)
        await worker.kill()
    print(f"95 % within {usual * 1000:.0f} ms, beside a hanging receiver within {beside * 1000:.0f} ms")
    assert held == 16
    assert beside <= most
