"""Composes the statements that find records by what names them: our ids, external ids and aliases, or natural keys."""

from collections.abc import Iterable, Sequence

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
    """Write the statement that finds living records by their natural keys.

    $1, $2: what the first reference of each key names, by our id and by external id, either of them null; $3, $4: the
    second. Gives in their order the record's external id, `known`, and those of the two, `name_1` and `name_2`; null
    for what is not there.
    """
    names = resource.natural_key.references if resource.natural_key else ()
    numbered = list(enumerate(names, start=1))
    given = ", ".join(f"id_{i}, name_{i}" for i, _ in numbered)
    arrays = ", ".join(f"${2 * i - 1}::uuid[], ${2 * i}::text[]" for i, _ in numbered)
    found = "".join(_referred(resources[resource.reference[name].to], i) for i, name in numbered)
    ids = [f"found_{i}.id" for i, _ in numbered]
    return f"""
select r.external_id as known, {", ".join(f"found_{i}.external_id as name_{i}" for i, _ in numbered)}
from unnest({arrays}) with ordinality as given({given}, i){found}
left join {resource.table} as r on {_has_key(resource, "r", ids)} and r.deleted_at is null
order by i
"""


def own_by_key(resource: Resource, given: str, body: str) -> str:
    """Write the join of what was given with the living record, `own`, of a body's natural key, if it goes `by_key`."""
    ids = (f"case when {given}.by_key then {each} end" for each in key_in(resource, body))
    return f"left join {resource.table} as own on {_has_key(resource, 'own', ids)} and own.deleted_at is null"


def of_another(resource: Resource, row: str, given: Sequence[str]) -> str:
    """Write the condition that a row has another natural key than the one that is given."""
    columns = ", ".join(f"{row}.{snake(name)}" for name in resource.key_fields)
    return f"({columns}) is distinct from ({', '.join(given)})"


def key_in(resource: Resource, body: str) -> list[str]:
    """Write the natural key that stands in a body, the SQL of a JSON object."""
    return [f"({body}->>'{name}')::uuid" for name in resource.key_fields]


def _referred(target: Resource, i: int) -> str:
    """The record that the reference number `i` of a natural key names; of a merged one, the survivor."""
    by_id = f"select coalesce(merged_into_id, id) from {target.table} where id = given.id_{i}"
    by_name = known_as(target, f"given.name_{i}")
    return f"""
left join lateral (
    select id, external_id from {target.table} where id = coalesce(({by_id}), ({by_name}))
) as found_{i} on true"""


def _has_key(resource: Resource, row: str, ids: Iterable[str]) -> str:
    columns = (f"{row}.{snake(name)}" for name in resource.key_fields)
    return " and ".join(f"{column} = {each}" for column, each in zip(columns, ids, strict=True))


def external_ids(resource: Resource) -> str:
    """Write the statement that gives the external ids of records ($1, their ids)."""
    return f"select id, external_id from {resource.table} where id = any($1::uuid[])"
