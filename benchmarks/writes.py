"""B1: single PUT upserts of a customer, beside the statement that they are, run by pgbench."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from benchmarks import customers, programs
from benchmarks.figure import Figure
from benchmarks.stage import CONCURRENCY, Stage, connected, paired
from retailos.app import Role
from retailos.records import sql
from retailos.resources import RESOURCES
from retailos.resources.customer import CUSTOMER

KNOWN: Final = 20_000
#: New external ids are taken from beyond what exists, in pgbench and in writes.lua alike.
_ONE: Final = r"""
\set number random(1, 2000000000)
\set coin random(0, 1)
\if :coin
\set target random(1, :known)
\else
\set target random(1000000, 2000000000)
\endif
"""
_MANY: Final = r"""
\set number random(1, 2000000000)
\set old random(1, :known)
\set new random(1000000, 2000000000)
"""
ROWS: Final = 32


async def measure(stage: Stage) -> list[Figure]:
    """Measure with everything owed and no worker, then while a worker delivers what is owed."""
    async with written(stage):
        rounds = [(await _api(stage, "api"), await _one(stage), await many(stage, ROWS)) for _ in stage.rounds]
        delivering = [await _api(stage, "api", "worker") for _ in stage.rounds[:2]]
    values, ones = paired([(api, one) for api, one, _ in rounds])
    thirties = [rows for _, _, rows in rounds]
    work = f"PUT upserts of a customer, {CONCURRENCY} connections, half new, half changed, one webhook"
    return [
        Figure(
            number="B1 a", work=work, values=values, unit="/s", ceilings=ones, ratio_least=3,
            beside=f"pgbench, the statement with one row, {CONCURRENCY} clients",
        ),
        Figure(
            number="B1 b", work="the same", values=values, unit="/s", ceilings=thirties, ratio_least=0.7,
            beside=f"pgbench, the statement with {ROWS} rows, one connection, in rows",
        ),
        Figure(
            number="B1", work="the same while a worker delivers to the receiver", values=delivering, unit="/s",
            ceilings=ones[: len(delivering)], beside="as B1 a, whose ceiling delivers nothing",
        ),
    ]  # fmt: skip


@asynccontextmanager
async def written(stage: Stage) -> AsyncIterator[None]:
    """A database `written`, for copies: KNOWN customers, and a webhook that is owed them."""
    async with stage.database("written") as template:
        await stage.add_webhook(template)
        async with connected(template) as connection:
            await customers.write(connection, KNOWN)
            # So that what is read ahead of the copies is the same for all of them.
            await connection.execute("vacuum (analyze)")
        yield


async def _api(stage: Stage, *roles: Role) -> float:
    body = stage.directory / "customer.json"
    body.write_text(customers.BODY)
    async with stage.database("puts", "written") as database, stage.running(database, *roles) as url:
        arguments = (stage.api_key, str(KNOWN), str(body))
        await programs.wrk(stage.programs, url, "writes.lua", *arguments, connections=CONCURRENCY, seconds=1)
        load = await programs.wrk(
            stage.programs, url, "writes.lua", *arguments, connections=CONCURRENCY, seconds=stage.seconds
        )
    return load.rate


async def _one(stage: Stage) -> float:
    script = _ONE + _statement(
        {
            "1": "array['known-' || :target]",
            "2": f"array[replace(:body, '{customers.NUMBER}', :number::text)]",
            "3": "array[uuidv7()]",
            "4": "array[uuidv7()]",
            "5": "array[null]",
            "6": "array[uuidv7()]",
            "7": "array['0123456789']",
            "8": "false",
            "9": "array[null::uuid]",
            "10": "array[0]",
            "11": "false",
            "12": "array[null::text]",
        }
    )
    return await _pgbench(stage, script, CONCURRENCY)


async def many(stage: Stage, rows: int, *, clients: int = 1) -> float:
    """Rows a second of the statement with so many of them, half new, half changed, on so many connections."""

    def each(expression: str) -> str:
        return f"array(select {expression} from generate_series(1, {rows}) as n)"

    ids = each("uuidv7()")
    script = _MANY + _statement(
        {
            "1": each("'known-' || case n % 2 when 0 then (:old + n * 7) % :known else :new + n end"),
            "2": each(f"replace(:body, '{customers.NUMBER}', (:number + n)::text)"),
            "3": ids,
            "4": ids,
            "5": each("null"),
            "6": ids,
            "7": each("'0123456789'"),
            "8": "false",
            "9": each("null::uuid"),
            "10": each("0"),
            "11": "false",
            "12": each("null::text"),
        }
    )
    return rows * await _pgbench(stage, script, clients)


def _statement(arguments: Mapping[str, str]) -> str:
    """The statement that a write of a customer is, with these expressions in the place of its parameters."""
    statement = programs.for_pgbench(sql.upsert(RESOURCES, CUSTOMER))
    return re.sub(r"\$(\d+)", lambda parameter: f"({arguments[parameter[1]]})", statement) + ";\n"


async def _pgbench(stage: Stage, script: str, clients: int) -> float:
    values = {"body": customers.BODY, "known": str(KNOWN)}
    async with stage.database("statements", "written") as database:
        return await programs.pgbench(
            stage.programs, database, script, clients=clients, seconds=stage.seconds, values=values
        )
