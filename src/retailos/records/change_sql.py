"""A change, as every statement that writes records writes it down: composed here alone, so that none forgets a part.

Where a webhook sends every change of a resource, a change keeps the record as it was then: its snapshot.
"""

from retailos.declare.field import snake
from retailos.declare.flips import COLUMN
from retailos.declare.resource import Resource
from retailos.records.table import read_as


def captured(resource: Resource, row: str = "r") -> str:
    """Write what a write returns of a row for its change: all that the record is made of, or null if nobody asks.

    What is generated from the body is left out: it follows from the body again when the snapshot is read.
    """
    follows = ",".join((*map(snake, resource.columns), COLUMN))
    asked = f"select from webhook where every and resource = '{resource.name}' and deleted_at is null and not disabled"
    return f"case when (select exists ({asked})) then to_jsonb({row}) - '{{{follows}}}'::text[] end as snapshot"


def told(rows: str, *, request_id: str, api_key_id: str, as_sent: str) -> str:
    """Write the clause that tells of rows: of what resource, which record, and what a write returned of it.

    `as_sent` is the condition that whoever holds the key knows what the record is by now, since it is what he sent.
    """
    return f"""told as (
    insert into change (resource, record_id, version, operation, at, request_id, api_key_id, as_sent, snapshot)
    select changed.resource, changed.id, version, operation, updated_at, {request_id}, {api_key_id}, {as_sent}, snapshot
    from {rows}
)"""


def reopened(resource: Resource, snapshot: str) -> str:
    """Write the row that a snapshot, the SQL of its JSON, was taken of, as a subquery with the table's columns."""
    kept = (each.at for each in resource.fields.values() if each.at)
    own = ", ".join(f"kept.{name}" for name in dict.fromkeys((*kept, "operation", "deleted_at", "body")))
    read = (
        f", {read_as(resource, path, 'kept.body', 'kept.external_id')} as {snake(path)}" for path in resource.columns
    )
    return f"(select {own}{''.join(read)} from jsonb_populate_record(null::{resource.table}, {snapshot}) as kept)"
