"""Statements that lead what refers to merged records to the survivor, where a rule has room for one record only, too.

All of them lock records in the order of every writer, and change some at once: they are repeated until they find none.
$1 are the ids of the merged records, in their order, $2 is the survivor's, $3 the request's and $4 the API key's.
"""

from collections.abc import Iterable, Sequence

from retailos.declare.field import Reference, snake
from retailos.declare.resource import Resource
from retailos.declare.rules import Together
from retailos.records.change_sql import captured
from retailos.records.merge_sql import CHANGED, told_by_merge
from retailos.records.sql import NOW
from retailos.records.table import literal

#: Records that one statement re-points: a fifth of a second's work, far below what a statement may take.
REPOINTED_MOST = 1_000


def concerned(resource: Resource, references: Sequence[Reference]) -> tuple[Together, ...]:
    """The rules by which records that come to refer to a survivor may be one too many: what yields, yields last."""
    names = {each.id_field.name for each in references}
    rules = [each for each in resource.together if names.intersection(each.fields)]
    return tuple(sorted(rules, key=lambda each: each.yields is not None))


def make_room(resource: Resource, references: Sequence[Reference], rule: Together) -> str:
    """Write the statement that leads on the records that a rule leaves no room: they yield or are deleted by that.

    Those stay that refer to the survivor already, then those of the first merged record. All of them are locked before
    they are held against each other, so nobody comes in between. Gives the ids and new versions of what it changed.
    """
    by = [snake(each.id_field.name) for each in references if each.id_field.name in rule.fields]
    fields = dict.fromkeys(snake(name) for name in (*rule.fields, *(rule.where or ())[:1]))
    ids = " or ".join(f"r.{each} = any(array_append($1::uuid[], $2::uuid))" for each in by)
    key = ", ".join(_led(each) if each in by else each for each in map(snake, rule.fields))
    before = ", ".join(f"coalesce(array_position($1::uuid[], {each}), 0)" for each in by)
    among = f" and {snake(rule.where[0])} = {literal(rule.where[1])}" if rule.where else ""
    body, what, counted = _repointed_all(references), f"operation = 'delete', deleted_at = {NOW}", _counted(resource)
    if rule.where and rule.yields is not None:
        given = f"jsonb_build_object({literal(rule.where[0])}, {literal(rule.yields)})"
        body, what, counted = f"{body} || {given}", "operation = 'update'", ""
    return f"""with held as materialized (
    select r.id, r.external_id, r.deleted_at, {", ".join(f"r.{each}" for each in fields)} from {resource.table} as r
    where {ids} order by r.external_id for update
),
placed as (
    select id, external_id, row_number() over (partition by {key} order by {before}, id) as place
    from held where deleted_at is null{among}
),
found as materialized (
    select id from placed where place > 1 order by external_id limit {REPOINTED_MOST}
),
record as (
    update {resource.table} as r set body = {body}, {what}, {CHANGED}
    from found where r.id = found.id
    returning r.id, r.version, r.operation, r.updated_at, {captured(resource)}
),
{told_by_merge(resource)}{counted}
select id, version from record"""


def _counted(resource: Resource) -> str:
    return f""",
counted as (
    insert into tally (resource, delta)
    select '{resource.name}', -count(*) from record having count(*) > 0
)"""


def _led(column: str) -> str:
    """What a reference will be; a record does not come to refer to itself."""
    return f"case when {column} = any($1::uuid[]) then nullif($2::uuid, id) else {column} end"


def repoint(resource: Resource, references: Sequence[Reference]) -> str:
    """Write the statement that leads references to merged records to the survivor.

    Gives the ids and new versions of the records that it changed.
    """
    found = " or ".join(refers(resource, each) for each in references)
    return f"""with found as materialized (
    select r.id from {resource.table} as r where {found} order by r.external_id limit {REPOINTED_MOST} for update
),
record as (
    update {resource.table} as r set body = {_repointed_all(references)}, operation = {_OPERATION}, {CHANGED}
    from found where r.id = found.id
    returning r.id, r.version, r.operation, r.updated_at, {captured(resource)}
),
{told_by_merge(resource)}
select id, version from record"""


#: A tombstone stays one, also in what is told of it.
_OPERATION = "case when r.deleted_at is null then 'update' else r.operation end"


def refers(resource: Resource, reference: Reference) -> str:
    """Write the condition that a row `r` refers to one of some records ($1)."""
    name = reference.id_field.name
    if reference.ids:
        return f"r.body->'{name}' ?| array(select gone::text from unnest($1::uuid[]) as gone)"
    found = f"r.{snake(name)}" if name in resource.columns else f"(r.body->>'{name}')::uuid"
    return f"{found} = any($1::uuid[])"


def _repointed_all(references: Iterable[Reference]) -> str:
    return " || ".join(("r.body", *map(_repointed, references)))


def _repointed(reference: Reference) -> str:
    """What the body gets: the survivor where it named another; a record does not come to refer to itself."""
    name = reference.id_field.name
    if reference.ids:
        many = f"jsonb_array_elements_text(coalesce(r.body->'{name}', '[]')) with ordinality as want(id, i)"
        each = "case when want.id::uuid = any($1::uuid[]) then $2 else want.id::uuid end"
        once = f"select {each} as id, min(i) as i from {many} group by 1"
        return f"jsonb_build_object('{name}', (select coalesce(jsonb_agg(id order by i), '[]') from ({once}) as kept))"
    changed = f"jsonb_build_object('{name}', nullif($2::uuid, r.id))"
    return f"case when (r.body->>'{name}')::uuid = any($1::uuid[]) then {changed} else '{{}}' end"
