"""Statements that go through the living records that refer to some others, or through all, by their ids."""

from retailos.declare.field import Reference
from retailos.declare.resource import Resource
from retailos.records.repoint_sql import refers


def referring(resource: Resource, reference: Reference) -> str:
    """Write the statement that gives ids and versions of what refers to one of $1, behind the id $2, $3 at the most."""
    return f"""
select r.id, r.version from {resource.table} as r
where {refers(resource, reference)} and r.id > $2 and r.deleted_at is null
order by r.id limit $3
"""


def living(resource: Resource) -> str:
    """Write the statement that gives ids and versions of all records behind the id $1, $2 at the most."""
    return f"""
select r.id, r.version from {resource.table} as r where r.id > $1 and r.deleted_at is null order by r.id limit $2
"""
