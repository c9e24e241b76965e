"""Migrations bring any database to the program's schema once, whoever starts first, and never half."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from retailos.database import migrate as migrations
from retailos.database.migrate import migrate, pending
from retailos.database.pool import Connection
from retailos.errors import ConfigurationError, Unavailable

FIRST = "create table shelf (id int primary key, height int);"
SECOND = "-- Shelves have names.\nalter table shelf add name text;"
CONCURRENT = """-- transaction: none
drop index concurrently if exists shelf_name;
create index concurrently shelf_name
    on shelf (name);
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A directory with three migrations, the last of which needs to be outside of a transaction."""
    return write(tmp_path, {"0001_shelf.sql": FIRST, "0002_name.sql": SECOND, "0003_index.sql": CONCURRENT})


@pytest.fixture
async def empty(connection: Connection) -> Connection:
    """A connection to a database that has had no migration."""
    await connection.execute("drop schema public cascade; create schema public")
    return connection


def write(directory: Path, files: dict[str, str]) -> Path:
    """The directory, with these files in it."""
    for name, text in files.items():
        (directory / name).write_text(text)
    return directory


async def columns(connection: Connection) -> list[str]:
    """The columns of the table that the migrations make."""
    rows = await connection.fetch("select column_name from information_schema.columns where table_name = 'shelf'")
    return sorted(row["column_name"] for row in rows)


async def test_migrations_are_applied_in_order_once(empty: Connection, files: Path) -> None:
    """What is pending is applied in the order of the numbers and never again."""
    assert await pending(empty, files) == ["0001_shelf.sql", "0002_name.sql", "0003_index.sql"]
    assert await migrate(empty, files) == ["0001_shelf.sql", "0002_name.sql", "0003_index.sql"]
    assert await columns(empty) == ["height", "id", "name"]
    assert await empty.fetchval("select indisvalid from pg_index where indexrelid = 'shelf_name'::regclass")
    assert await pending(empty, files) == []
    assert await migrate(empty, files) == []


async def test_the_programs_own_migrations_are_the_default(connection: Connection) -> None:
    """A database that was made by this program has nothing pending."""
    assert await pending(connection) == []
    applied = await connection.fetch("select name from migration order by number")
    assert [row["name"] for row in applied] == [migration.name for migration in migrations.read(migrations.MIGRATIONS)]


async def test_many_processes_may_migrate_at_once(empty: Connection, database: str, files: Path) -> None:
    """Of processes that start together one applies each file, and the others wait, concurrent indexes included."""
    connections = [await asyncpg.connect(database) for _ in range(5)]
    try:
        applied = await asyncio.gather(*(migrate(connection, files) for connection in connections))
    finally:
        for connection in connections:
            await connection.close()
    assert sorted(name for names in applied for name in names) == ["0001_shelf.sql", "0002_name.sql", "0003_index.sql"]


async def test_pending_changes_nothing(empty: Connection, files: Path) -> None:
    """Asking what is pending leaves the database as it is."""
    await pending(empty, files)
    assert await empty.fetchval("select to_regclass('migration') is null")


async def test_changed_file_is_refused(empty: Connection, files: Path) -> None:
    """A file that was edited after it was applied is refused by name, with what to do instead."""
    await migrate(empty, files)
    write(files, {"0002_name.sql": SECOND + "\nalter table shelf add colour text;"})
    with pytest.raises(ConfigurationError, match=r"0002_name.sql was applied.*new migration"):
        await migrate(empty, files)
    with pytest.raises(ConfigurationError, match=r"0002_name.sql was applied"):
        await pending(empty, files)


async def test_newer_database_is_refused(empty: Connection, files: Path) -> None:
    """A database that a later version has migrated is refused by an earlier one."""
    await migrate(empty, files)
    (files / "0003_index.sql").unlink()
    with pytest.raises(ConfigurationError, match=r"newer than this program: it has had 0003_index.sql"):
        await migrate(empty, files)


async def test_failing_file_leaves_nothing(empty: Connection, files: Path) -> None:
    """A file that fails in its middle is not applied at all, those before it are, and it can be put right."""
    write(files, {"0002_name.sql": SECOND + "\nselect 1 / 0;"})
    with pytest.raises(ConfigurationError, match=r"0002_name.sql can't be applied .*nothing of it.*division by zero"):
        await migrate(empty, files)
    assert await columns(empty) == ["height", "id"]
    write(files, {"0002_name.sql": SECOND})
    assert await migrate(empty, files) == ["0002_name.sql", "0003_index.sql"]


async def test_failing_file_without_transaction_can_be_repeated(empty: Connection, files: Path) -> None:
    """A file without a transaction that failed is applied from its first statement again."""
    await migrate(empty, write(files, {"0003_index.sql": "-- transaction: none\nselect 1;"}))
    await empty.execute("insert into shelf (id, name) values (1, 'a'), (2, 'a')")
    unique = CONCURRENT.replace("create index", "create unique index")
    write(files, {"0004_unique.sql": unique})
    with pytest.raises(
        ConfigurationError,
        match=r"0004_unique.sql can't be applied .*earlier statements.*unique index \"shelf_name\"\. Put",
    ):
        await migrate(empty, files)
    await empty.execute("delete from shelf where id = 2")
    assert await migrate(empty, files) == ["0004_unique.sql"]
    assert await empty.fetchval("select indisvalid from pg_index where indexrelid = 'shelf_name'::regclass")


async def test_lock_that_is_not_granted_can_be_tried_again(empty: Connection, database: str, files: Path) -> None:
    """A migration gives way to a long transaction on its table, as unavailable, and succeeds after it."""
    await migrate(empty, write(files, {"0002_name.sql": FIRST.replace("shelf", "rack"), "0003_index.sql": SECOND}))
    write(files, {"0004_colour.sql": "alter table shelf add colour text;"})
    other = await asyncpg.connect(database)
    try:
        async with other.transaction():
            await other.execute("select * from shelf")
            with pytest.raises(Unavailable, match=r"0004_colour.sql could not run just now"):
                await migrate(empty, files, lock_timeout_seconds=0.05)
    finally:
        await other.close()
    assert await migrate(empty, files) == ["0004_colour.sql"]


async def test_connection_is_left_as_it_was(empty: Connection, database: str, files: Path) -> None:
    """The connection has its own timeouts back, and another process finds the turn free, also after a failure."""
    write(files, {"0002_name.sql": "select 1 / 0;"})
    with pytest.raises(ConfigurationError):
        await migrate(empty, files)
    assert await empty.fetchval("show lock_timeout") == "0"
    write(files, {"0002_name.sql": SECOND})
    other = await asyncpg.connect(database)
    try:
        assert await migrate(other, files) == ["0002_name.sql", "0003_index.sql"]
    finally:
        await other.close()


@pytest.mark.parametrize("name", ["0005_gap.sql", "0003_twice.sql", "4_short.sql", "0004-dash.sql"])
async def test_numbers_have_no_gap(empty: Connection, files: Path, name: str) -> None:
    """A file whose number or name is not the next one is refused before anything runs."""
    write(files, {name: "select 1;"})
    with pytest.raises(ValueError, match=r"expected a migration 0004_name.sql here, got"):
        await migrate(empty, files)
    assert await columns(empty) == []
