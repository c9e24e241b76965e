"""The statements of a merge, composed from declarations: what is locked, marked, completed, owed and kept of it."""

from retailos.declare.flips import COLUMN, Flips
from retailos.declare.resource import Resource
from retailos.records import flips
from retailos.records.change_sql import captured, told
from retailos.records.sql import NOW, owed

#: What every change does to a row `r`.
CHANGED = f"version = r.version + 1, updated_at = greatest({NOW}, r.updated_at + interval '1 ms')"


def lock(resource: Resource) -> str:
    """Write the statement that reads and locks the records of a merge ($1, their ids), in the order of every writer."""
    return (
        "select id, external_id, version, deleted_at is not null as deleted, merged_into_id, body"
        f" from {resource.table} where id = any($1::uuid[]) order by external_id for update"
    )


def names(resource: Resource) -> str:
    """Write the statement that gives the external ids of a merge's survivor ($1) and of those losers ($2) that live."""
    return (
        f"select external_id from {resource.table} where deleted_at is null and"
        f" (id = any($2::uuid[]) or id = $1 and exists ("
        f"select from {resource.table} where id = any($2::uuid[]) and deleted_at is null))"
    )


def mark(resource: Resource) -> str:
    """Write the statement that makes tombstones of records ($1), merged into another ($2).

    $3 is the request's id, $4 the API key's. Those that were merged into one of them before are merged into that other
    one by now. Gives ids and versions.
    """
    return f"""with before as materialized (
    select id, deleted_at is null as lived from {resource.table}
    where id = any($1::uuid[]) or merged_into_id = any($1::uuid[])
),
record as (
    update {resource.table} as r set
        merged_into_id = $2, deleted_at = coalesce(r.deleted_at, {NOW}), operation = 'merge', {CHANGED}
    from before where r.id = before.id
    returning r.id, r.external_id, r.version, r.operation, r.updated_at, before.lived, {captured(resource)}
),
{told_by_merge(resource)},
counted as (
    insert into tally (resource, delta)
    select '{resource.name}', -count(*) from record where lived having count(*) > 0
),
led as (
    insert into alias (resource, external_id, record_id, from_id)
    select '{resource.name}', external_id, $2, id from record where lived
    on conflict (resource, external_id) do update set record_id = excluded.record_id, from_id = excluded.from_id
)
select id, version from record order by id"""


def lead_aliases(resource: Resource) -> str:
    """Write the statement that leads what led to merged records ($1) to the survivor ($2) at once."""
    return (
        "update alias set record_id = $2, from_id = coalesce(from_id, record_id)"
        f" where resource = '{resource.name}' and record_id = any($1::uuid[])"
    )


def complete(resource: Resource) -> str:
    """Write the statement that adds to a survivor ($1) what it gets ($2, JSON text), by a request ($3) and key ($4).

    Gives the resources, ids and versions of what changed: the survivor, and what was written down of flags that turned.
    """
    turned = f", {COLUMN} = {flips.flipped(resource.flips, 'given.body')}" if resource.flips else ""
    returned = f", {flips.returned(resource.flips)}" if resource.flips else ""
    clauses = [
        "given as materialized (select $2::text::jsonb as body)",
        f"""record as (
    update {resource.table} as r set body = r.body || given.body, operation = 'update', {CHANGED}{turned}
    from given where r.id = $1
    returning r.id, r.external_id, r.version, r.operation, r.updated_at, {captured(resource)}{returned}
)""",
        _written_down(resource, resource.flips) if resource.flips else f"changed as ({_rows(resource)})",
        _told("changed"),
    ]
    return f"with {', '.join(clauses)} select resource, id, version from changed"


def _written_down(resource: Resource, turning: Flips) -> str:
    return f"""{flips.written(resource, turning, NOW)},
counted as (
    insert into tally (resource, delta) select '{turning.to.name}', count(*) from event having count(*) > 0
)"""


def owe() -> str:
    """Write the statement that owes what changed to webhooks: resources ($1), ids ($2) and versions ($3) of records."""
    return f"""with record as materialized (
    select * from unnest($1::text[], $2::uuid[], $3::integer[]) as given(resource, id, version)
),
{owed("record")}
select count(*) from register"""


def keep_job(resource: Resource) -> str:
    """Write the statement that keeps a merge as the job ($1) that it was, by a request ($2): of a survivor ($3)."""
    return f"""
insert into job (id, queue_name, status, outcome, external_id, record_id, version, created_at, request_id)
select $1, '{resource.queue("merge")}', 'completed', 'merged', external_id, id, version, {NOW}, $2
from {resource.table} where id = $3
"""


def told_by_merge(resource: Resource) -> str:
    """Write the clause that tells of the rows of `record`, by a request ($3) and key ($4)."""
    return _told(f"({_rows(resource)} order by id) as changed")


def _rows(resource: Resource) -> str:
    return f"select *, '{resource.name}' as resource from record"


def _told(rows: str) -> str:
    # What a merge makes of a record, nobody sent.
    return told(rows, request_id="$3::uuid", api_key_id="$4::text", as_sent="false")
