"""R17: the clocks of the machines are wrong, and deliveries go by the database's."""

import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from retailos.database.pool import Connection
from retailos.receiver import Behaviour, Received, Receiver
from tests.reliability import skew, stand
from tests.reliability.clients import Clients, clients_of
from tests.reliability.stand import Program

#: Records of a wave.
RECORDS: Final = 200
WAVES_MOST: Final = 10
RETRIES: Final = 2
RETRY_SECONDS: Final = 1.5
#: Workers look once a second for what has become due; the rest is this machine's, and far from an hour.
SLACK_SECONDS: Final = 60.0
LEASE_SECONDS: Final = 1.0
HOUR: Final = 3_600
#: How far the clock of each worker is ahead in seconds, and its time zone.
CLOCKS: Final = ((HOUR, "UTC"), (-HOUR, "America/New_York"), (0, "Australia/Lord_Howe"), (30 * 86_400, "Europe/London"))


def refusing(times: dict[str, list[float]]) -> Callable[[Received], Behaviour]:
    """Refuse each record's first requests, and note when they came."""

    def answer(received: Received) -> Behaviour:
        came = times[received.path]
        came.append(received.at)
        return Behaviour(status=500 if len(came) <= RETRIES else 200)

    return answer


def apart(program: Program) -> timedelta:
    """How far a process is ahead of this one, by what it wrote on its first observation; roughly."""
    return datetime.fromisoformat(program.said[0]["timestamp"]) - datetime.now(UTC)


async def written_until_all_work(database: str, clients: Clients, workers: Sequence[Program]) -> int:
    """Write records, wave by wave, until each worker has settled some; give how many waves that took.

    On a busy machine, the others may have done all of a wave before one of them hears of it.
    """
    for wave in range(WAVES_MOST):
        await clients.write(f"c-{wave}-{number}" for number in range(RECORDS))
        assert await stand.at_rest(database, within_seconds=90)
        if all(any(line["event"] == "AttemptSettled" for line in each.said) for each in workers):
            return wave + 1
    pytest.fail(f"expected each of {len(workers)} workers to settle some of {WAVES_MOST * RECORDS} deliveries")


@pytest.mark.skipif(sys.platform != "linux", reason="a library that is loaded before others is Linux's way")
async def test_retries_and_leases_go_by_the_clock_of_the_database(
    database: str, connection: Connection, tmp_path: Path
) -> None:
    """Clocks that are an hour or a month off, and time zones of all kinds, make no retry early, late or missing."""
    library = skew.built(tmp_path)
    await connection.execute(f"alter database {database.rpartition('/')[2]} set timezone = 'America/St_Johns'")
    times: dict[str, list[float]] = defaultdict(list)
    settings = {"database_url": database, "allow_addresses": "127.0.0.0/8", "lease_seconds": LEASE_SECONDS}
    settings |= {"log_level": "debug"}
    async with AsyncExitStack() as stack:
        receiver = await stack.enter_async_context(Receiver.listen(behaviour=refusing(times), remember=0))
        wrong = skew.ahead(library, -HOUR)
        api = await stack.enter_async_context(stand.surrounded(wrong, "serve", "--api", port=0, **settings))
        address = (await api.until("Started"))["address"]
        clients = await stack.enter_async_context(clients_of(address, await stand.make_key(database)))
        policy = {
            "retryDelay": RETRY_SECONDS,
            "retryBackoff": False,
            "retryLimit": RETRIES,
            "breaker": "off",
        }
        await clients.add_webhook("first", receiver.url, **policy)
        workers = [
            await stack.enter_async_context(
                stand.surrounded(skew.ahead(library, *clock), "serve", "--worker", **settings)
            )
            for clock in CLOCKS
        ]
        for each in workers:
            await each.until("WorkerStarted")
        waves = await written_until_all_work(database, clients, workers)
        for worker, (seconds, _) in zip(workers, CLOCKS, strict=True):
            assert abs(apart(worker) - timedelta(seconds=seconds)) < timedelta(minutes=2)
    assert Counter(map(len, times.values())) == {RETRIES + 1: waves * RECORDS}
    waits = [later - earlier for came in times.values() for earlier, later in pairwise(came)]
    print(f"{len(waits)} retries, each after {min(waits):.2f} to {max(waits):.2f} s")
    assert min(waits) >= RETRY_SECONDS
    assert max(waits) <= RETRY_SECONDS * 1.1 + SLACK_SECONDS
    said = Counter(line["event"] for each in workers for line in each.said)
    assert (said["WorkerStarted"], said["ClaimsRescued"]) == (len(CLOCKS), 0)
