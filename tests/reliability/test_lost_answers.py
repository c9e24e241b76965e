"""The database does what a worker asked, and the answer never arrives."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from urllib.parse import quote, unquote, urlsplit
from uuid import UUID

import pytest

from retailos.errors import Unavailable
from retailos.jobs.queue import Origin, Queue
from retailos.receiver import Receiver, Sighting
from retailos.records.record import Draft
from retailos.resources import RESOURCES
from tests.conftest import PATIENCE_SECONDS, open_directory
from tests.reliability import stand
from tests.reliability.clients import clients_of
from tests.store.conftest import pooled

#: How PostgreSQL ends its answer to the claim of two deliveries; nothing else that a worker asks ends so.
CLAIMED_TWO = b"UPDATE 2\x00"
#: What it answers when two deliveries are settled and none was busy: a bigint, and an array of no integers.
SETTLED_TWO = b"\0\0\0\x08\0\0\0\0\0\0\0\x02\0\0\0\x0c\0\0\0\0\0\0\0\0\0\0\0\x17"
#: How it ends its answer when one draft is queued.
QUEUED_ONE = b"INSERT 0 1\x00"


class Line:
    """A way to PostgreSQL that breaks once, where an answer holds certain bytes: those are not passed on."""

    def __init__(self, server: str, until: bytes) -> None:
        self._server, self._until = server, until
        self.broken = asyncio.Event()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what comes, both ways, until one side hangs up."""
        answers, questions = await asyncio.open_unix_connection(self._server)
        try:
            done, left = await asyncio.wait(
                [asyncio.create_task(self._pass_on(*each)) for each in ((reader, questions), (answers, writer))],
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in left:
                task.cancel()
            await asyncio.gather(*done, *left, return_exceptions=True)
        finally:
            questions.close()
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while part := await reader.read(1 << 16):
                if self._until in part and not self.broken.is_set():
                    self.broken.set()
                    return
                writer.write(part)
                await writer.drain()


@asynccontextmanager
async def breaking_line(url: str, until: bytes) -> AsyncIterator[tuple[str, Line]]:
    """The URL of a database by a way that breaks once, and that way."""
    parts = urlsplit(url)
    server = f"{unquote(parts.hostname or '')}/.s.PGSQL.{parts.port}"
    line = Line(server, until)
    with open_directory() as directory:
        async with await asyncio.start_unix_server(line, Path(directory) / f".s.PGSQL.{parts.port}"):
            yield parts._replace(netloc=f"postgres@{quote(str(directory), safe='')}:{parts.port}").geturl(), line


async def test_a_claim_whose_answer_was_lost_is_sent_all_the_same(database: str) -> None:
    """The connection breaks after the database has made a claim, and both deliveries arrive, once each."""
    sightings: list[Sighting] = []
    allowed = {"allow_addresses": "127.0.0.0/8"}
    async with (
        stand.receiving(sightings, Random(1)) as receiver,
        breaking_line(database, CLAIMED_TWO) as (broken_url, line),
        stand.program("serve", "--api", database_url=database, port=0, **allowed) as api,
        stand.program("serve", "--worker", database_url=broken_url, **allowed) as worker,
    ):
        await worker.until("WorkerStarted")
        address = (await api.until("Started"))["address"]
        async with clients_of(address, await stand.make_key(database)) as clients:
            webhook = await clients.add_webhook("first", receiver.url, active=False)
            await clients.write(["c-1", "c-2"])
            await clients.change_webhook(webhook, active=True)
            await receiver.expect(2)
        rested = await stand.at_rest(database, within_seconds=60)
        findings = await stand.judge(database, ["/first"], clients.told, sightings)
    assert line.broken.is_set()
    assert (rested, findings.faults, findings.duplicates) == (True, 0, 0), findings.report()
    assert [*api.defects, *worker.defects] == []


async def test_a_batch_whose_claim_was_lost_is_sent_all_the_same(database: str) -> None:
    """Where batches wait to be full, a claim that nobody knows of is given back as well, and waits for nothing."""
    allowed = {"allow_addresses": "127.0.0.0/8"}
    async with (
        Receiver.listen() as receiver,
        breaking_line(database, CLAIMED_TWO) as (broken_url, line),
        stand.program("serve", "--api", database_url=database, port=0, **allowed) as api,
        stand.program("serve", "--worker", database_url=broken_url, **allowed) as worker,
    ):
        await worker.until("WorkerStarted")
        address = (await api.until("Started"))["address"]
        async with clients_of(address, await stand.make_key(database)) as clients:
            await clients.add_webhook("first", receiver.url, batchSize=2, batchWait=600)
            await clients.write(["c-1", "c-2"])
            await receiver.expect(1)
        rested = await stand.at_rest(database, within_seconds=60)
    assert (rested, line.broken.is_set()) == (True, True)
    assert [each.header("x-ra-batch-size") for each in receiver.received] == ["2"]


@pytest.mark.parametrize("size", [1, 2])
async def test_a_settlement_whose_answer_was_lost_is_made_once(database: str, size: int) -> None:
    """The connection breaks after two deliveries were settled: they are sent once, and so the history tells it."""
    allowed = {"allow_addresses": "127.0.0.0/8"}
    async with (
        Receiver.listen() as receiver,
        breaking_line(database, SETTLED_TWO) as (broken_url, line),
        stand.program("serve", "--api", database_url=database, port=0, **allowed) as api,
        stand.program("serve", "--worker", database_url=broken_url, **allowed) as worker,
    ):
        await worker.until("WorkerStarted")
        address = (await api.until("Started"))["address"]
        async with clients_of(address, await stand.make_key(database)) as clients:
            # Two requests at once, whose answers are settled together.
            webhook = await clients.add_webhook("first", receiver.url, active=False, batchSize=size, concurrency=2)
            await clients.write(["c-1", "c-2"])
            await clients.change_webhook(webhook, active=True)
            await asyncio.wait_for(line.broken.wait(), PATIENCE_SECONDS)
            # What it settles next shows that it has heard of the first.
            await clients.write(["c-3"])
            await receiver.expect(2 // size + 1)
        rested = await stand.at_rest(database, within_seconds=60)
    async with pooled(database) as pool:
        attempts = await pool.fetch("select record_id, count(*) from attempt group by record_id")
        batches = await pool.fetchval("select count(*) from batch")
    assert rested
    assert [each["count"] for each in attempts] == [1, 1, 1]
    assert (len(receiver.received), batches) == (2 // size + 1, 2 if size > 1 else 0)


async def test_an_acceptance_whose_answer_was_lost_is_not_overtaken(database: str) -> None:
    """The connection breaks after a draft was queued: whoever writes that record afterwards comes after it."""
    customer = RESOURCES["customer"]
    async with breaking_line(database, QUEUED_ONE) as (broken_url, line), pooled(broken_url) as pool:
        queue = Queue(pool, RESOURCES, after_commit=lambda: None)
        drafts = [(0, Draft(external_id="c-1", patch={"firstName": "Ada"}))]
        with pytest.raises(Unavailable):
            await queue.accept(customer, drafts, Origin(request_id=UUID(int=1), api_key_id=None))
        assert line.broken.is_set()
        await queue.passed(customer, ["c-1"])
        assert await pool.fetchval("select count(*) from customers") == 1
        assert not queue.busy
