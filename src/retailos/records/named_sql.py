"""Composes the statements that find records by what names them: our ids, external ids and aliases, or natural keys."""

from retailos.declare.field import snake
from retailos.declare.resource import Resource, Resources


def find(resource: Resource) -> str:
    """Write the statement that finds records by external ids ($1), aliases included, and by ids ($2).

    Gives `external_id` or `id` as it was asked for, and the id that was found: of a merged record, the survivor's.
    """
    return f"""
select given.external_id, null::uuid as id, known.id as found
from unnest($1::text[]) as given(external_id)
cross join lateral ({known_as(resource, "given.external_id")}) as known(id)
union all
select null, r.id, coalesce(r.merged_into_id, r.id) from {resource.table} as r where r.id = any($2::uuid[])
"""


def find_living(resource: Resource) -> str:
    """Write the statement that finds records as `find` does, but for deleted ones."""
    return (
        f"select known.* from ({find(resource)}) as known"
        f" join {resource.table} as living on living.id = known.found where living.deleted_at is null"
    )


def known_as(resource: Resource, parameter: str) -> str:
    """Write the subquery that gives the id of the record that an external id, its own or an alias, leads to."""
    return (
        f"select id from {resource.table} where external_id = {parameter} and merged_into_id is null"
        f" union all select record_id from alias where resource = '{resource.name}' and external_id = {parameter}"
        " limit 1"
    )


def named(resource: Resource, parameter: str) -> str:
    """Write the subquery that gives the id of the record that has or had an external id, be it merged by now."""
    return (
        f"select id from {resource.table} where external_id = {parameter} union all select coalesce(from_id, record_id)"
        f" from alias where resource = '{resource.name}' and external_id = {parameter} limit 1"
    )


def formerly(resource: Resource, given: str) -> str:
    """Write the subquery that gives the ids of the records that external ids, the SQL of an array, were names of.

    Of a merged record, it is the survivor's.
    """
    return f"select record_id as id from alias where resource = '{resource.name}' and external_id = any({given})"


def by_natural_key(resources: Resources, resource: Resource) -> str:
    """Write the statement that gives the external id of the living record with a natural key ($1, $2: external ids)."""
    names = resource.natural_key.references if resource.natural_key else ()
    found = (
        f"r.{snake(resource.reference[name].id_field.name)} ="
        f" ({known_as(resources[resource.reference[name].to], f'${i}::text')})"
        for i, name in enumerate(names, start=1)
    )
    return f"select external_id from {resource.table} as r where {' and '.join(found)} and r.deleted_at is null"


def external_ids(resource: Resource) -> str:
    """Write the statement that gives the external ids of records ($1, their ids)."""
    return f"select id, external_id from {resource.table} where id = any($1::uuid[])"
