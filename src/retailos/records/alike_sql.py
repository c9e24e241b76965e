"""The statement that finds which drafts would make a record like another one that there is."""

from retailos.declare.field import snake
from retailos.declare.resource import Resource
from retailos.declare.rules import Together
from retailos.records.named_sql import known_as
from retailos.records.table import read_as


def alike(resource: Resource, rule: Together) -> str:
    """Write the statement that finds what of some drafts another living record has: all values of a rule.

    $1 external ids, null where the draft has none · $2 the values, as the text of JSON objects. Gives the ordinals.
    One look into an index for each draft: a join would be planned for a hundred of them, and read the whole table.
    """
    same = " and ".join(
        f"{f'r.{snake(name)}' if name in resource.columns else read_as(resource, name, 'r.body')}"
        f" = {read_as(resource, name, 'sent.body')}"
        for name in rule.fields
    )
    own = known_as(resource, "given.external_id")
    return f"""
select given.i
from unnest($1::text[], $2::text[]) with ordinality as given(external_id, body, i)
cross join lateral (select given.body::jsonb as body) as sent
cross join lateral (
    select from {resource.table} as r
    where {same} and r.deleted_at is null and r.id is distinct from ({own})
    limit 1
) as other
"""
