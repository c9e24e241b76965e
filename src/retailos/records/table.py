"""The table of a resource, as its declaration demands it; a migration holds the same text, and a test compares."""

import json
from collections.abc import Iterator

from retailos.declare.field import snake
from retailos.declare.resource import Resource


def create_table(resource: Resource) -> str:
    """Write the DDL of a resource's table and its indexes.

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
        *(_found_within(path) for _, path in resource.within),
    ]
    table = f"create table {resource.table} (\n    " + ",\n    ".join(lines) + "\n) with (fillfactor = 85);"
    return "\n".join([table, *_indexes(resource)]) + "\n"


def generated(resource: Resource, path: str) -> str:
    """Write the column that is generated from a path in the body."""
    kind = resource.kind_at(path)
    collate = ' collate "C"' if kind.sql_type == "text" else ""
    return f"{snake(path)} {kind.sql_type}{collate} generated always as ({value_at(resource, path)}) stored"


def value_at(resource: Resource, path: str, body: str = "body") -> str:
    """Write the SQL of the value at a path in the body as it is compared: what is absent is its default."""
    field = resource.field_at(path)
    found = body_text(path, body)
    if field.computed:
        found = f"coalesce({found}, {field.computed}({body}))"
    elif field.default is not None and path == field.name and not isinstance(field.default, bool):
        default = json.dumps(field.default).strip('"')
        found = f"coalesce({found}, '{default}')"
    return resource.kind_at(path).column(found)


def _found_within(path: str) -> str:
    """Write the column that holds a member of all items of an inner array, so that an index can find any."""
    array, _, member = path.partition(".")
    return f"{snake(path)} jsonb generated always as (jsonb_path_query_array(body, '$.{array}[*].{member}')) stored"


def unique_index(resource: Resource, path: str) -> str:
    """Name the index that keeps a field unique, by which the database says what was taken."""
    return f"{resource.table}_{snake(path)}_unique"


def body_text(path: str, body: str = "body") -> str:
    """Write the SQL that reads a path in the body as text."""
    names = path.split(".")
    return f"({body}->>'{path}')" if len(names) == 1 else f"({body}#>>'{{{','.join(names)}}}')"


def _indexes(resource: Resource) -> Iterator[str]:
    table = resource.table
    for stamp in ("updated_at", "created_at"):
        yield f"create index {table}_{stamp} on {table} ({stamp}, id);"
    for entry in resource.indexes:
        columns = [snake(path) for path in ((entry,) if isinstance(entry, str) else entry)]
        yield f"create index {table}_{'_'.join(columns)} on {table} ({', '.join(columns)});"
    for _, path in resource.within:
        yield f"create index {table}_{snake(path)} on {table} using gin ({snake(path)});"
    for path in resource.unique:
        yield f"create unique index {unique_index(resource, path)} on {table} ({snake(path)}) where deleted_at is null;"
    for reference in resource.references:
        column = snake(reference.id_field.name)
        if reference.indexed and not reference.ids:
            yield f"create index {table}_{column} on {table} ({column}) where {column} is not null;"
