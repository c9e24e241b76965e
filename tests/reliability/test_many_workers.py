"""R10: several workers, each a process with a clock of its own, and whatever falls due is done by one of them, once.

What they do is written down by the database itself, by triggers of this test's own: the program knows nothing of it.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Final

from retailos.database.pool import Connection
from retailos.receiver import Sighting
from retailos.settings import Settings
from retailos.timetable import timetable
from tests.conftest import eventually
from tests.contract.mailing import PUBLIC, SENDER, TO, Postbox, due_now, postbox
from tests.reliability import stand
from tests.reliability.clients import Clients, clients_of
from tests.reliability.stand import PATHS, WEBHOOKS, Program


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much there is to be done, and by how many."""

    workers: int
    records: int
    changes: int
    reports: int
    moments: int


SIZES: Final = {
    "quick": Size(workers=3, records=100, changes=1_500, reports=3, moments=4),
    "long": Size(workers=8, records=2_000, changes=40_000, reports=20, moments=30),
}
#: Far away, so that a report is due when the test says so and at no other time.
SELDOM: Final = "0 3 29 2 *"
REST_SECONDS: Final = 90.0
#: On a busy machine, the others may have done all of a wave before one of them hears of it.
WAVES_MOST: Final = 10
CLAIMANTS: Final = "select count(distinct worker_id) from claim_made"

WRITTEN_DOWN: Final = """
create table claim_made (webhook_id integer, record_id uuid, worker_id integer, held_before boolean);
create function write_claim_down() returns trigger language plpgsql as $$ begin
    insert into claim_made values (new.webhook_id, new.record_id, new.worker_id, old.token is not null);
    return null;
end $$;
create trigger claims after update on delivery for each row
    when (new.token is not null and new.token is distinct from old.token) execute function write_claim_down();
create table tick_done (kind text, subject text, due_at timestamptz, at timestamptz);
create function write_tick_down() returns trigger language plpgsql as $$ begin
    insert into tick_done values (old.kind, old.subject, old.due_at, clock_timestamp());
    return null;
end $$;
create trigger ticks after update on schedule for each row
    when (new.ticked_at is distinct from old.ticked_at) execute function write_tick_down();
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Workers at work, whoever writes, and what the receiver of three webhooks saw."""

    size: Size
    box: Postbox
    api: Program
    workers: list[Program]
    clients: Clients
    webhooks: list[int]
    sightings: list[Sighting] = field(default_factory=list)


@asynccontextmanager
async def running(url: str, seed: int, size: Size) -> AsyncIterator[Run]:
    """The API and so many workers, which all begin at once; a receiver, and a mail server."""
    sightings: list[Sighting] = []
    async with AsyncExitStack() as stack:
        box = await stack.enter_async_context(postbox())
        receiver = await stack.enter_async_context(stand.receiving(sightings, Random(seed), seconds=0.02))
        settings = {"database_url": url, "allow_addresses": "127.0.0.0/8"}
        mail = {"smtp_host": "127.0.0.1", "smtp_port": box.port, "smtp_security": "none", "mail_from": SENDER}
        every = (stand.program("serve", "--worker", **settings, **mail, public_url=PUBLIC) for _ in range(size.workers))
        workers = await asyncio.gather(*map(stack.enter_async_context, every))
        api = await stack.enter_async_context(stand.program("serve", "--api", port=0, api_processes=1, **settings))
        address = (await api.until("Started", role="api"))["address"]
        await asyncio.gather(*(each.until("WorkerStarted") for each in workers))
        clients = await stack.enter_async_context(clients_of(address, await stand.make_key(url)))
        webhooks = [await clients.add_webhook(name, receiver.url) for name in WEBHOOKS]
        run = Run(size=size, box=box, api=api, workers=workers, clients=clients, webhooks=webhooks, sightings=sightings)
        yield run


async def report_often(run: Run, connection: Connection) -> None:
    """Let reports be due, one moment after the other."""
    for number in range(run.size.reports):
        body = {"name": f"r-{number}", "recipients": [TO], "cron": SELDOM}
        await run.clients.post("/v2/admin/reports", body)
    for moment in range(1, run.size.moments + 1):
        await due_now(connection)
        expected = run.size.reports * moment
        await eventually(lambda expected=expected: len(run.box.taken) >= expected)  # type: ignore[misc]


async def resync(run: Run, url: str) -> None:
    """Send everything once more to one webhook, while its workers share the work of it."""
    before = len(run.sightings)
    await run.clients.post(f"/v2/admin/webhooks/{run.webhooks[0]}/resync", {})
    everything = await _count(url, "select count(*) from customers")
    await eventually(lambda: len(run.sightings) >= before + everything, within_seconds=REST_SECONDS)


async def _count(url: str, statement: str) -> int:
    async with stand.connected(url) as connection:
        return int(await connection.fetchval(statement))


async def test_what_falls_due_is_done_once_by_one_of_many_workers(database: str, connection: Connection) -> None:
    """R10: each moment of each schedule comes once, each report is made and mailed once, and no claim is made twice."""
    size, seed = SIZES[os.environ.get("RETAILOS_TIER") or "quick"], stand.seed()
    random = Random(seed)
    await connection.execute(WRITTEN_DOWN)
    async with running(database, seed, size) as run:
        names = [f"c-{random.randrange(size.records)}" for _ in range(size.changes)]
        await asyncio.gather(run.clients.write(names), report_often(run, connection))
        rested = await stand.at_rest(database, within_seconds=REST_SECONDS)
        for _ in range(WAVES_MOST):
            if await connection.fetchval(CLAIMANTS) == size.workers:
                break
            await run.clients.write(names)
            rested = rested and await stand.at_rest(database, within_seconds=REST_SECONDS)
        await resync(run, database)
        rested = rested and await stand.at_rest(database, within_seconds=REST_SECONDS)
        findings = await stand.judge(database, PATHS, run.clients.told, run.sightings)
    assert (rested, findings.faults) == (True, 0), findings.report()
    assert findings.duplicates == len(set(names)), "what was resynced comes once more, and nothing else does"
    assert [each.defects for each in (run.api, *run.workers) if each.defects] == []
    await see_claims(connection, size)
    await see_ticks(connection, size)
    await see_reports(connection, run)


async def see_claims(connection: Connection, size: Size) -> None:
    """Each worker has claimed something, and none what another had: as many claims as there were attempts."""
    made = await connection.fetch("select worker_id, held_before, count(*) from claim_made group by 1, 2")
    assert (len({row["worker_id"] for row in made}), any(row["held_before"] for row in made)) == (size.workers, False)
    attempts = await connection.fetchval("select count(*) from attempt")
    assert sum(row["count"] for row in made) == attempts


async def see_ticks(connection: Connection, size: Size) -> None:
    """No tick came twice or before its time, and everything that the timetable holds was done."""
    ticks = await connection.fetch("select * from tick_done")
    assert max(Counter((row["kind"], row["subject"], row["due_at"]) for row in ticks).values()) == 1
    assert all(row["due_at"] <= row["at"] for row in ticks)
    counts = Counter(row["kind"] for row in ticks)
    assert {each.kind for each in timetable(Settings()) if each.standing} <= counts.keys()
    assert counts["issue report"] == size.reports * size.moments


async def see_reports(connection: Connection, run: Run) -> None:
    """Each moment of each report has one issue, and each issue one mail that was sent at the first attempt."""
    issues = await connection.fetch("select report_id, status, attempts, count(*) from report_issue group by 1, 2, 3")
    assert [(row["status"], row["attempts"], row["count"]) for row in issues] == [
        ("sent", 1, run.size.moments)
    ] * run.size.reports
    mails = Counter(each.message["Message-ID"] for each in run.box.taken)
    assert (len(mails), max(mails.values())) == (run.size.reports * run.size.moments, 1)
