"""B11: an import of customers from CSV, beside the statement of a thousand of them; and what it takes of memory."""

import csv
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from benchmarks import customers, writes
from benchmarks.figure import Figure
from benchmarks.stage import Stage, connected, resident_megabytes
from retailos.cli.sending import sender
from retailos.imports.imports import Import
from retailos.imports.upload import CHUNK_RECORDS

ROWS: Final = 100_000
ROWS_QUICK: Final = 20_000
#: An import that kept its rows would grow by sixty megabytes and more.
GROWTH_MOST: Final = 20


async def measure(stage: Stage) -> list[Figure]:
    """Measure from the first byte that is sent to the last row that is applied."""
    file = stage.directory / "customers.csv"
    count = ROWS_QUICK if stage.quick else ROWS
    _write(file, count)
    rates, ceilings, growths = [], [], []
    async with writes.written(stage):
        for _ in stage.rounds:
            rate, growth = await _push(stage, file, count)
            rates.append(rate)
            growths.append(growth)
            ceilings.append(await writes.many(stage, CHUNK_RECORDS))
    work = f"import of {count:,} customers from CSV of {file.stat().st_size / 1e6:.0f} MB, half new, half changed"
    return [
        Figure(
            number="B11", work=work, values=rates, unit="/s", ceilings=ceilings, ratio_least=0.7,
            beside=f"pgbench, the statement with {CHUNK_RECORDS} rows, one connection, in rows",
        ),
        Figure(
            number="B11 memory", work="growth of API and worker over the import's second half", values=growths,
            unit=" MB", most=GROWTH_MOST,
        ),
    ]  # fmt: skip


def _write(file: Path, count: int) -> None:
    """Write the customers of the other benchmarks, every other one of which is known already."""
    body: dict[str, Any] = msgspec.json.decode(customers.BODY)
    address, details = body.pop("address"), body.pop("details")
    titles = ["externalCustomerId", *body, *(f"address.{each}" for each in address), "details"]
    with file.open("w", newline="") as opened:
        writer = csv.writer(opened)
        writer.writerow(titles)
        for n in range(count):
            name = f"known-{n * 7 % writes.KNOWN + 1}" if n % 2 else f"new-{n}"
            told = msgspec.json.encode(details).decode().replace(customers.NUMBER, str(n))
            values = [str(each).lower() if isinstance(each, bool) else each for each in body.values()]
            writer.writerow([name, *values, *address.values(), told])


async def _push(stage: Stage, file: Path, count: int) -> tuple[float, float]:
    """Rows a second, and megabytes that the processes grew by over the second half."""
    sizes: list[tuple[int, float]] = []
    async with stage.database("imported", "written") as database, stage.running(database, "api", "worker") as url:
        # Everything is owed and nothing is delivered, as beside the ceiling.
        async with connected(database) as connection:
            await connection.execute("update webhook set active = false")
        sending = sender(url, stage.api_key)
        begun = time.monotonic()
        with file.open("rb") as opened:
            query = {"resource": "customer"}
            queued = await sending.send(opened, "csv", gzip=False, query=query, sent=lambda size: None)

        def told(found: Import) -> None:
            sizes.append((found.rows_read, resident_megabytes()))

        done = await sending.wait(queued.id, told)
        seconds = time.monotonic() - begun
    if (done.status, done.rows_read, done.failed) != ("completed", count, 0):
        raise RuntimeError(f"expected {count} rows, all of them good, got {done}")
    half = [size for rows, size in sizes if rows >= count / 2]
    return count / seconds, max(half) - half[0]
