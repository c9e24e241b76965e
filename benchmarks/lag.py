"""B8: how long after the answer to a PUT the receiver has the record, while nothing else happens."""

import asyncio
import random
from dataclasses import replace
from time import monotonic
from typing import Final

from benchmarks import customers
from benchmarks.figure import Figure, percentile
from benchmarks.stage import Stage
from retailos.receiver import Receiver
from retailos.webhooks.addresses import Policy
from retailos.webhooks.exchange import Request
from retailos.webhooks.transport import Transport

SAMPLES: Final = 300
QUICK_SAMPLES: Final = 50
#: The first samples pay for connections and plans.
_WARM_UP: Final = 20
#: So that samples meet the worker at every moment of its waiting.
_PAUSE_SECONDS: Final = (0.005, 0.03)


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


async def _lag(stage: Stage, url: str, receiver: Receiver, number: int) -> float:
    """Milliseconds between the answer and the arrival of one write."""
    transport = Transport(Policy(allow=stage.settings.allow_addresses), concurrency=1)
    request = Request(
        method="PUT",
        url=url + customers.path(f"lag-{number}"),
        headers=(("Authorization", f"API_KEY {stage.api_key}"), ("Content-Type", "application/json")),
        body=customers.BODY.encode(),
    )
    seen = receiver.count
    reply = await transport.send(request)
    answered = monotonic()
    if reply.status != 200:
        raise RuntimeError(f"expected 200, got {reply.status or reply.error}")
    await receiver.wait_until(lambda each: each.count > seen)
    lag = (receiver.received[-1].at - answered) * 1000
    await asyncio.sleep(random.uniform(*_PAUSE_SECONDS))
    return lag
