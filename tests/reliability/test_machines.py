"""Several machines, one database: whichever of them is lost or cut off, the others do what is to be done, once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from random import Random

from retailos.receiver import Sighting
from tests.conftest import eventually
from tests.contract.mailing import SENDER, Postbox, postbox
from tests.reliability import stand
from tests.reliability.clients import Clients, clients_of
from tests.reliability.machines import Machine, database_for, machines
from tests.reliability.stand import Program

RECORDS, CHANGES = 200, stand.sized(quick=1_000, long=1_500)
LEASE_SECONDS, TIMEOUT_SECONDS = 2.0, 2.0
#: How late what a cable kept back may come: TCP tries again after 6.4 s at the most, if it was away for as long.
LATE_SECONDS = 15.0
#: Its lease, what it had claimed, and what is confirmed afterwards.
REST_SECONDS = 90.0
WEBHOOK = "first"
#: Not while a test runs.
SELDOM = "0 0 29 2 *"
#: Where the receiver and the mail server listen: at either cable.
EVERYWHERE = "0.0.0.0"  # noqa: S104 - on a network of the test's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Two machines with an API and a worker each, and what clients and the receiver of their webhook saw."""

    url: str
    machines: list[Machine]
    apis: list[Program]
    workers: list[Program]
    clients: list[Clients]
    sightings: list[Sighting]

    @property
    def programs(self) -> list[Program]:
        """Every process."""
        return [*self.apis, *self.workers]


@asynccontextmanager
async def site(seed: int, box: Postbox, *, late_seconds: float = 0.0) -> AsyncIterator[Site]:
    """Two machines at work, for the length of the block."""
    sightings: list[Sighting] = []
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(machines(2))
        here, urls = await stack.enter_async_context(database_for(made))
        receiver = await stack.enter_async_context(
            stand.receiving(sightings, Random(seed), seconds=0.05, host=EVERYWHERE)
        )
        apis, workers = [], []
        for machine in made:
            settings = {
                "database_url": urls[machine.name],
                "allow_addresses": "10.0.0.0/8",
                "lease_seconds": LEASE_SECONDS,
                "late_seconds": late_seconds,
                "smtp_host": machine.other_end,
                "smtp_port": box.port,
                "smtp_security": "none",
                "mail_from": SENDER,
                "public_url": "https://retailos.example.com",
            }
            api = machine.run("serve", "--api", host=machine.address, port=8080, api_processes=1, **settings)
            apis.append(await stack.enter_async_context(api))
            await apis[-1].until("Started", role="api")
            workers.append(await stack.enter_async_context(machine.run("serve", "--worker", **settings)))
            await workers[-1].until("WorkerStarted")
        key = await stand.make_key(here)
        clients = [
            await stack.enter_async_context(clients_of(f"http://{machine.address}:8080", key, machine.name))
            for machine in made
        ]
        port = receiver.url.rpartition(":")[2]
        # Both machines reach the receiver under the address of either cable: it is this machine's.
        to = f"http://{made[1].other_end}:{port}"
        await clients[0].add_webhook(WEBHOOK, to, timeout=TIMEOUT_SECONDS)
        yield Site(url=here, machines=made, apis=apis, workers=workers, clients=clients, sightings=sightings)


async def write(site: Site, random: Random, *machines: int) -> None:
    """Change records through these machines' APIs, the one as well as the other."""
    share = CHANGES // len(machines)
    await asyncio.gather(
        *(site.clients[each].write([f"c-{random.randrange(RECORDS)}" for _ in range(share)]) for each in machines)
    )


async def add_reports(site: Site, count: int) -> None:
    """Add reports that are due when a test says so."""
    for number in range(count):
        body = {"name": f"r-{number}", "recipients": ["operations@example.com"], "cron": SELDOM}
        await site.clients[1].post("/v2/admin/reports", body)


async def all_due(site: Site) -> None:
    """Let every report be due."""
    async with stand.connected(site.url) as connection:
        await connection.execute("update schedule set due_at = now() where kind = 'issue report'")


async def judged(site: Site, *, late: bool = False) -> None:
    """See that the registers come to rest, and that the receiver has every record's newest version.

    Requests may have come after newer ones where they came `late`.
    """
    rested = await stand.at_rest(site.url, within_seconds=REST_SECONDS)
    told = [each for clients in site.clients for each in clients.told]
    findings = await stand.judge(site.url, [f"/{WEBHOOK}"], told, site.sightings)
    print(f"{len(told)} told, {len(site.sightings)} sent; {findings.report()}")
    assert (rested, findings.faults - late * len(findings.backward)) == (True, 0), findings.report()
    assert [each.strange for each in site.clients] == [[], []]
    assert [each.defects for each in site.programs if each.defects] == []


async def test_machines_share_the_work_and_each_report_is_made_once() -> None:
    """R10: two machines take writes and deliver them, and each moment of each report has one mail."""
    seed = stand.seed()
    async with postbox(host=EVERYWHERE) as box, site(seed, box) as at:
        await add_reports(at, 3)
        writing = asyncio.create_task(write(at, Random(seed), 0, 1))
        for ticks in range(1, 4):
            await all_due(at)
            await eventually(lambda ticks=ticks: len(box.taken) >= 3 * ticks)  # type: ignore[misc]
        await writing
        await judged(at)
        async with stand.connected(at.url) as connection:
            made = await connection.fetch("select count(*) from report_issue group by report_id")
            workers = await connection.fetchval("select count(*) from worker")
    assert (workers, [row["count"] for row in made]) == (2, [3, 3, 3])
    ids = Counter(each.message["Message-ID"] for each in box.taken)
    assert (len(ids), max(ids.values())) == (9, 1)


async def test_a_machine_that_is_lost_is_not_missed() -> None:
    """A machine whose processes all die at once, with its cable, leaves nothing behind that the other does not do."""
    seed = stand.seed()
    async with postbox(host=EVERYWHERE) as box, site(seed, box) as at:
        await add_reports(at, 3)
        writing = asyncio.create_task(write(at, Random(seed), 1))
        await at.clients[1].reached(CHANGES // 3)
        await at.machines[0].pull()
        await asyncio.gather(at.apis[0].kill(), at.workers[0].kill())
        await writing
        await at.workers[1].until("ClaimsRescued")
        await all_due(at)
        await eventually(lambda: len(box.taken) == 3, within_seconds=90)
        await judged(at)


async def test_a_machine_that_is_cut_off_does_no_harm_when_it_is_back() -> None:
    """A machine without its cable for a lease is rescued from, and what it had under way may come late, and is mended.

    Its kernel sends what the cable kept back even after the program has given it up, so it may come after something
    newer; the confirmation comes after that.
    """
    seed = stand.seed()
    async with postbox(host=EVERYWHERE) as box, site(seed, box, late_seconds=LATE_SECONDS) as at:
        writing = asyncio.create_task(write(at, Random(seed), 1))
        await at.clients[1].reached(CHANGES // 3)
        await at.machines[0].pull()
        await at.workers[1].until("ClaimsRescued")
        await at.machines[0].plug()
        await writing
        await write(at, Random(seed + 1), 0, 1)
        await judged(at, late=True)
