"""The table of a resource, as its declaration demands it; a migration holds the same text, and a test compares."""

import json
from collections.abc import Iterator

from retailos.declare.derived import Computed, Difference, SameAsExternalId
from retailos.declare.field import snake
from retailos.declare.flips import COLUMN
from retailos.declare.resource import Resource, Resources
from retailos.declare.rules import Rule, Together
from retailos.declare.within import Naming

#: PostgreSQL cuts longer names.
_NAME_MOST = 63


def create_table(resource: Resource) -> str:
    """Write the DDL of a resource's table, its indexes and its triggers.

    The body is the record; every other column is either kept by the write statement or generated from the body.
    """
    lines = [
        "id uuid primary key",
        'external_id text collate "C" not null unique check (char_length(external_id) between 1 and 255)',
        "version integer not null check (version >= 1)",
        "operation text not null",
        "created_at timestamptz(3) not null",
        "updated_at timestamptz(3) not null check (updated_at >= created_at)",
        "deleted_at timestamptz(3)",
        "merged_into_id uuid",
        "source_updated_at timestamptz(3)",
        "body jsonb not null check (jsonb_typeof(body) = 'object')",
        *(generated(resource, path) for path in resource.columns),
        *(f"constraint {check(resource, rule)} check ({rule.check(body_text)})" for rule in resource.rules),
    ]
    table = f"create table {resource.table} (\n    " + ",\n    ".join(lines) + "\n) with (fillfactor = 85);"
    return "\n".join([table, *_indexes(resource), *(_keeper(resource, each) for each in resource.namings)]) + "\n"


def add_columns(resource: Resource) -> str:
    """Write the DDL of what a table has beyond that: what the statement of a write leaves for itself."""
    return f"alter table {resource.table} add column {COLUMN} jsonb;\n" if resource.flips else ""


def generated(resource: Resource, path: str) -> str:
    """Write the column that is generated from a path in the body."""
    kind = resource.kind_at(path)
    collate = ' collate "C"' if kind.sql_type == "text" else ""
    return f"{snake(path)} {kind.sql_type}{collate} generated always as ({read_as(resource, path)}) stored"


def read_as(resource: Resource, path: str, body: str = "body", external_id: str = "external_id") -> str:
    """Write the SQL of what a path in a body reads as: while nobody sends it, what it follows from, or its default."""
    field, kind = resource.field_at(path), resource.kind_at(path)
    found = kind.column(body_text(path, body))
    match field.derived:
        case SameAsExternalId():
            return f"coalesce({found}, {external_id})"
        case Difference(of):
            return f"coalesce({found}, {' - '.join(read_as(resource, name, body) for name in of)})"
        case Computed(function):
            return f"coalesce({found}, {function}({body}))"
    if field.default is None or isinstance(field.default, bool) or path != field.name:
        return found
    default = literal(json.dumps(field.default).strip('"'))
    return f"coalesce({found}, {kind.column(default)})"


def inherited(resources: Resources, resource: Resource, name: str, row: str) -> str:
    """Write the SQL of the text that a field of a row reads as while nobody sends it: that of the record referred to.

    It is not kept, since one change of that record would be a change of all that refer to it.
    """
    reference, source = resource.inheriting[name]
    found = f"source.id = ({row}.body->>'{reference.id_field.name}')::uuid"
    return f"(select {body_text(source, 'source.body')} from {resources[reference.to].table} as source where {found})"


def items_at(path: str, body: str = "body") -> str:
    """Write the SQL of all items of an array in the body, or, behind a dot, of a member that its items have."""
    array, _, member = path.partition(".")
    return f"jsonb_path_query_array({body}, '$.{array}[*].{member}')" if member else f"({body}->'{array}')"


def literal(text: str) -> str:
    """Write a text of the declaration's as SQL."""
    return "'" + text.replace("'", "''") + "'"


def unique_index(resource: Resource, path: str) -> str:
    """Name the index that keeps a field unique, by which the database says what was taken."""
    return f"{resource.table}_{snake(path)}_unique"


def together_index(resource: Resource, rule: Together) -> str:
    """Name the index that keeps a combination of fields unique."""
    among = f"_{rule.where[1]}" if rule.where else ""
    columns = "_".join(map(snake, rule.fields))
    return f"{resource.table}_{columns}{among}"[: _NAME_MOST - 7] + "_unique"


def check(resource: Resource, rule: Rule) -> str:
    """Name the constraint that keeps a rule."""
    return f"{resource.table}_{snake(rule.name)}"[:_NAME_MOST]


def keeper(resource: Resource, naming: Naming) -> str:
    """Name the trigger that keeps what items name within a record, by which the database says what was broken."""
    return f"{resource.table}_{snake(naming.named)}_in_{snake(naming.target)}"[:_NAME_MOST]


def body_text(path: str, body: str = "body") -> str:
    """Write the SQL that reads a path in the body as text."""
    names = path.split(".")
    return f"({body}->>'{path}')" if len(names) == 1 else f"({body}#>>'{{{','.join(names)}}}')"


def _keeper(resource: Resource, naming: Naming) -> str:
    """The trigger of a naming: a constraint would look at what was sent before it is merged with what is stored."""
    named, known = items_at(naming.named, "new.body"), items_at(naming.known, "new.body")
    return (
        f"create trigger {keeper(resource, naming)} after insert or update of body on {resource.table}\n"
        f"    for each row when (not {named} <@ {known})\n"
        f"    execute function refuse_strangers('{naming.named}', '{naming.known}');"
    )


def _indexes(resource: Resource) -> Iterator[str]:
    table = resource.table
    for stamp in ("updated_at", "created_at"):
        yield f"create index {table}_{stamp} on {table} ({stamp}, id);"
    for entry in resource.indexes:
        columns = [snake(path) for path in ((entry,) if isinstance(entry, str) else entry)]
        yield f"create index {table}_{'_'.join(columns)} on {table} ({', '.join(columns)});"
    for path in resource.unique:
        yield f"create unique index {unique_index(resource, path)} on {table} ({snake(path)}) where deleted_at is null;"
    if resource.mergeable:
        yield f"create index {table}_merged_into_id on {table} (merged_into_id) where merged_into_id is not null;"
    for rule in resource.together:
        among = f" and {snake(rule.where[0])} = '{rule.where[1]}'" if rule.where else ""
        combined = ", ".join(map(snake, rule.fields))
        index = f"create unique index {together_index(resource, rule)} on {table} ({combined})"
        yield f"{index} nulls not distinct where deleted_at is null{among};"
    for path in resource.items:
        yield f"create index {table}_{snake(path)} on {table} using gin ({items_at(path)});"
    leading = {entry[0] for entry in resource.indexes if not isinstance(entry, str)}
    for reference in resource.references:
        column = snake(reference.id_field.name)
        if reference.indexed and not reference.ids and reference.id_field.name not in leading:
            yield f"create index {table}_{column} on {table} ({column}) where {column} is not null;"
