"""The migrations, applied from nothing, make exactly the tables that the declarations demand."""

from collections.abc import Sequence
from typing import Any

import pytest

from retailos.database.pool import Connection
from retailos.declare.resource import Resource
from retailos.records.table import add_columns, create_table
from retailos.resources import RESOURCES

#: What PostgreSQL knows of a table ($1, its name with the schema), as sorted lines.
COLUMNS = """
select attname, format_type(atttypid, atttypmod), attnotnull, attgenerated, attcollation::regcollation::text,
    coalesce(pg_get_expr(adbin, adrelid), '')
from pg_attribute left join pg_attrdef on adrelid = attrelid and adnum = attnum
where attrelid = $1::regclass and attnum > 0 and not attisdropped order by attnum
"""
INDEXES = "select pg_get_indexdef(indexrelid) from pg_index where indrelid = $1::regclass order by 1"
CONSTRAINTS = """
select conname, pg_get_constraintdef(oid) from pg_constraint
where conrelid = $1::regclass and contype <> 'n' order by 1
"""
TRIGGERS = "select pg_get_triggerdef(oid) from pg_trigger where tgrelid = $1::regclass and not tgisinternal order by 1"
OPTIONS = "select reloptions::text, relkind::text, relpersistence::text from pg_class where oid = $1::regclass"


async def told(connection: Connection, schema: str, table: str) -> dict[str, list[Sequence[Any]]]:
    """Columns, indexes, constraints, triggers and options of a table, without the name of its schema."""
    place = f"{schema}.{table}"
    parts = {
        "columns": COLUMNS,
        "indexes": INDEXES,
        "constraints": CONSTRAINTS,
        "triggers": TRIGGERS,
        "options": OPTIONS,
    }
    return {
        name: [
            tuple(str(value).replace(f"{schema}.", "") for value in row) for row in await connection.fetch(text, place)
        ]
        for name, text in parts.items()
    }


@pytest.mark.parametrize("resource", RESOURCES.values(), ids=lambda resource: resource.name)
async def test_the_migrated_table_is_the_declared_one(scratch: Connection, resource: Resource) -> None:
    """Columns, generated expressions, indexes, constraints, triggers and options are as the declaration says."""
    await scratch.execute("create schema declared; set search_path to declared, public")
    await scratch.execute(create_table(resource) + add_columns(resource))
    await scratch.execute("reset search_path")
    declared = await told(scratch, "declared", resource.table)
    assert await told(scratch, "public", resource.table) == declared
    assert len(declared["columns"]) == 10 + len(resource.columns) + bool(resource.flips)
    assert len(declared["indexes"]) >= 4
    assert len(declared["triggers"]) == len(resource.namings)


async def test_every_table_is_a_resource_s_or_the_engine_s(scratch: Connection) -> None:
    """No table of records is left over, and none is missing."""
    names = await scratch.fetch(
        "select relname from pg_class where relnamespace = 'public'::regnamespace"
        " and relkind in ('r', 'p') and not relispartition"
    )
    engine = {
        "instance",
        "api_key",
        "alias",
        "answer",
        "tally",
        "change",
        "webhook",
        "delivery",
        "due",
        "attempt",
        "job",
        "queued",
        "worker",
        "import",
        "import_chunk",
        "import_failure",
        "parked",
        "awaited",
    }
    found = {row["relname"] for row in names}
    assert {each.table for each in RESOURCES.values()} | engine <= found
    columns = await scratch.fetch(
        "select relname from pg_attribute join pg_class on pg_class.oid = attrelid"
        " where attname = 'external_id' and relkind = 'r' and relnamespace = 'public'::regnamespace"
    )
    of_records = {row["relname"] for row in columns} - {"alias", "queued", "import_failure", "parked", "awaited"}
    assert {name for name in of_records if not name.startswith("job")} == {each.table for each in RESOURCES.values()}


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("update customers set version = 0", "customers_version_check"),
        ("update customers set external_id = ''", "customers_external_id_check"),
        ("update customers set external_id = repeat('x', 256)", "customers_external_id_check"),
        ("update customers set updated_at = created_at - interval '1 ms'", "customers_check"),
        ("update customers set body = '[]'", "customers_body_check"),
        ("update delivery set acknowledged = wanted + 1", "delivery_check"),
        ("update delivery set status = 'lost'", "delivery_status_check"),
        ("update delivery set status = 'sending'", "delivery_check1"),
        ("update delivery set token = gen_random_uuid()", "delivery_check1"),
        ("update webhook set settings = '[]'", "webhook_settings_check"),
        ("update webhook set name = ''", "webhook_name_check"),
        ("insert into instance (only_one) values (false)", "instance_only_one_check"),
        ("insert into instance default values", "instance_pkey"),
    ],
)
async def test_invariants_are_constraints(scratch: Connection, statement: str, constraint: str) -> None:
    """What must never be is refused by the database itself, whoever writes."""
    await scratch.execute(
        "insert into customers (id, external_id, version, operation, created_at, updated_at, body)"
        " values (gen_random_uuid(), 'c', 1, 'create', now(), now(), '{}');"
        "insert into webhook (name, resource, settings, active, created_at, updated_at)"
        " values ('w', 'customer', '{}', true, now(), now());"
        "insert into delivery (webhook_id, record_id, wanted) values (1, gen_random_uuid(), 1)"
    )
    with pytest.raises(Exception, match=f'"{constraint}"'):
        await scratch.execute(statement)


async def test_history_is_kept_by_the_day(scratch: Connection) -> None:
    """Changes, attempts, batches and jobs go into their day's partition, made ahead; other days are never refused."""
    rows = await scratch.fetch(
        "select relname from pg_class where relispartition and relkind = 'r' and relname ~ '_[0-9]{8}$'"
    )
    days = {row["relname"].rpartition("_")[0] for row in rows}
    assert days == {"change", "attempt", "batch", "job", "report_row", "delivery_minute"}
    assert len(rows) >= 6 * 8
    insert = (
        "insert into job (id, queue_name, status, created_at) values (gen_random_uuid(), 'q', 's', $1::timestamptz)"
    )
    for when in ("2001-01-01", "2099-01-01", None):
        await scratch.execute(insert.replace("$1", "now()" if when is None else f"'{when}'"))
    places = await scratch.fetch("select tableoid::regclass::text as place, count(*) from job group by 1 order by 1")
    assert [row["count"] for row in places] == [1, 2]
    assert places[1]["place"] == "job_default"
    assert await scratch.execute("select make_days(9)")
