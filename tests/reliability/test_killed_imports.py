"""A worker is killed over an import again and again, and the import ends as if nobody had been killed."""

import io
from random import Random
from typing import Any, Final

import msgspec

from retailos.cli.sending import Sender, sender
from retailos.database.pool import Connection
from retailos.imports.imports import Import
from tests.conftest import eventually
from tests.reliability import stand

ROWS: Final = stand.sized(quick=6_000, long=12_000)
#: Each record has some rows, all over the file; every hundredth row is bad.
RECORDS: Final = ROWS // 4
BAD_EVERY: Final = 100
KILLS: Final = 3
LEASE_SECONDS: Final = 1.0
REST_SECONDS: Final = 90.0

STATE = "select external_id, version, body->>'firstName' as name from customers"
JOBS = "select position, status, outcome from job order by position"
REFUSED = "select line from import_failure order by line"
LEFT = "select count(*) from import_chunk"
APPLIED = "select applied from import"


def rows_of(random: Random) -> list[dict[str, Any]]:
    """The rows of the file; those of one record differ, so that each that is applied is a version."""
    names = [f"c-{random.randrange(RECORDS)}" for _ in range(ROWS)]
    return [
        {"externalCustomerId": name, "firstName": 7 if i % BAD_EVERY == 0 else f"N{i}"} for i, name in enumerate(names)
    ]


def expected_of(rows: list[dict[str, Any]]) -> tuple[dict[str, tuple[int, str]], list[tuple[int, str, str | None]]]:
    """What an import that nobody interrupts leaves: each record's version and name, and a job for each line."""
    records: dict[str, tuple[int, str]] = {}
    jobs: list[tuple[int, str, str | None]] = []
    for line, row in enumerate(rows, 1):
        name, value = row["externalCustomerId"], row["firstName"]
        if value == 7:
            jobs.append((line, "failed", None))
        else:
            jobs.append((line, "completed", "updated" if name in records else "created"))
            records[name] = (records.get(name, (0, ""))[0] + 1, value)
    return records, jobs


async def send(sending: Sender, rows: list[dict[str, Any]]) -> Import:
    """Send the rows as a file."""
    file = io.BytesIO(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    return await sending.send(file, "ndjson", gzip=False, query={"resource": "customer"}, sent=lambda size: None)


async def kill_worker_at(database: str, connection: Connection, chunks: int) -> None:
    """Start a worker, and kill it once so many chunks are applied, while it applies the next."""
    settings = {"database_url": database, "lease_seconds": LEASE_SECONDS}
    async with stand.program("serve", "--worker", **settings) as worker:

        async def reached() -> bool:
            return int(await connection.fetchval(APPLIED)) >= chunks

        await eventually(reached, within_seconds=REST_SECONDS)
        await worker.kill()


async def test_an_import_outlives_its_workers(database: str, connection: Connection) -> None:
    """However often a worker is killed over an import, no row is lost, none is applied twice, and none out of order."""
    rows = rows_of(random := Random(stand.seed()))
    records, jobs = expected_of(rows)
    chunks = ROWS // 1_000
    async with stand.program("serve", "--api", "--port", "0", database_url=database) as api:
        sending = sender((await api.until("Started", role="api"))["address"], await stand.make_key(database))
        sent = await send(sending, rows)
        applied = []
        for at in sorted(random.sample(range(chunks - 1), KILLS)):
            await kill_worker_at(database, connection, at)
            applied.append(await connection.fetchval(APPLIED))
        async with stand.program("serve", "--worker", database_url=database, lease_seconds=LEASE_SECONDS) as worker:
            done = await sending.wait(sent.id, lambda each: None)
            assert worker.defects == []
    # While this test is kept waiting, a worker that is to be killed at the last chunks may get to the end.
    assert applied[0] < chunks
    assert (done.status, done.rows_read, done.failed) == ("completed", ROWS, ROWS // BAD_EVERY)
    assert done.outcomes == {"created": len(records), "updated": ROWS - ROWS // BAD_EVERY - len(records)}
    assert {row[0]: (row[1], row[2]) for row in await connection.fetch(STATE)} == records
    assert [tuple(row) for row in await connection.fetch(JOBS)] == jobs
    assert [row[0] for row in await connection.fetch(REFUSED)] == list(range(1, ROWS + 1, BAD_EVERY))
    assert await connection.fetchval(LEFT) == 0
