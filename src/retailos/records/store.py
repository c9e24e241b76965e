"""Records read: one by either of its ids, or a page of a list; PostgreSQL builds the JSON, we pass it on."""

from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from retailos.database.pool import Pool, acquire
from retailos.declare.field import Field, Reference
from retailos.declare.resource import Resource, Resources
from retailos.records import page
from retailos.records.query import Query


class Shown(NamedTuple):
    """A record as JSON text, and its version."""

    version: int
    json: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page's records as JSON text, separated by commas, and how many match in all, where that was asked."""

    count: int | None
    rows: str


async def get_by_id(
    pool: Pool, resources: Resources, resource: Resource, record_id: UUID, show: tuple[Field | Reference, ...]
) -> Shown | None:
    """Read a living record by our id."""
    async with acquire(pool) as connection:
        row = await connection.fetchrow(page.by_id(resources, resource, show), record_id)
    return Shown(row["version"], row["json"]) if row else None


async def get_by_external_id(
    pool: Pool, resources: Resources, resource: Resource, external_id: str, show: tuple[Field | Reference, ...]
) -> Shown | None:
    """Read a living record by its external id, or by one that it had before."""
    async with acquire(pool) as connection:
        row = await connection.fetchrow(page.by_external_id(resources, resource, show), external_id)
    return Shown(row["version"], row["json"]) if row else None


async def find(pool: Pool, resources: Resources, resource: Resource, query: Query) -> Page:
    """Read a page of a list and, if the query wants it, the exact number of all that match."""
    statement, values = page.page(resources, resource, query)
    async with acquire(pool) as connection:
        row = await connection.fetchrow(statement, *values)
    return Page(row["count"], row["rows"]) if row else Page(None, "")
