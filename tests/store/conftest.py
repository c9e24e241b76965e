"""A database with a pool and a writer, for tests of the statements themselves."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest

from retailos.database.embedded import Cluster
from retailos.database.pool import Connection, Pool, connect
from retailos.deliveries import register
from retailos.records.record import Draft, Written
from retailos.records.writer import Writer
from retailos.resources import RESOURCES
from tests.conftest import with_database


@pytest.fixture(scope="module")
async def shared(
    server: Cluster, administrator: Connection, template: str, numbers: Iterator[int]
) -> AsyncIterator[Connection]:
    """A connection to a migrated database that the tests of a module share."""
    name = f"shared_{next(numbers)}"
    await administrator.execute(f"create database {name} template {template} strategy wal_log")
    connection = await asyncpg.connect(with_database(server.url, name))
    try:
        yield connection
    finally:
        await connection.close()
        await administrator.execute(f"drop database {name} with (force)")


@pytest.fixture
async def scratch(shared: Connection) -> AsyncIterator[Connection]:
    """The shared connection in a transaction, of which nothing stays."""
    transaction = shared.transaction()
    await transaction.start()
    try:
        yield shared
    finally:
        await transaction.rollback()


@asynccontextmanager
async def pooled(database: str, size: int = 8) -> AsyncIterator[Pool]:
    """A pool whose commits need not outlive a crash, since no test of it crashes."""
    made = await connect(
        database,
        min_size=1,
        max_size=size,
        application_name="tests",
        statement_timeout_seconds=20,
    )
    try:
        yield made
    finally:
        await made.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A database of a test's own, a pool to it, and a writer that counts its commits."""

    database: str
    pool: Pool
    writer: Writer
    commits: list[int] = field(default_factory=list)

    async def write(self, resource: str, external_id: str | None, patch: dict[str, Any], **more: Any) -> Written:
        """Write one record."""
        draft = Draft(external_id=external_id, patch=patch)
        return await self.writer.write(RESOURCES[resource], draft, **more)

    async def value(self, statement: str, *arguments: Any) -> Any:
        """The one value that a statement gives."""
        return await self.pool.fetchval(statement, *arguments)


@asynccontextmanager
async def stored(database: str, after_commit: Callable[[], None] | None = None) -> AsyncIterator[Store]:
    """A store on a database, for the length of the block."""
    commits: list[int] = []
    async with pooled(database) as pool:
        writer = Writer(pool, RESOURCES, after_commit=after_commit or (lambda: commits.append(1)))
        try:
            yield Store(database=database, pool=pool, writer=writer, commits=commits)
        finally:
            await writer.close()


@pytest.fixture
async def store(database: str) -> AsyncIterator[Store]:
    """A store on a database of this test's own."""
    async with stored(database) as made:
        yield made


async def add_webhook(connection: Pool, resource: str = "customer", name: str = "erp") -> int:
    """A webhook of a resource, as the database has it; its id."""
    made: int = await connection.fetchval(
        "insert into webhook (name, resource, settings, active, created_at, updated_at)"
        """ values ($1, $2, '{"url": "https://x"}', true, now(), now()) returning id""",
        name,
        resource,
    )
    return made


#: Longer than any test of the register takes.
LEASE_SECONDS = 60.0


@pytest.fixture
async def webhook(store: Store) -> int:
    """A webhook of customers."""
    return await add_webhook(store.pool)


@pytest.fixture
async def worker(store: Store) -> int:
    """A worker whose lease holds."""
    return await register.enlist(store.pool, "w-1", LEASE_SECONDS)
