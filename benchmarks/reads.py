"""B4 and B5: one customer by its external id, and the first page of a million, beside their selects in pgbench."""

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from benchmarks import customers, programs
from benchmarks.figure import Figure
from benchmarks.stage import CONCURRENCY, Stage, connected
from retailos.records import page, query
from retailos.resources import RESOURCES
from retailos.resources.customer import CUSTOMER

ONE_OF: Final = 100_000
PAGE_OF: Final = 1_000_000
QUICK_OF: Final = 20_000
#: Enough to keep both processors busy; more would only wait, and the time of an answer is a figure here.
READERS: Final = 8
LIST: Final = "limit=50&sort=-updatedAt"


async def measure_one(stage: Stage) -> list[Figure]:
    """Measure GET by external id."""
    count = QUICK_OF if stage.quick else ONE_OF
    shown = query.show(CUSTOMER, {}, [])
    select = programs.for_pgbench(page.by_external_id(RESOURCES, CUSTOMER, shown))
    script = f"\\set number random(1, {count})\n" + select.replace("$1", "array['known-' || :number]") + ";\n"
    async with stage.database("reads") as database:
        async with connected(database) as connection:
            await customers.insert(connection, count)
        loads, ceilings = await _rounds(
            stage, database, customers.path("external/known-NUMBER"), count, script, CONCURRENCY
        )
    return [
        Figure(
            number="B4",
            work=f"GET a customer of {count:,} by external id, {CONCURRENCY} connections",
            values=[load.rate for load in loads],
            unit="/s",
            beside=f"pgbench, its select, {CONCURRENCY} clients",
            ceilings=ceilings,
            ratio_least=0.7,
        )
    ]


async def measure_page(stage: Stage) -> list[Figure]:
    """Measure the first page of a list, and see in the plan that nothing is scanned for it."""
    count = QUICK_OF if stage.quick else PAGE_OF
    select, _ = page.page(RESOURCES, CUSTOMER, query.read(RESOURCES, CUSTOMER, LIST.encode()))
    async with stage.database("lists") as database:
        async with connected(database) as connection:
            await customers.insert(connection, count)
            note = await _explained(connection, select)
        path = f"{customers.path('')[:-1]}?{LIST}"
        loads, ceilings = await _rounds(stage, database, path, 1, programs.for_pgbench(select) + ";\n", READERS)
    work = f"list {count:,} customers, limit 50, sort -updatedAt, with count, {READERS} connections"
    return [
        Figure(
            number="B5",
            work=work,
            values=[load.rate for load in loads],
            unit="/s",
            beside=f"pgbench, its select, {READERS} clients",
            ceilings=ceilings,
            ratio_least=0.5,
            note=note,
        ),
        Figure(number="B5", work="the same, p99", values=[load.p99 for load in loads], unit="ms", most=20),
    ]


async def _rounds(
    stage: Stage, database: str, path: str, known: int, script: str, connections: int
) -> tuple[list[programs.Load], list[float]]:
    loads: list[programs.Load] = []
    ceilings: list[float] = []
    async with stage.running(database, "api") as url:
        arguments = (stage.api_key, path, str(known))
        await programs.wrk(stage.programs, url, "reads.lua", *arguments, connections=connections, seconds=1)
        for _ in stage.rounds:
            loads.append(
                await programs.wrk(
                    stage.programs, url, "reads.lua", *arguments, connections=connections, seconds=stage.seconds
                )
            )
            ceilings.append(
                await programs.pgbench(
                    stage.programs, database, script, clients=connections, seconds=stage.seconds, values={}
                )
            )
    return loads, ceilings


async def _explained(connection: Any, select: str) -> str:
    """Say what the page reads; RuntimeError if that is more than a page."""
    explained = await connection.fetchval(f"explain (analyze, buffers, format json) {select}")
    plan = msgspec.json.decode(explained)[0]["Plan"]
    scans = {node["Relation Name"]: node for node in _nodes(plan) if "Relation Name" in node}
    rows = scans["customers"]["Actual Rows"]
    if scans["customers"]["Node Type"] != "Index Scan" or rows > 100 or "tally" not in scans:
        raise RuntimeError(f"expected a page that reads its rows by an index and its count from the tally, got {plan}")
    index = scans["customers"]["Index Name"]
    return f"reads {rows:.0f} rows by {index}, the count from tally, {plan['Shared Hit Blocks']} blocks in all"


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from _nodes(each)
