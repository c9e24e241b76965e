"""B2 and B3: bulk PUTs of a thousand customers, changed and unchanged, beside the statement that they are."""

from typing import Final

from benchmarks import customers, programs, writes
from benchmarks.figure import Figure
from benchmarks.stage import Stage, connected, paired

ROWS: Final = 1_000
#: Enough to keep both processors busy while one of them is read and another written.
SENDERS: Final = 4
KNOWN: Final = 20_000


async def measure(stage: Stage) -> list[Figure]:
    """Measure with three webhooks, then everything once more as it is already; and with one webhook."""
    figures: list[Figure] = []
    for webhooks in (3, 1):
        async with stage.database("written") as template:
            await _prepare(stage, template, webhooks)
            values, ceilings = paired([(await _api(stage), await _ceiling(stage)) for _ in stage.rounds])
            same = [await _api(stage, "same") for _ in stage.rounds] if webhooks == 3 else []
        figures.append(
            Figure(
                number="B2",
                work=f"bulk PUT of {ROWS:,} customers, half new, half changed, {SENDERS} connections, "
                f"{webhooks} webhook{'s' if webhooks > 1 else ''}, in records",
                values=values, unit="/s", ceilings=ceilings,
                beside=f"pgbench, the statement with {ROWS:,} rows, {SENDERS} clients, in rows",
                ratio_least=0.7, least=10_000 if webhooks == 1 else None,
            )
        )  # fmt: skip
        if same:
            figures.append(
                Figure(
                    number="B3", work="the same unchanged since it was sent like that; 0 deliveries are owed",
                    values=same, unit="/s", ceilings=values, beside="B2 with three webhooks", ratio_least=3,
                )
            )  # fmt: skip
    return figures


async def _prepare(stage: Stage, template: str, webhooks: int) -> None:
    """Customers with nothing owed of them, and webhooks that are owed what is written from now on."""
    async with connected(template) as connection:
        await customers.write(connection, KNOWN)
        await connection.execute("vacuum (analyze)")
    for number in range(webhooks):
        await stage.add_webhook(template, name=f"benchmark {number}")


async def _api(stage: Stage, *same: str) -> float:
    body = stage.directory / "customer.json"
    body.write_text(customers.BODY)
    async with stage.database("puts", "written") as database, stage.running(database, "api") as url:
        arguments = (stage.api_key, str(KNOWN), str(body), *same)
        # What is the same is learnt meanwhile, as the first of many nights does.
        await programs.wrk(stage.programs, url, "bulk.lua", *arguments, connections=SENDERS, seconds=4)
        load = await programs.wrk(
            stage.programs, url, "bulk.lua", *arguments, connections=SENDERS, seconds=stage.seconds
        )
        await _check(database, owed=not same)
    return load.rate * ROWS


async def _check(database: str, *, owed: bool) -> None:
    """RuntimeError if something is owed where nothing changed, or nothing where something did."""
    async with connected(database) as connection:
        found = await connection.fetchval("select count(*) from due")
        failed = await connection.fetchval("select count(*) from job where status = 'failed'")
    if bool(found) is not owed or failed:
        raise RuntimeError(f"expected deliveries to be owed: {owed}, and no failed job; got {found} and {failed}")


async def _ceiling(stage: Stage) -> float:
    return await writes.many(stage, ROWS, clients=SENDERS)
