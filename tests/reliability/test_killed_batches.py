"""R1 with batches: workers are killed amid batches, of which some are refused, and nothing is lost or overtaken."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random
from types import MappingProxyType

import msgspec

from retailos.database.pool import Connection
from retailos.receiver import Behaviour, Received, Receiver, Sighting, sighting_of
from tests.reliability import stand
from tests.reliability.clients import AT_ONCE
from tests.reliability.test_killed_workers import REST_SECONDS, running

KILLS = 5
CHANGES = stand.sized(quick=2_500, long=5_000)
RECORDS = 500
#: Of batches and of their records, which are refused for no reason that lasts.
REFUSED_BATCHES, REFUSED_RECORDS = 0.03, 0.02
#: What is refused comes again soon, and often enough.
AGAIN: Mapping[str, object] = MappingProxyType({"retryLimit": 50, "retryDelay": 0.05, "retryBackoff": False})
#: Batches that are sent at once, batches that wait for others, and single requests of the same records.
WEBHOOKS: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {"first": {**AGAIN, "batchSize": 50}, "second": {**AGAIN, "batchSize": 20, "batchWait": 0.1}, "third": {}}
)


class Batch(msgspec.Struct):
    """A batch as it came, each record as it was written."""

    customers: list[msgspec.Raw]


class Row(msgspec.Struct, rename="camel"):
    """What tells a record's state."""

    external_customer_id: str
    version: int


def applied(received: Received, at: float, random: Random) -> tuple[list[Sighting], Behaviour]:
    """What a receiver applies of a batch, and what it answers: some batches are refused, and some of their records."""
    if random.random() < REFUSED_BATCHES:
        return [], Behaviour(status=422)
    results: list[dict[str, object]] = []
    sightings: list[Sighting] = []
    for raw in msgspec.json.decode(received.body, type=Batch).customers:
        row = msgspec.json.decode(raw, type=Row)
        refused = random.random() < REFUSED_RECORDS
        results.append({"externalCustomerId": row.external_customer_id, "error": {} if refused else None})
        if not refused:
            body_hash = hashlib.blake2b(b'{"customer":' + bytes(raw) + b"}", digest_size=8).digest()
            sightings.append(
                Sighting(
                    webhook=received.path,
                    record=row.external_customer_id,
                    version=row.version,
                    body_hash=body_hash,
                    status=200,
                    at=at,
                )
            )
    return sightings, Behaviour(body=msgspec.json.encode({"results": results}))


@asynccontextmanager
async def receiving(sightings: list[Sighting], random: Random, *, seconds: float) -> AsyncIterator[Receiver]:
    """A receiver of batches and single requests that applies each after a time of its own, and then answers it."""

    def apply(received: Received) -> Behaviour:
        at = received.at + (delay := random.uniform(0, seconds))
        if received.header("x-ra-batch-size"):
            seen, behaviour = applied(received, at, random)
        else:
            seen, behaviour = [sighting_of(replace(received, at=at), 200)], Behaviour()
        sightings.extend(seen)
        return replace(behaviour, delay_seconds=delay)

    async with Receiver.listen(behaviour=apply, remember=0) as receiver:
        yield receiver


async def test_workers_killed_amid_batches_leave_no_receiver_behind(database: str, connection: Connection) -> None:
    """Every record ends on its newest version, whichever of its batches were cut off, refused or refused in part."""
    seed = stand.seed()
    random = Random(seed)
    async with running(database, seed, receiving, WEBHOOKS) as run:
        held = await run.kill(random, connection, kills=KILLS, changes=CHANGES, records=RECORDS)
        rested = await stand.at_rest(database, within_seconds=REST_SECONDS)
        findings = await stand.judge(database, stand.PATHS, run.clients.told, run.sightings)
    figures = f"seed {seed}: {len(run.clients.told)} told, {len(run.sightings)} applied, {held} held by killed workers"
    print(f"{figures}; {findings.report()}")
    assert (rested, findings.faults) == (True, 0), f"{figures}\n  {findings.report()}"
    assert run.clients.strange == []
    # A dead worker refuses nobody; a machine that is too busy for a moment refuses what comes in it.
    assert run.clients.refused <= AT_ONCE
    assert findings.duplicates <= 2 * held, f"{figures}\n  {findings.report()}"
    defects = [said for each in (run.api, *run.workers.all) for said in each.defects]
    assert defects == [], "".join(str(each.get("text", each)) for each in defects)
