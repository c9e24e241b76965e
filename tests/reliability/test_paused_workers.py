"""R4: workers stand still for longer than their lease, wake up, and no receiver ends on an older version."""

import os
import signal
import time
from asyncio import TaskGroup
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from random import Random

import pytest

from retailos.receiver import Behaviour, Received, Receiver, Sighting, sighting_of
from tests.conftest import eventually
from tests.reliability import stand
from tests.reliability.clients import clients_of

PAUSES, WRITES, RECORDS = 5, 600, 30
LEASE_SECONDS = 1.0
#: Nothing is applied later than this after its worker stood still, and what was in doubt is confirmed then.
TIMEOUT_SECONDS, LATE_SECONDS = 2.0, 1.0
APPLY_SECONDS = 0.2
REST_SECONDS = 90.0


def applying(sightings: list[Sighting], random: Random, *, strict: bool) -> Callable[[Received], Behaviour]:
    """Apply each request after a time of its own; a strict receiver ignores what is older than what it has."""
    newest: dict[str, int] = {}

    def apply(received: Received) -> Behaviour:
        delay = random.uniform(0, APPLY_SECONDS)
        sighting = sighting_of(replace(received, at=received.at + delay), 200)
        if not strict or sighting.version >= newest.get(sighting.record, 0):
            newest[sighting.record] = sighting.version
            sightings.append(sighting)
        return Behaviour(delay_seconds=delay)

    return apply


async def pause(pid: int) -> None:
    """Let a process stand still for one and a half leases."""
    os.kill(pid, signal.SIGSTOP)
    over = time.monotonic() + 1.5 * LEASE_SECONDS
    try:
        await eventually(lambda: time.monotonic() > over)
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("strict", [False, True], ids=["plain", "strict"])
async def test_workers_that_stood_still_leave_no_receiver_behind(database: str, strict: bool) -> None:
    """Five times a worker is paused for one and a half leases amid deliveries; at the end nothing is stale or lost."""
    seed = stand.seed()
    random = Random(seed)
    sightings: list[Sighting] = []
    allowed = {"database_url": database, "allow_addresses": "127.0.0.0/8"}
    timing = {"lease_seconds": LEASE_SECONDS, "late_seconds": LATE_SECONDS}
    async with AsyncExitStack() as stack:
        behaviour = applying(sightings, random, strict=strict)
        receiver = await stack.enter_async_context(Receiver.listen(behaviour=behaviour, remember=0))
        api = await stack.enter_async_context(stand.program("serve", "--api", port=0, **allowed))
        workers = [
            await stack.enter_async_context(stand.program("serve", "--worker", **allowed, **timing)) for _ in range(2)
        ]
        for each in workers:
            await each.until("WorkerStarted")
        address = (await api.until("Started"))["address"]
        clients = await stack.enter_async_context(clients_of(address, await stand.make_key(database)))
        await clients.add_webhook("first", receiver.url, timeout=TIMEOUT_SECONDS)
        for number in range(PAUSES):
            paused = workers[number % 2]
            async with TaskGroup() as group:
                group.create_task(clients.write(f"c-{random.randrange(RECORDS)}" for _ in range(WRITES // PAUSES)))
                await clients.reached(number * WRITES // PAUSES + random.randrange(WRITES // PAUSES))
                await pause(paused.pid)
        rested = await stand.at_rest(database, within_seconds=REST_SECONDS)
        findings = await stand.judge(database, ["/first"], clients.told, sightings)
    assert (rested, findings.missing, findings.lost, findings.stale, findings.stuck) == (True, (), (), (), ()), (
        findings.report()
    )
    assert [each.defects for each in (api, *workers) if each.defects] == []
