"""References to merged records, led on to the survivors by the statement that writes them: parts of it, composed."""

from collections.abc import Iterable

from retailos.declare.field import Reference, snake
from retailos.declare.resource import Resource, Resources


def followed(resources: Resources, resource: Resource) -> tuple[Reference, ...]:
    """The references of a resource whose records may be merged into others."""
    return tuple(each for each in resource.references if resources[each.to].mergeable)


def survivors(target: Resource, reference: Reference) -> str:
    """Write the CTE of the records that a reference names in the bodies ($2), held as a foreign key would hold them.

    A record may be merged into another after the reference to it was found. Whoever merges it waits for this statement,
    or this one for the merge; then it sees what the merge did.
    """
    name = reference.id_field.name
    if reference.ids:
        given = f"select jsonb_array_elements_text(sent::jsonb->'{name}')::uuid from unnest($2::text[]) as sent"
    else:
        given = f"select (sent::jsonb->>'{name}')::uuid from unnest($2::text[]) as sent"
    return f"""{_cte(reference)} as materialized (
    select id, merged_into_id from {target.table} where id = any(array({given})) order by external_id for key share
)"""


def hold(target: Resource) -> str:
    """Write the statement that holds records ($1, their ids) against being merged away, until the transaction ends."""
    return f"select from {target.table} where id = any($1::uuid[]) order by external_id for key share"


def led_on(sent: str, references: Iterable[Reference]) -> str:
    """Write a body, the SQL of JSON text, with its references to merged records led on to the survivors."""
    return f"({sent}::jsonb{''.join(f' || {_one(sent, each)}' for each in references)})::text"


def _one(sent: str, reference: Reference) -> str:
    name, found = reference.id_field.name, _cte(reference)
    if reference.ids:
        led = (
            "select jsonb_agg(coalesce(merged_into_id::text, want.id) order by want.i) as led"
            f" from jsonb_array_elements_text({sent}::jsonb->'{name}') with ordinality as want(id, i)"
            f" left join {found} on {found}.id = want.id::uuid"
        )
    else:
        led = f"select to_jsonb(merged_into_id) as led from {found} where id = ({sent}::jsonb->>'{name}')::uuid"
    led = f"select jsonb_build_object('{name}', led) from ({led}) as led where led is not null"
    return f"coalesce(({led}), '{{}}')"


def _cte(reference: Reference) -> str:
    return f"of_{snake(reference.name)}"
