"""Flips of flags, written down by the statement that writes the records: what it has more, where flips are evidence."""

from retailos.declare.flips import COLUMN, Flips
from retailos.declare.resource import Resource
from retailos.records.change_sql import captured


def flipped(flips: Flips, sent: str = "excluded.body") -> str:
    """Write the SQL of the flags that an update turns, with what they are now: an object, or null where it turns none.

    It compares the row that is locked with what was sent, so no flip is missed, and none told twice, whoever writes at
    once. That no flag turns, as nearly always, is found without looking them through one by one.
    """
    # A flag that was not sent compares as null.
    turned = (f"{sent}->'{flag}' <> coalesce(r.body->'{flag}', 'false')" for flag in flips.flags)
    return f"""case when {" or ".join(turned)} then (
            select jsonb_object_agg(flag, {sent}->flag) from unnest({_names(flips)}) as flag
            where {sent} ? flag and {sent}->flag is distinct from coalesce(r.body->flag, 'false')
        ) end"""


def returned(flips: Flips) -> str:
    """Write the SQL of the flags that a write turned; a new record has turned those that are set."""
    return f"""case r.operation when 'create' then (
        select jsonb_object_agg(flag, true) from unnest({_names(flips)}) as flag where r.body->flag = 'true'
    ) else r.{COLUMN} end as {COLUMN}"""


def written(resource: Resource, flips: Flips, now: str) -> str:
    """Write the clauses that make a record of each flip, and put those with the records themselves: `changed`."""
    printed = f"""to_char({now} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""
    values = ("record_id", "flag", "value", printed, f"'{resource.name}'")
    body = ", ".join(f"'{name}', {value}" for name, value in zip(flips.fields, values, strict=True))
    return f"""flip as materialized (
    select uuid_v7() as id, record.id as record_id, record.external_id as target, each.key as flag, each.value
    from record cross join lateral jsonb_each(record.{COLUMN}) as each
),
event as (
    insert into {flips.to.table} (id, external_id, version, operation, created_at, updated_at, body)
    select id, id::text, 1, 'create', {now}, {now}, jsonb_build_object({body}) from flip
    returning id, version, operation, updated_at, {captured(flips.to, flips.to.table)}
),
changed as (
    select '{resource.name}' as resource, id, external_id as target, version, operation, updated_at, snapshot
    from record
    union all
    select '{flips.to.name}', event.id, target, version, operation, updated_at, event.snapshot
    from event join flip on flip.id = event.id
)"""


def _names(flips: Flips) -> str:
    return f"'{{{','.join(flips.flags)}}}'::text[]"
