"""A receiver is away for forty minutes while records are written, on a clock that runs faster, and catches up."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random
from time import monotonic
from typing import Final

import pytest

from retailos.receiver import Behaviour, Received, Receiver, Sighting, sighting_of
from tests.conftest import eventually
from tests.reliability import stand
from tests.reliability.clients import Clients, clients_of

AWAY_SECONDS: Final = 2_400
#: The standard policy's first delay, and the time between two probes of a breaker.
RETRY_SECONDS: Final = 120
PROBE_SECONDS: Final = 15
WEBHOOK: Final = "first"
#: Without a breaker the last retry comes an hour after a write, and it takes a while to send what is due at once.
REST_SECONDS: Final = 9_000.0
#: The least that a webhook takes.
PROBE_LEAST: Final = 1.0
#: In so many slices the writes are spread over the outage.
SLICES: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is written, and how much faster the clock runs."""

    records: int
    writes: int
    faster: int


SIZES: Final = {
    "quick": Size(records=500, writes=2_000, faster=300),
    "long": Size(records=5_000, writes=72_000, faster=20),
}


@dataclass(slots=True)
class Away:
    """A receiver that is away until it is back."""

    back: bool = False
    refused: int = 0
    sightings: list[Sighting] = field(default_factory=list)

    def answer(self, received: Received) -> Behaviour:
        """Refuse, or take what came."""
        if not self.back:
            self.refused += 1
            return Behaviour(status=503)
        self.sightings.append(sighting_of(received, 200))
        return Behaviour()


def popular(random: Random, size: Size) -> Sequence[str]:
    """Records to write, of which few are written often and many seldom, by Zipf's law."""
    records = [f"c-{number}" for number in range(size.records)]
    return random.choices(records, [1 / rank for rank in range(1, size.records + 1)], k=size.writes)


def passed(moment: float) -> bool:
    """Tell whether a moment of the monotonic clock has come."""
    return monotonic() >= moment


@asynccontextmanager
async def standing(url: str, away: Away, size: Size, breaker: str) -> AsyncIterator[Clients]:
    """The API, a worker and a webhook whose delays are as much shorter as the clock is faster."""
    settings = {"database_url": url, "allow_addresses": "127.0.0.0/8"}
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(Receiver.listen(behaviour=away.answer, remember=0))
        api = await stack.enter_async_context(stand.program("serve", "--api", port=0, **settings))
        worker = await stack.enter_async_context(stand.program("serve", "--worker", **settings))
        await worker.until("WorkerStarted")
        address = (await api.until("Started"))["address"]
        clients = await stack.enter_async_context(clients_of(address, await stand.make_key(url)))
        probe = max(PROBE_SECONDS / size.faster, PROBE_LEAST)
        policy = {"retryDelay": RETRY_SECONDS / size.faster, "breaker": breaker, "breakerProbe": probe}
        await clients.add_webhook(WEBHOOK, receiver.url, **policy)
        yield clients
        assert [each.defects for each in (api, worker) if each.defects] == []


@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("breaker", ["on", "off"])
async def test_a_receiver_that_was_away_ends_on_every_record(database: str, breaker: str) -> None:
    """After forty minutes in which nothing got through, the receiver has the newest version of every record."""
    size, seed, away = SIZES[os.environ.get("RETAILOS_TIER", "quick")], stand.seed(), Away()
    writes = popular(Random(seed), size)
    async with standing(database, away, size, breaker) as clients:
        began, share = monotonic(), len(writes) // SLICES
        for number in range(SLICES):
            # A slow machine writes less in that time: in more of it, the first retries would come to their end.
            if passed(began + AWAY_SECONDS / size.faster):
                break
            await clients.write(writes[number * share : (number + 1) * share])
            until = began + (number + 1) * AWAY_SECONDS / size.faster / SLICES
            await eventually(partial(passed, until), within_seconds=AWAY_SECONDS)
        refused, away.back, back_at = away.refused, True, monotonic()
        rested = await stand.at_rest(database, within_seconds=120 + REST_SECONDS / size.faster)
        seconds = monotonic() - back_at
        findings = await stand.judge(database, [f"/{WEBHOOK}"], clients.told, away.sightings)
    minutes = (back_at - began) * size.faster / 60
    figures = (
        f"{len(clients.told)} writes to {len(set(writes))} records in {minutes:.0f} minutes: "
        f"{refused} requests meanwhile, converged {seconds * size.faster:.0f} s after that ({seconds:.1f} s here)"
    )
    print(f"seed {seed}, breaker {breaker}: {figures}; {findings.report()}")
    assert (rested, findings.faults) == (True, 0), f"{figures}\n  {findings.report()}"
