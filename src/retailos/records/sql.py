"""Statements composed from declarations: a resource and a query in, SQL text and parameters out.

Identifiers come from declarations alone; whatever a caller sent is a parameter.
"""

import json
from types import MappingProxyType

from retailos.declare.derived import Computed
from retailos.declare.field import Reference, snake
from retailos.declare.flips import COLUMN
from retailos.declare.resource import Resource, Resources
from retailos.records import flips
from retailos.records.change_sql import captured, told
from retailos.records.named_sql import key_in, known_as, named, of_another, own_by_key
from retailos.records.survivors import followed, led_on, survivors
from retailos.records.table import inherited, literal, read_as

#: The moment of a write, cut to the millisecond that is printed, by the database's clock.
NOW = "date_trunc('milliseconds', now())"
#: Whose a change is: that of the request which it came with.
_BY_INPUT = MappingProxyType({"request_id": "request_id", "api_key_id": "api_key_id"})


def upsert(resources: Resources, resource: Resource) -> str:
    """Write the statement that a write is: records, changes, what is owed, jobs and the tally, in one.

    $1 external ids, sorted and each once · $2 bodies as JSON text · $3 ids for new records · $4 job ids ·
    $5 when each was updated at its source · $6 request ids · $7 API key ids · $8 true: only create ·
    $9 batch ids · $10 positions in the batch · $11 true: the transaction sees to parked upserts itself; else the
    statement fails with RW001 where there are some that it concerns. · $12 warnings as JSON text, or null · $13, where
    the resource has a natural key: whether it is the key that names the record, so that none with another is written.
    A job id that is null: the job stands already.
    Gives for each input, by its ordinal: the record's id, external id and version, the outcome, and the moment.
    The id is null where another writer made the record meanwhile: ask again.
    """
    clauses = (
        _input(resources, resource),
        _record(resources, resource),
        *([flips.written(resource, resource.flips, NOW)] if resource.flips else []),
        _told(resource),
        owed(_changed_rows(resource)),
        _result(resources, resource),
        _done(resource),
    )
    return f"""with {", ".join(clauses)}
select i, record_id, target, version, outcome, {NOW} as at from result
where (select $11 or refuse_awaited('{resource.name}', array_agg(target)) from result)"""


def delete(resource: Resource) -> str:
    """Write the statement that marks a living record ($1, its id) as deleted, with all that a change owes.

    $2 the job's id · $3 the request's id · $4 the API key's id. Gives its external id and version, and the moment;
    nothing where it is deleted already.
    """
    return _changed(resource, "delete", "deleted_at = " + NOW, "r.deleted_at is null")


def rekey(resource: Resource) -> str:
    """Write the statement that gives a record ($1, its id) another external id ($5); the old one stays as an alias.

    Parameters and result as for `delete`; nothing where it has that external id already.
    """
    return _changed(
        resource,
        "update",
        "external_id = $5",
        "r.external_id <> $5",
        f""", renamed as (
    insert into alias (resource, external_id, record_id)
    select '{resource.name}', before.external_id, record.id
    from record join {resource.table} as before on before.id = record.id
    on conflict (resource, external_id) do update set record_id = excluded.record_id
),
own as (
    delete from alias using record
    where alias.resource = '{resource.name}' and alias.external_id = $5 and alias.record_id = record.id
)""",
    )


def _changed(resource: Resource, operation: str, what: str, where: str, more: str = "") -> str:
    """A change of one record that is no upsert: told, owed and recorded as a job like every other."""
    return f"""with input as materialized (
    select r.external_id as target, $3::uuid as request_id, $4::text as api_key_id
    from {resource.table} as r where r.id = $1
),
record as (
    update {resource.table} as r set
        {what},
        version = r.version + 1,
        operation = '{operation}',
        updated_at = greatest({NOW}, r.updated_at + interval '1 ms')
    where r.id = $1 and {where}
    returning id, external_id, version, operation, updated_at, {captured(resource)}
),
{told(f"{_rows(resource)} as changed cross join input", as_sent="true", **_BY_INPUT)},
counted as (
    insert into tally (resource, delta) select '{resource.name}', -1 from record where operation = 'delete'
),
{owed(_rows(resource))},
done as (
    insert into job (id, queue_name, status, outcome, external_id, record_id, version, created_at, request_id)
    select $2, '{resource.queue(operation)}', 'completed', operation || 'd', external_id, id, version, {NOW}, $3
    from record
){more}
select external_id, version, {NOW} as at from record"""


def lock(resource: Resource, *, follow: bool = True) -> str:
    """Write the statement that locks one record, by its id ($1) or an external id ($2), and shows what it is now.

    The external id of a merged record leads to the survivor, unless it is not to be followed.
    """
    found = known_as(resource, "$2") if follow else named(resource, "$2")
    return f"""
select id, external_id, version, deleted_at, merged_into_id, body, {NOW} as at,
    exists (
        select from alias where resource = '{resource.name}' and external_id = $2 and from_id is not null
    ) as redirected
from {resource.table}
where id = coalesce($1, ({found})) for update
"""


def _input(resources: Resources, resource: Resource) -> str:
    """What came, each with the external id that its record has now."""
    leading = followed(resources, resource)
    sent, patch = ("sent", f", {led_on('given.sent', leading)} as patch") if leading else ("patch", "")
    own, flag, flags, joined = "", "", "", ""
    if resource.natural_key:
        own, flag, flags = "own.external_id, ", ", by_key", ", (select $13::boolean[])"
        body = led_on("given.sent", leading) if leading else "given.patch"
        joined = f"\n    {own_by_key(resource, 'given', f'({body}::jsonb)')}"
    return (
        "".join(f"{survivors(resources[each.to], each)},\n" for each in leading)
        + f"""input as materialized (
    select given.*{patch}, coalesce({own}renamed.external_id, given.external_id) as target,
        alias.from_id is not null as redirected
    from unnest(
        (select $1::text[]), (select $2::text[]), (select $3::uuid[]), (select $4::uuid[]),
        (select $5::timestamptz[]), (select $6::uuid[]), (select $7::text[]), (select $9::uuid[]),
        (select $10::integer[]), (select $12::text[]){flags}
    ) with ordinality as given(
        external_id, {sent}, new_id, job_id, source_updated_at, request_id, api_key_id, batch_id, position,
        warnings{flag}, i
    )
    left join alias on alias.resource = '{resource.name}' and alias.external_id = given.external_id
    left join {resource.table} as renamed on renamed.id = alias.record_id{joined}
)"""
    )


def _record(resources: Resources, resource: Resource) -> str:
    """The records that change: new ones, and old ones that are not stale and would not stay as they are.

    Where two rows of a request lead to one record, the later of them comes later here: either it is what holds, or
    PostgreSQL refuses to write one record twice.
    """
    sent = _sent(resources, resource, "r", "excluded.body")
    turned = f", {COLUMN} = {flips.flipped(resource.flips)}" if resource.flips else ""
    returned = f", {flips.returned(resource.flips)}" if resource.flips else ""
    return f"""record as (
    insert into {resource.table} as r
        (id, external_id, version, operation, created_at, updated_at, source_updated_at, body)
    select new_id, target, 1, 'create', {NOW}, {NOW}, source_updated_at, patch::jsonb
    from input order by target, position
    on conflict (external_id) do update set
        body = r.body || {sent},
        version = r.version + 1,
        operation = case when r.deleted_at is null then 'update' else 'undelete' end,
        updated_at = greatest(excluded.updated_at, r.updated_at + interval '1 ms'),
        source_updated_at = coalesce(excluded.source_updated_at, r.source_updated_at),
        deleted_at = null{turned}
    where not $8 and r.merged_into_id is null{_not_taken(resource)} and {_alters(resource, "r", "excluded", sent)}
    returning id, external_id, version, operation, updated_at, {captured(resource)}{returned}
)"""


def _not_taken(resource: Resource) -> str:
    """And the condition that a record is not of another natural key than the one that names it."""
    if not resource.natural_key:
        return ""
    given = [f"excluded.{snake(name)}" for name in resource.key_fields]
    by_key = "excluded.external_id in (select target from input where by_key)"
    return f" and not ({of_another(resource, 'r', given)} and {by_key})"


def _alters(resource: Resource, row: str, given: str, body: str) -> str:
    """The condition that what came is not stale and makes a record other than it is, and may do so."""
    differs = _differs(resource, row, body)
    once = f" and not {differs}" if resource.write_once else ""
    return f"""(
            {given}.source_updated_at is null or {row}.source_updated_at is null
            or {given}.source_updated_at >= {row}.source_updated_at
        ) and (
            {row}.deleted_at is not null
            or coalesce({given}.source_updated_at > {row}.source_updated_at, {given}.source_updated_at is not null)
            or {differs}
        ){once}"""


def _sent(resources: Resources, resource: Resource, row: str, body: str) -> str:
    """What was sent, without what the record computes or inherits and shows already: to send that back does not fix it.

    Only here is known what a function makes of a record, and what another record says; of what else follows, the body's
    reader knows enough.
    """
    reads = {
        each.name: f"{row}.{snake(each.name)}" for each in resource.defaulting if isinstance(each.derived, Computed)
    }
    reads |= {name: inherited(resources, resource, name, row) for name in resource.inheriting}
    shown = [
        f"case when {row}.body->>'{name}' is null and {body}->>'{name}' = {read} then '{name}' else '' end"
        for name, read in reads.items()
    ]
    return f"({' - '.join((body, *shown))})" if shown else body


def _differs(resource: Resource, row: str, sent: str) -> str:
    """The condition that a record would read otherwise with what was sent.

    What is absent reads as its default, or as what it follows from, so sending that changes nothing. Whether one object
    contains another costs a fraction of merging them, and settles nearly every row: what is not contained differs.
    """
    defaults = literal(json.dumps(dict(resource.defaults), ensure_ascii=False)) + "::jsonb"
    before, after = f"({defaults} || {row}.body)", f"({defaults} || {row}.body || {sent})"
    names = ",".join(each.name for each in resource.defaulting)
    plain = f" - '{{{names}}}'::text[]" if names else ""
    ways = [f"not ({before}{plain}) @> ({sent}{plain})", f"{before}{plain} is distinct from {after}{plain}"]
    for each in resource.defaulting:
        read = read_as(resource, each.name, after, f"{row}.external_id")
        ways.append(f"{row}.{snake(each.name)} is distinct from {read}")
    other = f"(not {row}.body @> {sent} or {row}.body is distinct from {row}.body || {sent})"
    return f"({other} and ({' or '.join(ways)}))"


def _told(resource: Resource) -> str:
    """A change for each record that changed, and the difference in how many there are."""
    changes = f"{_changed_rows(resource)} as changed join input on input.target = changed.target"
    # What was led to another record, or taken with a warning, is not what was sent; nor is what follows from a flip.
    as_sent = f"not input.redirected and input.warnings is null and changed.resource = '{resource.name}'"
    return f"""{told(changes, as_sent=as_sent, **_BY_INPUT)},
counted as (
    insert into tally (resource, delta)
    select resource, count(*) from {_changed_rows(resource)} as changed
    where operation in ('create', 'undelete') group by resource
)"""


def _changed_rows(resource: Resource) -> str:
    """What changed: the records, and what was written down of them."""
    return "changed" if resource.flips else _rows(resource)


def _rows(resource: Resource) -> str:
    return f"(select record.*, '{resource.name}' as resource, external_id as target from record)"


def owed(changes: str) -> str:
    """What every webhook of its resource is owed of each record that changed: its new version, now.

    A delivery that is in flight stays so; when it is settled, it is found to be owed again. Where every change is sent,
    one that waits for its next attempt, or for somebody to requeue it, is waited for.
    """
    waits = "excluded.every and d.status in ('retrying', 'failed') and greatest(d.acknowledged, d.passed) < d.wanted"
    return f"""register as (
    insert into delivery as d (webhook_id, record_id, wanted, every)
    select webhook.id, changed.id, changed.version, webhook.every
    from {changes} as changed join webhook on webhook.resource = changed.resource
    where webhook.deleted_at is null and not webhook.disabled
    order by webhook.id, changed.id
    on conflict (webhook_id, record_id) do update set
        wanted = excluded.wanted,
        every = excluded.every,
        attempts = case when excluded.every then d.attempts else 0 end,
        status = case when d.status = 'sending' or {waits} then d.status else 'owed' end
    returning webhook_id, record_id, status
),
owed as (
    insert into due (webhook_id, record_id, due_at)
    select webhook_id, record_id, {NOW} from register where status = 'owed' order by webhook_id, record_id
    on conflict (webhook_id, record_id) do update set due_at = excluded.due_at where due.due_at > excluded.due_at
)"""


def _result(resources: Resources, resource: Resource) -> str:
    """What came of each input; a record that did not change is looked up as it is.

    One that should have changed as it is seen here, and did not, is another by now: it is to be asked for again.
    """
    sent = _sent(resources, resource, "kept", "(input.patch::jsonb)")
    differs = _differs(resource, "kept", sent)
    final = f"\n            when {differs} then 'final'" if resource.write_once else ""
    key = key_in(resource, "input.patch::jsonb")
    taken = f"record.id is null and input.by_key and {of_another(resource, 'kept', key)}"
    found, taken = (f"{taken} or ", f"when {taken} then 'taken'\n            ") if key else ("", "")
    return f"""result as (
    select i, job_id, input.external_id, request_id, batch_id, position, warnings,
        case
            when record.id is not null then record.id
            when $8 or {found}not ({_alters(resource, "kept", "input", sent)}) then kept.id
        end as record_id,
        coalesce(record.external_id, kept.external_id) as target,
        coalesce(record.version, kept.version) as version,
        case
            {taken}when input.redirected and not $8
                and (record.id is not null or coalesce(input.source_updated_at >= kept.source_updated_at, true))
                then 'redirected'
            when record.operation = 'create' then 'created'
            when record.operation = 'undelete' then 'undeleted'
            when record.operation = 'update' then 'updated'
            when $8 then 'exists'
            when input.source_updated_at < kept.source_updated_at then 'stale'{final}
            else 'unchanged'
        end as outcome
    from input
    left join record on record.external_id = input.target
    left join {resource.table} as kept on record.id is null and kept.external_id = input.target
)"""


def _done(resource: Resource) -> str:
    """A job for each input that was answered, so that it can be looked up."""
    return f"""done as (
    insert into job (
        id, queue_name, status, outcome, external_id, record_id, version, created_at, request_id, batch_id, position,
        warnings
    )
    select job_id, '{resource.queue("upsert")}', 'completed', outcome, external_id, record_id, version, {NOW},
        request_id, batch_id, position, warnings::jsonb
    from result where record_id is not null and outcome not in ('exists', 'final', 'taken') and job_id is not null
)"""


def ancestors(resource: Resource, reference: Reference) -> str:
    """Write the statement that walks up a tree from a parent ($1), at most $2 levels.

    Gives how many levels there are, and whether the record with the external id $3 is among them.
    """
    table, parent = resource.table, snake(reference.id_field.name)
    return f"""
with recursive above as (
    select id, external_id, {parent}, 1 as level from {table} where id = $1
    union all
    select up.id, up.external_id, up.{parent}, level + 1
    from above join {table} as up on up.id = above.{parent} where level <= $2
)
select max(level) as levels, coalesce(bool_or(external_id = $3), false) as circle from above
"""


def keep_places(resource: Resource) -> str:
    """Write the statement that takes the places of external ids ($2, sorted; ids for them: $1) in the key's index.

    It waits for whoever is just making such a record; afterwards whoever makes one waits for this transaction.
    """
    return f"""
insert into {resource.table} (id, external_id, version, operation, created_at, updated_at, body)
select id, external_id, 1, 'create', {NOW}, {NOW}, '{{}}'
from unnest($1::uuid[], $2::text[]) as given(id, external_id) order by external_id
on conflict (external_id) do nothing
"""


def clear_places(resource: Resource) -> str:
    """Write the statement that removes the rows ($1, their ids) that `keep_places` made; nobody ever sees them.

    Their entries in the index keep others waiting until the transaction ends all the same.
    """
    return f"delete from {resource.table} where id = any($1::uuid[])"


def lock_tree(resource: Resource) -> str:
    """Write the statement that keeps others from writing to a table, while all may read it."""
    return f"lock table {resource.table} in share row exclusive mode"
