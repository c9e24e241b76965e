"""B8 and B9: how long after the answer to a PUT the receiver has the record, on an idle system and on a busy one."""

import asyncio
import random
from dataclasses import replace
from time import monotonic
from typing import Final

from benchmarks import customers, deliveries
from benchmarks.figure import Figure, percentile
from benchmarks.stage import Stage
from retailos.exchanges.addresses import Policy
from retailos.exchanges.exchange import Request
from retailos.exchanges.transport import Transport
from retailos.receiver import Received, Receiver

SAMPLES: Final = 300
QUICK_SAMPLES: Final = 50
#: The first samples pay for connections and plans.
_WARM_UP: Final = 20
#: So that samples meet the worker at every moment of its waiting.
_PAUSE_SECONDS: Final = (0.005, 0.03)
#: A busy system is written to so often, whether or not the writes before are answered.
_BURST_SECONDS: Final = 0.05
#: So long, the first seconds of which pay for connections and plans.
_BUSY_SECONDS, _BUSY_WARM_UP_SECONDS, _QUICK_SECONDS = 12, 2, 4


async def measure(stage: Stage) -> list[Figure]:
    """Measure one PUT after the other, each awaited at the receiver, which listens in this process."""
    count = QUICK_SAMPLES if stage.quick else SAMPLES
    async with stage.database("lags") as database, Receiver.listen(remember=1) as receiver:
        stage = replace(stage, receiver_url=receiver.url)
        await stage.add_webhook(database)
        async with stage.running(database, "api", "worker") as url:
            lags = [await _lag(stage, url, receiver, number) for number in range(count + _WARM_UP)][_WARM_UP:]
    work = f"from the answer of a PUT to the receiver, idle system, {count} times"
    return [
        Figure(number="B8", work=f"{work}, p50", values=[percentile(lags, 0.5)], unit="ms", most=25),
        Figure(number="B8", work="the same, p99", values=[percentile(lags, 0.99)], unit="ms", most=100),
    ]


async def measure_busy(stage: Stage) -> list[Figure]:
    """Measure bulk PUTs that come half as fast as single records can be delivered, each record of them by itself."""
    rate = await deliveries.rate(stage) / 2
    seconds = _QUICK_SECONDS if stage.quick else _BUSY_SECONDS
    bursts, size = round(seconds / _BURST_SECONDS), round(rate * _BURST_SECONDS)
    arrived: dict[str, float] = {}

    def arrives(received: Received, _: int) -> None:
        arrived[received.path.rpartition("/")[2]] = received.at

    async with stage.database("lags") as database, Receiver.listen(remember=0, on_received=arrives) as receiver:
        stage = replace(stage, receiver_url=receiver.url)
        await stage.add_webhook(database)
        async with stage.running(database, "api", "worker") as url:
            answered = await _burst_on(stage, url, bursts, size)
            await receiver.wait_until(lambda _: len(arrived) == bursts * size, within_seconds=60)
    first = round(_BUSY_WARM_UP_SECONDS / _BURST_SECONDS)
    lags = [
        max(0.0, arrived[f"lag-{burst}-{number}"] - answered[burst]) * 1000
        for burst in range(first, bursts)
        for number in range(size)
    ]
    work = f"from the answer of a PUT to the receiver at {size / _BURST_SECONDS:,.0f} records/s, half of B6"
    return [
        Figure(number="B9", work=f"{work}, p50", values=[percentile(lags, 0.5)], unit="ms"),
        Figure(number="B9", work="the same, p99", values=[percentile(lags, 0.99)], unit="ms", most=1_000),
    ]


async def _burst_on(stage: Stage, url: str, bursts: int, size: int) -> list[float]:
    """Write so many records at once, one burst after the other by the clock; when each was answered."""
    transport, begun = Transport(Policy(allow=stage.settings.allow_addresses), concurrency=bursts), monotonic()

    async def write(burst: int) -> float:
        await asyncio.sleep(begun + burst * _BURST_SECONDS - monotonic())
        records = (_named(f"lag-{burst}-{number}") for number in range(size))
        return await _put(stage, transport, url + customers.path("")[:-1], f'{{"customers":[{",".join(records)}]}}')

    return await asyncio.gather(*(write(burst) for burst in range(bursts)))


def _named(name: str) -> str:
    return f'{{"externalCustomerId":"{name}",{customers.BODY[1:]}'


async def _put(stage: Stage, transport: Transport, url: str, body: str) -> float:
    """PUT something; when it was answered."""
    headers = (("Authorization", f"API_KEY {stage.api_key}"), ("Content-Type", "application/json"))
    reply = await transport.send(Request(method="PUT", url=url, headers=headers, body=body.encode()))
    if reply.status != 200:
        raise RuntimeError(f"expected 200, got {reply.status or reply.error}")
    return monotonic()


async def _lag(stage: Stage, url: str, receiver: Receiver, number: int) -> float:
    """Milliseconds between the answer and the arrival of one write."""
    transport = Transport(Policy(allow=stage.settings.allow_addresses), concurrency=1)
    seen = receiver.count
    answered = await _put(stage, transport, url + customers.path(f"lag-{number}"), customers.BODY)
    await receiver.wait_until(lambda each: each.count > seen)
    lag = (receiver.received[-1].at - answered) * 1000
    await asyncio.sleep(random.uniform(*_PAUSE_SECONDS))
    return lag
